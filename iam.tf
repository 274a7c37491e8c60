# Who may do what: one role a function with no more than it uses, and resources that refuse plain HTTP.

data "aws_iam_policy_document" "assume_lambda" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

# --- Listener -----------------------------------------------------------------------------------------------------

resource "aws_iam_role" "listener" {
  name               = "${var.name}-listener"
  assume_role_policy = data.aws_iam_policy_document.assume_lambda.json
}

resource "aws_iam_role_policy" "listener" {
  name   = "listener"
  role   = aws_iam_role.listener.id
  policy = data.aws_iam_policy_document.listener.json
}

data "aws_iam_policy_document" "listener" {
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

  statement {
    sid       = "ListJobs"
    actions   = ["dynamodb:Query"]
    resources = [for index in [local.jobs_by_month_index, local.jobs_by_caller_index] : "${aws_dynamodb_table.jobs.arn}/index/${index}"]
  }

  # A retry asks whether the input is still there.
  statement {
    sid       = "ParkLargeInputs"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${aws_s3_bucket.reports.arn}/inputs/*"]
  }

  # A signed URL may do what its signer may.
  statement {
    sid       = "SignUploads"
    actions   = ["s3:GetObject", "s3:GetObjectTagging", "s3:PutObject", "s3:PutObjectTagging"]
    resources = ["${aws_s3_bucket.reports.arn}/uploads/*"]
  }

  statement {
    sid       = "SignReportLinks"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.reports.arn}/reports/*"]
  }

  # Without it S3 answers 403, not 404, for an object that is gone, and the listener could not tell which it is.
  statement {
    sid       = "TellMissingFromForbidden"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.reports.arn]
  }

  statement {
    sid       = "WriteOwnLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.listener.arn}:*"]
  }
}

# --- Processor ----------------------------------------------------------------------------------------------------

resource "aws_iam_role" "processor" {
  name               = "${var.name}-processor"
  assume_role_policy = data.aws_iam_policy_document.assume_lambda.json
}

resource "aws_iam_role_policy" "processor" {
  name   = "processor"
  role   = aws_iam_role.processor.id
  policy = data.aws_iam_policy_document.processor.json
}

data "aws_iam_policy_document" "processor" {
  statement {
    sid = "TakeJobs"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:ReceiveMessage",
    ]
    resources = [aws_sqs_queue.jobs.arn]
  }

  # A run whose time is over puts its job into the queue again, for another to go on.
  statement {
    sid       = "PassJobsOn"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.jobs.arn]
  }

  statement {
    sid       = "RecordJobs"
    actions   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
    resources = [aws_dynamodb_table.jobs.arn]
  }

  statement {
    sid       = "ReadLargeInputs"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.reports.arn}/inputs/*", "${aws_s3_bucket.reports.arn}/uploads/*"]
  }

  statement {
    sid       = "KeepSections"
    actions   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    resources = ["${aws_s3_bucket.reports.arn}/sections/*"]
  }

  # As for the listener: a missing input fails its job at once, a forbidden one is tried again.
  statement {
    sid       = "TellMissingFromForbidden"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.reports.arn]
  }

  statement {
    sid       = "StoreReports"
    actions   = ["s3:AbortMultipartUpload", "s3:PutObject"]
    resources = ["${aws_s3_bucket.reports.arn}/reports/*"]
  }

  statement {
    sid       = "AnnounceReports"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.reports.arn]
  }

  statement {
    sid       = "PushDeliveries"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.webhooks.arn]
  }

  statement {
    sid       = "WriteOwnLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.processor.arn}:*"]
  }
}

# --- Sweeper ------------------------------------------------------------------------------------------------------

resource "aws_iam_role" "sweeper" {
  name               = "${var.name}-sweeper"
  assume_role_policy = data.aws_iam_policy_document.assume_lambda.json
}

resource "aws_iam_role_policy" "sweeper" {
  name   = "sweeper"
  role   = aws_iam_role.sweeper.id
  policy = data.aws_iam_policy_document.sweeper.json
}

data "aws_iam_policy_document" "sweeper" {
  # Without sqs:DeleteMessage: a dead letter stays until somebody redrives it.
  statement {
    sid       = "LookAtDeadLetters"
    actions   = ["sqs:ChangeMessageVisibility", "sqs:ReceiveMessage"]
    resources = [aws_sqs_queue.dead_letters.arn]
  }

  statement {
    sid       = "FindOverdueJobs"
    actions   = ["dynamodb:Query"]
    resources = ["${aws_dynamodb_table.jobs.arn}/index/${local.open_jobs_index}"]
  }

  statement {
    sid       = "RecordEnds"
    actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
    resources = [aws_dynamodb_table.jobs.arn]
  }

  statement {
    sid       = "AnnounceEnds"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.reports.arn]
  }

  statement {
    sid       = "PushDeliveries"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.webhooks.arn]
  }

  statement {
    sid       = "WriteOwnLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.sweeper.arn}:*"]
  }
}

# --- Courier ------------------------------------------------------------------------------------------------------

resource "aws_iam_role" "courier" {
  name               = "${var.name}-courier"
  assume_role_policy = data.aws_iam_policy_document.assume_lambda.json
}

resource "aws_iam_role_policy" "courier" {
  name   = "courier"
  role   = aws_iam_role.courier.id
  policy = data.aws_iam_policy_document.courier.json
}

data "aws_iam_policy_document" "courier" {
  statement {
    sid = "TakeDeliveries"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:ReceiveMessage",
    ]
    resources = [aws_sqs_queue.webhooks.arn]
  }

  statement {
    sid       = "RecordAttempts"
    actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
    resources = [aws_dynamodb_table.jobs.arn]
  }

  statement {
    sid       = "AnnounceEnds"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.reports.arn]
  }

  statement {
    sid       = "WriteOwnLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.courier.arn}:*"]
  }
}

# --- TLS only -----------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "bucket_tls_only" {
  statement {
    sid       = "DenyPlainHttp"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.reports.arn, "${aws_s3_bucket.reports.arn}/*"]

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

locals {
  queues = {
    jobs                 = aws_sqs_queue.jobs
    dead_letters         = aws_sqs_queue.dead_letters
    webhooks             = aws_sqs_queue.webhooks
    webhook_dead_letters = aws_sqs_queue.webhook_dead_letters
  }
}

data "aws_iam_policy_document" "queue_tls_only" {
  for_each = local.queues

  statement {
    sid       = "DenyPlainHttp"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [each.value.arn]

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

resource "aws_sqs_queue_policy" "tls_only" {
  for_each = local.queues

  queue_url = each.value.url
  policy    = data.aws_iam_policy_document.queue_tls_only[each.key].json
}
