"""A deployment of the real Terraform files and the real zips on the emulator, and what a caller does with it."""

import json
import os
import shutil
import signal
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import boto3
import requests
from websockets.sync.client import ClientConnection, connect

from polling import wait_for

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
FUNCTIONS = ("listener", "processor", "sweeper", "courier")

# The caller `crm` is about to change from one to the other.
CRM_TOKENS = ["crm-token-of-an-end-to-end-test-old", "crm-token-of-an-end-to-end-test-new"]
BILLING_TOKEN = "billing-token-of-an-end-to-end-test"

# More than all tests together need of either.
QUOTA_REQUESTS, QUOTA_JOBS = 100_000, 1_000

# Prints a quotient: data without a sensible divisor passes its schema and then breaks the template, on line 3. A
# thousand `rounds` take about half a second.
PROBE = {
    "main.typ": """#let data = json("/data.json")
#set document(title: "Probe")
Quotient: #(100 / data.divisor)
#for _ in range(data.at("rounds", default: 0)) { for _ in range(1000) { let _ = calc.sqrt(2) } }
""",
    "schema.json": json.dumps({"type": "object", "required": ["divisor"], "properties": {"divisor": {"type": "number"}}}),
    "sample.json": json.dumps({"divisor": 8}),
}


# The emulator has API Gateway's addresses below its own: no name leads to the ones that AWS would give.
CONNECTIONS_ON_THE_EMULATOR = """locals {
  connections_url = "%s/_aws/execute-api/${join("", aws_apigatewayv2_api.websocket[*].id)}/${local.websocket_stage}"
}
"""


class Deployment:
    """One applied copy of the root module. All of its addresses are on the emulator."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder = folder
        self.endpoint = endpoint
        self.outputs: dict = {}

    def apply(self) -> None:
        """Copies the module and the zips, adds the probe template, and applies."""
        for file in ROOT.glob("*.tf"):
            shutil.copy(file, self.folder)
        (self.folder / "dist").mkdir()
        for name in FUNCTIONS:
            shutil.copy(DIST / f"{name}.zip", self.folder / "dist")
        for name in ("listener", "processor"):
            with zipfile.ZipFile(self.zip_of(name), "a") as archive:
                for file, text in PROBE.items():
                    archive.writestr(f"templates/probe/{file}", text)
        (self.folder / "terraform.tfvars").write_text(
            'name = "pressrun-e2e"\nprocessor_timeout_seconds = 60\nforce_destroy = true\nwebsocket = true\n'
            f"tokens = {json.dumps({'crm': CRM_TOKENS, 'billing': [BILLING_TOKEN]})}\n"
            f"quota_requests_per_minute = {QUOTA_REQUESTS}\nquota_jobs_in_flight = {QUOTA_JOBS}\n"
            'notification_emails = { "accounts@example.com" = {}, "support@example.com" = { status = ["failed"] } }\n'
        )
        (self.folder / "emulator_override.tf").write_text(CONNECTIONS_ON_THE_EMULATOR % self.endpoint)
        self.terraform("init", "-input=false")
        self.terraform("apply", "-input=false", "-auto-approve")
        answer = self.terraform("output", "-json")
        self.outputs = {name: output["value"] for name, output in json.loads(answer.stdout).items()}

    def zip_of(self, function: str) -> Path:
        """The zip that Terraform deploys."""
        return self.folder / "dist" / f"{function}.zip"

    def terraform(self, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess:
        command = ["terraform", *arguments] + ([] if "-json" in arguments else ["-no-color"])
        answer = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        assert answer.returncode == expect, f"{' '.join(command)}\n{answer.stdout}\n{answer.stderr}"
        return answer

    @property
    def url(self) -> str:
        return self.outputs["listener_url"]

    def call(self, method: str, url: str, *, token: str | None = "", **options) -> requests.Response:
        """Calls the function URL, or an address it gave, on the emulator. An empty token means the right one."""
        if url.startswith("/"):
            url = self.url + url
        token = self.outputs["api_token"] if token == "" else token
        parts = urlsplit(url)
        headers = dict(options.pop("headers", {}))
        if parts.netloc == urlsplit(self.url).netloc:
            headers["Host"] = parts.netloc
            url = urlunsplit(urlsplit(self.endpoint)[:2] + parts[2:])
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return requests.request(method, url, headers=headers, allow_redirects=False, timeout=60, **options)

    def queue(self, template: str, data: dict, **more) -> dict:
        """Queues a report and returns the answer's body."""
        answer = self.call("POST", "/append_queue", json={"template": template, "data": data, **more})
        assert answer.status_code == 202, answer.text
        return answer.json()

    def job(self, job: dict) -> dict:
        """The job's record."""
        answer = self.call("GET", job["status_url"])
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ended(self, job: dict, within: float = 90, status: tuple[str, ...] = ("completed", "failed")) -> dict:
        """The job's record once it is completed or failed."""

        def record() -> dict | None:
            record = self.job(job)
            return record if record["status"] in status else None

        return wait_for(record, f"job {job['id']} to be {' or '.join(status)}", within)

    def download(self, link: str, token: str | None = None) -> bytes:
        """Follows a redirect to the signed object URL and returns the report."""
        redirect = self.call("GET", link, token=token)
        assert redirect.status_code == 302, redirect.text
        signed = redirect.headers["Location"]
        assert "X-Amz-Signature=" in signed and signed.startswith(self.endpoint), signed
        report = requests.get(signed, timeout=60)
        assert report.status_code == 200, report.text
        assert report.headers["Content-Type"] == "application/pdf"
        return report.content

    def socket(self, token: str | None = "") -> ClientConnection:
        """A connection to the WebSocket API. An empty token means the right one."""
        parts = urlsplit(self.outputs["websocket_url"])
        token = self.outputs["api_token"] if token == "" else token
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        address = f"wss://{urlsplit(self.endpoint).netloc}/_aws/execute-api/{parts.netloc.split('.')[0]}{parts.path}"
        return connect(address, additional_headers=headers, open_timeout=60)

    def depth(self, queue_url: str) -> int:
        """Messages in a queue, those in flight included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = aws("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    def jobs_on_record(self) -> int:
        """Items of jobs. The table also holds the idempotency keys that callers sent, and what callers use."""
        pages = aws("dynamodb").get_paginator("scan").paginate(
            TableName=self.outputs["table"], Select="COUNT", ConsistentRead=True,
            FilterExpression="NOT contains(id, :mark)", ExpressionAttributeValues={":mark": {"S": "#"}},
        )
        return sum(page["Count"] for page in pages)

    def kill(self, function: str) -> int:
        """Ends every process of a function, as the loss of its machine would. Returns how many there were."""
        marks = {
            f"AWS_LAMBDA_FUNCTION_NAME={self.outputs[f'{function}_function']}".encode(),
            f"AWS_ENDPOINT_URL={self.endpoint}".encode(),
        }
        killed = 0
        for environment in Path("/proc").glob("[0-9]*/environ"):
            try:
                if marks <= set(environment.read_bytes().split(b"\0")):
                    os.kill(int(environment.parent.name), signal.SIGKILL)
                    killed += 1
            except OSError:
                pass  # It ended meanwhile, or is somebody else's.
        return killed

    @contextmanager
    def code(self, function: str, archive: bytes) -> Iterator[None]:
        """Runs a function from another zip for a while, and its own afterwards."""
        self.deploy(function, archive)
        try:
            yield
        finally:
            self.deploy(function, self.zip_of(function).read_bytes())

    def deploy(self, function: str, archive: bytes) -> None:
        name = self.outputs[f"{function}_function"]
        aws("lambda").update_function_code(FunctionName=name, ZipFile=archive)
        self.publish(function)

    @contextmanager
    def timeout(self, function: str, seconds: int) -> Iterator[None]:
        """Gives a function another timeout for a while."""
        name = self.outputs[f"{function}_function"]
        usual = aws("lambda").get_function_configuration(FunctionName=name)["Timeout"]
        aws("lambda").update_function_configuration(FunctionName=name, Timeout=seconds)
        self.publish(function)
        try:
            yield
        finally:
            aws("lambda").update_function_configuration(FunctionName=name, Timeout=usual)
            self.publish(function)

    def publish(self, function: str) -> None:
        """Puts what was last changed of a function into use."""
        name = self.outputs[f"{function}_function"]
        aws("lambda").get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        version = aws("lambda").publish_version(FunctionName=name)["Version"]
        aws("lambda").update_alias(FunctionName=name, Name="live", FunctionVersion=version)

    @contextmanager
    def visibility_timeout(self, seconds: int) -> Iterator[None]:
        """Delivers a message that was not acknowledged again after `seconds`, for a while."""
        sqs, queue, name = aws("sqs"), self.outputs["queue_url"], "VisibilityTimeout"
        before = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"]
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={name: str(seconds)})
        try:
            yield
        finally:
            sqs.set_queue_attributes(QueueUrl=queue, Attributes=before)


class Inbox:
    """A queue subscribed to the topic: every announcement, kept by its job's id."""

    def __init__(self, topic_arn: str, name: str = "pressrun-e2e-inbox", filter_policy: dict | None = None) -> None:
        self.announcements: dict[str, list[dict]] = {}
        sqs = aws("sqs")
        self.url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allow_topic = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
        }
        policy = {"Version": "2012-10-17", "Statement": [allow_topic]}
        sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": json.dumps(policy)})
        attributes = {"FilterPolicy": json.dumps(filter_policy)} if filter_policy else {}
        aws("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn, Attributes=attributes)

    def of(self, job: dict) -> dict:
        """The first announcement of the job, as SNS delivers it."""
        return wait_for(lambda: self.all_of(job), f"the announcement of job {job['id']}", within=30)[0]

    def all_of(self, job: dict) -> list[dict]:
        """Every announcement of the job so far, in their order."""
        sqs = aws("sqs")
        while messages := sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                announcement = json.loads(message["Body"])
                job_id = announcement["MessageAttributes"]["job_id"]["Value"]
                self.announcements.setdefault(job_id, []).append(announcement)
                sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return self.announcements.get(job["id"], [])


def aws(service: str, region: str | None = None):
    """A client of the emulator; refuses to speak to anything else."""
    return boto3.client(service, endpoint_url=emulator(), region_name=region)


def emulator() -> str:
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    if not endpoint.startswith("https://127.0.0.1:"):
        raise RuntimeError("These tests run on an emulator only: e2e/with-emulator … pytest e2e, or `make e2e`.")
    return endpoint
