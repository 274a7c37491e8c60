"""The WebSocket API on AWS: a request, its answer, its events and its link over one connection.

What the emulator cannot show: API Gateway's limits (frames of 32 KB, messages of 128 KB, ten quiet minutes, two hours),
the status with which a handshake is refused, and a change of the table's stream that comes by again after one follower
could not be told; that follower is in listener/tests/gateway.rs.
"""

import json
from uuid import uuid4

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from emulated_aws import aws
from polling import wait_for

# Busy for some seconds, so that there is time to follow it. A thousand rounds take about half a second.
SLOW = {"template": "probe", "data": {"divisor": 8, "rounds": 8000}}


def receive(socket: ClientConnection) -> dict:
    return json.loads(socket.recv(timeout=90))


def receive_to_the_end(socket: ClientConnection) -> list[dict]:
    """The frames of one job up to its last event."""
    frames = [receive(socket)]
    while frames[-1].get("event") not in ("completed", "failed"):
        frames.append(receive(socket))
    return frames


def followers(job_id: str) -> set[str]:
    """The connections that follow a job."""
    found = aws("dynamodb").query(
        TableName="pressrun-e2e-followers", ConsistentRead=True,
        KeyConditionExpression="job = :job", ExpressionAttributeValues={":job": {"S": job_id}},
    )
    return {item["connection"]["S"] for item in found["Items"]}


def test_a_request_is_answered_and_followed_to_its_link(deployment):
    with deployment.socket() as socket:
        socket.send(json.dumps({"template": "probe", "data": {"divisor": 8}}))
        accepted = receive(socket)
        assert set(accepted) == {"id", "status", "template", "enqueued_at", "status_url", "report_url"}
        assert accepted["status_url"] == f"{deployment.url}/jobs/{accepted['id']}"

        frames = receive_to_the_end(socket)
        assert [frame["event"] for frame in frames] == ["queued", "running", "completed"]
        assert {frame["job"]["id"] for frame in frames} == {accepted["id"]}
        assert frames[-1]["job"] == deployment.job(accepted)
        assert deployment.download(frames[-1]["link"]).startswith(b"%PDF-")
        wait_for(lambda: not followers(accepted["id"]), "the followers to be let go", within=30)

        # The job is known now: it may be followed again, from where one likes.
        socket.send(json.dumps({"subscribe": accepted["id"], "last_event_id": frames[0]["id"]}))
        assert receive(socket) == {"subscribed": accepted["id"]}
        assert receive_to_the_end(socket) == frames[1:]


def test_a_job_is_followed_over_two_connections(deployment):
    with deployment.socket() as first, deployment.socket() as second:
        first.send(json.dumps(SLOW))
        accepted = receive(first)
        second.send(json.dumps({"subscribe": accepted["id"]}))
        assert receive(second) == {"subscribed": accepted["id"]}
        told = [receive_to_the_end(socket) for socket in (first, second)]
        assert told[0] == told[1]
        assert [frame["event"] for frame in told[0]] == ["queued", "running", "completed"]


def test_a_job_from_elsewhere_is_followed(deployment):
    job = deployment.queue(**SLOW)
    with deployment.socket() as socket:
        socket.send(json.dumps({"subscribe": job["id"]}))
        assert receive(socket) == {"subscribed": job["id"]}
        assert [frame["event"] for frame in receive_to_the_end(socket)] == ["queued", "running", "completed"]


def test_a_failure_is_told_with_its_reason(deployment):
    with deployment.socket() as socket:
        socket.send(json.dumps({"template": "probe", "data": {"divisor": 0}}))
        receive(socket)
        last = receive_to_the_end(socket)[-1]
        assert last["event"] == "failed" and "link" not in last
        assert last["job"]["error"]["type"] == "urn:pressrun:problem:template-error"


def test_what_is_wrong_is_told_and_the_connection_goes_on(deployment):
    with deployment.socket() as socket:
        for text, problem in [
            ("{", "malformed-json"),
            (json.dumps({"template": "letter"}), "invalid-request"),
            (json.dumps({"template": "letter", "data": {}}), "invalid-data"),
            (json.dumps({"template": "no-such", "data": {}, "action": "x"}), "invalid-request"),
            (json.dumps({"template": "no-such", "data": {}}), "unknown-template"),
            (json.dumps({"subscribe": str(uuid4())}), "unknown-job"),
        ]:
            socket.send(text)
            assert receive(socket)["type"] == f"urn:pressrun:problem:{problem}", text
        socket.send(json.dumps({"template": "probe", "data": {"divisor": 8}}))
        assert receive(socket)["status"] == "queued"
        receive_to_the_end(socket)


@pytest.mark.parametrize("token", [None, "wrong"])
def test_a_client_without_the_token_is_refused(deployment, token):
    with pytest.raises(InvalidStatus) as refusal, deployment.socket(token):
        pass
    # AWS passes on the function's 401; the emulator says 403 to whatever it was.
    assert refusal.value.response.status_code in (401, 403)


def test_a_client_that_hangs_up_is_forgotten(deployment):
    socket = deployment.socket()
    socket.send(json.dumps(SLOW))
    accepted = receive(socket)
    wait_for(lambda: followers(accepted["id"]), "the client to follow its job", within=30)
    socket.socket.close()
    wait_for(lambda: not followers(accepted["id"]), "the client to be forgotten", within=30)
    assert deployment.ended(accepted)["status"] == "completed"


def test_a_connection_that_vanished_without_a_word_is_forgotten_when_there_is_something_to_tell(deployment):
    with deployment.socket() as socket:
        socket.send(json.dumps(SLOW))
        accepted = receive(socket)
        vanished = {"job": {"S": accepted["id"]}, "connection": {"S": "vanished"}}
        aws("dynamodb").put_item(TableName="pressrun-e2e-followers", Item=vanished)
        assert receive_to_the_end(socket)[-1]["event"] == "completed"
        wait_for(lambda: not followers(accepted["id"]), "the connection to be forgotten", within=30)


def test_the_function_behind_the_url_takes_nobodys_word_for_being_a_client(deployment):
    before = deployment.jobs_on_record()
    context = {
        "routeKey": "$default", "eventType": "MESSAGE", "connectionId": "forged", "connectedAt": 1, "requestTimeEpoch": 1,
    }
    event = {"requestContext": context, "body": json.dumps(SLOW), "isBase64Encoded": False}
    answer = aws("lambda").invoke(
        FunctionName=deployment.outputs["listener_function"], Payload=json.dumps(event).encode()
    )
    assert answer.get("FunctionError"), answer["Payload"].read()
    assert deployment.jobs_on_record() == before
