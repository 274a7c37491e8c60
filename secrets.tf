# The three secrets: the token callers present, the key that signs the links in mails, and the one that signs webhooks.
# The token is that of the caller `default`, who sees the jobs of all callers: it is yours, and none to give to a caller.
# All are in the state file.
#
# Each is made once, on the first apply, and kept. To change one:
#   terraform apply -replace=terraform_data.api_token    (put the old one into `tokens` for a while, as default = ["…"])
#   terraform apply -replace=terraform_data.link_key    (links in mails already sent stop working)
#   terraform apply -replace=terraform_data.webhook_secret    (or set webhook_secret to both for a while)

# 244 random bits: two version 4 UUIDs, hashed into 64 hexadecimal digits.
resource "terraform_data" "api_token" {
  input = sensitive(sha256("${uuid()}${uuid()}"))

  lifecycle {
    ignore_changes = [input]
  }
}

resource "terraform_data" "link_key" {
  input = sensitive(sha256("${uuid()}${uuid()}"))

  lifecycle {
    ignore_changes = [input]
  }
}

# 32 random bytes in base64, as the Standard Webhooks specification writes a secret.
resource "terraform_data" "webhook_secret" {
  input = sensitive("whsec_${base64sha256("${uuid()}${uuid()}")}")

  lifecycle {
    ignore_changes = [input]
  }
}

locals {
  api_token = coalesce(var.api_token, terraform_data.api_token.output)
  link_key  = coalesce(var.link_key, terraform_data.link_key.output)

  webhook_secret = coalesce(var.webhook_secret, terraform_data.webhook_secret.output)
}
