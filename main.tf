# The pipeline, in the order a request takes: function URL, listener, queue, processor, bucket, topic.

locals {
  zips          = coalesce(var.zips, "${path.module}/dist")
  listener_zip  = "${local.zips}/listener.zip"
  processor_zip = "${local.zips}/processor.zip"

  # What AWS asks of a queue that feeds a function.
  visibility_timeout_seconds = coalesce(var.visibility_timeout_seconds, 6 * var.processor_timeout_seconds)
  queue_retention_seconds    = min(var.retention_days, 4) * 24 * 3600

  # What all functions but the courier are told.
  environment = {
    PRESSRUN_TABLE          = aws_dynamodb_table.jobs.name
    PRESSRUN_QUEUE_URL      = aws_sqs_queue.jobs.url
    PRESSRUN_LINK_KEY       = local.link_key
    PRESSRUN_RETENTION_DAYS = var.retention_days
    PRESSRUN_SERVICE        = var.name
    RUST_LOG                = var.log_level
  }

  # What those two are told besides that take a job from a request to its report.
  pipeline = {
    PRESSRUN_BUCKET                  = aws_s3_bucket.reports.bucket
    PRESSRUN_QUEUE_RETENTION_SECONDS = aws_sqs_queue.jobs.message_retention_seconds
  }

  # What those two are told besides that end jobs.
  closing = {
    PRESSRUN_TOPIC_ARN    = aws_sns_topic.reports.arn
    PRESSRUN_WEBHOOKS_URL = aws_sqs_queue.webhooks.url
    PRESSRUN_PUBLIC_URL   = local.listener_url
  }

  # What those two are told besides that check where a webhook goes.
  webhook_hosts = length(var.webhook_hosts) > 0 ? { PRESSRUN_WEBHOOK_HOSTS = join(",", var.webhook_hosts) } : {}

  # An unset limit is left to the function's own default.
  data_limit = var.data_limit_mb != null ? { PRESSRUN_DATA_LIMIT_MB = var.data_limit_mb } : {}

  limits = merge(local.data_limit, {
    for name, value in {
      PRESSRUN_TIME_LIMIT_SECONDS = var.time_limit_seconds
      PRESSRUN_MEMORY_LIMIT_MB    = var.memory_limit_mb
      PRESSRUN_OUTPUT_LIMIT_MB    = var.output_limit_mb
      PRESSRUN_PAGE_LIMIT         = var.page_limit
      PRESSRUN_SECTION_ROWS       = var.section_rows
    } : name => value if value != null
  })
}

# --- Function URL -------------------------------------------------------------------------------------------------

resource "aws_lambda_function_url" "listener" {
  #checkov:skip=CKV_AWS_258:The listener checks the bearer token itself, which callers without AWS accounts can show.
  function_name      = aws_lambda_function.listener.function_name
  qualifier          = aws_lambda_alias.listener.name
  authorization_type = local.by_iam ? "AWS_IAM" : "NONE" # The listener checks tokens itself.
  invoke_mode        = "RESPONSE_STREAM"                 # As the listener answers: a buffered answer would arrive as raw JSON.
}

# A public function URL needs both permissions below since October 2025. The provider grants the first by itself when
# it creates the URL; it stands here so that the policy can be read, and survives what others do to it. Where AWS knows the
# callers there is neither: they need the two actions in policies of their own, and nobody else may call the function.
resource "aws_lambda_permission" "invoke_url" {
  #checkov:skip=CKV_AWS_301:A public URL is what this is for; the listener checks the token.
  count = local.by_iam ? 0 : 1

  statement_id           = "AllowPublicFunctionUrl"
  function_name          = aws_lambda_function.listener.function_name
  qualifier              = aws_lambda_alias.listener.name
  action                 = "lambda:InvokeFunctionUrl"
  principal              = "*"
  function_url_auth_type = "NONE"
}

# The condition lambda:InvokedViaFunctionUrl belongs here, but provider 5.100 has no argument for it (6.28 and later
# do: `invoked_via_function_url = true`), and no other condition holds for an anonymous caller. Without it another AWS
# account can call the Invoke API with an event of its own making: it meets the same bearer token check as on the URL. The
# address in such an event is its maker's to choose, so the function counts the wrong tokens of all addresses together.
resource "aws_lambda_permission" "invoke" {
  #checkov:skip=CKV_AWS_301:Function URLs need this since October 2025; the listener checks the token.
  count = local.by_iam ? 0 : 1

  statement_id  = "AllowPublicInvoke"
  function_name = aws_lambda_function.listener.function_name
  qualifier     = aws_lambda_alias.listener.name
  action        = "lambda:InvokeFunction"
  principal     = "*"
}

# --- Listener: checks a request, queues it, answers with a job ---------------------------------------------------

resource "aws_lambda_function" "listener" {
  #checkov:skip=CKV_AWS_116:What fails is kept elsewhere: callers hear of it, and repeat.
  #checkov:skip=CKV_AWS_117:It reaches AWS services alone, by IAM and TLS; a VPC would add NAT and endpoints, and keep nobody out.
  #checkov:skip=CKV_AWS_173:AWS encrypts environments under its own key; whoever may read the function may read the state file too.
  #checkov:skip=CKV_AWS_272:Zips are made by whoever deploys them; a signing profile would be theirs to add.
  function_name                  = "${var.name}-listener"
  description                    = "Accepts a report request, checks it and queues it (${var.release})"
  role                           = aws_iam_role.listener.arn
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  memory_size                    = var.listener_memory_mb
  timeout                        = var.listener_timeout_seconds
  reserved_concurrent_executions = coalesce(var.listener_reserved_concurrency, -1)
  filename                       = local.listener_zip
  source_code_hash               = fileexists(local.listener_zip) ? filebase64sha256(local.listener_zip) : null
  publish                        = true

  environment {
    variables = merge(
      local.environment,
      local.pipeline,
      local.data_limit,
      local.webhook_hosts,
      {
        PRESSRUN_REPORTS_ORIGIN = "https://${aws_s3_bucket.reports.bucket_regional_domain_name}"
        PRESSRUN_STREAM_SECONDS = var.stream_seconds
      },
      local.access,
    )
  }

  # In JSON the lines can be searched by field. RUST_LOG alone decides which are written; Lambda drops none of them.
  tracing_config {
    mode = local.tracing_mode
  }

  logging_config {
    log_format            = "JSON"
    application_log_level = "TRACE"
    system_log_level      = "INFO"
    log_group             = aws_cloudwatch_log_group.listener.name
  }

  lifecycle {
    precondition {
      condition     = fileexists(local.listener_zip)
      error_message = "${local.listener_zip} is missing. Run `make build` first; `make tf` does both."
    }
  }
}

# --- Queue --------------------------------------------------------------------------------------------------------

# A job's record must outlive its message, hence its retention.
resource "aws_sqs_queue" "jobs" {
  name                       = "${var.name}-jobs"
  visibility_timeout_seconds = local.visibility_timeout_seconds
  message_retention_seconds  = local.queue_retention_seconds
  sqs_managed_sse_enabled    = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = var.max_receive_count
  })
}

# A dead letter's age counts from its first enqueueing, so this retention is the longer one, as far as the record lasts:
# the sweeper would take a dead letter without a record for a job that nobody was told of.
resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name}-dead-letters"
  message_retention_seconds = min(var.retention_days, 14) * 24 * 3600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.url

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.jobs.arn]
  })
}

# --- Processor: takes one message, typesets it, stores the report, announces it ----------------------------------

resource "aws_lambda_event_source_mapping" "jobs" {
  event_source_arn        = aws_sqs_queue.jobs.arn
  function_name           = aws_lambda_alias.processor.arn
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.maximum_concurrency
  }

  # AWS refuses the mapping unless the role may already read the queue.
  depends_on = [aws_iam_role_policy.processor]
}

resource "aws_lambda_function" "processor" {
  #checkov:skip=CKV_AWS_116:What fails is kept elsewhere: SQS invokes it, and jobs has its dead letters.
  #checkov:skip=CKV_AWS_117:It reaches AWS services alone, by IAM and TLS; a VPC would add NAT and endpoints, and keep nobody out.
  #checkov:skip=CKV_AWS_173:AWS encrypts environments under its own key; whoever may read the function may read the state file too.
  #checkov:skip=CKV_AWS_272:Zips are made by whoever deploys them; a signing profile would be theirs to add.
  function_name                  = "${var.name}-processor"
  description                    = "Typesets one queued report and stores it (${var.release})"
  role                           = aws_iam_role.processor.arn
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  memory_size                    = var.processor_memory_mb
  timeout                        = var.processor_timeout_seconds
  reserved_concurrent_executions = coalesce(var.processor_reserved_concurrency, -1)
  filename                       = local.processor_zip
  source_code_hash               = fileexists(local.processor_zip) ? filebase64sha256(local.processor_zip) : null
  publish                        = true

  ephemeral_storage {
    size = var.processor_storage_mb
  }

  environment {
    variables = merge(local.environment, local.pipeline, local.closing, local.limits, local.quota_bytes, {
      PRESSRUN_MAX_ATTEMPTS = var.max_receive_count - 1 # The last delivery fails a job whose every attempt was killed.
    })
  }

  tracing_config {
    mode = local.tracing_mode
  }

  logging_config {
    log_format            = "JSON"
    application_log_level = "TRACE"
    system_log_level      = "INFO"
    log_group             = aws_cloudwatch_log_group.processor.name
  }

  lifecycle {
    precondition {
      condition     = fileexists(local.processor_zip)
      error_message = "${local.processor_zip} is missing. Run `make build` first; `make tf` does both."
    }
  }
}

# --- Bucket -------------------------------------------------------------------------------------------------------

# Its encryption, expiry and policy are in storage.tf.
resource "aws_s3_bucket" "reports" {
  #checkov:skip=CKV_AWS_18:Access is by signed URLs alone; CloudTrail data events can be turned on where access must be logged.
  #checkov:skip=CKV2_AWS_62:Nobody waits for objects to appear; ends of jobs are announced by the topic.
  #checkov:skip=CKV_AWS_144:Reports can be made again from their inputs; a copy in another region would leave the region that was chosen.
  #checkov:skip=CKV_AWS_145:S3 encrypts under its own key; a key of KMS would be asked, and paid, for each report.
  bucket_prefix = "${var.name}-reports-"
  force_destroy = var.force_destroy
}

# --- Topic --------------------------------------------------------------------------------------------------------

resource "aws_sns_topic" "reports" {
  name              = "${var.name}-reports"
  display_name      = var.name
  kms_master_key_id = "alias/aws/sns" # Its key policy admits every principal of this account that may use SNS.
}

# An address receives reports only after its owner has followed the link in the confirmation mail.
resource "aws_sns_topic_subscription" "email" {
  for_each = var.notification_emails

  topic_arn     = aws_sns_topic.reports.arn
  protocol      = "email"
  endpoint      = each.key
  filter_policy = length(each.value) > 0 ? jsonencode(each.value) : null
}
