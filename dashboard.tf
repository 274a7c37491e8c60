# One page that answers: is it healthy, how much, how fast, what fails, what does it cost.

locals {
  dashboard_region = data.aws_region.current.name

  # List prices in dollars of us-east-1, 2025: elsewhere the curves keep their shape. `make cost` reckons ahead.
  price = {
    gb_second     = var.architecture == "arm64" ? "0.0000133334" : "0.0000166667"
    invocation    = "0.20 / 1000000"
    queue_request = "0.40 / 1000000"
    table_read    = "0.125 / 1000000"
    table_write   = "0.625 / 1000000"
    logged_byte   = "0.50 / 1000000000"
  }

  # Each section is a heading and a row of charts, each a third of the page. A chart is a title, metrics, and what differs.
  dashboard_sections = [
    { heading = "Is it healthy?", charts = [
      { title = "Dead letters", metrics = [
        for name in [aws_sqs_queue.dead_letters.name, aws_sqs_queue.webhook_dead_letters.name] :
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", name, { stat = "Maximum" }]
      ] },
      { title = "Jobs that wait, and in hand", metrics = [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", aws_sqs_queue.jobs.name, { stat = "Maximum", label = "waiting" }],
        ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", aws_sqs_queue.jobs.name, { stat = "Maximum", label = "in hand" }],
      ] },
      { title = "Age of the oldest job (s)", metrics = [
        ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", aws_sqs_queue.jobs.name, { stat = "Maximum" }],
      ] },
    ] },
    { heading = "How much?", charts = [
      { title = "Jobs", metrics = [
        for name in ["accepted", "completed", "warned", "failed", "retries"] : ["Pressrun", name, "service", var.name, { stat = "Sum" }]
      ] },
      { title = "Pages and bytes", metrics = [
        ["Pressrun", "pages", "service", var.name, { stat = "Sum" }],
        ["Pressrun", "bytes", "service", var.name, { stat = "Sum", yAxis = "right" }],
      ] },
      { title = "Requests to the URL, announcements", metrics = [
        ["AWS/Lambda", "UrlRequestCount", "FunctionName", aws_lambda_function.listener.function_name, { stat = "Sum" }],
        ["Pressrun", "announcements", "service", var.name, { stat = "Sum" }],
        ["Pressrun", "undelivered", "service", var.name, { stat = "Sum" }],
      ] },
    ] },
    { heading = "How fast?", charts = [
      { title = "Wait in the queue (ms)", metrics = [
        for stat in ["p50", "p95", "Maximum"] : ["Pressrun", "queue_wait", "service", var.name, { stat = stat, label = stat }]
      ] },
      { title = "Typesetting (ms)", metrics = [
        for stat in ["p50", "p95", "Maximum"] : ["Pressrun", "typeset_time", "service", var.name, { stat = stat, label = stat }]
      ] },
      { title = "Answers of the listener (ms), cold starts", metrics = [
        ["AWS/Lambda", "UrlRequestLatency", "FunctionName", aws_lambda_function.listener.function_name, { stat = "p50", label = "p50" }],
        ["AWS/Lambda", "UrlRequestLatency", "FunctionName", aws_lambda_function.listener.function_name, { stat = "p95", label = "p95" }],
        ["Pressrun", "cold_starts", "service", var.name, { stat = "Sum", yAxis = "right" }],
      ] },
    ] },
    { heading = "What fails?", charts = [
      { title = "Failed jobs by type", metrics = [
        [{ expression = "SEARCH('{Pressrun,service,type} MetricName=\"failed\" service=\"${var.name}\"', 'Sum')", id = "failed" }],
      ] },
      { title = "Refused requests by reason, 5xx", metrics = [
        [{ expression = "SEARCH('{Pressrun,reason,service} MetricName=\"rejected\" service=\"${var.name}\"', 'Sum')", id = "rejected" }],
        ["AWS/Lambda", "Url5xxCount", "FunctionName", aws_lambda_function.listener.function_name, { stat = "Sum", label = "5xx" }],
      ] },
      { title = "Errors and throttles of the functions", metrics = concat(
        [for name, function in local.watched_functions : ["AWS/Lambda", "Errors", "FunctionName", function.function_name, { stat = "Sum", label = "${name} errors" }]],
        [for name, function in local.watched_functions : ["AWS/Lambda", "Throttles", "FunctionName", function.function_name, { stat = "Sum", label = "${name} throttles" }]],
      ) },
    ] },
    { heading = "What does it cost?", charts = [
      { title = "Functions ($ an hour)", period = 3600, metrics = concat(
        [for name, function in local.watched_functions : ["AWS/Lambda", "Duration", "FunctionName", function.function_name, { stat = "Sum", id = "${name}_ms", visible = false }]],
        [for name, function in local.watched_functions : ["AWS/Lambda", "Invocations", "FunctionName", function.function_name, { stat = "Sum", id = "${name}_calls", visible = false }]],
        [for name, function in local.watched_functions : [{
          id         = name
          label      = name
          expression = "${name}_ms / 1000 * ${function.memory_size} / 1024 * ${local.price.gb_second} + ${name}_calls * ${local.price.invocation}"
        }]],
      ) },
      { title = "Queues and table ($ an hour)", period = 3600, metrics = concat(
        [for name in ["NumberOfMessagesSent", "NumberOfMessagesReceived", "NumberOfMessagesDeleted", "NumberOfEmptyReceives"] :
        ["AWS/SQS", name, "QueueName", aws_sqs_queue.jobs.name, { stat = "Sum", id = lower(name), visible = false }]],
        [for name in ["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"] :
        ["AWS/DynamoDB", name, "TableName", aws_dynamodb_table.jobs.name, { stat = "Sum", id = lower(name), visible = false }]],
        [
          [{ expression = "SUM([numberofmessagessent, numberofmessagesreceived, numberofmessagesdeleted, numberofemptyreceives]) * ${local.price.queue_request}", id = "queue", label = "jobs queue" }],
          [{ expression = "consumedreadcapacityunits * ${local.price.table_read} + consumedwritecapacityunits * ${local.price.table_write}", id = "table", label = "jobs table" }],
        ],
      ) },
      { title = "Logs ($ an hour)", period = 3600, metrics = concat(
        [for name, group in local.log_groups : ["AWS/Logs", "IncomingBytes", "LogGroupName", group, { stat = "Sum", id = "${name}_bytes", visible = false }]],
        [[{ expression = "SUM(METRICS(\"bytes\")) * ${local.price.logged_byte}", id = "logs", label = "logs" }]],
      ) },
    ] },
  ]

  dashboard_widgets = concat(
    [{
      type   = "alarm"
      x      = 0
      y      = 0
      width  = 24
      height = 3
      properties = {
        title  = "Alarms"
        alarms = [for alarm in local.all_alarms : alarm.arn]
      }
    }],
    [for row, section in local.dashboard_sections : {
      type       = "text"
      x          = 0
      y          = 3 + 7 * row
      width      = 24
      height     = 1
      properties = { markdown = "## ${section.heading}" }
    }],
    flatten([for row, section in local.dashboard_sections : [
      for column, chart in section.charts : {
        type   = "metric"
        x      = 8 * column
        y      = 4 + 7 * row
        width  = 8
        height = 6
        properties = {
          title   = chart.title
          view    = "timeSeries"
          region  = local.dashboard_region
          period  = try(chart.period, 300)
          metrics = chart.metrics
        }
      }
    ]]),
  )
}

data "aws_region" "current" {}

resource "aws_cloudwatch_dashboard" "pressrun" {
  dashboard_name = var.name
  dashboard_body = jsonencode({ widgets = local.dashboard_widgets })
}
