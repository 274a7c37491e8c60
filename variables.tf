# Everything that can be set. Each has a default that suits a first deployment; see terraform.tfvars.example.

# --- Where and under which name -----------------------------------------------------------------------------------

variable "name" {
  description = "Prefix of every resource's name. Two deployments in one account and region need two names."
  type        = string
  default     = "pressrun"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.name))
    error_message = "name must be 2 to 20 lower-case letters, digits and hyphens, start with a letter and not end with a hyphen."
  }
}

variable "region" {
  description = "AWS region to deploy to, such as eu-central-1. Null takes it from AWS_REGION or the AWS profile."
  type        = string
  default     = null

  validation {
    condition     = var.region == null || can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-central-1."
  }
}

variable "tags" {
  description = "Tags for every resource, besides Application = <name>."
  type        = map(string)
  default     = {}
  nullable    = false
}

# --- Secrets, and who is told -------------------------------------------------------------------------------------

# Who may call is in access.tf.

variable "api_token" {
  description = "Bearer token of the caller `default`, who sees the jobs of all callers, where access_mode is token; give callers tokens of their own by `tokens`. Null generates one: `terraform output -raw api_token`."
  type        = string
  default     = null
  sensitive   = true

  validation {
    condition     = var.api_token == null || can(regex(local.token_pattern, var.api_token))
    error_message = "api_token must be at least 32 characters from A-Z a-z 0-9 . _ ~ + / -, with = at its end at most, for example from `openssl rand -hex 32`."
  }
}

variable "link_key" {
  description = "Secret that signs the download links in mails. Null generates one. A new key ends all links already sent."
  type        = string
  default     = null
  sensitive   = true

  validation {
    condition     = var.link_key == null || try(length(var.link_key) >= 32, false)
    error_message = "link_key must be at least 32 characters long, for example from `openssl rand -hex 32`."
  }
}

variable "webhook_secret" {
  description = "Secret that signs webhooks, as whsec_ and 24 to 64 random bytes in base64. Null generates one: `terraform output -raw webhook_secret`. With several, separated by commas, each signs, so that receivers can go over from one to the next."
  type        = string
  default     = null
  sensitive   = true

  validation {
    condition     = var.webhook_secret == null || can(regex("^(whsec_([A-Za-z0-9+/]{4}){8,21}([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?(,|$))+$", var.webhook_secret))
    error_message = "webhook_secret must be like whsec_ followed by 24 to 64 bytes in base64, for example from `echo whsec_$(openssl rand -base64 32)`; several are separated by commas."
  }
}

variable "webhook_hosts" {
  description = "Hosts that webhooks may go to: example.com is that host alone, *.example.com every host below it. Empty admits any host with a public address."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for host in var.webhook_hosts : can(regex("^(\\*\\.)?[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$", host))])
    error_message = "webhook_hosts must hold hosts such as example.com or *.example.com, without https:// and without a port."
  }
}

variable "notification_emails" {
  description = "E-mail addresses, each with what it is sent: {} is every report, { status = [\"failed\"] } only failures. A filter names values of status, template, job_id and tags, the caller's own. Each address must be confirmed once by its owner."
  type        = map(map(list(string)))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for address in keys(var.notification_emails) : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "notification_emails must be keyed by e-mail addresses, such as { \"accounts@example.com\" = {} }."
  }

  validation {
    condition = alltrue([
      for filter in values(var.notification_emails) :
      alltrue([for name, values in filter : contains(["job_id", "status", "tags", "template"], name) && length(values) > 0])
    ])
    error_message = "A filter of notification_emails names status, template, job_id or tags, each with one value or more."
  }

  validation {
    condition = alltrue([
      for filter in values(var.notification_emails) :
      alltrue([for status in lookup(filter, "status", []) : contains(["completed", "failed"], status)])
    ])
    error_message = "A filter's status is completed or failed."
  }
}

# --- Functions ----------------------------------------------------------------------------------------------------

variable "architecture" {
  description = "Processor architecture of the functions. Must be the one that the zips in dist/ were built for."
  type        = string
  default     = "x86_64"
  nullable    = false

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be x86_64 or arm64."
  }

  # Functions of the other architecture deploy without an error and then crash at every start.
  validation {
    condition     = try(trimspace(file("${local.zips}/architecture")), var.architecture) == var.architecture
    error_message = "architecture is ${var.architecture}, but the zips in ${local.zips} are built for ${try(trimspace(file("${local.zips}/architecture")), "another")}: run `make build ARCH=${var.architecture}`, or set architecture to theirs."
  }
}

variable "zips" {
  description = "Folder with the functions' zips, from `make build` or a release. Null is dist/ beside these files."
  type        = string
  default     = null
}

variable "release" {
  description = "Name of the release that is deployed, such as v0.2.0: every function's version says it, and `make rollback RELEASE=` finds it by it."
  type        = string
  default     = "unreleased"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$", var.release))
    error_message = "release must be at most 100 letters, digits, dots, hyphens, plus signs and underscores, such as v0.2.0."
  }
}

variable "listener_memory_mb" {
  description = "Memory of the listener in MB. CPU comes with it."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = var.listener_memory_mb >= 128 && var.listener_memory_mb <= 10240 && floor(var.listener_memory_mb) == var.listener_memory_mb
    error_message = "listener_memory_mb must be a whole number from 128 to 10240."
  }
}

variable "listener_timeout_seconds" {
  description = "Longest time the listener may take for one request, a stream of events included."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.listener_timeout_seconds >= 45 && var.listener_timeout_seconds <= 900 && floor(var.listener_timeout_seconds) == var.listener_timeout_seconds
    error_message = "listener_timeout_seconds must be a whole number from 45 to 900."
  }
}

variable "stream_seconds" {
  description = "Longest time one stream of events or one long poll may last; the caller then takes it up again. The listener is busy and billed for as long as it lasts, also after the caller has gone: longer streams are taken up less often, shorter ones drop disconnected callers sooner."
  type        = number
  default     = 25
  nullable    = false

  validation {
    condition     = var.stream_seconds >= 1 && var.stream_seconds <= var.listener_timeout_seconds - 30 && floor(var.stream_seconds) == var.stream_seconds
    error_message = "stream_seconds must be a whole number of at least 1, and 30 less than listener_timeout_seconds (${var.listener_timeout_seconds}) at most: the calls before and after a stream take their time too."
  }
}

variable "listener_reserved_concurrency" {
  description = "Concurrent executions set aside for the listener, and its ceiling. Null sets none aside."
  type        = number
  default     = null

  validation {
    condition     = var.listener_reserved_concurrency == null || try(var.listener_reserved_concurrency >= 2 && floor(var.listener_reserved_concurrency) == var.listener_reserved_concurrency, false)
    error_message = "listener_reserved_concurrency must be null or a whole number of at least 2."
  }
}

variable "websocket" {
  description = "Whether there is a WebSocket API besides the function URL, for requests and their events over one connection: `terraform output websocket_url`. It costs a function, a table and the stream of the jobs' table, each paid for by use."
  type        = bool
  default     = false
  nullable    = false
}

variable "processor_memory_mb" {
  description = "Memory of the processor in MB. CPU comes with it: 1769 MB is one full core."
  type        = number
  default     = 2048
  nullable    = false

  validation {
    condition     = var.processor_memory_mb >= 512 && var.processor_memory_mb <= 10240 && floor(var.processor_memory_mb) == var.processor_memory_mb
    error_message = "processor_memory_mb must be a whole number from 512 to 10240."
  }

  # Lambda gives a function one core for each 1769 MB. With less than half a minute of a core, even a cold start is late.
  validation {
    condition     = var.processor_memory_mb * var.processor_timeout_seconds >= 1769 * 30
    error_message = "processor_memory_mb (${var.processor_memory_mb}) brings ${floor(100 * var.processor_memory_mb / 1769)} % of a core, which does too little in the ${var.processor_timeout_seconds} s of processor_timeout_seconds: a run needs 30 seconds of a whole core, so set processor_timeout_seconds to at least ${ceil(1769 * 30 / var.processor_memory_mb)}, or more memory."
  }
}

variable "processor_timeout_seconds" {
  description = "Longest time the processor may take for one report. The queue's visibility timeout is six times this."
  type        = number
  default     = 300
  nullable    = false

  validation {
    condition     = var.processor_timeout_seconds >= 30 && var.processor_timeout_seconds <= 900 && floor(var.processor_timeout_seconds) == var.processor_timeout_seconds
    error_message = "processor_timeout_seconds must be a whole number from 30 to 900: the last 10 seconds are kept for recording how a job ended."
  }
}

variable "visibility_timeout_seconds" {
  description = "How long a message that the processor took, and neither finished nor gave back, stays hidden. Null: six times processor_timeout_seconds."
  type        = number
  default     = null

  # AWS asks for six times; with less, a message comes back while its first run still goes on.
  validation {
    condition     = var.visibility_timeout_seconds == null || try(var.visibility_timeout_seconds >= 6 * var.processor_timeout_seconds && var.visibility_timeout_seconds <= 43200 && floor(var.visibility_timeout_seconds) == var.visibility_timeout_seconds, false)
    error_message = "visibility_timeout_seconds must be null or a whole number from six times processor_timeout_seconds, ${6 * var.processor_timeout_seconds}, to 43200."
  }
}

variable "processor_storage_mb" {
  description = "Ephemeral storage (/tmp) of the processor in MB. An upload must fit into it together with its rows, written once more, and with the report: twice the largest upload, the output limit and 64 MB is safe."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = var.processor_storage_mb >= 512 && var.processor_storage_mb <= 10240 && floor(var.processor_storage_mb) == var.processor_storage_mb
    error_message = "processor_storage_mb must be a whole number from 512 to 10240."
  }

  # The data, its rows written once more, and the report are in /tmp at the same time.
  validation {
    condition     = var.processor_storage_mb >= coalesce(var.output_limit_mb, 256) + 2 * coalesce(var.data_limit_mb, 64)
    error_message = "processor_storage_mb (${var.processor_storage_mb}) must hold the largest report and twice the largest data: output_limit_mb (${coalesce(var.output_limit_mb, 256)}) + 2 × data_limit_mb (${coalesce(var.data_limit_mb, 64)})."
  }
}

variable "maximum_concurrency" {
  description = "Most reports typeset at the same time. AWS allows no less than 2."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000 && floor(var.maximum_concurrency) == var.maximum_concurrency
    error_message = "maximum_concurrency must be a whole number from 2 to 1000."
  }
}

variable "processor_reserved_concurrency" {
  description = "Concurrent executions set aside for the processor. Null sets none aside."
  type        = number
  default     = null

  # Below the maximum concurrency, throttled messages would reach the dead-letter queue unseen.
  validation {
    condition     = var.processor_reserved_concurrency == null || try(var.processor_reserved_concurrency >= var.maximum_concurrency, false)
    error_message = "processor_reserved_concurrency must be null or at least maximum_concurrency (${var.maximum_concurrency})."
  }
}

variable "max_receive_count" {
  description = "How often a message is delivered before it goes to the dead-letter queue."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.max_receive_count >= 5 && var.max_receive_count <= 1000 && floor(var.max_receive_count) == var.max_receive_count
    error_message = "max_receive_count must be a whole number from 5 to 1000: with fewer, a burst of throttling loses messages."
  }

  # A message that expires in the jobs queue is gone; one that was delivered often enough before is a dead letter.
  validation {
    condition     = var.max_receive_count * local.visibility_timeout_seconds <= local.queue_retention_seconds
    error_message = "A message whose every run is killed must reach the dead letters before the jobs queue drops it: max_receive_count (${var.max_receive_count}) × the visibility timeout (${local.visibility_timeout_seconds} s) is more than the ${local.queue_retention_seconds} s for which the queue keeps it. Set a smaller max_receive_count or processor_timeout_seconds, or more retention_days, of which the first 4 count."
  }
}

# --- Limits of one report -----------------------------------------------------------------------------------------

variable "time_limit_seconds" {
  description = "Longest time the typesetting of one report may take, or of one section. Null: the processor's timeout, less the 10 seconds it keeps for recording a failure; for a section half of that."
  type        = number
  default     = null

  validation {
    condition     = var.time_limit_seconds == null || try(var.time_limit_seconds >= 1 && var.time_limit_seconds <= var.processor_timeout_seconds - 10, false)
    error_message = "time_limit_seconds must be null or at least 1 and leave 10 of processor_timeout_seconds (${var.processor_timeout_seconds}) for recording how a job ended."
  }
}

variable "memory_limit_mb" {
  description = "Most memory the typesetting of one report may take, in MB. Null: the processor's memory, less the 192 MB it keeps for itself."
  type        = number
  default     = null

  validation {
    condition     = var.memory_limit_mb == null || try(var.memory_limit_mb >= 64 && var.memory_limit_mb <= var.processor_memory_mb - 192, false)
    error_message = "memory_limit_mb must be null or at least 64 and leave 192 of processor_memory_mb (${var.processor_memory_mb}) to the processor itself."
  }
}

variable "output_limit_mb" {
  description = "Largest report in MB. Null: 256."
  type        = number
  default     = null

  validation {
    condition     = var.output_limit_mb == null || try(var.output_limit_mb >= 1, false)
    error_message = "output_limit_mb must be null or at least 1."
  }
}

variable "page_limit" {
  description = "Most pages of one report. Null: 100000."
  type        = number
  default     = null

  validation {
    condition     = var.page_limit == null || try(var.page_limit >= 1 && floor(var.page_limit) == var.page_limit, false)
    error_message = "page_limit must be null or a whole number of at least 1."
  }
}

variable "section_rows" {
  description = "Rows of a section, about. A report of more rows, or of more than 1000, is typeset in sections, as many at a time as the processor has cores. 0 typesets every report whole. Null: 2500."
  type        = number
  default     = null

  validation {
    condition     = var.section_rows == null || try(var.section_rows >= 0 && floor(var.section_rows) == var.section_rows, false)
    error_message = "section_rows must be null or a whole number of at least 0."
  }
}

variable "data_limit_mb" {
  description = "Largest data of one report in MB. Null: 64. A function URL itself takes no request of more than 6 MB."
  type        = number
  default     = null

  validation {
    condition     = var.data_limit_mb == null || try(var.data_limit_mb >= 1 && floor(var.data_limit_mb) == var.data_limit_mb, false)
    error_message = "data_limit_mb must be null or a whole number of at least 1."
  }

  # What is typeset is in memory as text and as values, in the processor and in its child.
  validation {
    condition     = var.data_limit_mb == null || try(4 * var.data_limit_mb <= var.processor_memory_mb, false)
    error_message = "data_limit_mb must be a quarter of processor_memory_mb (${var.processor_memory_mb}) at most: the data is in memory as text and as values, in two processes."
  }
}

# --- Keeping ------------------------------------------------------------------------------------------------------

variable "retention_days" {
  description = "Days for which reports, inputs and job records are kept and links in mails work."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 3650 && floor(var.retention_days) == var.retention_days
    error_message = "retention_days must be a whole number from 1 to 3650."
  }
}

variable "bucket_versioning" {
  description = "Whether the bucket keeps an overwritten or deleted report for one more day."
  type        = bool
  default     = false
  nullable    = false
}

variable "force_destroy" {
  description = "Whether `make destroy` may delete a bucket that still holds reports."
  type        = bool
  default     = false
  nullable    = false
}

variable "log_retention_days" {
  description = "Days for which log lines are kept; 0 keeps them for ever."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition = contains(
      [0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
      var.log_retention_days,
    )
    error_message = "log_retention_days must be a value that CloudWatch Logs accepts: 0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "log_level" {
  description = "What the functions log: error, warn, info, debug or trace, or a filter such as info,processor=debug."
  type        = string
  default     = "info"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9_:=,]+$", var.log_level))
    error_message = "log_level must be error, warn, info, debug or trace, or a filter such as info,processor=debug."
  }
}

# --- Watching -----------------------------------------------------------------------------------------------------

variable "alarm_emails" {
  description = "E-mail addresses that alarms go to. Each must be confirmed once by its owner. Other subscribers can be added to `terraform output alarm_topic_arn`."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for address in var.alarm_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "alarm_emails must hold e-mail addresses, such as [\"oncall@example.com\"]."
  }
}

variable "alarm_queue_age_seconds" {
  description = "Age of the oldest job in the queue above which the alarm queue-age goes off. Null: three times processor_timeout_seconds."
  type        = number
  default     = null

  validation {
    condition     = var.alarm_queue_age_seconds == null || try(var.alarm_queue_age_seconds > var.processor_timeout_seconds && var.alarm_queue_age_seconds < local.queue_retention_seconds, false)
    error_message = "alarm_queue_age_seconds must be null, or more than processor_timeout_seconds (${var.processor_timeout_seconds}), because a message in hand ages too, and less than the ${local.queue_retention_seconds} s for which the queue keeps a message."
  }
}

variable "alarm_failed_percent" {
  description = "Share of failed jobs among those that ended, in percent, above which the alarm failed-jobs goes off."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.alarm_failed_percent >= 1 && var.alarm_failed_percent < 100
    error_message = "alarm_failed_percent must be at least 1 and less than 100: no share is above that."
  }
}

variable "runbooks" {
  description = "Where alarms say that their runbooks are: the URL of docs/runbooks as your people reach it."
  type        = string
  default     = "docs/runbooks"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._~:/?#@!&'()*+,;=%-]+[^/]$", var.runbooks)) && length(var.runbooks) <= 300
    error_message = "runbooks must be a URL or a path of at most 300 characters, without a slash at its end."
  }
}

variable "tracing" {
  description = "Whether the functions send traces to X-Ray, which charges for each trace it records."
  type        = bool
  default     = true
  nullable    = false
}
