"""Least privilege: what each function's role may not do, and that nothing is served over plain HTTP.

What the roles must be able to do is proved by the other tests, because the emulator enforces IAM on every call.
"""

import json
from urllib.parse import urlsplit

import pytest
import requests
from botocore.exceptions import ClientError

from emulated_aws import aws

FORBIDDEN = {
    "listener": [
        ("s3:PutObject", "{bucket}/reports/x.pdf"),
        ("s3:DeleteObject", "{bucket}/reports/x.pdf"),
        ("sqs:ReceiveMessage", "{queue}"),
        ("sqs:DeleteMessage", "{queue}"),
        ("sqs:SendMessage", "{dead_letters}"),
        ("sqs:SendMessage", "{webhooks}"),
        ("dynamodb:Scan", "{table}"),
        ("dynamodb:DeleteItem", "{table}"),
        ("dynamodb:Query", "{open_jobs}"),
        ("sns:Publish", "{topic}"),
        ("logs:PutLogEvents", "{processor_log}:log-stream:x"),
        ("iam:PassRole", "*"),
    ],
    "processor": [
        ("s3:PutObject", "{bucket}/inputs/x.json"),
        ("s3:GetObject", "{bucket}/reports/x.pdf"),
        ("s3:DeleteObject", "{bucket}/reports/x.pdf"),
        ("s3:DeleteObject", "{bucket}/uploads/x"),
        ("sqs:SendMessage", "{dead_letters}"),
        ("sqs:PurgeQueue", "{queue}"),
        ("sqs:ReceiveMessage", "{dead_letters}"),
        ("sqs:ReceiveMessage", "{webhooks}"),
        ("dynamodb:Scan", "{table}"),
        ("dynamodb:DeleteItem", "{table}"),
        ("dynamodb:Query", "{open_jobs}"),
        ("dynamodb:Query", "{jobs_by_month}"),
        ("sns:Subscribe", "{topic}"),
        ("logs:PutLogEvents", "{listener_log}:log-stream:x"),
        ("iam:PassRole", "*"),
    ],
    "sweeper": [
        ("sqs:DeleteMessage", "{dead_letters}"),
        ("sqs:SendMessage", "{dead_letters}"),
        ("sqs:SendMessage", "{queue}"),
        ("sqs:ReceiveMessage", "{queue}"),
        ("sqs:ChangeMessageVisibility", "{queue}"),
        ("dynamodb:Scan", "{table}"),
        ("dynamodb:PutItem", "{table}"),
        ("dynamodb:DeleteItem", "{table}"),
        ("dynamodb:Query", "{table}"),
        ("s3:GetObject", "{bucket}/inputs/x.json"),
        ("s3:GetObject", "{bucket}/reports/x.pdf"),
        ("s3:PutObject", "{bucket}/reports/x.pdf"),
        ("sns:Subscribe", "{topic}"),
        ("logs:PutLogEvents", "{processor_log}:log-stream:x"),
        ("iam:PassRole", "*"),
    ],
    "courier": [
        ("sqs:SendMessage", "{webhooks}"),
        ("sqs:PurgeQueue", "{webhooks}"),
        ("sqs:ReceiveMessage", "{queue}"),
        ("sqs:SendMessage", "{queue}"),
        ("dynamodb:Scan", "{table}"),
        ("dynamodb:PutItem", "{table}"),
        ("dynamodb:DeleteItem", "{table}"),
        ("dynamodb:Query", "{jobs_by_month}"),
        ("s3:GetObject", "{bucket}/inputs/x.json"),
        ("s3:GetObject", "{bucket}/reports/x.pdf"),
        ("s3:PutObject", "{bucket}/reports/x.pdf"),
        ("sns:Subscribe", "{topic}"),
        ("logs:PutLogEvents", "{processor_log}:log-stream:x"),
        ("iam:PassRole", "*"),
    ],
    "websocket": [
        ("execute-api:ManageConnections", "{other_api}"),
        ("sqs:ReceiveMessage", "{queue}"),
        ("dynamodb:Scan", "{followers}"),
        ("dynamodb:Scan", "{table}"),
        ("dynamodb:DeleteItem", "{table}"),
        ("dynamodb:Query", "{jobs_by_month}"),
        ("s3:GetObject", "{bucket}/reports/x.pdf"),
        ("s3:GetObject", "{bucket}/inputs/x.json"),
        ("s3:PutObject", "{bucket}/reports/x.pdf"),
        ("sns:Publish", "{topic}"),
        ("logs:PutLogEvents", "{listener_log}:log-stream:x"),
        ("iam:PassRole", "*"),
    ],
}
ALLOWED = {
    "listener": [
        ("sqs:SendMessage", "{queue}"),
        ("s3:GetObject", "{bucket}/reports/x.pdf"),
        ("s3:GetObject", "{bucket}/inputs/x.json"),
        ("dynamodb:Query", "{jobs_by_month}"),
        ("dynamodb:Query", "{jobs_by_caller}"),
    ],
    "processor": [
        ("sns:Publish", "{topic}"),
        ("s3:PutObject", "{bucket}/reports/x.pdf"),
        ("sqs:SendMessage", "{webhooks}"),
    ],
    "courier": [
        ("sqs:ReceiveMessage", "{webhooks}"),
        ("sqs:ChangeMessageVisibility", "{webhooks}"),
        ("dynamodb:GetItem", "{table}"),
        ("dynamodb:UpdateItem", "{table}"),
        ("sns:Publish", "{topic}"),
        ("logs:PutLogEvents", "{courier_log}:log-stream:x"),
    ],
    "websocket": [
        ("execute-api:ManageConnections", "{api}"),
        ("sqs:SendMessage", "{queue}"),
        ("dynamodb:Query", "{followers}"),
        ("dynamodb:DeleteItem", "{followers}"),
        ("dynamodb:GetRecords", "{stream}"),
    ],
    "sweeper": [
        ("sqs:ReceiveMessage", "{dead_letters}"),
        ("sqs:ChangeMessageVisibility", "{dead_letters}"),
        ("dynamodb:GetItem", "{table}"),
        ("dynamodb:UpdateItem", "{table}"),
        ("dynamodb:Query", "{open_jobs}"),
        ("sns:Publish", "{topic}"),
        ("sqs:SendMessage", "{webhooks}"),
        ("logs:PutLogEvents", "{sweeper_log}:log-stream:x"),
    ],
}


@pytest.fixture(scope="module")
def arns(deployment) -> dict[str, str]:
    outputs = deployment.outputs
    account = aws("sts").get_caller_identity()["Account"]
    region = outputs["topic_arn"].split(":")[3]

    def arn(service: str, resource: str) -> str:
        return f"arn:aws:{service}:{region}:{account}:{resource}"

    return {
        "bucket": f"arn:aws:s3:::{outputs['bucket']}",
        "queue": arn("sqs", outputs["queue_url"].rpartition("/")[2]),
        "webhooks": arn("sqs", outputs["webhook_queue_url"].rpartition("/")[2]),
        "dead_letters": arn("sqs", outputs["dead_letter_queue_url"].rpartition("/")[2]),
        "table": arn("dynamodb", f"table/{outputs['table']}"),
        "open_jobs": arn("dynamodb", f"table/{outputs['table']}/index/open-jobs"),
        "jobs_by_caller": arn("dynamodb", f"table/{outputs['table']}/index/jobs-by-caller"),
        "jobs_by_month": arn("dynamodb", f"table/{outputs['table']}/index/jobs-by-month"),
        "stream": aws("dynamodb").describe_table(TableName=outputs["table"])["Table"]["LatestStreamArn"],
        "followers": arn("dynamodb", "table/pressrun-e2e-followers"),
        "api": arn("execute-api", f"{urlsplit(outputs['websocket_url']).netloc.split('.')[0]}/live/POST/@connections/x"),
        "other_api": arn("execute-api", "0000000000/live/POST/@connections/x"),
        "topic": outputs["topic_arn"],
        "listener_log": arn("logs", f"log-group:{outputs['log_groups']['listener']}"),
        "processor_log": arn("logs", f"log-group:{outputs['log_groups']['processor']}"),
        "sweeper_log": arn("logs", f"log-group:{outputs['log_groups']['sweeper']}"),
        "courier_log": arn("logs", f"log-group:{outputs['log_groups']['courier']}"),
    }


def decision(role: str, action: str, resource: str) -> str:
    role_arn = aws("iam").get_role(RoleName=f"pressrun-e2e-{role}")["Role"]["Arn"]
    answer = aws("iam").simulate_principal_policy(
        PolicySourceArn=role_arn, ActionNames=[action], ResourceArns=[resource]
    )
    return answer["EvaluationResults"][0]["EvalDecision"]


@pytest.mark.parametrize("role", FORBIDDEN)
def test_a_role_may_not_do_more_than_its_function_does(arns, role):
    # The simulation must be able to say yes, or its no would mean nothing.
    for action, resource in ALLOWED[role]:
        assert decision(role, action, resource.format(**arns)) == "allowed", (action, resource)
    for action, resource in FORBIDDEN[role]:
        assert decision(role, action, resource.format(**arns)) == "implicitDeny", (action, resource)


def test_only_its_rule_may_start_the_sweeper(deployment):
    policy = json.loads(aws("lambda").get_policy(FunctionName=deployment.outputs["sweeper_function"], Qualifier="live")["Policy"])
    (statement,) = policy["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    rule = aws("events").describe_rule(Name="pressrun-e2e-sweep")
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": rule["Arn"]}}
    assert (rule["State"], rule["ScheduleExpression"]) == ("ENABLED", "rate(1 minute)")


def test_only_the_websocket_api_may_call_its_function(deployment):
    policy = json.loads(aws("lambda").get_policy(FunctionName="pressrun-e2e-websocket", Qualifier="live")["Policy"])
    (statement,) = policy["Statement"]
    assert statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
    api = urlsplit(deployment.outputs["websocket_url"]).netloc.split(".")[0]
    assert statement["Condition"]["ArnLike"]["AWS:SourceArn"].endswith(f":{api}/live/*")


def test_plain_http_is_refused_by_queues_and_bucket(deployment):
    # The emulator speaks HTTPS only, and takes this header's word for how a request reached it.
    def claim_plain_http(request, **_):
        request.headers["X-Forwarded-Proto"] = "http"

    sqs = aws("sqs")
    sqs.meta.events.register("before-send.sqs", claim_plain_http)
    for queue in ("queue_url", "dead_letter_queue_url", "webhook_queue_url"):
        with pytest.raises(ClientError, match="AccessDenied"):
            sqs.get_queue_attributes(QueueUrl=deployment.outputs[queue], AttributeNames=["QueueArn"])

    job = deployment.queue("probe", {"divisor": 8})
    assert deployment.ended(job)["status"] == "completed"
    signed = deployment.call("GET", job["report_url"]).headers["Location"]
    assert requests.get(signed, timeout=30).status_code == 200
    assert requests.get(signed, headers={"X-Forwarded-Proto": "http"}, timeout=30).status_code == 403


def test_the_bucket_is_private(deployment):
    s3 = aws("s3")
    bucket = deployment.outputs["bucket"]
    assert set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


def test_the_function_url_has_both_permissions(deployment):
    policy = aws("lambda").get_policy(FunctionName=deployment.outputs["listener_function"], Qualifier="live")["Policy"]
    for action in ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction"):
        assert f'"{action}"' in policy
