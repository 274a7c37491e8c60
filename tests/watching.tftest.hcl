# Alarms and dashboard: that each alarm reaches somebody who knows what to do, and that no metric is watched that nobody emits.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  zips      = "./tests/zips"
  websocket = true
}

run "alarms" {
  assert {
    condition = toset([for alarm in local.all_alarms : trimprefix(alarm.alarm_name, "pressrun-")]) == toset(flatten([
      ["dead-letters", "webhook-dead-letters", "queue-age", "listener-5xx", "failed-jobs", "sweeper-silent", "websocket-errors"],
      [for kind in ["errors", "throttles"] : [for name in ["courier", "listener", "processor", "sweeper", "websocket"] : "${kind}-${name}"]],
      [for name in ["courier", "processor", "sweeper", "websocket"] : "deadline-${name}"],
    ]))
    error_message = "These alarms are promised, for every function."
  }

  assert {
    condition = alltrue([
      for alarm in local.all_alarms :
      alarm.alarm_actions == toset([aws_sns_topic.alarms.arn]) && alarm.ok_actions == toset([aws_sns_topic.alarms.arn]) && alarm.actions_enabled != false
    ])
    error_message = "Every alarm must be heard when it goes off and when it is over."
  }

  assert {
    condition = alltrue([
      for alarm in local.all_alarms : fileexists(regex("Runbook: (docs/runbooks/[a-z0-9-]+\\.md)$", alarm.alarm_description)[0])
    ])
    error_message = "Every alarm's description must end with where its runbook is."
  }

  # What is above its threshold: none, the first dead letter, the first error.
  assert {
    condition = alltrue([
      for name, alarm in aws_cloudwatch_metric_alarm.above :
      alarm.comparison_operator == "GreaterThanThreshold" && alarm.threshold == lookup({
        queue-age          = 900
        deadline-courier   = 48000
        deadline-processor = 295000
        deadline-sweeper   = 48000
        deadline-websocket = 24000
      }, name, 0)
    ])
    error_message = "A threshold is not what its runbook says."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.sweeper_silent.treat_missing_data == "breaching" && aws_cloudwatch_metric_alarm.sweeper_silent.threshold == 1 && aws_cloudwatch_metric_alarm.sweeper_silent.comparison_operator == "LessThanThreshold"
    error_message = "A sweeper that is not started has no metrics at all, and that is what must be heard."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.failed_jobs.threshold == 10
    error_message = "alarm_failed_percent must reach the alarm."
  }

  # Under the key of AWS, CloudWatch could not publish to it.
  assert {
    condition     = aws_sns_topic.alarms.kms_master_key_id == null && aws_sns_topic.alarms.name != aws_sns_topic.reports.name
    error_message = "Alarms need a topic of their own that CloudWatch can publish to."
  }
}

run "alarms_of_other_settings" {
  variables {
    name                      = "other"
    runbooks                  = "https://example.com/runbooks"
    processor_timeout_seconds = 600
    alarm_failed_percent      = 25
    alarm_queue_age_seconds   = 1200
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.above["queue-age"].threshold == 1200 && aws_cloudwatch_metric_alarm.above["deadline-processor"].threshold == 595000 && aws_cloudwatch_metric_alarm.failed_jobs.threshold == 25
    error_message = "Thresholds must follow their settings."
  }

  assert {
    condition     = alltrue([for function in local.watched_functions : function.environment[0].variables.PRESSRUN_SERVICE == "other"])
    error_message = "Every function must count under the deployment's name, where alarms and dashboard look."
  }

  assert {
    condition     = endswith(aws_cloudwatch_metric_alarm.above["errors-listener"].alarm_description, "Runbook: https://example.com/runbooks/errors.md")
    error_message = "Alarms must say where the runbooks are."
  }

  assert {
    condition     = alltrue(flatten([for query in aws_cloudwatch_metric_alarm.failed_jobs.metric_query : [for metric in query.metric : metric.dimensions == tomap({ service = "other" })]]))
    error_message = "Alarms must watch their own deployment."
  }
}

# --- Only metrics that somebody emits ----------------------------------------------------------------------------

run "metrics_of_alarms" {
  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.above), [aws_cloudwatch_metric_alarm.sweeper_silent]) :
      contains(jsondecode(file("tests/aws_metrics.json"))[alarm.namespace].metrics, alarm.metric_name) &&
      toset(keys(alarm.dimensions)) == toset(jsondecode(file("tests/aws_metrics.json"))[alarm.namespace].dimensions)
    ])
    error_message = "An alarm watches a metric that AWS does not emit with these dimensions."
  }

  assert {
    condition = alltrue(flatten([
      for query in aws_cloudwatch_metric_alarm.failed_jobs.metric_query : [
        for metric in query.metric :
        metric.namespace == "Pressrun" && metric.dimensions == tomap({ service = "pressrun" }) &&
        contains([for known in jsondecode(file("resources/metrics.json")).metrics : known.name if known.unit == "Count"], metric.metric_name)
      ]
    ]))
    error_message = "An alarm watches a metric that resources/metrics.json does not have."
  }
}

run "dashboard" {
  assert {
    condition     = length(aws_cloudwatch_dashboard.pressrun.dashboard_body) > 1000 && length(jsondecode(aws_cloudwatch_dashboard.pressrun.dashboard_body).widgets) == 1 + 5 + 15
    error_message = "The dashboard has its alarms, and five sections of three charts."
  }

  assert {
    condition = alltrue([
      for widget in jsondecode(aws_cloudwatch_dashboard.pressrun.dashboard_body).widgets :
      contains(["alarm", "metric", "text"], widget.type) && widget.x >= 0 && widget.x + widget.width <= 24 && widget.y >= 0 && widget.height >= 1
    ])
    error_message = "A widget is off the page, which is 24 columns wide."
  }

  assert {
    condition = alltrue(flatten([
      for place, one in jsondecode(aws_cloudwatch_dashboard.pressrun.dashboard_body).widgets : [
        for other in slice(jsondecode(aws_cloudwatch_dashboard.pressrun.dashboard_body).widgets, 0, place) :
        one.x + one.width <= other.x || other.x + other.width <= one.x || one.y + one.height <= other.y || other.y + other.height <= one.y
      ]
    ]))
    error_message = "Two widgets overlap."
  }

  assert {
    condition     = length(one([for widget in jsondecode(aws_cloudwatch_dashboard.pressrun.dashboard_body).widgets : widget.properties.alarms if widget.type == "alarm"])) == length(local.all_alarms)
    error_message = "The dashboard shows every alarm."
  }

  # A metric is [namespace, name, dimension, value, …, how to draw it]; an expression is drawn from them.
  assert {
    condition = alltrue(flatten([
      for widget in jsondecode(aws_cloudwatch_dashboard.pressrun.dashboard_body).widgets : [
        for metric in widget.properties.metrics : (
          metric[0] == "Pressrun"
          ? metric[2] == "service" && metric[3] == "pressrun" && contains([for known in jsondecode(file("resources/metrics.json")).metrics : known.name], metric[1])
          : contains(jsondecode(file("tests/aws_metrics.json"))[metric[0]].metrics, metric[1]) && contains(jsondecode(file("tests/aws_metrics.json"))[metric[0]].dimensions, metric[2])
        ) if length(metric) > 1
      ] if widget.type == "metric"
    ]))
    error_message = "The dashboard shows a metric that nobody emits."
  }

  assert {
    condition = alltrue(flatten([
      for widget in jsondecode(aws_cloudwatch_dashboard.pressrun.dashboard_body).widgets : [
        for metric in widget.properties.metrics : [
          for search in regexall("SEARCH\\('\\{Pressrun,([a-z,_]+)\\} MetricName=\"([a-z_]+)\" service=\"pressrun\"'", metric[0].expression) :
          contains([for known in jsondecode(file("resources/metrics.json")).metrics : "${known.name}:${join(",", sort(known.dimensions))}"], "${search[1]}:${join(",", sort(split(",", search[0])))}")
        ] if length(metric) == 1
      ] if widget.type == "metric"
    ]))
    error_message = "The dashboard searches for a metric that nobody emits with these dimensions."
  }

  # An expression may use only what its chart has.
  assert {
    condition = alltrue(flatten([
      for widget in jsondecode(aws_cloudwatch_dashboard.pressrun.dashboard_body).widgets : [
        for metric in widget.properties.metrics : [
          for word in regexall("\\b[a-z][a-z_]{3,}\\b", replace(metric[0].expression, "/'[^']*'|\"[^\"]*\"/", "")) :
          contains([for other in widget.properties.metrics : try(other[length(other) - 1].id, "")], word)
        ] if length(metric) == 1
      ] if widget.type == "metric"
    ]))
    error_message = "An expression of the dashboard names something that its chart has not."
  }

  assert {
    condition = toset(flatten([
      for widget in jsondecode(aws_cloudwatch_dashboard.pressrun.dashboard_body).widgets : [
        for metric in widget.properties.metrics : concat(
          [for name in [metric[0]] : metric[1] if length(metric) > 1 && name == "Pressrun"],
          [for found in regexall("MetricName=\"([a-z_]+)\"", jsonencode(metric)) : found[0]],
          [for found in regexall("MetricName=\\\\\"([a-z_]+)", jsonencode(metric)) : found[0]],
        )
      ] if widget.type == "metric"
    ])) == toset([for known in jsondecode(file("resources/metrics.json")).metrics : known.name])
    error_message = "The dashboard leaves out a metric of resources/metrics.json."
  }
}
