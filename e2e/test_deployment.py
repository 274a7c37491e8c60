"""The whole path on AWS: function URL, queue, processor, bucket and topic, applied by Terraform to an emulator."""

import json
import re
from datetime import datetime, timezone
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

import pytest

import pdf
from emulated_aws import aws
from polling import wait_for


def test_a_request_becomes_a_report(deployment, inbox, invoice, tmp_path):
    before = datetime.now(timezone.utc)
    answer = deployment.call("POST", "/append_queue", json={"template": "invoice", "data": invoice})

    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert UUID(job["id"]).version == 7
    assert job["status"] == "queued" and job["template"] == "invoice"
    assert job["enqueued_at"].endswith("Z")
    assert abs((datetime.fromisoformat(job["enqueued_at"]) - before).total_seconds()) < 30
    assert job["status_url"] == f"{deployment.url}/jobs/{job['id']}" == answer.headers["Location"]
    assert job["report_url"] == f"{job['status_url']}/report"
    assert int(answer.headers["Retry-After"]) >= 1

    ended = deployment.ended(job)
    assert ended["status"] == "completed", ended
    assert ended["attempts"] == 1
    assert job["enqueued_at"] <= ended["started_at"] <= ended["finished_at"]

    announcement = inbox.of(job)
    assert announcement["Subject"] == "Report ready: invoice"
    assert f"Job       {job['id']}" in announcement["Message"]
    attributes = {name: value["Value"] for name, value in announcement["MessageAttributes"].items()}
    assert attributes == {"job_id": job["id"], "template": "invoice", "status": "completed"}

    report = tmp_path / "report.pdf"
    report.write_bytes(deployment.download(link_in(announcement), token=None))
    assert report.stat().st_size == ended["bytes"]
    pdf.check(report)
    text = pdf.text(report)
    for expected in (invoice["number"], invoice["buyer"]["name"], amount_due(invoice)):
        assert expected in text, f"{expected!r} is not in\n{text}"

    assert deployment.download(job["report_url"], token="") == report.read_bytes()
    assert len(inbox.all_of(job)) == 1


def link_in(announcement: dict) -> str:
    """The link, which stands on a line of its own below `Download`."""
    return re.search(r"^Download:?\n(\S+)$", announcement["Message"], re.MULTILINE).group(1)


def amount_due(invoice: dict) -> str:
    """The invoice's last line, reckoned from its lines: cents are rounded on each line and on the tax of each rate."""
    cent = Decimal("0.01")
    net: dict[Decimal, Decimal] = {}
    for line in invoice["lines"]:
        price = Decimal(str(line["quantity"])) * Decimal(line["unit_price"])
        price *= 1 - Decimal(str(line.get("discount_percent", 0))) / 100
        rate = Decimal(str(line["tax_rate"]))
        net[rate] = net.get(rate, Decimal()) + price.quantize(cent, ROUND_HALF_UP)
    tax = sum((amount * rate / 100).quantize(cent, ROUND_HALF_UP) for rate, amount in net.items())
    return f"{sum(net.values()) + tax - Decimal(invoice.get('amount_paid', '0')):,}"


def test_a_link_that_was_altered_is_refused(deployment, inbox):
    job = deployment.queue("probe", {"divisor": 8})
    link = link_in(inbox.of(job))

    for altered in (link[:-4] + "AAAA", re.sub(r"expires=(\d+)", r"expires=9\1", link), link.split("?")[0]):
        answer = deployment.call("GET", altered, token=None)
        assert answer.status_code == 403, altered
        assert answer.json()["type"] == "urn:pressrun:problem:link-refused"


def test_a_caller_without_the_token_is_refused(deployment, invoice):
    before = deployment.jobs_on_record()
    body = {"template": "invoice", "data": invoice}
    token = deployment.outputs["api_token"]

    for authorization in (None, "Bearer wrong", f"Bearer {token}x", f"Bearer {token[:-1]}", f"Basic {token}", "Bearer"):
        headers = {"Authorization": authorization} if authorization else {}
        answer = deployment.call("POST", "/append_queue", token=None, headers=headers, json=body)
        assert answer.status_code == 401, authorization
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.headers["Content-Type"] == "application/problem+json"

    job = deployment.queue("invoice", invoice)
    for url in (job["status_url"], job["report_url"], "/templates", "/templates/invoice"):
        assert deployment.call("GET", url, token=None).status_code == 401, url
    assert deployment.call("GET", "/healthz", token=None).status_code == 200
    assert deployment.jobs_on_record() == before + 1
    deployment.ended(job)


def test_bad_data_is_refused_before_it_is_queued(deployment, invoice):
    queue = deployment.outputs["queue_url"]
    wait_for(lambda: deployment.depth(queue) == 0, "the queue to be empty", within=30)
    before = deployment.jobs_on_record()
    del invoice["currency"]
    invoice["lines"][1]["quantity"] = "four"
    answer = deployment.call("POST", "/append_queue", json={"template": "invoice", "data": invoice})

    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:pressrun:problem:invalid-data"
    assert {error["pointer"] for error in problem["errors"]} == {"/data", "/data/lines/1/quantity"}
    assert deployment.jobs_on_record() == before
    assert deployment.depth(queue) == 0


def test_an_unknown_template_is_not_found(deployment):
    before = deployment.jobs_on_record()
    answer = deployment.call("POST", "/append_queue", json={"template": "no-such", "data": {}})

    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:pressrun:problem:unknown-template"
    assert "invoice" in answer.json()["detail"]
    assert deployment.jobs_on_record() == before


def test_the_templates_of_the_zip_are_listed_with_schema_and_sample(deployment, invoice):
    assert {"invoice", "letter", "statement"} <= set(deployment.call("GET", "/templates").json()["templates"])
    assert deployment.call("GET", "/templates/invoice").json()["sample"] == invoice


def test_a_payload_of_one_megabyte_goes_by_reference(deployment, inbox, tmp_path):
    job = deployment.queue("probe", {"divisor": 8, "padding": "x" * 1_000_000})

    assert deployment.ended(job)["status"] == "completed"
    parked = aws("s3").head_object(Bucket=deployment.outputs["bucket"], Key=f"inputs/{job['id']}.json")
    assert parked["ContentLength"] > 1_000_000
    report = tmp_path / "report.pdf"
    report.write_bytes(deployment.download(link_in(inbox.of(job))))
    pdf.check(report)
    assert "Quotient: 12.5" in pdf.text(report)


def test_a_template_error_ends_failed_with_its_place_and_is_announced(deployment, inbox):
    job = deployment.queue("probe", {"divisor": 0}, notify={"subject": "Month end"})

    ended = deployment.ended(job)
    assert ended["status"] == "failed" and "report_url" not in ended
    assert ended["error"]["type"] == "urn:pressrun:problem:template-error"
    place = ended["error"]["diagnostics"][0]
    assert (place["file"], place["line"]) == ("main.typ", 3)
    assert f"main.typ:3:{place['column']}" in place["rendered"]

    announcement = inbox.of(job)
    assert announcement["Subject"] == "Failed: Month end"
    assert f"main.typ:3:{place['column']}" in announcement["Message"] and job["id"] in announcement["Message"]
    assert announcement["MessageAttributes"]["status"]["Value"] == "failed"

    report = deployment.call("GET", job["report_url"])
    assert report.status_code == 409 and report.json()["type"] == "urn:pressrun:problem:job-failed"


def test_a_message_that_is_not_ours_is_set_aside_and_stops_nobody(deployment, inbox):
    dead_letters = deployment.outputs["dead_letter_queue_url"]
    strangers = ["hello", '{"version":1,"id":"x"}', '{"Records":[]}']
    for body in strangers:
        aws("sqs").send_message(QueueUrl=deployment.outputs["queue_url"], MessageBody=body)

    job = deployment.queue("probe", {"divisor": 4})
    assert deployment.ended(job)["status"] == "completed"

    # One at a time and for good: a sweep may hold some of them for a moment.
    found = [wait_for(lambda: taken(dead_letters), "a dead letter", within=120) for _ in strangers]
    assert sorted(found) == sorted(strangers)
    assert deployment.depth(dead_letters) == 0
    wait_for(lambda: deployment.depth(deployment.outputs["queue_url"]) == 0, "the queue to be empty", within=30)


def taken(queue: str) -> str | None:
    """The body of one of a queue's messages, which is then gone."""
    messages = aws("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=1).get("Messages")
    if not messages:
        return None
    aws("sqs").delete_message(QueueUrl=queue, ReceiptHandle=messages[0]["ReceiptHandle"])
    return messages[0]["Body"]


def test_a_report_that_has_expired_is_gone(deployment):
    job = deployment.queue("probe", {"divisor": 2})
    assert deployment.ended(job)["status"] == "completed"
    aws("s3").delete_object(Bucket=deployment.outputs["bucket"], Key=f"reports/{job['id']}.pdf")

    answer = deployment.call("GET", job["report_url"])
    assert answer.status_code == 410 and answer.json()["type"] == "urn:pressrun:problem:report-expired"


def test_a_job_record_expires_with_its_report(deployment):
    job = deployment.queue("probe", {"divisor": 2})
    deployment.ended(job)
    item = aws("dynamodb").get_item(TableName=deployment.outputs["table"], Key={"id": {"S": job["id"]}})["Item"]

    enqueued = datetime.fromisoformat(job["enqueued_at"]).timestamp()
    assert float(item["expires_at"]["N"]) == pytest.approx(enqueued + 30 * 24 * 3600, abs=60)


def test_a_second_apply_changes_nothing(deployment):
    deployment.terraform("plan", "-input=false", "-out=again")
    changes = json.loads(deployment.terraform("show", "-json", "again").stdout)["resource_changes"]
    # The emulator forgets most of an alarm that the provider asks it for, so that each looks changed there.
    changed = {it["address"] for it in changes if it["change"]["actions"] not in (["no-op"], ["read"])}
    assert {it for it in changed if not it.startswith("aws_cloudwatch_metric_alarm.")} == set()


def test_a_job_outlives_its_message_however_short_it_is_kept(deployment):
    for days, kept in ((1, (1, 1)), (30, (4, 14))):
        planned = planned_queues(deployment, f"retention_days={days}")
        assert (planned["jobs"], planned["dead_letters"]) == tuple(it * 24 * 3600 for it in kept), days


def test_without_its_variable_nothing_of_the_websocket_api_is_made(deployment):
    for wanted in (False, True):
        resources = {it["address"]: it["values"] for it in planned(deployment, f"websocket={str(wanted).lower()}")}
        its = {address for address in resources if "websocket" in address or "follow" in address}
        assert bool(its) == wanted, its
        assert resources["aws_dynamodb_table.jobs"]["stream_enabled"] == wanted


def planned_queues(deployment, setting: str) -> dict[str, int]:
    """How long each queue would keep a message, in seconds, with this setting."""
    queues = [resource for resource in planned(deployment, setting) if resource["type"] == "aws_sqs_queue"]
    return {queue["name"]: queue["values"]["message_retention_seconds"] for queue in queues}


def planned(deployment, setting: str) -> list[dict]:
    """Every resource that there would be with this setting."""
    plan = deployment.folder / "plan"
    deployment.terraform("plan", "-input=false", "-refresh=false", f"-var={setting}", f"-out={plan}")
    shown = json.loads(deployment.terraform("show", "-json", str(plan)).stdout)
    return shown["planned_values"]["root_module"]["resources"]


def test_settings_that_cannot_work_are_refused_each_with_its_reason(deployment):
    refused = {
        "max_receive_count=3": "from 5 to 1000",
        "processor_reserved_concurrency=1": "at least maximum_concurrency (10)",
        "listener_reserved_concurrency=1": "at least 2",
        "stream_seconds=31": "30 less than listener_timeout_seconds (60) at most",
        "time_limit_seconds=60": "leave 10 of processor_timeout_seconds (60)",
        "memory_limit_mb=2000": "leave 192 of processor_memory_mb (2048)",
        "page_limit=0": "page_limit must be null or a whole number",
        "data_limit_mb=0.5": "data_limit_mb must be null or a whole number",
        "api_token=short": "api_token must be at least 32 characters",
        "link_key=short": "link_key must be at least 32 characters",
        "name=Press_Run": "lower-case letters",
        "region=Frankfurt": "name of an AWS region",
        "log_retention_days=31": "CloudWatch Logs accepts",
        'notification_emails={"nobody"={"colour"=["red"],"status"=["done"]}}': "keyed by e-mail addresses",
    }
    said = errors_of_plan(deployment, *refused)
    assert [setting for setting, reason in refused.items() if reason not in said] == []
    assert "names status, template, job_id or tags" in said and "status is completed or failed" in said
    # On its own: a setting that is compared with a wrong one is not looked at.
    assert "from 2 to 1000" in errors_of_plan(deployment, "maximum_concurrency=1")


def errors_of_plan(deployment, *settings: str) -> str:
    """What Terraform says against these settings, as one line."""
    arguments = [f"-var={setting}" for setting in settings]
    answer = deployment.terraform("plan", "-input=false", "-refresh=false", *arguments, expect=1)
    return re.sub(r"[\s│]+", " ", answer.stderr)
