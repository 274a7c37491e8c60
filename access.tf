# Who may call the HTTP API and the WebSocket API, as whom, from which sites, and how much each caller may ask for.

variable "access_mode" {
  description = "How callers are identified. token: by bearer tokens, the generated one and those of `tokens`. jwt: by tokens of an OIDC issuer, such as Cognito. iam: by AWS, which then guards the whole function URL: links in mails and the page cannot be opened in a browser. none: callers are not identified."
  type        = string
  default     = "token"
  nullable    = false

  validation {
    condition     = contains(["token", "jwt", "iam", "none"], var.access_mode)
    error_message = "access_mode must be token, jwt, iam or none."
  }
}

variable "accept_anybody" {
  description = "Set together with access_mode = none: the function URL is public, and anyone who learns it can queue reports at your cost."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = var.accept_anybody || var.access_mode != "none"
    error_message = "access_mode = none lets anyone who learns the URL queue reports at your cost. Set accept_anybody = true as well if that is what you want."
  }

  validation {
    condition     = !var.accept_anybody || var.access_mode == "none"
    error_message = "accept_anybody goes with access_mode = none alone."
  }
}

variable "tokens" {
  description = "Bearer tokens by the names of their callers, besides the generated one of the caller `default`. A caller has one, or two while it changes from one to the other: add the new, let the caller change, remove the old. The functions know their SHA-256 alone."
  type        = map(list(string))
  default     = {}
  nullable    = false
  sensitive   = true

  validation {
    condition     = alltrue([for name, tokens in var.tokens : can(regex("^[A-Za-z0-9._@-]{1,64}$", name)) && length(tokens) > 0])
    error_message = "tokens must be keyed by names of 1 to 64 letters, digits and . _ @ -, each with at least one token."
  }

  validation {
    condition     = !contains(keys(var.tokens), "anybody")
    error_message = "tokens must not be keyed by anybody, the name under which a deployment without tokens keeps its jobs."
  }

  validation {
    condition     = alltrue([for token in flatten(values(var.tokens)) : can(regex(local.token_pattern, token))])
    error_message = "Each of tokens must be at least 32 characters from A-Z a-z 0-9 . _ ~ + / -, with = at its end at most, for example from `openssl rand -hex 32`."
  }

  validation {
    condition     = length(distinct(flatten(values(var.tokens)))) == length(flatten(values(var.tokens)))
    error_message = "Each of tokens must be of one caller only."
  }

  # Lambda takes 4 KB of environment in all.
  validation {
    condition     = sum(concat([0], [for name, tokens in var.tokens : length(tokens) * (length(name) + 73)])) <= 2000
    error_message = "tokens are too many for a function's environment: some twenty fit. Use access_mode = jwt for more callers."
  }

  validation {
    condition     = length(var.tokens) == 0 || var.access_mode == "token"
    error_message = "tokens are for access_mode = token alone."
  }
}

variable "rights" {
  description = "Who has which right besides what concerns its own jobs. { admin = [...] } names those who see, follow and retry the jobs of all callers: names of `tokens`, or where access_mode is iam ARNs of users and roles, in which * stands for any characters. The caller `default` is one anyway; where access_mode is jwt, the tokens say it by jwt_rights_claim."
  type        = map(list(string))
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.rights), ["admin"])) == 0
    error_message = "rights must be keyed by a right; there is admin."
  }

  validation {
    condition     = length(flatten(values(var.rights))) == 0 || contains(["token", "iam"], var.access_mode)
    error_message = "rights are for access_mode = token and iam. With jwt the tokens hold them, in jwt_rights_claim."
  }

  validation {
    condition     = var.access_mode != "token" || length(setsubtract(flatten(values(var.rights)), nonsensitive(keys(var.tokens)))) == 0
    error_message = "rights must name callers of tokens, where access_mode is token."
  }

  validation {
    condition     = var.access_mode != "iam" || alltrue([for arn in flatten(values(var.rights)) : can(regex("^arn:aws[a-z-]*:(iam|sts)::[0-9]{12}:[^,\\s]+$", arn))])
    error_message = "rights must hold ARNs of users and roles of one account each, such as arn:aws:iam::123456789012:role/Ops*, where access_mode is iam."
  }

  validation {
    condition = alltrue([for arn in flatten(values(var.rights)) :
      (!can(regex(":assumed-role/[^/]*/", arn)) || can(regex(":assumed-role/[^/]*/[*]$", arn))) && !can(regex(":role/.*[*].*/|:role/.*/.*[*]|:federated-user/", arn))
    ])
    error_message = "rights must name neither a role's session nor roles by a pattern with a path, which AWS does not report for callers, nor a federated user, who is no caller: write arn:aws:iam::123456789012:role/Ops*."
  }
}

variable "shared_jobs" {
  description = "Whether every caller sees, follows and retries the jobs of all, and may use their uploads."
  type        = bool
  default     = false
  nullable    = false
}

variable "jwt_rights_claim" {
  description = "Claim that has callers' rights where access_mode is jwt, such as pressrun:admin, as a list or separated by blanks."
  type        = string
  default     = "scope"
  nullable    = false

  validation {
    condition     = can(regex("^[^\\s]{1,200}$", var.jwt_rights_claim))
    error_message = "jwt_rights_claim must be the name of a claim, such as scope or cognito:groups."
  }
}

variable "jwt_issuer" {
  description = "OIDC issuer whose tokens are good, exactly as they have it in `iss`, for example https://cognito-idp.eu-central-1.amazonaws.com/<user pool>. Its keys are fetched from there."
  type        = string
  default     = null

  validation {
    condition     = var.jwt_issuer == null || can(regex("^https://[^/?#\\s]+(/[^?#\\s]*)?$", var.jwt_issuer))
    error_message = "jwt_issuer must be an https URL, such as https://login.example.org/."
  }

  validation {
    condition     = (var.jwt_issuer != null) == (var.access_mode == "jwt")
    error_message = "jwt_issuer is for access_mode = jwt, which needs it."
  }
}

variable "jwt_audience" {
  description = "What tokens must have in `aud`; any of several. Access tokens of Cognito have no `aud`: there it is the `client_id`, the id of the app client."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for audience in var.jwt_audience : can(regex("^[^,\\s]+$", audience))])
    error_message = "jwt_audience must hold audiences without commas and spaces."
  }

  validation {
    condition     = (length(var.jwt_audience) > 0) == (var.access_mode == "jwt")
    error_message = "jwt_audience is for access_mode = jwt, which needs it."
  }
}

variable "quota_requests_per_minute" {
  description = "Requests a minute that one caller may make for jobs and uploads; each is then one more write to the table. Null: any number."
  type        = number
  default     = null

  validation {
    condition     = var.quota_requests_per_minute == null || try(var.quota_requests_per_minute >= 1 && var.quota_requests_per_minute <= 1000000 && floor(var.quota_requests_per_minute) == var.quota_requests_per_minute, false)
    error_message = "quota_requests_per_minute must be null or a whole number from 1 to 1000000."
  }
}

variable "quota_jobs_in_flight" {
  description = "Jobs of one caller that may be queued or running. Null: any number."
  type        = number
  default     = null

  # They are one item of the table, which each request writes.
  validation {
    condition     = var.quota_jobs_in_flight == null || try(var.quota_jobs_in_flight >= 1 && var.quota_jobs_in_flight <= 1000 && floor(var.quota_jobs_in_flight) == var.quota_jobs_in_flight, false)
    error_message = "quota_jobs_in_flight must be null or a whole number from 1 to 1000."
  }
}

variable "quota_bytes" {
  description = "Bytes of reports and uploads that one caller may store, counted by days for as long as they are kept; each report is then one more write to the table. Null: any number."
  type        = number
  default     = null

  validation {
    condition     = var.quota_bytes == null || try(var.quota_bytes >= 1 && var.quota_bytes <= 1000000000000000 && floor(var.quota_bytes) == var.quota_bytes, false)
    error_message = "quota_bytes must be null or a whole number from 1 to 1000000000000000."
  }
}

variable "cors_origins" {
  description = "Other sites whose pages may call, such as https://app.example.org; [\"*\"] is every site."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = var.cors_origins == tolist(["*"]) || alltrue([for origin in var.cors_origins : can(regex("^https?://[a-z0-9.-]+(:[0-9]+)?$", origin))])
    error_message = "cors_origins must hold origins such as https://app.example.org, in lower case and without a path, or be [\"*\"]."
  }

  # A browser asks without a signature whether a page may call.
  validation {
    condition     = length(var.cors_origins) == 0 || var.access_mode != "iam"
    error_message = "cors_origins cannot go with access_mode = iam: AWS would refuse what browsers ask before each call. Use token or jwt."
  }
}

locals {
  by_iam = var.access_mode == "iam"

  # What the functions take for a bearer token (RFC 6750), and twice as long.
  token_pattern = "^[A-Za-z0-9._~+/-]{32,}=*$"

  # A name, a token's digest, and rights.
  tokens = join(",", flatten([for name, tokens in var.tokens : [for token in tokens : join(" ", concat(
    [name, "sha256:${sha256(token)}"],
    [for right, names in var.rights : right if contains(names, name)],
  ))]]))

  rights = join(",", flatten([for right, arns in var.rights : [for arn in arns : "${right} ${arn}"]]))

  # Reports count when they are completed, by the processor.
  quota_bytes = var.quota_bytes != null ? { PRESSRUN_QUOTA_BYTES = format("%d", var.quota_bytes) } : {}

  # What those two functions are told that callers reach.
  access = merge(
    { PRESSRUN_ACCESS = var.access_mode },
    var.access_mode == "token" ? { PRESSRUN_TOKEN = local.api_token } : {},
    nonsensitive(length(var.tokens) > 0) ? { PRESSRUN_TOKENS = local.tokens } : {},
    var.access_mode == "jwt" ? { PRESSRUN_JWT_ISSUER = var.jwt_issuer, PRESSRUN_JWT_AUDIENCE = join(",", var.jwt_audience), PRESSRUN_JWT_RIGHTS_CLAIM = var.jwt_rights_claim } : {},
    local.by_iam && local.rights != "" ? { PRESSRUN_RIGHTS = local.rights } : {},
    var.shared_jobs ? { PRESSRUN_SHARED_JOBS = "yes" } : {},
    var.accept_anybody ? { PRESSRUN_ACCEPT_ANYBODY = "yes" } : {},
    var.quota_requests_per_minute != null ? { PRESSRUN_QUOTA_REQUESTS = var.quota_requests_per_minute } : {},
    var.quota_jobs_in_flight != null ? { PRESSRUN_QUOTA_JOBS = var.quota_jobs_in_flight } : {},
    local.quota_bytes,
    length(var.cors_origins) > 0 ? { PRESSRUN_CORS_ORIGINS = join(",", var.cors_origins) } : {},
  )
}
