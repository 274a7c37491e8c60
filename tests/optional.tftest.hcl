# Every part that can be left out or asked for: that it is there when it is, and gone when it is not.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  zips = "./tests/zips"
}

run "nothing_optional" {
  assert {
    condition     = length(aws_lambda_function.websocket) + length(aws_apigatewayv2_api.websocket) + length(aws_dynamodb_table.followers) + length(aws_cloudwatch_log_group.websocket) == 0
    error_message = "There is no WebSocket API unless it is asked for."
  }

  assert {
    condition     = !aws_dynamodb_table.jobs.stream_enabled && output.websocket_url == null
    error_message = "The table has no stream unless there is a WebSocket API."
  }

  assert {
    condition     = length(aws_sns_topic_subscription.email) + length(aws_sns_topic_subscription.alarm_email) == 0
    error_message = "Nobody gets mail unless they are named."
  }

  assert {
    condition     = length(aws_s3_bucket_versioning.reports) == 0 && !aws_s3_bucket.reports.force_destroy
    error_message = "The bucket keeps no versions, and cannot be destroyed with reports in it."
  }

  assert {
    condition     = aws_lambda_function.listener.reserved_concurrent_executions == -1 && aws_lambda_function.processor.reserved_concurrent_executions == -1
    error_message = "No concurrency is set aside."
  }

  assert {
    condition = length(setintersection(keys(aws_lambda_function.processor.environment[0].variables), [
      "PRESSRUN_DATA_LIMIT_MB", "PRESSRUN_MEMORY_LIMIT_MB", "PRESSRUN_OUTPUT_LIMIT_MB", "PRESSRUN_PAGE_LIMIT", "PRESSRUN_SECTION_ROWS", "PRESSRUN_TIME_LIMIT_SECONDS",
    ])) == 0
    error_message = "A limit that is not set is left to the functions."
  }

  assert {
    condition     = !contains(keys(aws_lambda_function.courier.environment[0].variables), "PRESSRUN_WEBHOOK_HOSTS")
    error_message = "Webhooks go to any public host."
  }
}

run "websocket" {
  variables {
    websocket = true
  }

  assert {
    condition     = length(aws_apigatewayv2_route.websocket) == 3 && aws_dynamodb_table.jobs.stream_enabled && aws_dynamodb_table.jobs.stream_view_type == "NEW_IMAGE"
    error_message = "The API has its three routes, and the table a stream."
  }

  assert {
    condition     = aws_lambda_function.websocket[0].environment[0].variables.PRESSRUN_TOKEN == nonsensitive(local.api_token)
    error_message = "A client of the WebSocket API needs the token."
  }

  assert {
    condition     = contains(keys(output.log_groups), "websocket") && contains(keys(aws_iam_role_policy.tracing), "websocket")
    error_message = "The function of the WebSocket API has a log, and traces."
  }

  assert {
    condition = alltrue([
      for name in ["errors-websocket", "throttles-websocket", "deadline-websocket", "websocket-errors"] :
      contains(keys(aws_cloudwatch_metric_alarm.above), name)
    ])
    error_message = "The WebSocket API is watched."
  }
}

run "no_token" {
  variables {
    access_mode    = "none"
    accept_anybody = true
    websocket      = true
  }

  assert {
    condition     = !contains(keys(aws_lambda_function.listener.environment[0].variables), "PRESSRUN_TOKEN") && !contains(keys(aws_lambda_function.websocket[0].environment[0].variables), "PRESSRUN_TOKEN") && output.api_token == null
    error_message = "Without access_mode = token no token is asked for, and none is told."
  }
}

run "own_secrets" {
  variables {
    api_token      = "tokentokentokentokentokentokentoken"
    link_key       = "keykeykeykeykeykeykeykeykeykeykeykey"
    webhook_secret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
  }

  assert {
    condition     = output.api_token == "tokentokentokentokentokentokentoken" && startswith(output.webhook_secret, "whsec_AAAA")
    error_message = "Secrets that are given are used."
  }

  assert {
    condition     = aws_lambda_function.listener.environment[0].variables.PRESSRUN_LINK_KEY == "keykeykeykeykeykeykeykeykeykeykeykey"
    error_message = "The key of the links reaches the listener."
  }
}

run "mail" {
  variables {
    notification_emails = { "accounts@example.com" = {}, "support@example.com" = { status = ["failed"] } }
    alarm_emails        = ["oncall@example.com"]
  }

  assert {
    condition     = length(aws_sns_topic_subscription.email) == 2 && aws_sns_topic_subscription.email["accounts@example.com"].filter_policy == null
    error_message = "Each address gets reports."
  }

  assert {
    condition     = jsondecode(aws_sns_topic_subscription.email["support@example.com"].filter_policy) == { status = ["failed"] }
    error_message = "An address with a filter gets what it names."
  }

  assert {
    condition     = aws_sns_topic_subscription.alarm_email["oncall@example.com"].protocol == "email" && length(aws_sns_topic_subscription.alarm_email) == 1
    error_message = "Each address gets alarms."
  }
}

run "limits" {
  variables {
    data_limit_mb      = 32
    memory_limit_mb    = 1024
    output_limit_mb    = 100
    page_limit         = 5000
    section_rows       = 0
    time_limit_seconds = 120
  }

  assert {
    condition = alltrue([
      for name, value in {
        PRESSRUN_DATA_LIMIT_MB      = "32"
        PRESSRUN_MEMORY_LIMIT_MB    = "1024"
        PRESSRUN_OUTPUT_LIMIT_MB    = "100"
        PRESSRUN_PAGE_LIMIT         = "5000"
        PRESSRUN_SECTION_ROWS       = "0"
        PRESSRUN_TIME_LIMIT_SECONDS = "120"
      } : aws_lambda_function.processor.environment[0].variables[name] == value
    ])
    error_message = "Limits that are set reach the processor."
  }

  assert {
    condition     = aws_lambda_function.listener.environment[0].variables.PRESSRUN_DATA_LIMIT_MB == "32"
    error_message = "The limit of the data reaches the listener."
  }
}

run "concurrency_set_aside" {
  variables {
    listener_reserved_concurrency  = 50
    maximum_concurrency            = 20
    processor_reserved_concurrency = 20
  }

  assert {
    condition     = aws_lambda_function.listener.reserved_concurrent_executions == 50 && aws_lambda_function.processor.reserved_concurrent_executions == 20
    error_message = "Concurrency is set aside."
  }
}

run "webhooks_to_known_hosts" {
  variables {
    webhook_hosts = ["hooks.example.com", "*.example.org"]
  }

  assert {
    condition = alltrue([
      for function in [aws_lambda_function.listener, aws_lambda_function.courier] :
      function.environment[0].variables.PRESSRUN_WEBHOOK_HOSTS == "hooks.example.com,*.example.org"
    ])
    error_message = "Both who check where webhooks go know the hosts."
  }
}

run "bucket" {
  variables {
    bucket_versioning = true
    force_destroy     = true
  }

  assert {
    condition     = aws_s3_bucket_versioning.reports[0].versioning_configuration[0].status == "Enabled" && aws_s3_bucket.reports.force_destroy
    error_message = "The bucket keeps versions, and may be destroyed with its reports."
  }
}

run "no_traces" {
  variables {
    tracing   = false
    websocket = true
  }

  assert {
    condition     = length(aws_iam_role_policy.tracing) == 0 && alltrue([for function in local.watched_functions : function.tracing_config[0].mode == "PassThrough"])
    error_message = "Without tracing no function samples traces, or may send any."
  }
}

run "traces" {
  assert {
    condition     = length(aws_iam_role_policy.tracing) == 4 && alltrue([for function in local.watched_functions : function.tracing_config[0].mode == "Active"])
    error_message = "Every function samples traces, and may send them."
  }
}

run "on_arm64" {
  variables {
    architecture = "arm64"
    zips         = "./tests/zips-for-arm64"
    websocket    = true
  }

  assert {
    condition     = alltrue([for function in local.watched_functions : function.architectures == tolist(["arm64"])])
    error_message = "All functions are of the same architecture."
  }
}
