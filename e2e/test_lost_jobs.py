"""Jobs that would be lost if nobody took care: killed runs, dying messages, failed jobs, repeated requests."""

import io
import json
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

import pdf
from emulated_aws import ROOT, Deployment, aws
from polling import wait_for

# About five seconds of typesetting.
LONG = {"divisor": 8, "rounds": 10_000}
# The sweeper is started once a minute.
A_SWEEP = 150


@pytest.fixture(autouse=True)
def empty_queue(deployment) -> None:
    """What earlier tests left in the queue is dealt with, so that deploying another processor hits no run of theirs."""
    until_empty(deployment)


@pytest.mark.chaos
def test_a_job_whose_processor_is_killed_is_completed_by_a_later_attempt(deployment, inbox, tmp_path):
    with deployment.visibility_timeout(15):
        job = deployment.queue("probe", LONG)
        seen = wait_for(lambda: deployment.job(job)["status"] != "queued" and deployment.job(job), "a run", within=60)
        assert seen["status"] == "running", "the run was over too soon to be killed"
        assert deployment.kill("processor") >= 1

        ended = deployment.ended(job, within=240)
        until_empty(deployment)

    assert ended["status"] == "completed", ended
    assert ended["attempts"] >= 2
    assert reports_of(deployment, job) == [f"reports/{job['id']}.pdf"]
    report = tmp_path / "report.pdf"
    report.write_bytes(deployment.download(job["report_url"], token=""))
    pdf.check(report)
    assert report.stat().st_size == ended["bytes"] and "Quotient: 12.5" in pdf.text(report)
    assert statuses_announced(inbox, job) == ["completed"]


def test_jobs_whose_every_attempt_dies_are_failed_and_announced_and_can_be_redriven(deployment, inbox, tmp_path):
    dead_letters, most = deployment.outputs["dead_letter_queue_url"], max_receive_count(deployment)
    assert deployment.depth(dead_letters) == 0
    deaths = tmp_path / "deaths"
    with deployment.visibility_timeout(1), deployment.code("processor", dying(deaths)):
        jobs = [deployment.queue("probe", {"divisor": divisor}) for divisor in (2, 4, 8)]
        for job in jobs:
            ended = deployment.ended(job, within=A_SWEEP)
            assert ended["status"] == "failed", ended
            assert ended["error"]["type"] == "urn:pressrun:problem:attempts-exhausted"
            assert ended["error"]["title"] and ended["error"]["detail"]
            assert ended["attempts"] <= most
            announcement = inbox.of(job)
            assert announcement["Subject"] == "Report failed: probe"
            assert job["id"] in announcement["Message"] and ended["error"]["detail"] in announcement["Message"]
        until_empty(deployment)
    assert 1 <= len(deaths.read_text().splitlines()) <= len(jobs) * most

    for _ in range(2):
        sweep(deployment)
    assert [statuses_announced(inbox, job) for job in jobs] == [["failed"]] * len(jobs)
    assert deployment.depth(dead_letters) == len(jobs)

    with ThreadPoolExecutor(2) as operators:
        moved = [moved_by(answer) for answer in operators.map(lambda _: redrive(deployment), range(2))]
    assert sum(moved) == len(jobs)
    for job in jobs:
        assert "report_url" in deployment.ended(job, status=("completed",))
        assert len(reports_of(deployment, job)) == 1
        wait_for(lambda: statuses_announced(inbox, job) == ["failed", "completed"], "the good news", within=30)
    until_empty(deployment)
    assert deployment.depth(dead_letters) == 0


def test_a_redrive_ends_although_a_message_dies_again(deployment):
    dead_letters = deployment.outputs["dead_letter_queue_url"]
    aws("sqs").send_message(QueueUrl=dead_letters, MessageBody="a stranger")

    answer = redrive(deployment)
    assert moved_by(answer) == 1
    assert answer.returncode == 0 or "died again" in answer.stderr, answer.stderr

    sqs = aws("sqs")
    found = wait_for(lambda: sqs.receive_message(QueueUrl=dead_letters).get("Messages"), "the stranger", within=60)
    assert found[0]["Body"] == "a stranger"
    sqs.delete_message(QueueUrl=dead_letters, ReceiptHandle=found[0]["ReceiptHandle"])


def test_a_redrive_says_that_nothing_is_deployed(tmp_path):
    answer = run_redrive(tmp_path)
    assert answer.returncode == 1
    assert "make tf" in answer.stderr and str(tmp_path) in answer.stderr, answer.stderr


def test_a_retried_job_that_cannot_succeed_fails_and_is_announced_once_more(deployment, inbox):
    job = deployment.queue("probe", {"divisor": 0})
    first = deployment.ended(job)

    answer = retry(deployment, job)
    assert answer.status_code == 202, answer.text
    assert answer.json() == job | {"status": "queued"} and answer.headers["Location"] == job["status_url"]

    wait_for(lambda: statuses_announced(inbox, job) == ["failed", "failed"], "the second failure", within=60)
    second = deployment.job(job)
    assert second["status"] == "failed"
    assert second["error"] == first["error"]
    assert (second["attempts"], second["retries"]) == (1, 1) and second["finished_at"] > first["finished_at"]


def test_a_job_that_failed_by_its_template_is_completed_by_a_retry_once_the_template_is_mended(deployment, inbox):
    broken = altered(deployment.zip_of("processor"), "templates/probe/main.typ", "Quotient: #totl")
    with deployment.code("processor", broken):
        job = deployment.queue("probe", {"divisor": 16})
        ended = deployment.ended(job)
        assert ended["error"]["type"] == "urn:pressrun:problem:template-error", ended
        until_empty(deployment)

    assert retry(deployment, job).status_code == 202
    ended = deployment.ended(job, status=("completed",))
    assert "error" not in ended
    assert len(reports_of(deployment, job)) == 1
    wait_for(lambda: statuses_announced(inbox, job) == ["failed", "completed"], "the good news", within=30)

    refused = retry(deployment, job)
    assert refused.status_code == 409, refused.text
    assert refused.json()["type"] == "urn:pressrun:problem:job-not-failed"
    assert deployment.job(job) == ended


def test_a_retry_takes_the_data_that_was_parked_and_is_refused_once_it_is_gone(deployment, inbox):
    job = deployment.queue("probe", {"divisor": 0, "padding": "x" * 1_000_000})
    deployment.ended(job)

    assert retry(deployment, job).status_code == 202
    wait_for(lambda: statuses_announced(inbox, job) == ["failed", "failed"], "the second failure", within=60)
    assert deployment.job(job)["error"]["type"] == "urn:pressrun:problem:template-error"

    aws("s3").delete_object(Bucket=deployment.outputs["bucket"], Key=f"inputs/{job['id']}.json")
    refused = retry(deployment, job)
    assert refused.status_code == 409, refused.text
    assert refused.json()["type"] == "urn:pressrun:problem:input-not-kept"
    assert deployment.job(job)["status"] == "failed"


def test_fifty_requests_at_once_under_one_idempotency_key_are_one_job(deployment, inbox):
    before = deployment.jobs_on_record()
    headers = {"Idempotency-Key": f'"{uuid4()}"'}
    body = {"template": "probe", "data": {"divisor": 5}}

    def post(body: dict):
        return deployment.call("POST", "/append_queue", headers=headers, json=body)

    with ThreadPoolExecutor(50) as callers:
        answers = list(callers.map(post, [body] * 50))
    assert {answer.status_code for answer in answers} == {202}, {answer.text for answer in answers}
    assert len({json.dumps(answer.json(), sort_keys=True) for answer in answers}) == 1
    job = answers[0].json()

    assert deployment.ended(job)["status"] == "completed"
    until_empty(deployment)
    assert statuses_announced(inbox, job) == ["completed"]
    assert len(reports_of(deployment, job)) == 1
    assert deployment.jobs_on_record() == before + 1

    assert post(body).json()["id"] == job["id"]
    other = post({"template": "probe", "data": {"divisor": 6}})
    assert other.status_code == 422, other.text
    assert other.headers["Content-Type"] == "application/problem+json"
    assert other.json()["type"] == "urn:pressrun:problem:idempotency-key-reused"
    assert deployment.jobs_on_record() == before + 1


def until_empty(deployment: Deployment) -> None:
    """Waits until every message of the jobs queue is dealt with."""
    wait_for(lambda: deployment.depth(deployment.outputs["queue_url"]) == 0, "the queue to be empty", within=240)


def max_receive_count(deployment: Deployment) -> int:
    name = "RedrivePolicy"
    queue = aws("sqs").get_queue_attributes(QueueUrl=deployment.outputs["queue_url"], AttributeNames=[name])
    return int(json.loads(queue["Attributes"][name])["maxReceiveCount"])


def reports_of(deployment: Deployment, job: dict) -> list[str]:
    """The keys of the job's reports."""
    found = aws("s3").list_objects_v2(Bucket=deployment.outputs["bucket"], Prefix=f"reports/{job['id']}")
    return [entry["Key"] for entry in found.get("Contents", [])]


def statuses_announced(inbox, job: dict) -> list[str]:
    return [announcement["MessageAttributes"]["status"]["Value"] for announcement in inbox.all_of(job)]


def retry(deployment: Deployment, job: dict):
    return deployment.call("POST", f"{job['status_url']}/retry")


def sweep(deployment: Deployment) -> None:
    """Starts the sweeper out of turn, and waits until it is done."""
    answer = aws("lambda").invoke(FunctionName=deployment.outputs["sweeper_function"], Payload=b'{"by": "hand"}')
    assert "FunctionError" not in answer, answer["Payload"].read()


def redrive(deployment: Deployment) -> subprocess.CompletedProcess:
    return run_redrive(deployment.folder)


def run_redrive(folder: Path) -> subprocess.CompletedProcess:
    """Runs the script as it would run in that folder's `scripts`."""
    (folder / "scripts").mkdir(exist_ok=True)
    script = shutil.copy(ROOT / "scripts/redrive", folder / "scripts")
    return subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)


def moved_by(answer: subprocess.CompletedProcess) -> int:
    """How many messages a redrive said it had moved."""
    last = answer.stdout.splitlines()[-1:] or [answer.stderr]
    words = last[0].split()
    assert words[:1] == ["moved"] and words[2].startswith("message"), answer.stdout + answer.stderr
    return int(words[1])


def dying(deaths: Path) -> bytes:
    """A zip whose bootstrap notes that it was started, and is killed before it takes an event."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o100755 << 16
        target.writestr(entry, f"#!/bin/sh\necho died >>'{deaths}'\nkill -KILL $$\n")
    return archive.getvalue()


def altered(archive: Path, name: str, text: str) -> bytes:
    """The zip with another text in one of its files."""
    copy = io.BytesIO()
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(copy, "w") as target:
        assert name in source.namelist()
        for entry in source.infolist():
            target.writestr(entry, text if entry.filename == name else source.read(entry), compresslevel=1)
    return copy.getvalue()
