# Optional: requests, answers and events over WebSockets, as `pressrun serve` speaks them at /ws.
#
# API Gateway holds the connections and calls the listener, a second function of it, for each thing that a client does.
# That function also reads what changes in the table of jobs, and tells those who follow. It is a function of its own
# because the one behind the URL may be invoked by anybody, who could then pretend to be a client that was let in.

locals {
  websocket_routes = toset(var.websocket ? ["$connect", "$default", "$disconnect"] : [])
  websocket_stage  = "live"

  # Messages to connections go here. The stage's own invoke_url would make a circle of the function and its API.
  connections_url = one([
    for api in aws_apigatewayv2_api.websocket : "${replace(api.api_endpoint, "wss://", "https://")}/${local.websocket_stage}"
  ])
}

# --- API ----------------------------------------------------------------------------------------------------------

resource "aws_apigatewayv2_api" "websocket" {
  count = var.websocket ? 1 : 0

  name                       = "${var.name}-websocket"
  protocol_type              = "WEBSOCKET"
  route_selection_expression = "$request.body.action" # Requests have no `action`: all of them take $default.
}

resource "aws_apigatewayv2_integration" "websocket" {
  count = var.websocket ? 1 : 0

  api_id             = aws_apigatewayv2_api.websocket[0].id
  integration_type   = "AWS_PROXY"
  integration_method = "POST" # How a function is called, whatever the client did.
  integration_uri    = aws_lambda_alias.websocket[0].invoke_arn
}

# The listener checks tokens itself, when a client connects.
resource "aws_apigatewayv2_route" "websocket" {
  #checkov:skip=CKV_AWS_309:The listener checks the bearer token itself, when a client connects.
  for_each = local.websocket_routes

  api_id             = aws_apigatewayv2_api.websocket[0].id
  route_key          = each.key
  target             = "integrations/${aws_apigatewayv2_integration.websocket[0].id}"
  authorization_type = local.by_iam && each.key == "$connect" ? "AWS_IAM" : "NONE"
}

resource "aws_apigatewayv2_stage" "websocket" {
  #checkov:skip=CKV_AWS_76:It needs a role that is set for a whole account, which is not this deployment's to set; the function logs what clients do.
  #checkov:skip=CKV2_AWS_51:Clients show a token; API Gateway takes client certificates on custom domains only.
  count = var.websocket ? 1 : 0

  api_id      = aws_apigatewayv2_api.websocket[0].id
  name        = local.websocket_stage
  auto_deploy = true

  default_route_settings {
    throttling_burst_limit = 200
    throttling_rate_limit  = 100 # Handshakes and messages a second, of all clients together.
  }

  # An API without routes cannot be deployed.
  depends_on = [aws_apigatewayv2_route.websocket]
}

resource "aws_lambda_permission" "websocket" {
  count = var.websocket ? 1 : 0

  statement_id  = "AllowWebSocketApi"
  function_name = aws_lambda_function.websocket[0].function_name
  qualifier     = aws_lambda_alias.websocket[0].name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.websocket[0].execution_arn}/${local.websocket_stage}/*"
}

# --- Function: the listener, told how to reach clients -----------------------------------------------------------

resource "aws_lambda_function" "websocket" {
  #checkov:skip=CKV_AWS_115:API Gateway throttles its clients; the stream runs one execution a shard.
  #checkov:skip=CKV_AWS_116:What fails is kept elsewhere: clients hear of it, and the stream has its own retries.
  #checkov:skip=CKV_AWS_117:It reaches AWS services alone, by IAM and TLS; a VPC would add NAT and endpoints, and keep nobody out.
  #checkov:skip=CKV_AWS_173:AWS encrypts environments under its own key; whoever may read the function may read the state file too.
  #checkov:skip=CKV_AWS_272:Zips are made by whoever deploys them; a signing profile would be theirs to add.
  count = var.websocket ? 1 : 0

  function_name    = "${var.name}-websocket"
  description      = "Answers clients over WebSockets and tells them what happens to their jobs (${var.release})"
  role             = aws_iam_role.websocket[0].arn
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]
  memory_size      = var.listener_memory_mb
  timeout          = 30 # API Gateway waits for 29 seconds.
  filename         = local.listener_zip
  source_code_hash = fileexists(local.listener_zip) ? filebase64sha256(local.listener_zip) : null
  publish          = true

  environment {
    variables = merge(
      local.environment,
      local.pipeline,
      local.data_limit,
      local.webhook_hosts,
      {
        PRESSRUN_PUBLIC_URL      = local.listener_url
        PRESSRUN_CONNECTIONS_URL = local.connections_url
        PRESSRUN_FOLLOWERS_TABLE = aws_dynamodb_table.followers[0].name
      },
      local.access,
    )
  }

  tracing_config {
    mode = local.tracing_mode
  }

  logging_config {
    log_format            = "JSON"
    application_log_level = "TRACE"
    system_log_level      = "INFO"
    log_group             = aws_cloudwatch_log_group.websocket[0].name
  }
}

resource "aws_cloudwatch_log_group" "websocket" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts under its own key; no payload, token or link is ever logged.
  #checkov:skip=CKV_AWS_338:log_retention_days is for whoever deploys this to choose; logs of jobs need not outlive jobs.
  count = var.websocket ? 1 : 0

  name              = "/aws/lambda/${var.name}-websocket"
  retention_in_days = var.log_retention_days
}

# --- Followers: who is to be told of which job -------------------------------------------------------------------

resource "aws_dynamodb_table" "followers" {
  #checkov:skip=CKV_AWS_28:It holds who listens now; yesterday's followers are of no use to anybody.
  #checkov:skip=CKV_AWS_119:DynamoDB encrypts under the key that AWS manages for this account; one of your own would be asked, and paid, for it.
  count = var.websocket ? 1 : 0

  name         = "${var.name}-followers"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "job"
  range_key    = "connection"

  attribute {
    name = "job"
    type = "S"
  }

  attribute {
    name = "connection"
    type = "S"
  }

  # What a connection that ended had followed.
  global_secondary_index {
    name            = "by-connection"
    hash_key        = "connection"
    range_key       = "job"
    projection_type = "KEYS_ONLY"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  server_side_encryption {
    enabled = true
  }
}

# Only the records of jobs that somebody follows are marked so, and come by.
resource "aws_lambda_event_source_mapping" "followed_jobs" {
  count = var.websocket ? 1 : 0

  event_source_arn  = aws_dynamodb_table.jobs.stream_arn
  function_name     = aws_lambda_alias.websocket[0].arn
  starting_position = "TRIM_HORIZON" # Nothing that happens while the mapping comes up is missed.
  batch_size        = 10

  filter_criteria {
    filter {
      pattern = jsonencode({
        eventName = ["INSERT", "MODIFY"]
        dynamodb  = { NewImage = { followed = { S = [{ exists = true }] } } }
      })
    }
  }

  # A change that cannot be told must not keep all later ones waiting.
  function_response_types        = ["ReportBatchItemFailures"]
  bisect_batch_on_function_error = true
  maximum_retry_attempts         = 5
  maximum_record_age_in_seconds  = 600

  # AWS refuses the mapping unless the role may already read the stream.
  depends_on = [aws_iam_role_policy.websocket]
}

# --- Role ---------------------------------------------------------------------------------------------------------

resource "aws_iam_role" "websocket" {
  count = var.websocket ? 1 : 0

  name               = "${var.name}-websocket"
  assume_role_policy = data.aws_iam_policy_document.assume_lambda.json
}

resource "aws_iam_role_policy" "websocket" {
  count = var.websocket ? 1 : 0

  name   = "websocket"
  role   = aws_iam_role.websocket[0].id
  policy = data.aws_iam_policy_document.websocket[0].json
}

data "aws_iam_policy_document" "websocket" {
  count = var.websocket ? 1 : 0

  statement {
    sid       = "QueueJobs"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.jobs.arn]
  }

  statement {
    sid       = "RecordJobs"
    actions   = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
    resources = [aws_dynamodb_table.jobs.arn]
  }

  # Data that fits into a message to the API may not fit into one of the queue.
  statement {
    sid       = "ParkLargeInputs"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.reports.arn}/inputs/*"]
  }

  # A request may name an upload, which must be there.
  statement {
    sid       = "FindUploads"
    actions   = ["s3:GetObject", "s3:GetObjectTagging", "s3:PutObjectTagging"]
    resources = ["${aws_s3_bucket.reports.arn}/uploads/*"]
  }

  # Without it S3 answers 403, not 404, for an upload that is not there.
  statement {
    sid       = "TellMissingFromForbidden"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.reports.arn]
  }

  statement {
    sid       = "RecordFollowers"
    actions   = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"]
    resources = [aws_dynamodb_table.followers[0].arn]
  }

  statement {
    sid       = "FindWhatAConnectionFollows"
    actions   = ["dynamodb:Query"]
    resources = ["${aws_dynamodb_table.followers[0].arn}/index/by-connection"]
  }

  statement {
    sid       = "ReadChangesOfJobs"
    actions   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]
    resources = [aws_dynamodb_table.jobs.stream_arn]
  }

  # It cannot be limited to a stream.
  statement {
    sid       = "FindTheStream"
    actions   = ["dynamodb:ListStreams"]
    resources = ["*"]
  }

  statement {
    sid       = "TellConnections"
    actions   = ["execute-api:ManageConnections"]
    resources = ["${aws_apigatewayv2_api.websocket[0].execution_arn}/${local.websocket_stage}/POST/@connections/*"]
  }

  statement {
    sid       = "WriteOwnLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.websocket[0].arn}:*"]
  }
}
