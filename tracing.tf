# Traces: each function may send its spans to X-Ray.

locals {
  tracing_mode = var.tracing ? "Active" : "PassThrough"

  traced_roles = merge(
    {
      listener  = aws_iam_role.listener.id
      processor = aws_iam_role.processor.id
      sweeper   = aws_iam_role.sweeper.id
      courier   = aws_iam_role.courier.id
    },
    { for role in aws_iam_role.websocket : "websocket" => role.id },
  )
}

data "aws_iam_policy_document" "tracing" {
  # X-Ray has no resources that a span could be limited to.
  statement {
    sid       = "SendSpans"
    actions   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
    resources = ["*"]
  }
}

resource "aws_iam_role_policy" "tracing" {
  for_each = var.tracing ? local.traced_roles : {}

  name   = "tracing"
  role   = each.value
  policy = data.aws_iam_policy_document.tracing.json
}
