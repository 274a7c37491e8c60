# What a caller and an operator need after `make tf`.

locals {
  listener_url = trimsuffix(aws_lambda_function_url.listener.function_url, "/")
}

output "listener_url" {
  description = "Base URL of the HTTP API, without a trailing slash: POST to <listener_url>/append_queue."
  value       = local.listener_url
}

output "websocket_url" {
  description = "Address of the WebSocket API; null unless `websocket` is true."
  value       = one(aws_apigatewayv2_stage.websocket[*].invoke_url)
}

output "api_token" {
  description = "Bearer token for the HTTP API: `terraform output -raw api_token`. Null unless access_mode is token."
  value       = var.access_mode == "token" ? local.api_token : null
  sensitive   = true
}

output "access_mode" {
  description = "How callers are identified: token, jwt, iam or none."
  value       = var.access_mode
}

output "listener_arn" {
  description = "ARN that policies of IAM callers name: the listener's function at its alias, for lambda:InvokeFunctionUrl and lambda:InvokeFunction."
  value       = aws_lambda_alias.listener.arn
}

output "webhook_secret" {
  description = "Secret that webhooks are signed with, for receivers to check them: `terraform output -raw webhook_secret`."
  value       = local.webhook_secret
  sensitive   = true
}

output "topic_arn" {
  description = "SNS topic on which every finished and failed report is announced."
  value       = aws_sns_topic.reports.arn
}

output "bucket" {
  description = "S3 bucket with the reports (reports/<id>.pdf) and the large inputs (inputs/<id>.json)."
  value       = aws_s3_bucket.reports.bucket
}

output "table" {
  description = "DynamoDB table with one item a job."
  value       = aws_dynamodb_table.jobs.name
}

output "queue_url" {
  description = "SQS queue of the jobs that wait for the processor."
  value       = aws_sqs_queue.jobs.url
}

output "dead_letter_queue_url" {
  description = "SQS queue of the messages that were delivered too often. `make redrive` moves them back."
  value       = aws_sqs_queue.dead_letters.url
}

output "webhook_queue_url" {
  description = "SQS queue of the deliveries that wait for the courier: webhooks, and announcements that SNS did not take at once."
  value       = aws_sqs_queue.webhooks.url
}

output "listener_function" {
  description = "Name of the listener's Lambda function."
  value       = aws_lambda_function.listener.function_name
}

output "processor_function" {
  description = "Name of the processor's Lambda function."
  value       = aws_lambda_function.processor.function_name
}

output "sweeper_function" {
  description = "Name of the sweeper's Lambda function."
  value       = aws_lambda_function.sweeper.function_name
}

output "courier_function" {
  description = "Name of the courier's Lambda function."
  value       = aws_lambda_function.courier.function_name
}

output "log_groups" {
  description = "CloudWatch log group of each function."
  value       = local.log_groups
}

output "alarm_topic_arn" {
  description = "SNS topic that every alarm goes to, when it goes off and when it is over."
  value       = aws_sns_topic.alarms.arn
}

output "dashboard" {
  description = "Name of the CloudWatch dashboard."
  value       = aws_cloudwatch_dashboard.pressrun.dashboard_name
}
