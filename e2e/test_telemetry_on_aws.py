"""What an operator sees of the deployment: the logs of its functions, the metrics in them, and what must not be there."""

import json
import re
import secrets

from emulated_aws import aws
from polling import wait_for

FUNCTIONS = ("listener", "processor")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def lines(deployment, function: str) -> list[str]:
    """Everything that one function wrote so far."""
    logs, group = aws("logs"), deployment.outputs["log_groups"][function]
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    return [event["message"].rstrip("\n") for page in pages for event in page["events"]]


def parsed(text: str) -> dict:
    try:
        line = json.loads(text)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}


def test_a_job_is_found_in_the_logs_of_both_functions(deployment, inbox):
    canary = "canary" + secrets.token_hex(8)
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "x-request-id": "order-7"}
    body = {"template": "probe", "data": {"divisor": 8, canary: canary}, "notify": {"subject": canary}}
    answer = deployment.call("POST", "/append_queue", json=body, headers=headers)
    assert (answer.status_code, answer.headers["x-request-id"]) == (202, "order-7"), answer.text
    job = deployment.ended(answer.json())
    failed = deployment.ended(deployment.queue("probe", {"divisor": 0, canary: canary}))
    link = re.search(r"https?://\S+/r/\S+", inbox.of(job)["Message"]).group()
    deployment.download(link)
    assert deployment.call("GET", link + "0", token=None).status_code == 403

    def told() -> dict | None:
        found = {name: lines(deployment, name) for name in FUNCTIONS}
        return found if all(any(job["id"] in line for line in found[name]) for name in FUNCTIONS) else None

    logs = wait_for(told, "the job in both logs", within=60)
    of_job = [line for name in FUNCTIONS for line in map(parsed, logs[name]) if line.get("request_id") == "order-7"]
    assert {line["job_id"] for line in of_job} == {job["id"]}
    assert {line["template"] for line in of_job} == {"probe"}
    # Where Lambda is in a trace of X-Ray, it is that one.
    assert len({line["trace_id"] for line in of_job}) == 1
    said = [line["message"] for line in of_job]
    assert all(message in said for message in ("accepted", "answered", "running", "completed")), said
    signature = re.search(r"sig=([^&\s]+)", link).group(1)
    for name in FUNCTIONS:
        for secret in (canary, deployment.outputs["api_token"], signature):
            assert not [line for line in logs[name] if secret in line], f"the {name} logged {secret}"
    emitted = {name: [line for line in map(parsed, logs[name]) if "_aws" in line] for name in FUNCTIONS}
    names = {name: {metric for line in found for metric in line if metric not in ("_aws", "service")}
             for name, found in emitted.items()}
    assert {"accepted", "cold_starts", "function"} <= names["listener"], names
    assert {"queue_wait", "typeset_time", "pages", "bytes", "completed", "announcements"} <= names["processor"], names
    types = [line["type"] for line in emitted["processor"] if "failed" in line]
    assert failed["error"]["type"].rpartition(":")[2] in types
