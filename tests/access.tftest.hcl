# Who may call: each mode with what it needs, and every refusal of what does not go together.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  zips = "./tests/zips"
}

run "by_token_unless_said_otherwise" {
  command = plan

  assert {
    condition     = aws_lambda_function.listener.environment[0].variables.PRESSRUN_ACCESS == "token"
    error_message = "It is not by token."
  }

  assert {
    condition     = aws_lambda_function_url.listener.authorization_type == "NONE" && length(aws_lambda_permission.invoke_url) == 1 && length(aws_lambda_permission.invoke) == 1
    error_message = "The function URL is not public."
  }

  assert {
    condition     = length(setintersection(keys(nonsensitive(local.access)), ["PRESSRUN_TOKENS", "PRESSRUN_RIGHTS", "PRESSRUN_SHARED_JOBS", "PRESSRUN_QUOTA_REQUESTS", "PRESSRUN_QUOTA_JOBS", "PRESSRUN_CORS_ORIGINS", "PRESSRUN_ACCEPT_ANYBODY"])) == 0
    error_message = "The functions are told what was not set."
  }
}

run "named_tokens_are_told_by_their_digests" {
  command = plan

  variables {
    tokens = {
      crm     = ["crmcrmcrmcrmcrmcrmcrmcrmcrmcrmcrm-new", "crmcrmcrmcrmcrmcrmcrmcrmcrmcrmcrm-old"]
      billing = ["billingbillingbillingbillingbilling=="]
    }
  }

  assert {
    condition = nonsensitive(local.access.PRESSRUN_TOKENS) == join(",", [
      "billing sha256:${sha256("billingbillingbillingbillingbilling==")}",
      "crm sha256:${sha256("crmcrmcrmcrmcrmcrmcrmcrmcrmcrmcrm-new")}",
      "crm sha256:${sha256("crmcrmcrmcrmcrmcrmcrmcrmcrmcrmcrm-old")}",
    ])
    error_message = "The listener is not told who holds which token."
  }
}

run "rights_are_told_with_the_tokens_of_those_who_have_them" {
  command = plan

  variables {
    tokens = {
      crm = ["crmcrmcrmcrmcrmcrmcrmcrmcrmcrmcrm-new"]
      ops = ["opsopsopsopsopsopsopsopsopsopsopsops"]
    }
    rights      = { admin = ["ops"] }
    shared_jobs = true
  }

  assert {
    condition = nonsensitive(local.access.PRESSRUN_TOKENS) == join(",", [
      "crm sha256:${sha256("crmcrmcrmcrmcrmcrmcrmcrmcrmcrmcrm-new")}",
      "ops sha256:${sha256("opsopsopsopsopsopsopsopsopsopsopsops")} admin",
    ])
    error_message = "The listener is not told who has which right."
  }

  assert {
    condition     = local.access.PRESSRUN_SHARED_JOBS == "yes"
    error_message = "The listener is not told that jobs are shared."
  }
}

run "rights_of_iam_are_told_by_their_arns" {
  command = plan

  variables {
    access_mode = "iam"
    rights      = { admin = ["arn:aws:iam::123456789012:role/Ops*", "arn:aws:iam::123456789012:user/jane"] }
  }

  assert {
    condition     = local.access.PRESSRUN_RIGHTS == "admin arn:aws:iam::123456789012:role/Ops*,admin arn:aws:iam::123456789012:user/jane"
    error_message = "The listener is not told who has which right."
  }
}

run "rights_are_those_there_are" {
  command = plan

  variables {
    tokens = { ops = ["opsopsopsopsopsopsopsopsopsopsopsops"] }
    rights = { root = ["ops"] }
  }

  expect_failures = [var.rights]
}

run "rights_are_of_callers_there_are" {
  command = plan

  variables {
    rights = { admin = ["nobody"] }
  }

  expect_failures = [var.rights]
}

run "rights_of_iam_are_of_one_account" {
  command = plan

  variables {
    access_mode = "iam"
    rights      = { admin = ["arn:aws:iam::*:role/Ops"] }
  }

  expect_failures = [var.rights]
}

run "rights_of_iam_are_of_no_session" {
  command = plan

  variables {
    access_mode = "iam"
    rights      = { admin = ["arn:aws:sts::123456789012:assumed-role/Ops/jane"] }
  }

  expect_failures = [var.rights]
}

run "rights_of_iam_are_of_no_pattern_with_a_path" {
  command = plan

  variables {
    access_mode = "iam"
    rights      = { admin = ["arn:aws:iam::123456789012:role/office/Ops*"] }
  }

  expect_failures = [var.rights]
}

run "rights_of_iam_are_of_no_federated_user" {
  command = plan

  variables {
    access_mode = "iam"
    rights      = { admin = ["arn:aws:sts::123456789012:federated-user/jane"] }
  }

  expect_failures = [var.rights]
}

run "rights_of_iam_may_be_of_a_role_with_a_path_and_of_all_its_sessions" {
  command = plan

  variables {
    access_mode = "iam"
    rights      = { admin = ["arn:aws:iam::123456789012:role/office/Ops", "arn:aws:sts::123456789012:assumed-role/Ops/*"] }
  }
}

run "nobody_is_called_anybody" {
  command = plan

  variables {
    tokens = { anybody = ["opsopsopsopsopsopsopsopsopsopsopsops"] }
  }

  expect_failures = [var.tokens]
}

run "rights_of_an_issuers_tokens_are_in_them" {
  command = plan

  variables {
    access_mode  = "jwt"
    jwt_issuer   = "https://login.example.org/"
    jwt_audience = ["one"]
    rights       = { admin = ["jane"] }
  }

  expect_failures = [var.rights]
}

run "the_claim_of_rights_is_a_name" {
  command = plan

  variables {
    jwt_rights_claim = ""
  }

  expect_failures = [var.jwt_rights_claim]
}

run "by_iam_aws_guards_both_apis" {
  command = plan

  variables {
    access_mode = "iam"
    websocket   = true
  }

  assert {
    condition     = aws_lambda_function_url.listener.authorization_type == "AWS_IAM" && length(aws_lambda_permission.invoke_url) == 0 && length(aws_lambda_permission.invoke) == 0
    error_message = "The function URL is open to those that AWS does not know."
  }

  assert {
    condition     = aws_apigatewayv2_route.websocket["$connect"].authorization_type == "AWS_IAM" && aws_apigatewayv2_route.websocket["$default"].authorization_type == "NONE"
    error_message = "The handshake is not guarded, or more than it is: API Gateway takes no other route to be."
  }

  assert {
    condition     = !contains(keys(nonsensitive(local.access)), "PRESSRUN_TOKEN") && output.api_token == null
    error_message = "There is a token that opens nothing."
  }
}

run "by_jwt" {
  command = plan

  variables {
    access_mode  = "jwt"
    jwt_issuer   = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI"
    jwt_audience = ["one", "two"]
  }

  assert {
    condition     = local.access.PRESSRUN_JWT_ISSUER == var.jwt_issuer && local.access.PRESSRUN_JWT_AUDIENCE == "one,two" && !contains(keys(nonsensitive(local.access)), "PRESSRUN_TOKEN")
    error_message = "The listener is not told whose tokens are good."
  }
}

run "by_nothing_once_that_is_accepted" {
  command = plan

  variables {
    access_mode    = "none"
    accept_anybody = true
  }

  assert {
    condition     = local.access.PRESSRUN_ACCESS == "none" && local.access.PRESSRUN_ACCEPT_ANYBODY == "yes"
    error_message = "The listener would refuse to start."
  }
}

run "quotas_and_origins" {
  command = plan

  variables {
    quota_requests_per_minute = 60
    quota_jobs_in_flight      = 20
    quota_bytes               = 50000000000
    cors_origins              = ["https://app.example.org", "http://localhost:3000"]
    websocket                 = true
  }

  assert {
    condition     = local.access.PRESSRUN_QUOTA_REQUESTS == 60 && local.access.PRESSRUN_QUOTA_JOBS == 20 && local.access.PRESSRUN_CORS_ORIGINS == "https://app.example.org,http://localhost:3000"
    error_message = "The listener is not told of quotas and origins."
  }

  assert {
    condition     = nonsensitive(aws_lambda_function.websocket[0].environment[0].variables.PRESSRUN_QUOTA_JOBS) == "20"
    error_message = "The quotas can be gone round by the WebSocket API."
  }

  assert {
    condition     = local.access.PRESSRUN_QUOTA_BYTES == "50000000000" && nonsensitive(aws_lambda_function.processor.environment[0].variables.PRESSRUN_QUOTA_BYTES) == "50000000000"
    error_message = "Uploads count, but not reports, or the other way round."
  }
}

run "no_bytes_quota_of_nothing" {
  command = plan

  variables {
    quota_bytes = 0
  }

  expect_failures = [var.quota_bytes]
}

run "pages_of_other_sites_fetch_reports_and_put_uploads" {
  variables {
    cors_origins = ["https://app.example.org"]
  }

  assert {
    condition     = length(aws_s3_bucket_cors_configuration.reports.cors_rule) == 3
    error_message = "Pages of other sites can neither fetch reports nor put uploads."
  }
}

run "every_site" {
  command = plan

  variables {
    cors_origins = ["*"]
  }

  assert {
    condition     = local.access.PRESSRUN_CORS_ORIGINS == "*"
    error_message = "Not every site may call."
  }
}

# --- Refusals -----------------------------------------------------------------------------------------------------

run "an_unknown_mode" {
  command = plan

  variables {
    access_mode = "basic"
  }

  expect_failures = [var.access_mode]
}

run "anybody_without_a_word" {
  command = plan

  variables {
    access_mode = "none"
  }

  expect_failures = [var.accept_anybody]
}

run "a_word_for_nothing" {
  command = plan

  variables {
    accept_anybody = true
  }

  expect_failures = [var.accept_anybody]
}

run "jwt_without_an_issuer" {
  command = plan

  variables {
    access_mode  = "jwt"
    jwt_audience = ["one"]
  }

  expect_failures = [var.jwt_issuer]
}

run "jwt_without_an_audience" {
  command = plan

  variables {
    access_mode = "jwt"
    jwt_issuer  = "https://login.example.org/"
  }

  expect_failures = [var.jwt_audience]
}

run "an_issuer_without_jwt" {
  command = plan

  variables {
    jwt_issuer = "https://login.example.org/"
  }

  expect_failures = [var.jwt_issuer]
}

run "an_issuer_without_tls" {
  command = plan

  variables {
    access_mode  = "jwt"
    jwt_issuer   = "http://login.example.org/"
    jwt_audience = ["one"]
  }

  expect_failures = [var.jwt_issuer]
}

run "an_audience_without_jwt" {
  command = plan

  variables {
    jwt_audience = ["one"]
  }

  expect_failures = [var.jwt_audience]
}

run "an_audience_that_is_two" {
  command = plan

  variables {
    access_mode  = "jwt"
    jwt_issuer   = "https://login.example.org/"
    jwt_audience = ["one,two"]
  }

  expect_failures = [var.jwt_audience]
}

run "a_short_token" {
  command = plan

  variables {
    tokens = { crm = ["short"] }
  }

  expect_failures = [var.tokens]
}

run "a_name_with_a_space" {
  command = plan

  variables {
    tokens = { "c rm" = ["crmcrmcrmcrmcrmcrmcrmcrmcrmcrmcrm"] }
  }

  expect_failures = [var.tokens]
}

run "a_name_without_a_token" {
  command = plan

  variables {
    tokens = { crm = [] }
  }

  expect_failures = [var.tokens]
}

run "a_token_of_two" {
  command = plan

  variables {
    tokens = { crm = ["crmcrmcrmcrmcrmcrmcrmcrmcrmcrmcrm"], billing = ["crmcrmcrmcrmcrmcrmcrmcrmcrmcrmcrm"] }
  }

  expect_failures = [var.tokens]
}

run "more_tokens_than_fit" {
  command = plan

  variables {
    tokens = { crm = [for number in range(30) : "crmcrmcrmcrmcrmcrmcrmcrmcrmcrmcrm-${number}"] }
  }

  expect_failures = [var.tokens]
}

run "tokens_that_open_nothing" {
  command = plan

  variables {
    access_mode = "iam"
    tokens      = { crm = ["crmcrmcrmcrmcrmcrmcrmcrmcrmcrmcrm"] }
  }

  expect_failures = [var.tokens]
}

run "no_requests" {
  command = plan

  variables {
    quota_requests_per_minute = 0
  }

  expect_failures = [var.quota_requests_per_minute]
}

run "half_a_job" {
  command = plan

  variables {
    quota_jobs_in_flight = 1.5
  }

  expect_failures = [var.quota_jobs_in_flight]
}

run "more_jobs_than_an_item_holds" {
  command = plan

  variables {
    quota_jobs_in_flight = 1001
  }

  expect_failures = [var.quota_jobs_in_flight]
}

run "an_origin_with_a_path" {
  command = plan

  variables {
    cors_origins = ["https://app.example.org/"]
  }

  expect_failures = [var.cors_origins]
}

run "every_site_and_one" {
  command = plan

  variables {
    cors_origins = ["*", "https://app.example.org"]
  }

  expect_failures = [var.cors_origins]
}

run "pages_where_aws_would_refuse_their_browsers" {
  command = plan

  variables {
    access_mode  = "iam"
    cors_origins = ["https://app.example.org"]
  }

  expect_failures = [var.cors_origins]
}
