# Everything that can be asked for, twice side by side: the two differ in their names, and share nothing.

variable "tokens" {
  description = "Bearer tokens of production by the names of their callers, such as { crm = [\"…\"] }: by TF_VAR_tokens, or a file that is in no repository."
  type        = map(list(string))
  default     = {}
  sensitive   = true
}

module "production" {
  source = "../.."

  name   = "reports"
  region = "eu-central-1"
  tags   = { CostCentre = "4711" }

  # Who may call, from where, and how much
  tokens                    = var.tokens
  quota_requests_per_minute = 600
  quota_jobs_in_flight      = 200
  cors_origins              = ["https://app.example.com"]

  # Long reports from large data
  processor_memory_mb            = 4096
  processor_timeout_seconds      = 900
  processor_storage_mb           = 4096
  time_limit_seconds             = 840
  data_limit_mb                  = 256
  output_limit_mb                = 1024
  page_limit                     = 200000
  section_rows                   = 2000
  maximum_concurrency            = 50
  processor_reserved_concurrency = 50
  listener_reserved_concurrency  = 100

  # People and machines that are told
  websocket     = true
  webhook_hosts = ["hooks.example.com", "*.example.org"]
  notification_emails = {
    "accounts@example.com" = {}
    "support@example.com"  = { status = ["failed"] }
    "ledgers@example.com"  = { template = ["ledger"], tags = ["month-end"] }
  }

  # Kept for a year
  retention_days     = 365
  log_retention_days = 365
  bucket_versioning  = true

  # Watched
  alarm_emails            = ["oncall@example.com"]
  alarm_failed_percent    = 5
  alarm_queue_age_seconds = 1800
  runbooks                = "https://wiki.example.com/pressrun/runbooks"
}

module "staging" {
  source = "../.."

  name           = "reports-staging"
  region         = "eu-central-1"
  retention_days = 7
  log_level      = "debug"
  tracing        = false
  force_destroy  = true
}

output "listener_urls" {
  description = "Base URL of the HTTP API of each."
  value = {
    production = module.production.listener_url
    staging    = module.staging.listener_url
  }
}

output "api_tokens" {
  description = "Bearer token of the caller `default` of each."
  value = {
    production = module.production.api_token
    staging    = module.staging.api_token
  }
  sensitive = true
}
