# How the parts are wired: what must hold between queues, functions, what is kept and who may do what.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  zips = "./tests/zips"
}

run "defaults" {
  assert {
    condition     = aws_sqs_queue.jobs.visibility_timeout_seconds == 6 * aws_lambda_function.processor.timeout
    error_message = "A message of the jobs queue must stay hidden for six times the processor's timeout."
  }

  assert {
    condition     = aws_sqs_queue.webhooks.visibility_timeout_seconds >= 6 * aws_lambda_function.courier.timeout
    error_message = "A message of the webhooks queue must stay hidden for six times the courier's timeout."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.jobs.batch_size == 1 && aws_lambda_event_source_mapping.jobs.function_response_types == toset(["ReportBatchItemFailures"])
    error_message = "The processor must be given one message at a time, and be able to give it back."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.webhooks.function_response_types == toset(["ReportBatchItemFailures"])
    error_message = "The courier must be able to give single deliveries back."
  }

  assert {
    condition = alltrue([
      for function in [aws_lambda_function.processor, aws_lambda_function.sweeper, aws_lambda_function.courier] :
      function.environment[0].variables.PRESSRUN_TOPIC_ARN == aws_sns_topic.reports.arn
    ])
    error_message = "Whoever announces must know the topic, the courier too: it gets what SNS did not take at once."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.jobs.redrive_policy) == { deadLetterTargetArn = aws_sqs_queue.dead_letters.arn, maxReceiveCount = 5 }
    error_message = "What was delivered too often must go to the dead letters."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.webhooks.redrive_policy).deadLetterTargetArn == aws_sqs_queue.webhook_dead_letters.arn
    error_message = "Webhooks that were delivered too often must go to their dead letters."
  }

  assert {
    condition     = aws_lambda_function.processor.environment[0].variables.PRESSRUN_MAX_ATTEMPTS == "4"
    error_message = "The queue must deliver a message once more than there are attempts, so that a job whose every attempt was killed is failed."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.jobs.scaling_config[0].maximum_concurrency == 10
    error_message = "maximum_concurrency must reach the mapping."
  }

  assert {
    condition     = aws_cloudwatch_event_rule.sweep.schedule_expression == "rate(1 minute)" && aws_cloudwatch_event_target.sweep.arn == aws_lambda_alias.sweeper.arn
    error_message = "The sweeper must be started every minute."
  }
}

# A function that is called past its alias would not be rolled back.
run "releases" {
  variables {
    release   = "v1.2.3"
    websocket = true
  }

  assert {
    condition = alltrue([
      for target in [
        aws_lambda_event_source_mapping.jobs.function_name, aws_lambda_event_source_mapping.webhooks.function_name,
        aws_lambda_event_source_mapping.followed_jobs[0].function_name, aws_cloudwatch_event_target.sweep.arn,
      ] : endswith(target, ":live")
    ])
    error_message = "Queues, streams and the sweep must call the alias."
  }

  assert {
    condition     = strcontains(aws_apigatewayv2_integration.websocket[0].integration_uri, ":live/")
    error_message = "The WebSocket API must call the alias."
  }

  assert {
    condition = alltrue([
      for qualified in [
        aws_lambda_function_url.listener, aws_lambda_permission.invoke[0], aws_lambda_permission.invoke_url[0],
        aws_lambda_permission.sweep, aws_lambda_permission.websocket[0],
      ] : qualified.qualifier == "live"
    ])
    error_message = "URL and permissions must be those of the alias."
  }

  assert {
    condition     = alltrue([for function in local.watched_functions : function.publish && endswith(function.description, "(v1.2.3)")])
    error_message = "Every function must publish versions that say their release."
  }
}

run "long_runs" {
  variables {
    processor_timeout_seconds = 900
    max_receive_count         = 20
  }

  assert {
    condition     = aws_sqs_queue.jobs.visibility_timeout_seconds == 5400
    error_message = "The visibility timeout must follow the processor's timeout."
  }

  assert {
    condition     = aws_lambda_function.processor.environment[0].variables.PRESSRUN_MAX_ATTEMPTS == "19"
    error_message = "The number of attempts must follow max_receive_count."
  }
}

# --- What is kept for as long as links work ----------------------------------------------------------------------

run "kept_for_a_day" {
  variables {
    retention_days = 1
  }

  assert {
    condition     = aws_sqs_queue.jobs.message_retention_seconds == 24 * 3600 && aws_sqs_queue.dead_letters.message_retention_seconds == 24 * 3600
    error_message = "A message must not outlive its job's record."
  }
}

run "kept_for_ninety_days" {
  variables {
    retention_days = 90
  }

  assert {
    condition = alltrue([
      for function in [aws_lambda_function.listener, aws_lambda_function.processor, aws_lambda_function.sweeper] :
      function.environment[0].variables.PRESSRUN_RETENTION_DAYS == "90"
    ])
    error_message = "Links and records must last as long as is set."
  }

  assert {
    condition = alltrue([
      for name in ["inputs", "reports", "sections"] : one([
        for rule in aws_s3_bucket_lifecycle_configuration.reports.rule : rule.expiration[0].days if rule.id == "expire-${name}"
      ]) >= 90
    ])
    error_message = "A report and its input must be kept for as long as the link to the report works."
  }

  assert {
    condition = one([
      for rule in aws_s3_bucket_lifecycle_configuration.reports.rule : rule.expiration[0].days if rule.id == "expire-uploads"
    ]) > 90
    error_message = "An upload must be kept longer than any job that may still name it."
  }

  assert {
    condition = one([
      for rule in aws_s3_bucket_lifecycle_configuration.reports.rule : rule.expiration[0].days == 1 && rule.filter[0].and[0].tags["pressrun-named"] == "no" if rule.id == "expire-unnamed-uploads"
    ])
    error_message = "An upload that no job names must go after a day."
  }

  assert {
    condition     = aws_sqs_queue.jobs.message_retention_seconds == 4 * 24 * 3600
    error_message = "A job waits for four days at most."
  }

  assert {
    condition     = aws_sqs_queue.dead_letters.message_retention_seconds > aws_sqs_queue.jobs.message_retention_seconds
    error_message = "A dead letter's age counts from its first enqueueing, so dead letters must be kept longer than jobs."
  }

  assert {
    condition     = tonumber(aws_lambda_function.processor.environment[0].variables.PRESSRUN_QUEUE_RETENTION_SECONDS) == aws_sqs_queue.jobs.message_retention_seconds
    error_message = "The processor must know for how long a message can exist, by which overdue jobs are told."
  }

  assert {
    condition     = aws_dynamodb_table.jobs.ttl[0].enabled && aws_dynamodb_table.jobs.ttl[0].attribute_name == "expires_at"
    error_message = "Records must expire."
  }
}

# --- Who may do what ----------------------------------------------------------------------------------------------

run "closed_by_default" {
  assert {
    condition = alltrue([
      for closed in [
        aws_s3_bucket_public_access_block.reports.block_public_acls,
        aws_s3_bucket_public_access_block.reports.block_public_policy,
        aws_s3_bucket_public_access_block.reports.ignore_public_acls,
        aws_s3_bucket_public_access_block.reports.restrict_public_buckets,
      ] : closed
    ])
    error_message = "Nothing in the bucket may be public."
  }

  assert {
    condition = alltrue([
      for queue in [aws_sqs_queue.jobs, aws_sqs_queue.dead_letters, aws_sqs_queue.webhooks, aws_sqs_queue.webhook_dead_letters] :
      queue.sqs_managed_sse_enabled
    ])
    error_message = "Every queue must be encrypted."
  }

  assert {
    condition     = toset(keys(aws_sqs_queue_policy.tls_only)) == toset(["dead_letters", "jobs", "webhook_dead_letters", "webhooks"])
    error_message = "Every queue must refuse plain HTTP."
  }

  assert {
    condition = alltrue([
      for policy in concat([data.aws_iam_policy_document.bucket_tls_only], values(data.aws_iam_policy_document.queue_tls_only)) :
      policy.statement[0].effect == "Deny" && one(policy.statement[0].condition).variable == "aws:SecureTransport" && one(policy.statement[0].condition).values == tolist(["false"])
    ])
    error_message = "The bucket and the queues must refuse plain HTTP."
  }

  # ListStreams and X-Ray know no resources.
  assert {
    condition = alltrue(flatten([
      for policy in [
        data.aws_iam_policy_document.listener, data.aws_iam_policy_document.processor,
        data.aws_iam_policy_document.sweeper, data.aws_iam_policy_document.courier,
        ] : [for statement in policy.statement : alltrue([
          for text in concat(tolist(statement.actions), tolist(statement.resources)) : text != "*" && !endswith(text, ":*") || startswith(text, "arn:aws:logs:")
      ])]
    ]))
    error_message = "No function may do anything to everything."
  }

  assert {
    condition     = aws_lambda_function.listener.environment[0].variables.PRESSRUN_TOKEN == nonsensitive(local.api_token) && length(nonsensitive(local.api_token)) >= 32
    error_message = "Callers must need a token unless it is said that they do not."
  }

  assert {
    condition     = !contains(keys(aws_lambda_function.courier.environment[0].variables), "PRESSRUN_TOKEN") && !contains(keys(aws_lambda_function.courier.environment[0].variables), "PRESSRUN_LINK_KEY")
    error_message = "The courier, which speaks to strangers, must hold neither the token nor the key of the links."
  }
}

# --- Two side by side ---------------------------------------------------------------------------------------------

# Every name that is unique in an account and region; names that AWS makes up are not here.
run "another_name" {
  variables {
    name      = "other"
    websocket = true
  }

  assert {
    condition = alltrue([
      for name in concat(
        [for function in local.watched_functions : function.function_name],
        [for group in local.log_groups : trimprefix(group, "/aws/lambda/")],
        [for queue in local.queues : queue.name],
        [for role in [aws_iam_role.listener, aws_iam_role.processor, aws_iam_role.sweeper, aws_iam_role.courier, aws_iam_role.websocket[0]] : role.name],
        [for table in [aws_dynamodb_table.jobs, aws_dynamodb_table.followers[0]] : table.name],
        [for topic in [aws_sns_topic.reports, aws_sns_topic.alarms] : topic.name],
        [for alarm in local.all_alarms : alarm.alarm_name],
        [aws_s3_bucket.reports.bucket_prefix, aws_cloudwatch_event_rule.sweep.name, aws_apigatewayv2_api.websocket[0].name],
        ["${aws_cloudwatch_dashboard.pressrun.dashboard_name}-"],
      ) : startswith(name, "other-")
    ])
    error_message = "Every name must begin with `name`, or a second deployment in the same account meets the first."
  }

  assert {
    condition     = length(aws_s3_bucket.reports.bucket_prefix) <= 37
    error_message = "S3 appends 26 characters to the prefix and allows 63."
  }
}
