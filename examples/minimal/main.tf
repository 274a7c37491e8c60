# The least there is to say: where to, and who gets the reports.

module "pressrun" {
  source = "../.."

  region              = "eu-central-1"
  notification_emails = { "accounts@example.com" = {} }
}

output "listener_url" {
  description = "Base URL of the HTTP API."
  value       = module.pressrun.listener_url
}

output "api_token" {
  description = "Bearer token that callers show."
  value       = module.pressrun.api_token
  sensitive   = true
}
