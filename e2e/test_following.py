"""Following jobs on AWS: waiting for a change, events taken up again where they broke off, and the list of jobs."""

import json
import time
from uuid import uuid4


def test_one_who_waits_hears_of_the_end(deployment):
    job = deployment.queue("probe", {"divisor": 8})
    record = job
    deadline = time.monotonic() + 90
    while record["status"] not in ("completed", "failed"):
        assert time.monotonic() < deadline, record
        answer = deployment.call("GET", f"{job['status_url']}?wait=10")
        assert answer.status_code == 200, answer.text
        record = answer.json()
    assert record["status"] == "completed"


def test_a_stream_lasts_until_the_job_has_ended(deployment):
    job = deployment.queue("probe", {"divisor": 8})
    answer = deployment.call("GET", f"/jobs/{job['id']}/events")
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "text/event-stream"
    assert [event["event"] for event in parsed(answer.text)] == ["queued", "running", "completed"]


def test_events_are_told_once_each_however_often_the_stream_is_taken_up(deployment):
    job = deployment.queue("probe", {"divisor": 8})
    told, last = [], None
    deadline = time.monotonic() + 90
    while True:
        assert time.monotonic() < deadline, told
        headers = {"Last-Event-ID": last} if last else {}
        answer = deployment.call("GET", f"/jobs/{job['id']}/events", headers=headers)
        if answer.status_code == 204:
            break
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "text/event-stream"
        for event in parsed(answer.text):
            told.append(event)
            last = event["id"]
    assert [event["event"] for event in told] == ["queued", "running", "completed"]
    assert len({event["id"] for event in told}) == len(told)
    assert told[-1]["data"] == deployment.job(job)


def test_jobs_are_listed_newest_first_a_page_at_a_time(deployment):
    subject = str(uuid4())
    jobs = [deployment.queue("probe", {"divisor": divisor}, notify={"subject": subject}) for divisor in (0, 8, 4)]
    for job in jobs:
        deployment.ended(job)

    page = deployment.call("GET", "/jobs?limit=2").json()
    assert [job["id"] for job in page["jobs"]] == [jobs[2]["id"], jobs[1]["id"]]
    page = deployment.call("GET", f"/jobs?limit=2&cursor={page['next']}").json()
    assert page["jobs"][0]["id"] == jobs[0]["id"]
    failed = deployment.call("GET", "/jobs?status=failed&template=probe&limit=1").json()["jobs"]
    assert failed == [deployment.job(jobs[0])]
    assert deployment.call("GET", "/jobs?template=no-such").json()["jobs"] == []
    assert deployment.call("GET", "/jobs", token=None).status_code == 401


def parsed(stream: str) -> list[dict]:
    """The events of a stream, without its comments."""
    events = []
    for block in stream.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "data" in fields:
            events.append({**fields, "data": json.loads(fields["data"])})
    return events
