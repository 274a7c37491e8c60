# Which version of each function is in use: the alias `live` names it, and whatever calls a function calls the alias.
#
# Every apply that changes a function publishes a version of it, with its settings, which stays. `make rollback` sets the
# aliases back to those of an earlier release; the next `make tf` or `make deploy` sets them to the newest again.

locals {
  live = "live"
}

resource "aws_lambda_alias" "listener" {
  name             = local.live
  description      = "In use"
  function_name    = aws_lambda_function.listener.function_name
  function_version = aws_lambda_function.listener.version
}

resource "aws_lambda_alias" "processor" {
  name             = local.live
  description      = "In use"
  function_name    = aws_lambda_function.processor.function_name
  function_version = aws_lambda_function.processor.version
}

resource "aws_lambda_alias" "sweeper" {
  name             = local.live
  description      = "In use"
  function_name    = aws_lambda_function.sweeper.function_name
  function_version = aws_lambda_function.sweeper.version
}

resource "aws_lambda_alias" "courier" {
  name             = local.live
  description      = "In use"
  function_name    = aws_lambda_function.courier.function_name
  function_version = aws_lambda_function.courier.version
}

resource "aws_lambda_alias" "websocket" {
  count = var.websocket ? 1 : 0

  name             = local.live
  description      = "In use"
  function_name    = aws_lambda_function.websocket[0].function_name
  function_version = aws_lambda_function.websocket[0].version
}
