# What is well by itself and bad together is refused, up to the very edge. A run breaks one rule.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  zips = "./tests/zips"
}

run "zips_of_another_architecture" {
  command = plan

  variables {
    architecture = "arm64"
  }

  expect_failures = [var.architecture]
}

run "stream_that_outlives_its_request" {
  command = plan

  variables {
    stream_seconds = 31
  }

  expect_failures = [var.stream_seconds]
}

run "too_little_processor_for_its_time" {
  command = plan

  variables {
    processor_memory_mb       = 512
    processor_timeout_seconds = 103
  }

  expect_failures = [var.processor_memory_mb]
}

run "visibility_below_six_timeouts" {
  command = plan

  variables {
    visibility_timeout_seconds = 1799
  }

  expect_failures = [var.visibility_timeout_seconds]
}

run "visibility_that_a_longer_timeout_outgrew" {
  command = plan

  variables {
    visibility_timeout_seconds = 1800
    processor_timeout_seconds  = 301
  }

  expect_failures = [var.visibility_timeout_seconds]
}

run "visibility_longer_than_sqs_allows" {
  command = plan

  variables {
    visibility_timeout_seconds = 43201
  }

  expect_failures = [var.visibility_timeout_seconds]
}

run "visibility_not_whole" {
  command = plan

  variables {
    visibility_timeout_seconds = 1800.5
  }

  expect_failures = [var.visibility_timeout_seconds]
}

run "storage_too_small_for_the_report" {
  command = plan

  variables {
    output_limit_mb = 385
  }

  expect_failures = [var.processor_storage_mb]
}

run "storage_too_small_for_the_data" {
  command = plan

  variables {
    data_limit_mb = 129
  }

  expect_failures = [var.processor_storage_mb]
}

run "concurrency_beyond_what_is_reserved" {
  command = plan

  variables {
    processor_reserved_concurrency = 9
  }

  expect_failures = [var.processor_reserved_concurrency]
}

run "deliveries_that_outlive_the_queue" {
  command = plan

  variables {
    max_receive_count         = 65
    processor_timeout_seconds = 900
  }

  expect_failures = [var.max_receive_count]
}

run "deliveries_that_outlive_a_short_retention" {
  command = plan

  variables {
    max_receive_count         = 17
    processor_timeout_seconds = 900
    retention_days            = 1
  }

  expect_failures = [var.max_receive_count]
}

run "deliveries_that_outlive_the_queue_by_its_visibility" {
  command = plan

  variables {
    max_receive_count          = 9
    visibility_timeout_seconds = 43200
  }

  expect_failures = [var.max_receive_count]
}

run "time_limit_after_the_deadline" {
  command = plan

  variables {
    time_limit_seconds = 291
  }

  expect_failures = [var.time_limit_seconds]
}

run "memory_limit_beyond_the_memory" {
  command = plan

  variables {
    memory_limit_mb = 1857
  }

  expect_failures = [var.memory_limit_mb]
}

run "data_that_does_not_fit_into_memory" {
  command = plan

  variables {
    data_limit_mb        = 513
    processor_storage_mb = 2048
  }

  expect_failures = [var.data_limit_mb]
}

run "alarm_for_every_long_run" {
  command = plan

  variables {
    alarm_queue_age_seconds = 300
  }

  expect_failures = [var.alarm_queue_age_seconds]
}

run "alarm_for_an_age_that_no_message_reaches" {
  command = plan

  variables {
    alarm_queue_age_seconds = 345600
  }

  expect_failures = [var.alarm_queue_age_seconds]
}

run "no_zip_of_the_listener_or_the_courier" {
  command = plan

  variables {
    zips = "./tests/mocks"
  }

  expect_failures = [aws_lambda_function.courier, aws_lambda_function.listener]
}

run "no_zip_of_the_processor_or_the_sweeper" {
  command = plan

  variables {
    zips         = "./tests/zips-of-the-listener"
    architecture = "arm64"
  }

  expect_failures = [aws_lambda_function.courier, aws_lambda_function.processor, aws_lambda_function.sweeper]
}

# --- The other side of each edge is let through -------------------------------------------------------------------

run "smallest_system" {
  command = plan

  variables {
    name                      = "pr"
    listener_memory_mb        = 128
    listener_timeout_seconds  = 45
    stream_seconds            = 15
    processor_memory_mb       = 512
    processor_timeout_seconds = 104
    maximum_concurrency       = 2
    max_receive_count         = 5
    time_limit_seconds        = 94
    memory_limit_mb           = 320
    retention_days            = 1
    alarm_queue_age_seconds   = 105
    alarm_failed_percent      = 1
  }
}

run "largest_system" {
  command = plan

  variables {
    name                           = "pressrun-twenty-char"
    region                         = "us-gov-west-1"
    listener_memory_mb             = 10240
    listener_timeout_seconds       = 900
    stream_seconds                 = 870
    listener_reserved_concurrency  = 2
    processor_memory_mb            = 10240
    processor_timeout_seconds      = 900
    processor_storage_mb           = 10240
    maximum_concurrency            = 1000
    processor_reserved_concurrency = 1000
    max_receive_count              = 64
    time_limit_seconds             = 890
    memory_limit_mb                = 10048
    output_limit_mb                = 5120
    data_limit_mb                  = 2560
    retention_days                 = 3650
    alarm_queue_age_seconds        = 345599
    alarm_failed_percent           = 99
  }
}

run "slowest_redelivery" {
  command = plan

  variables {
    visibility_timeout_seconds = 43200
    max_receive_count          = 8
  }
}
