# The sweeper: once a minute it ends the jobs that no run ended, so that none stays queued or running for ever.
#
# It is a function of its own so that it does not die of whatever kills the processor.

locals {
  sweeper_zip = "${local.zips}/sweeper.zip"
}

resource "aws_lambda_function" "sweeper" {
  #checkov:skip=CKV_AWS_115:One sweep a minute needs one execution; none is worth setting aside of the account's.
  #checkov:skip=CKV_AWS_116:What fails is kept elsewhere: the next sweep, a minute later, does what one left.
  #checkov:skip=CKV_AWS_117:It reaches AWS services alone, by IAM and TLS; a VPC would add NAT and endpoints, and keep nobody out.
  #checkov:skip=CKV_AWS_173:AWS encrypts environments under its own key; whoever may read the function may read the state file too.
  #checkov:skip=CKV_AWS_272:Zips are made by whoever deploys them; a signing profile would be theirs to add.
  function_name    = "${var.name}-sweeper"
  description      = "Ends and announces the jobs that no run ended (${var.release})"
  role             = aws_iam_role.sweeper.arn
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]
  memory_size      = 256 # It holds a few messages and records at a time, and typesets nothing.
  timeout          = 60  # The next sweep goes on from where this one stops.
  filename         = local.sweeper_zip
  source_code_hash = fileexists(local.sweeper_zip) ? filebase64sha256(local.sweeper_zip) : null
  publish          = true

  environment {
    variables = merge(local.environment, local.closing, {
      PRESSRUN_DEAD_LETTERS_URL = aws_sqs_queue.dead_letters.url
    })
  }

  tracing_config {
    mode = local.tracing_mode
  }

  logging_config {
    log_format            = "JSON"
    application_log_level = "TRACE"
    system_log_level      = "INFO"
    log_group             = aws_cloudwatch_log_group.sweeper.name
  }

  lifecycle {
    precondition {
      condition     = fileexists(local.sweeper_zip)
      error_message = "${local.sweeper_zip} is missing. Run `make build` first; `make tf` does both."
    }
  }
}

resource "aws_cloudwatch_event_rule" "sweep" {
  name                = "${var.name}-sweep"
  description         = "Starts the sweeper"
  schedule_expression = "rate(1 minute)"
}

resource "aws_cloudwatch_event_target" "sweep" {
  rule = aws_cloudwatch_event_rule.sweep.name
  arn  = aws_lambda_alias.sweeper.arn
}

resource "aws_lambda_permission" "sweep" {
  statement_id  = "AllowSweepRule"
  function_name = aws_lambda_function.sweeper.function_name
  qualifier     = aws_lambda_alias.sweeper.name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.sweep.arn
}
