# The courier: makes the deliveries that are queued, for a day if need be. They are webhooks, and the announcements that
# SNS did not take at once.
#
# Webhooks go to addresses that callers name, so it is in no VPC and may reach nothing but its queue, the topic and the records.

locals {
  courier_zip             = "${local.zips}/courier.zip"
  courier_timeout_seconds = 60 # An attempt takes 15 at most; the rest is for the records.
}

resource "aws_sqs_queue" "webhooks" {
  name                       = "${var.name}-webhooks"
  visibility_timeout_seconds = 6 * local.courier_timeout_seconds # What AWS asks of a queue that feeds a function.
  message_retention_seconds  = 4 * 24 * 3600                     # Longer than the day for which attempts are made.
  sqs_managed_sse_enabled    = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.webhook_dead_letters.arn
    maxReceiveCount     = 100 # Many more than there are attempts, which end by themselves.
  })
}

# Only what crashed the courier, or was no delivery, comes here.
resource "aws_sqs_queue" "webhook_dead_letters" {
  name                      = "${var.name}-webhook-dead-letters"
  message_retention_seconds = 14 * 24 * 3600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_redrive_allow_policy" "webhook_dead_letters" {
  queue_url = aws_sqs_queue.webhook_dead_letters.url

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.webhooks.arn]
  })
}

# The attempts of one batch are made at the same time.
resource "aws_lambda_event_source_mapping" "webhooks" {
  event_source_arn        = aws_sqs_queue.webhooks.arn
  function_name           = aws_lambda_alias.courier.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 5
  }

  # AWS refuses the mapping unless the role may already read the queue.
  depends_on = [aws_iam_role_policy.courier]
}

resource "aws_lambda_function" "courier" {
  #checkov:skip=CKV_AWS_115:The mapping runs five at a time at most.
  #checkov:skip=CKV_AWS_116:What fails is kept elsewhere: SQS invokes it, and webhooks has its dead letters.
  #checkov:skip=CKV_AWS_117:It speaks to the addresses that callers name, and must reach nothing inside of a network.
  #checkov:skip=CKV_AWS_173:AWS encrypts environments under its own key; whoever may read the function may read the state file too.
  #checkov:skip=CKV_AWS_272:Zips are made by whoever deploys them; a signing profile would be theirs to add.
  function_name    = "${var.name}-courier"
  description      = "Makes deliveries: webhooks, and announcements that SNS did not take at once (${var.release})"
  role             = aws_iam_role.courier.arn
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]
  memory_size      = 256 # It holds ten events at a time.
  timeout          = local.courier_timeout_seconds
  filename         = local.courier_zip
  source_code_hash = fileexists(local.courier_zip) ? filebase64sha256(local.courier_zip) : null
  publish          = true

  environment {
    variables = merge(local.webhook_hosts, {
      PRESSRUN_SERVICE        = var.name
      PRESSRUN_TABLE          = aws_dynamodb_table.jobs.name
      PRESSRUN_TOPIC_ARN      = aws_sns_topic.reports.arn
      PRESSRUN_WEBHOOKS_URL   = aws_sqs_queue.webhooks.url
      PRESSRUN_WEBHOOK_SECRET = local.webhook_secret
      RUST_LOG                = var.log_level
    })
  }

  tracing_config {
    mode = local.tracing_mode
  }

  logging_config {
    log_format            = "JSON"
    application_log_level = "TRACE"
    system_log_level      = "INFO"
    log_group             = aws_cloudwatch_log_group.courier.name
  }

  lifecycle {
    precondition {
      condition     = fileexists(local.courier_zip)
      error_message = "${local.courier_zip} is missing. Run `make build` first; `make tf` does both."
    }
  }
}
