"""Callers on AWS: their tokens, and their quotas over the function URL and the WebSocket API."""

import json
import time

import pytest
import requests

from emulated_aws import CRM_TOKENS, QUOTA_JOBS, QUOTA_REQUESTS, Deployment, aws


@pytest.fixture
def spent(deployment):
    """Puts items into the table that say what a caller has used, and removes them."""
    table, ids = deployment.outputs["table"], []

    def put(key: str, **attributes) -> None:
        ids.append(key)
        aws("dynamodb").put_item(TableName=table, Item={"id": {"S": key}, **attributes})

    yield put
    for key in ids:
        aws("dynamodb").delete_item(TableName=table, Key={"id": {"S": key}})


def ask(deployment: Deployment, invoice: dict, token: str = "") -> requests.Response:
    return deployment.call("POST", "/append_queue", token=token, json={"template": "invoice", "data": invoice})


def problem(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:pressrun:problem:")


def test_both_tokens_of_a_caller_are_good_and_neither_is_told_to_the_function(deployment, invoice):
    for token in CRM_TOKENS:
        answer = ask(deployment, invoice, token)
        assert answer.status_code == 202, answer.text
    assert problem(ask(deployment, invoice, CRM_TOKENS[0] + "x")) == (401, "unauthorized")
    function = aws("lambda").get_function_configuration(FunctionName=deployment.outputs["listener_function"])
    told = json.dumps(function["Environment"]["Variables"])
    assert "crm sha256:" in told and not any(token in told for token in CRM_TOKENS)


def test_requests_beyond_the_quota_are_refused_until_the_next_minute(deployment, invoice, spent):
    minute = int(time.time() // 60)
    for later in range(3):
        spent(f"requests#crm#{minute + later}", count={"N": str(QUOTA_REQUESTS)})
    answer = ask(deployment, invoice, CRM_TOKENS[1])
    assert problem(answer) == (429, "too-many-requests")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    with deployment.socket(CRM_TOKENS[0]) as socket:
        socket.send(json.dumps({"template": "invoice", "data": invoice}))
        assert json.loads(socket.recv(timeout=60))["type"] == "urn:pressrun:problem:too-many-requests"
    assert ask(deployment, invoice).status_code == 202, "another caller has a quota of its own"


def test_jobs_beyond_the_quota_are_refused_until_some_have_ended(deployment, invoice, spent):
    now = int(time.time() * 1000)
    # A request that takes its job off now is not on record for a moment; those of an hour ago are lost.
    flying, lost = ([f"{at}#{number:08x}-0000-7000-8000-000000000000" for number in range(QUOTA_JOBS)] for at in (now, now - 3_600_000))
    spent("in-flight#crm", jobs={"SS": flying})
    answer = ask(deployment, invoice, CRM_TOKENS[0])
    assert (problem(answer), answer.headers["Retry-After"]) == ((429, "too-many-jobs"), "5")
    with deployment.socket(CRM_TOKENS[0]) as socket:
        socket.send(json.dumps({"template": "invoice", "data": invoice}))
        assert json.loads(socket.recv(timeout=60))["type"] == "urn:pressrun:problem:too-many-jobs"
    assert ask(deployment, invoice).status_code == 202, "another caller has a quota of its own"
    spent("in-flight#crm", jobs={"SS": lost})
    answer = ask(deployment, invoice, CRM_TOKENS[0])
    assert answer.status_code == 202, answer.text
