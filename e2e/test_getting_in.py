"""Who does not get in: pages by names of their own, guesses of tokens, and webhooks to what listens on this machine alone."""

import http.client
import re
import secrets
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from polling import wait_for
from server import Server

EVIL = "evil.example"
TOKEN = secrets.token_hex(16)


def call(server: Server, host: str | None, target: str = "/jobs", method: str = "GET") -> tuple[int, str]:
    """A call with this `Host`, and its status and body."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.putrequest(method, target, skip_host=True)
    if host is not None:
        connection.putheader("Host", host)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def test_a_server_without_a_token_answers_to_its_own_hosts_alone(program, tmp_path):
    options = ("--public-url", "https://press.example.org", "--allowed-hosts", "press,intra:8080")
    with Server(program, tmp_path / "data", *options) as server:
        port = urlsplit(server.url).port
        own = ["localhost", "127.0.0.1", "[::1]", "press.example.org", "press.example.org:443", "press:77", "intra:8080"]
        for host in own + [f"localhost:{port}", f"LocalHost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"]:
            assert call(server, host)[0] == 200, host
        port_of_another = port - 1
        for host in [EVIL, f"{EVIL}:{port}", f"localhost.{EVIL}", "intra:1", "10.0.0.1", f"localhost:{port_of_another}"]:
            for target in ("/jobs", "/", "/healthz", "/page.js", f"/r/{secrets.token_hex(4)}", "/nowhere"):
                status, body = call(server, host, target)
                assert (status, "urn:pressrun:problem:misdirected" in body) == (421, True), f"{host} {target}: {body}"
            assert "--allowed-hosts" in body and "localhost" in body
        assert call(server, "localhost", f"http://{EVIL}/jobs")[0] == 421, "an absolute target says the host"
        for method, target in (("POST", "/append_queue"), ("PUT", "/uploads/x"), ("OPTIONS", "/append_queue")):
            assert call(server, EVIL, target, method)[0] == 421, method
        with pytest.raises(InvalidStatus) as refusal:
            connect(f"ws://{EVIL}/ws", sock=connected(port))
        assert refusal.value.response.status_code == 421


def connected(port: int):
    import socket

    return socket.create_connection(("127.0.0.1", port), timeout=30)


def test_a_server_with_a_token_answers_to_any_host(program, tmp_path, monkeypatch):
    monkeypatch.setenv("PRESSRUN_TOKEN", TOKEN)
    with Server(program, tmp_path / "data") as server:
        assert call(server, EVIL, "/healthz")[0] == 200
        assert call(server, EVIL)[0] == 401


def test_wrong_tokens_slow_their_peer_down_and_right_ones_never_wait(program, tmp_path, monkeypatch):
    monkeypatch.setenv("PRESSRUN_TOKEN", TOKEN)
    with Server(program, tmp_path / "data") as server, ThreadPoolExecutor(33) as callers:
        session = requests.Session()

        def status(token: str) -> tuple[int, float]:
            start = time.monotonic()
            answer = session.get(f"{server.url}/jobs", headers={"Authorization": f"Bearer {token}"}, timeout=60)
            return answer.status_code, time.monotonic() - start

        first = status(f"{TOKEN}x")
        assert first[0] == 401 and first[1] < 1
        guesses = [callers.submit(status, f"{TOKEN}{number}") for number in range(32)]
        time.sleep(0.5)
        right = [status(TOKEN) for _ in range(10)]
        assert {code for code, _ in right} == {200}
        assert sorted(took for _, took in right)[5] < 0.2, right
        took = [guess.result()[1] for guess in guesses]
        assert {guess.result()[0] for guess in guesses} == {401}
        assert max(took) >= 1.9, took
    log = server.log.read_text()
    lines = [line for line in log.splitlines() if "refused a wrong token" in line]
    assert len(lines) == 33 and all("peer=127.0.0.1" in re.sub(r"\x1b\[[0-9;]*m", "", line) and "WARN" in line for line in lines), lines[:3]
    assert TOKEN not in log


def test_any_number_of_guesses_at_once_is_slowed_down_and_keeps_nobody_out(program, tmp_path, monkeypatch):
    monkeypatch.setenv("PRESSRUN_TOKEN", TOKEN)
    guess = f"GET /jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}x\r\nConnection: close\r\n\r\n".encode()
    with Server(program, tmp_path / "data", "--max-connections", "310", "--max-connections-per-address", "310") as server, ExitStack() as opened:
        address = server.url.removeprefix("http://").split(":")
        guesses = [opened.enter_context(socket.create_connection(address, timeout=60)) for _ in range(300)]
        for connection in guesses:
            connection.sendall(guess)
        start = time.monotonic()
        last = opened.enter_context(socket.create_connection(address, timeout=60))
        last.sendall(guess)
        assert last.recv(65_536).startswith(b"HTTP/1.1 401 ")
        assert time.monotonic() - start >= 1.9
        for connection in guesses:
            connection.recv(65_536)
        for connection in [socket.create_connection(address, timeout=60) for _ in range(310)]:
            opened.enter_context(connection).sendall(guess)

        def gets_in() -> bool:
            try:
                answer = requests.get(f"{server.url}/jobs", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
            except requests.ConnectionError:
                return False
            return answer.status_code == 200

        wait_for(gets_in, "a caller to get in beside guesses on every connection", within=1, every=0.05)


def test_a_caller_is_not_named_as_those_without_a_token(program, tmp_path):
    said = Server(program, tmp_path / "data", "--tokens", f"anybody {TOKEN}").refuses(2)
    assert "`anybody`" in said and TOKEN not in said, said


def test_a_token_that_can_be_guessed_or_never_matches_is_refused(program, tmp_path):
    for token in ("a", "", " ", "fifteen-letters", "sixteen letters!", "sixteen-lettersü"):
        said = Server(program, tmp_path / "data", "--token", token).refuses(2)
        assert "at least 16 characters" in said and (len(token) < 2 or token not in said), said
        said = Server(program, tmp_path / "data", "--tokens", f"crm {token}").refuses(2)
        assert "at least 16 characters" in said, said


@pytest.mark.parametrize(("options", "permitted"), [
    ((), True),
    (("--tokens", f"crm {TOKEN}"), False),
    (("--tokens", f"crm {TOKEN}", "--webhook-hosts", "localhost,127.0.0.1"), False),
    (("--tokens", f"crm {TOKEN}", "--webhook-loopback"), True),
])
def test_webhooks_go_to_this_machine_where_all_callers_are_on_it_or_it_is_said(program, tmp_path, options, permitted):
    with Server(program, tmp_path / "data", *options) as server:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        letter = {"template": "letter", "data": requests.get(f"{server.url}/templates/letter", headers=headers, timeout=30).json()["sample"]}
        urls = ["http://127.0.0.1:1/x", "http://localhost:1/", "http://[::1]:1/", "https://localhost:1/", "https://127.1:1/"]
        for url in urls:
            answer = requests.post(f"{server.url}/append_queue", json=letter | {"notify": {"webhook": url}}, headers=headers, timeout=30)
            assert answer.status_code == (202 if permitted else 422), f"{url}: {answer.text}"
