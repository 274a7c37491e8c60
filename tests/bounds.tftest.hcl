# Each variable refuses what lies outside its own bounds. A run breaks one rule.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  zips = "./tests/zips"
}

run "name_of_one_letter" {
  command = plan

  variables {
    name = "p"
  }

  expect_failures = [var.name]
}

run "name_too_long" {
  command = plan

  variables {
    name = "paaaaaaaaaaaaaaaaaaaa"
  }

  expect_failures = [var.name]
}

run "name_in_upper_case" {
  command = plan

  variables {
    name = "Pressrun"
  }

  expect_failures = [var.name]
}

run "name_that_begins_with_a_digit" {
  command = plan

  variables {
    name = "2pressrun"
  }

  expect_failures = [var.name]
}

run "name_that_ends_with_a_hyphen" {
  command = plan

  variables {
    name = "pressrun-"
  }

  expect_failures = [var.name]
}

run "region_by_its_place" {
  command = plan

  variables {
    region = "Frankfurt"
  }

  expect_failures = [var.region]
}

run "api_token_too_short" {
  command = plan

  variables {
    api_token = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  }

  expect_failures = [var.api_token]
}

run "api_token_with_an_equals_sign_before_its_end" {
  command = plan

  variables {
    api_token = "ab=cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
  }

  expect_failures = [var.api_token]
}

run "api_token_in_base64" {
  command = plan

  variables {
    api_token = "abcdefghijklmnopqrstuvwxyzabcdefghijk+/=="
  }
}

run "token_with_an_equals_sign_before_its_end" {
  command = plan

  variables {
    tokens = { crm = ["ab=cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"] }
  }

  expect_failures = [var.tokens]
}

run "api_token_with_a_space" {
  command = plan

  variables {
    api_token = "aaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbb"
  }

  expect_failures = [var.api_token]
}

run "link_key_too_short" {
  command = plan

  variables {
    link_key = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
  }

  expect_failures = [var.link_key]
}

run "webhook_secret_without_its_prefix" {
  command = plan

  variables {
    webhook_secret = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
  }

  expect_failures = [var.webhook_secret]
}

run "webhook_secret_too_short" {
  command = plan

  variables {
    webhook_secret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAA"
  }

  expect_failures = [var.webhook_secret]
}

run "webhook_hosts_as_urls" {
  command = plan

  variables {
    webhook_hosts = ["https://hooks.example.com"]
  }

  expect_failures = [var.webhook_hosts]
}

run "webhook_hosts_with_ports" {
  command = plan

  variables {
    webhook_hosts = ["hooks.example.com:8443"]
  }

  expect_failures = [var.webhook_hosts]
}

run "notification_emails_without_an_address" {
  command = plan

  variables {
    notification_emails = { "accounts" = {} }
  }

  expect_failures = [var.notification_emails]
}

run "notification_emails_by_an_unknown_filter" {
  command = plan

  variables {
    notification_emails = { "a@example.com" = { state = ["failed"] } }
  }

  expect_failures = [var.notification_emails]
}

run "notification_emails_by_an_empty_filter" {
  command = plan

  variables {
    notification_emails = { "a@example.com" = { tags = [] } }
  }

  expect_failures = [var.notification_emails]
}

run "notification_emails_by_an_unknown_status" {
  command = plan

  variables {
    notification_emails = { "a@example.com" = { status = ["queued"] } }
  }

  expect_failures = [var.notification_emails]
}

run "architecture_unknown" {
  command = plan

  variables {
    architecture = "riscv64"
    zips         = "./tests"
  }

  expect_failures = [var.architecture]
}

run "listener_memory_too_small" {
  command = plan

  variables {
    listener_memory_mb = 127
  }

  expect_failures = [var.listener_memory_mb]
}

run "listener_memory_too_large" {
  command = plan

  variables {
    listener_memory_mb = 10241
  }

  expect_failures = [var.listener_memory_mb]
}

run "listener_memory_not_whole" {
  command = plan

  variables {
    listener_memory_mb = 512.5
  }

  expect_failures = [var.listener_memory_mb]
}

run "listener_timeout_too_short" {
  command = plan

  variables {
    listener_timeout_seconds = 44
    stream_seconds           = 10
  }

  expect_failures = [var.listener_timeout_seconds]
}

run "listener_timeout_too_long" {
  command = plan

  variables {
    listener_timeout_seconds = 901
  }

  expect_failures = [var.listener_timeout_seconds]
}

run "listener_timeout_not_whole" {
  command = plan

  variables {
    listener_timeout_seconds = 60.5
  }

  expect_failures = [var.listener_timeout_seconds]
}

run "stream_of_no_time" {
  command = plan

  variables {
    stream_seconds = 0
  }

  expect_failures = [var.stream_seconds]
}

run "stream_not_whole" {
  command = plan

  variables {
    stream_seconds = 2.5
  }

  expect_failures = [var.stream_seconds]
}

run "listener_concurrency_of_one" {
  command = plan

  variables {
    listener_reserved_concurrency = 1
  }

  expect_failures = [var.listener_reserved_concurrency]
}

run "listener_concurrency_not_whole" {
  command = plan

  variables {
    listener_reserved_concurrency = 2.5
  }

  expect_failures = [var.listener_reserved_concurrency]
}

run "processor_memory_too_small" {
  command = plan

  variables {
    processor_memory_mb = 511
  }

  expect_failures = [var.processor_memory_mb]
}

run "processor_memory_too_large" {
  command = plan

  variables {
    processor_memory_mb = 10241
  }

  expect_failures = [var.processor_memory_mb]
}

run "processor_memory_not_whole" {
  command = plan

  variables {
    processor_memory_mb = 2048.5
  }

  expect_failures = [var.processor_memory_mb]
}

run "processor_timeout_too_short" {
  command = plan

  variables {
    processor_timeout_seconds = 29
  }

  expect_failures = [var.processor_timeout_seconds]
}

run "processor_timeout_too_long" {
  command = plan

  variables {
    processor_timeout_seconds = 901
  }

  expect_failures = [var.processor_timeout_seconds]
}

run "processor_timeout_not_whole" {
  command = plan

  variables {
    processor_timeout_seconds  = 60.5
    visibility_timeout_seconds = 363
  }

  expect_failures = [var.processor_timeout_seconds]
}

run "processor_storage_too_small" {
  command = plan

  variables {
    processor_storage_mb = 511
  }

  expect_failures = [var.processor_storage_mb]
}

run "processor_storage_too_large" {
  command = plan

  variables {
    processor_storage_mb = 10241
  }

  expect_failures = [var.processor_storage_mb]
}

run "processor_storage_not_whole" {
  command = plan

  variables {
    processor_storage_mb = 600.5
  }

  expect_failures = [var.processor_storage_mb]
}

run "concurrency_of_one" {
  command = plan

  variables {
    maximum_concurrency = 1
  }

  expect_failures = [var.maximum_concurrency]
}

run "concurrency_too_high" {
  command = plan

  variables {
    maximum_concurrency = 1001
  }

  expect_failures = [var.maximum_concurrency]
}

run "concurrency_not_whole" {
  command = plan

  variables {
    maximum_concurrency = 2.5
  }

  expect_failures = [var.maximum_concurrency]
}

run "deliveries_too_few" {
  command = plan

  variables {
    max_receive_count = 4
  }

  expect_failures = [var.max_receive_count]
}

run "deliveries_too_many" {
  command = plan

  variables {
    max_receive_count         = 1001
    processor_timeout_seconds = 30
  }

  expect_failures = [var.max_receive_count]
}

run "deliveries_not_whole" {
  command = plan

  variables {
    max_receive_count = 5.5
  }

  expect_failures = [var.max_receive_count]
}

run "time_limit_of_nothing" {
  command = plan

  variables {
    time_limit_seconds = 0
  }

  expect_failures = [var.time_limit_seconds]
}

run "memory_limit_too_small" {
  command = plan

  variables {
    memory_limit_mb = 63
  }

  expect_failures = [var.memory_limit_mb]
}

run "output_limit_of_nothing" {
  command = plan

  variables {
    output_limit_mb = 0
  }

  expect_failures = [var.output_limit_mb]
}

run "page_limit_of_nothing" {
  command = plan

  variables {
    page_limit = 0
  }

  expect_failures = [var.page_limit]
}

run "page_limit_not_whole" {
  command = plan

  variables {
    page_limit = 1.5
  }

  expect_failures = [var.page_limit]
}

run "data_limit_of_nothing" {
  command = plan

  variables {
    data_limit_mb = 0
  }

  expect_failures = [var.data_limit_mb]
}

run "data_limit_not_whole" {
  command = plan

  variables {
    data_limit_mb = 1.5
  }

  expect_failures = [var.data_limit_mb]
}

run "retention_of_no_day" {
  command = plan

  variables {
    retention_days = 0
  }

  expect_failures = [var.retention_days]
}

run "retention_too_long" {
  command = plan

  variables {
    retention_days = 3651
  }

  expect_failures = [var.retention_days]
}

run "retention_not_whole" {
  command = plan

  variables {
    retention_days = 1.5
  }

  expect_failures = [var.retention_days]
}

run "log_retention_that_cloudwatch_refuses" {
  command = plan

  variables {
    log_retention_days = 2
  }

  expect_failures = [var.log_retention_days]
}

run "log_level_in_upper_case" {
  command = plan

  variables {
    log_level = "INFO"
  }

  expect_failures = [var.log_level]
}

run "alarm_emails_without_an_address" {
  command = plan

  variables {
    alarm_emails = ["oncall"]
  }

  expect_failures = [var.alarm_emails]
}

run "alarm_failed_percent_of_nothing" {
  command = plan

  variables {
    alarm_failed_percent = 0
  }

  expect_failures = [var.alarm_failed_percent]
}

run "alarm_failed_percent_of_all" {
  command = plan

  variables {
    alarm_failed_percent = 100
  }

  expect_failures = [var.alarm_failed_percent]
}

run "runbooks_with_a_space" {
  command = plan

  variables {
    runbooks = "docs/run books"
  }

  expect_failures = [var.runbooks]
}

run "runbooks_with_a_slash_at_the_end" {
  command = plan

  variables {
    runbooks = "docs/runbooks/"
  }

  expect_failures = [var.runbooks]
}

run "runbooks_too_long" {
  command = plan

  variables {
    runbooks = "https://example.com/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  }

  expect_failures = [var.runbooks]
}

run "release_with_a_space" {
  command = plan

  variables {
    release = "v1 2"
  }

  expect_failures = [var.release]
}

run "section_rows_below_none" {
  command = plan

  variables {
    section_rows = -1
  }

  expect_failures = [var.section_rows]
}

run "section_rows_not_whole" {
  command = plan

  variables {
    section_rows = 1.5
  }

  expect_failures = [var.section_rows]
}
