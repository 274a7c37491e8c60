# The two roles that .github/workflows/release.yml takes on by OIDC, so that no key of AWS is kept at GitHub.
#
# Apply it once, by hand, in the account to deploy to. docs/releases.md says where its outputs go.

variable "repository" {
  description = "Repository on GitHub that may take the roles on, as owner/name."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.repository))
    error_message = "repository must be like owner/name."
  }
}

variable "name" {
  description = "The deployment's `name`: what the role that deploys may make roles of."
  type        = string
  default     = "pressrun"
}

variable "state_bucket" {
  description = "S3 bucket that holds Terraform's state."
  type        = string
}

locals {
  issuer = "token.actions.githubusercontent.com"

  # Pull requests may look; only the environment `production`, which GitHub can guard by reviewers and tags, may change.
  subjects = {
    plan   = "repo:${var.repository}:pull_request"
    deploy = "repo:${var.repository}:environment:production"
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

resource "aws_iam_openid_connect_provider" "github" {
  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

data "aws_iam_policy_document" "assume" {
  for_each = local.subjects

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [aws_iam_openid_connect_provider.github.arn]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:sub"
      values   = [each.value]
    }
  }
}

resource "aws_iam_role" "github" {
  for_each = local.subjects

  name               = "${var.name}-github-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.assume[each.key].json
}

# What a plan reads. It includes the state, and with it the secrets: let only those open pull requests who may see them.
resource "aws_iam_role_policy_attachment" "plan" {
  role       = aws_iam_role.github["plan"].name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/ReadOnlyAccess"
}

# All services, but of IAM only this deployment's roles.
resource "aws_iam_role_policy_attachment" "deploy" {
  role       = aws_iam_role.github["deploy"].name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/PowerUserAccess"
}

data "aws_iam_policy_document" "deploy_roles" {
  statement {
    actions = [
      "iam:CreateRole", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:GetRole", "iam:GetRolePolicy",
      "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies", "iam:PassRole",
      "iam:PutRolePolicy", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
    ]
    resources = [
      for function in ["listener", "processor", "sweeper", "courier", "websocket"] :
      "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:role/${var.name}-${function}"
    ]
  }
}

resource "aws_iam_role_policy" "deploy_roles" {
  name   = "roles-of-the-functions"
  role   = aws_iam_role.github["deploy"].id
  policy = data.aws_iam_policy_document.deploy_roles.json
}

data "aws_iam_policy_document" "state" {
  statement {
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.state_bucket}/pressrun/*"]
  }
}

resource "aws_iam_role_policy" "state" {
  name   = "state"
  role   = aws_iam_role.github["deploy"].id
  policy = data.aws_iam_policy_document.state.json
}

output "roles" {
  description = "ARNs of the roles, for the variables AWS_PLAN_ROLE and AWS_DEPLOY_ROLE."
  value       = { for name, role in aws_iam_role.github : name => role.arn }
}
