# What is kept, how it is protected and when it goes: the job table and the report bucket.

locals {
  # The functions know them by these names.
  open_jobs_index      = "open-jobs"
  jobs_by_month_index  = "jobs-by-month"
  jobs_by_caller_index = "jobs-by-caller"
}

resource "aws_dynamodb_table" "jobs" {
  #checkov:skip=CKV_AWS_119:DynamoDB encrypts under the key that AWS manages for this account; one of your own would be asked, and paid, for it.
  name         = "${var.name}-jobs"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"

  attribute {
    name = "id"
    type = "S"
  }

  attribute {
    name = "open"
    type = "S"
  }

  attribute {
    name = "overdue_at"
    type = "N"
  }

  attribute {
    name = "month"
    type = "S"
  }

  attribute {
    name = "caller_month"
    type = "S"
  }

  # Only a job that has not ended, or whose end nobody announced, carries `open`: the index holds no more than those.
  global_secondary_index {
    name            = local.open_jobs_index
    hash_key        = "open"
    range_key       = "overdue_at"
    projection_type = "KEYS_ONLY"
  }

  # For listing jobs; ids sort by the time they were made.
  global_secondary_index {
    name            = local.jobs_by_month_index
    hash_key        = "month"
    range_key       = "id"
    projection_type = "KEYS_ONLY"
  }

  # For listing one caller's jobs, at a cost that other callers' do not add to.
  global_secondary_index {
    name            = local.jobs_by_caller_index
    hash_key        = "caller_month"
    range_key       = "id"
    projection_type = "KEYS_ONLY"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  # What changes, for those who follow jobs over WebSockets.
  stream_enabled   = var.websocket
  stream_view_type = var.websocket ? "NEW_IMAGE" : null

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = true
  }
}

resource "aws_s3_bucket_public_access_block" "reports" {
  bucket                  = aws_s3_bucket.reports.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "reports" {
  bucket = aws_s3_bucket.reports.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "reports" {
  bucket = aws_s3_bucket.reports.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_versioning" "reports" {
  count = var.bucket_versioning ? 1 : 0

  bucket = aws_s3_bucket.reports.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "reports" {
  bucket = aws_s3_bucket.reports.id

  dynamic "rule" {
    for_each = toset(["inputs", "reports", "sections"])

    content {
      id     = "expire-${rule.value}"
      status = "Enabled"

      filter {
        prefix = "${rule.value}/"
      }

      expiration {
        days = var.retention_days
      }

      noncurrent_version_expiration {
        noncurrent_days = 1
      }
    }
  }

  # A caller's PUT must tag it so; the listener tags it anew when a job names it.
  rule {
    id     = "expire-unnamed-uploads"
    status = "Enabled"

    filter {
      and {
        prefix = "uploads/"
        tags   = { "pressrun-named" = "no" }
      }
    }

    expiration {
      days = 1
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }
  }

  # A day longer than jobs: whatever was queued with an upload in its last hour still finds it.
  rule {
    id     = "expire-uploads"
    status = "Enabled"

    filter {
      prefix = "uploads/"
    }

    expiration {
      days = var.retention_days + 1
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }
  }

  rule {
    id     = "abort-unfinished-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.reports]
}

# The page, which the function URL serves, shows reports by fetching their signed URLs.
resource "aws_s3_bucket_cors_configuration" "reports" {
  bucket = aws_s3_bucket.reports.id

  cors_rule {
    allowed_methods = ["GET"]
    allowed_origins = [local.listener_url]
  }

  # Pages of other sites are sent on to reports by the function URL; their browsers then name no site any more. The signed
  # URL is what opens the report.
  dynamic "cors_rule" {
    for_each = length(var.cors_origins) > 0 ? [1] : []

    content {
      allowed_methods = ["GET"]
      allowed_origins = ["*"]
    }
  }

  dynamic "cors_rule" {
    for_each = length(var.cors_origins) > 0 ? [1] : []

    content {
      allowed_methods = ["PUT"]
      allowed_origins = var.cors_origins
      allowed_headers = ["Content-Type", "x-amz-tagging"]
    }
  }
}

resource "aws_s3_bucket_policy" "reports" {
  bucket = aws_s3_bucket.reports.id
  policy = data.aws_iam_policy_document.bucket_tls_only.json

  # Both write to the bucket's policy settings; S3 refuses the two at once.
  depends_on = [aws_s3_bucket_public_access_block.reports]
}
