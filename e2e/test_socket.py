"""The WebSocket of `pressrun serve`: a request, its answer, its events and its link over one connection."""

import json

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from emulated_aws import ROOT
from server import Server


@pytest.fixture
def server(program, tmp_path):
    with Server(program, tmp_path / "data", "--token", "s3cret-of-a-socket-test") as server:
        yield server


def open_socket(server: Server, token: str = "s3cret-of-a-socket-test"):
    headers = {"Authorization": f"Bearer {token}"}
    return connect(server.url.replace("http://", "ws://") + "/ws", additional_headers=headers)


def receive(socket) -> dict:
    return json.loads(socket.recv(timeout=60))


def letter() -> dict:
    return {"template": "letter", "data": json.loads((ROOT / "templates/letter/sample.json").read_text())}


def test_a_request_is_answered_and_followed_to_its_link(server):
    with open_socket(server) as socket:
        socket.send(json.dumps(letter()))
        accepted = receive(socket)
        assert set(accepted) == {"id", "status", "template", "enqueued_at", "status_url", "report_url"}
        frames = [receive(socket) for _ in range(3)]
        assert [frame["event"] for frame in frames] == ["queued", "running", "completed"]
        assert {frame["job"]["id"] for frame in frames} == {accepted["id"]}
        report = requests.get(frames[-1]["link"], timeout=60)
        assert report.status_code == 200 and report.content.startswith(b"%PDF-")

        # The job is known now: another may follow it, from where it likes.
        socket.send(json.dumps({"subscribe": accepted["id"], "last_event_id": frames[0]["id"]}))
        assert receive(socket) == {"subscribed": accepted["id"]}
        assert [receive(socket)["event"] for _ in range(2)] == ["running", "completed"]


def test_many_jobs_are_followed_over_one_connection(server):
    with open_socket(server) as socket:
        for _ in range(20):
            socket.send(json.dumps(letter()))
        ended, accepted = set(), set()
        while len(ended) < 20:
            frame = receive(socket)
            if "event" not in frame:
                accepted.add(frame["id"])
            elif frame["event"] == "completed":
                ended.add(frame["job"]["id"])
        assert ended == accepted


def test_what_is_wrong_is_told_and_the_connection_goes_on(server):
    with open_socket(server) as socket:
        for text, problem in [
            ("{", "malformed-json"),
            (json.dumps({"template": "letter"}), "invalid-request"),
            (json.dumps({"template": "letter", "data": {}}), "invalid-data"),
            (json.dumps({"template": "no-such", "data": {}}), "unknown-template"),
            (json.dumps({"subscribe": "x"}), "unknown-job"),
        ]:
            socket.send(text)
            assert receive(socket)["type"] == f"urn:pressrun:problem:{problem}", text
        socket.send(json.dumps(letter()))
        assert receive(socket)["status"] == "queued"


def test_a_client_without_the_token_is_refused(server):
    with pytest.raises(InvalidStatus) as refusal, open_socket(server, token="wrong"):
        pass
    assert refusal.value.response.status_code == 401
    plain = requests.get(f"{server.url}/ws", headers={"Authorization": "Bearer s3cret-of-a-socket-test"}, timeout=60)
    assert (plain.status_code, plain.json()["type"]) == (400, "urn:pressrun:problem:websocket-expected")


def test_a_client_that_vanished_keeps_nothing_from_being_done(server):
    socket = open_socket(server)
    socket.send(json.dumps(letter()))
    accepted = receive(socket)
    socket.socket.close()
    job = requests.get(f"{accepted['status_url']}?wait=60", headers={"Authorization": "Bearer s3cret-of-a-socket-test"}, timeout=90).json()
    while job["status"] not in ("completed", "failed"):
        job = requests.get(f"{accepted['status_url']}?wait=60", headers={"Authorization": "Bearer s3cret-of-a-socket-test"}, timeout=90).json()
    assert job["status"] == "completed"
