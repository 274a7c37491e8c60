# One log group a function, made here so that its lines do not stay for ever.

locals {
  log_groups = merge({
    listener  = aws_cloudwatch_log_group.listener.name
    processor = aws_cloudwatch_log_group.processor.name
    sweeper   = aws_cloudwatch_log_group.sweeper.name
    courier   = aws_cloudwatch_log_group.courier.name
  }, { for group in aws_cloudwatch_log_group.websocket : "websocket" => group.name })
}

resource "aws_cloudwatch_log_group" "listener" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts under its own key; no payload, token or link is ever logged.
  #checkov:skip=CKV_AWS_338:log_retention_days is for whoever deploys this to choose; logs of jobs need not outlive jobs.
  name              = "/aws/lambda/${var.name}-listener"
  retention_in_days = var.log_retention_days
}

resource "aws_cloudwatch_log_group" "processor" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts under its own key; no payload, token or link is ever logged.
  #checkov:skip=CKV_AWS_338:log_retention_days is for whoever deploys this to choose; logs of jobs need not outlive jobs.
  name              = "/aws/lambda/${var.name}-processor"
  retention_in_days = var.log_retention_days
}

resource "aws_cloudwatch_log_group" "sweeper" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts under its own key; no payload, token or link is ever logged.
  #checkov:skip=CKV_AWS_338:log_retention_days is for whoever deploys this to choose; logs of jobs need not outlive jobs.
  name              = "/aws/lambda/${var.name}-sweeper"
  retention_in_days = var.log_retention_days
}

resource "aws_cloudwatch_log_group" "courier" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts under its own key; no payload, token or link is ever logged.
  #checkov:skip=CKV_AWS_338:log_retention_days is for whoever deploys this to choose; logs of jobs need not outlive jobs.
  name              = "/aws/lambda/${var.name}-courier"
  retention_in_days = var.log_retention_days
}
