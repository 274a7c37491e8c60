# Who is woken, and when. Each alarm's description says what it means and where its runbook is.

locals {
  watched_functions = merge(
    {
      listener  = aws_lambda_function.listener
      processor = aws_lambda_function.processor
      sweeper   = aws_lambda_function.sweeper
      courier   = aws_lambda_function.courier
    },
    { for function in aws_lambda_function.websocket : "websocket" => function },
  )

  # Seconds after which a run is near its function's timeout. The processor uses its time up to ten seconds before, when it
  # passes a long report on or fails it, and is done five seconds later. The listener is not among them: streams of events may
  # take it as near as stream_seconds says.
  near_deadline = {
    for name, function in local.watched_functions : name => name == "processor" ? function.timeout - 5 : 0.8 * function.timeout
    if name != "listener"
  }

  # A message in hand counts by its age too, so this must be longer than a run that takes its whole time.
  alarm_queue_age_seconds = coalesce(var.alarm_queue_age_seconds, 3 * var.processor_timeout_seconds)

  # CloudWatch is asked every minute by queues, and may miss a dead letter while a sweep looks at it: one sighting in five counts.
  dead_letter_alarms = {
    for name, queue in {
      dead-letters         = { queue = aws_sqs_queue.dead_letters, of = "Jobs" }
      webhook-dead-letters = { queue = aws_sqs_queue.webhook_dead_letters, of = "Webhooks" }
      } : name => {
      runbook    = name
      meaning    = "${queue.of} were given up: their messages are among the dead letters."
      namespace  = "AWS/SQS"
      metric     = "ApproximateNumberOfMessagesVisible"
      dimensions = { QueueName = queue.queue.name }
      statistic  = "Maximum"
      period     = 60
      periods    = 5
      threshold  = 0
    }
  }

  queue_age_alarms = {
    queue-age = {
      runbook    = "queue-age"
      meaning    = "Jobs wait for longer than ${local.alarm_queue_age_seconds} seconds."
      namespace  = "AWS/SQS"
      metric     = "ApproximateAgeOfOldestMessage"
      dimensions = { QueueName = aws_sqs_queue.jobs.name }
      statistic  = "Maximum"
      period     = 60
      periods    = 5
      threshold  = local.alarm_queue_age_seconds
    }
  }

  error_alarms = {
    for name, function in local.watched_functions : "errors-${name}" => {
      runbook    = "errors"
      meaning    = "The ${name} crashed, ran out of memory or met its deadline."
      namespace  = "AWS/Lambda"
      metric     = "Errors"
      dimensions = { FunctionName = function.function_name }
      statistic  = "Sum"
      period     = 300
      periods    = 1
      threshold  = 0
    }
  }

  # AWS tries again what it throttled: only what lasts is worth waking anybody for.
  throttle_alarms = {
    for name, function in local.watched_functions : "throttles-${name}" => {
      runbook    = "throttles"
      meaning    = "AWS keeps refusing to run the ${name}: its concurrency is used up."
      namespace  = "AWS/Lambda"
      metric     = "Throttles"
      dimensions = { FunctionName = function.function_name }
      statistic  = "Sum"
      period     = 300
      periods    = 3
      datapoints = 2
      threshold  = 0
    }
  }

  deadline_alarms = {
    for name, seconds in local.near_deadline : "deadline-${name}" => {
      runbook    = "deadline"
      meaning    = "The ${name} took more than ${seconds} of the ${local.watched_functions[name].timeout} seconds it has."
      namespace  = "AWS/Lambda"
      metric     = "Duration"
      dimensions = { FunctionName = local.watched_functions[name].function_name }
      statistic  = "Maximum"
      period     = 300
      periods    = 1
      threshold  = 1000 * seconds
    }
  }

  listener_alarms = {
    listener-5xx = {
      runbook    = "listener-5xx"
      meaning    = "Callers keep being answered with 5xx: a queue or a store does not answer, or the listener is broken."
      namespace  = "AWS/Lambda"
      metric     = "Url5xxCount"
      dimensions = { FunctionName = aws_lambda_function.listener.function_name }
      statistic  = "Sum"
      period     = 300
      periods    = 3
      datapoints = 2
      threshold  = 0
    }
  }

  websocket_alarms = {
    for api in aws_apigatewayv2_api.websocket : "websocket-errors" => {
      runbook    = "websocket-errors"
      meaning    = "Clients of the WebSocket API keep meeting errors."
      namespace  = "AWS/ApiGateway"
      metric     = "IntegrationError"
      dimensions = { ApiId = api.id, Stage = local.websocket_stage }
      statistic  = "Sum"
      period     = 300
      periods    = 3
      datapoints = 2
      threshold  = 0
    }
  }

  alarms = merge(
    local.dead_letter_alarms,
    local.queue_age_alarms,
    local.error_alarms,
    local.throttle_alarms,
    local.deadline_alarms,
    local.listener_alarms,
    local.websocket_alarms,
  )

  all_alarms = concat(
    values(aws_cloudwatch_metric_alarm.above),
    [aws_cloudwatch_metric_alarm.failed_jobs, aws_cloudwatch_metric_alarm.sweeper_silent],
  )
}

resource "aws_cloudwatch_metric_alarm" "above" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.meaning} Runbook: ${var.runbooks}/${each.value.runbook}.md"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = try(each.value.datapoints, 1)
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching" # These metrics are silent while nothing happens.
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# A share alone would wake somebody for the one report of a quiet night.
resource "aws_cloudwatch_metric_alarm" "failed_jobs" {
  alarm_name          = "${var.name}-failed-jobs"
  alarm_description   = "More than ${var.alarm_failed_percent} % of the jobs that ended did so without a report, three at least in five minutes. Runbook: ${var.runbooks}/failed-jobs.md"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarm_failed_percent
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "share"
    label       = "Failed jobs in percent"
    expression  = "IF(failed >= 3, 100 * failed / (failed + FILL(completed, 0)), 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = toset(["completed", "failed"])

    content {
      id = metric_query.value

      metric {
        namespace   = "Pressrun"
        metric_name = metric_query.value
        dimensions  = { service = var.name }
        stat        = "Sum"
        period      = 300
      }
    }
  }
}

# Nothing else would notice that lost jobs are no longer ended.
resource "aws_cloudwatch_metric_alarm" "sweeper_silent" {
  alarm_name          = "${var.name}-sweeper-silent"
  alarm_description   = "The sweeper, which AWS should start every minute, has not run for ten. Runbook: ${var.runbooks}/sweeper-silent.md"
  namespace           = "AWS/Lambda"
  metric_name         = "Invocations"
  dimensions          = { FunctionName = aws_lambda_function.sweeper.function_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 2
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching" # A function that is not started has no metrics.
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# --- Topic --------------------------------------------------------------------------------------------------------

# A topic of its own: who wants reports does not want to be woken.
resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:CloudWatch may not publish to a topic under the key that AWS manages, and alarms tell nothing but names and figures.
  name         = "${var.name}-alarms"
  display_name = "${var.name} alarms"
}

resource "aws_sns_topic_subscription" "alarm_email" {
  for_each = var.alarm_emails

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

data "aws_caller_identity" "current" {}

data "aws_iam_policy_document" "alarms_topic" {
  statement {
    sid       = "PublishAlarms"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }

  statement {
    sid       = "DenyPlainHttp"
    effect    = "Deny"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = data.aws_iam_policy_document.alarms_topic.json
}
