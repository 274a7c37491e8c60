"""Connections that send nothing, little, or take nothing: they hold nobody up, and take nothing from accepted work."""

import re
import resource
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from polling import wait_for
from server import Server, free_address

HALF = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
HEAD_SECONDS, BODY_SECONDS, STALL_SECONDS = 10, 10, 60


class Limited(Server):
    """A server that may open so many files, and no more by itself."""

    def __init__(self, files: int, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self.files = files

    def command(self, address: str) -> list:
        return ["sh", "-c", f'ulimit -n {self.files} && exec "$@"', "sh", *super().command(address)]


@pytest.fixture
def server(program, tmp_path) -> Iterator[Server]:
    with Server(program, tmp_path / "data") as server:
        yield server


@contextmanager
def connections(server: Server, count: int, sent: bytes, source: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    address = address_of(server)
    opened = [socket.create_connection(address, timeout=60, source_address=(source, 0)) for _ in range(count)]
    try:
        for connection in opened:
            send(connection, sent)
        yield opened
    finally:
        for connection in opened:
            connection.close()


def address_of(server: Server) -> tuple[str, int]:
    url = urlsplit(server.url)
    return url.hostname, url.port


def send(connection: socket.socket, sent: bytes) -> bool:
    try:
        connection.sendall(sent)
    except OSError:
        return False
    return True


def answer_of(connection: socket.socket) -> bytes:
    """All that arrives until the server closes the connection."""
    answer = b""
    try:
        while piece := connection.recv(65_536):
            answer += piece
    except ConnectionError:
        pass
    return answer


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def raise_own_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def test_a_queued_job_completes_and_healthz_answers_whoever_holds_connections(program, tmp_path):
    with Limited(64, program, tmp_path / "data", "--workers", "2") as server:
        with connections(server, 100, HALF) as held:
            wait_for(server.answers, "the server to answer beside 100 half-sent requests", within=5)
            ids = [wait_for(lambda: queued(server, number), "a job to be queued", within=5) for number in range(4)]
            for job in ids:
                wait_for(lambda: job_status(server, job) == "completed", "the report", within=60)
            # Whoever comes back again and again keeps nobody out.
            for _ in range(5):
                with connections(server, 30, HALF):
                    wait_for(server.answers, "the server to answer", within=5)
            assert sum(is_open(connection) for connection in held) < 20
        assert all(server.job(job)["attempts"] == 1 for job in ids)
    log = server.log.read_text()
    assert "there are too many connections" in log, log
    assert "Too many open files" not in log, log
    assert re.search(r"open files allows \d+ connections of 2048: raise it with `ulimit -n`", log), log
    assert log.count("there are too many connections") < 20, "not a line a connection"


def queued(server: Server, number: int) -> str | None:
    try:
        return server.queue(number)
    except requests.ConnectionError:
        return None


def job_status(server: Server, job: str) -> str | None:
    try:
        return server.job(job)["status"]
    except requests.ConnectionError:
        return None


def test_too_low_a_limit_of_files_is_named(program, tmp_path):
    refusal = Limited(40, program, tmp_path / "data", "--workers", "2").refuses()
    assert "may open 40 files" in refusal and "ulimit -n" in refusal, refusal


def test_half_sent_and_silent_connections_are_closed(server):
    raise_own_limit()
    with connections(server, 500, HALF) as half_sent, connections(server, 20, b"") as silent:
        assert server.answers()
        begun = time.monotonic()
        while time.monotonic() - begun < HEAD_SECONDS + 5:
            time.sleep(1)
            for connection in half_sent:
                send(connection, b"a")
        assert [connection for connection in half_sent + silent if is_open(connection)] == []
    assert server.answers()


def test_a_connection_without_requests_is_kept_for_a_while(server):
    with connections(server, 1, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") as [connection]:
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        time.sleep(HEAD_SECONDS + 5)
        send(connection, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")


def test_a_body_that_drips_is_refused_and_a_slow_one_is_not(server):
    head = b"POST /append_queue HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 30000\r\n\r\n"
    upload, put = begun_upload(server, 30_000)
    with connections(server, 1, head) as [dripping], connections(server, 1, put) as [dripping_put]:
        slow_upload, slow_put = begun_upload(server, 30_000)
        with connections(server, 1, slow_put) as [slow]:
            begun = time.monotonic()
            for _ in range(20):
                send(dripping, b" " * 100)
                send(dripping_put, b" " * 100)
                send(slow, b" " * 1_500)
                time.sleep(1)
            assert time.monotonic() - begun > BODY_SECONDS
            assert answer_of(dripping).startswith(b"HTTP/1.1 408 ")
            refusal = answer_of(dripping_put)
            assert refusal.startswith(b"HTTP/1.1 408 ") and b"urn:pressrun:problem:body-too-slow" in refusal, refusal
            assert slow.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert not (server.data / "objects/uploads" / upload).exists()
    assert (server.data / "objects/uploads" / slow_upload).stat().st_size == 30_000
    assert list((server.data / "work").glob("*.draft")) == []


def begun_upload(server: Server, size: int) -> tuple[str, bytes]:
    """An upload's id, and the head of its PUT."""
    answer = requests.post(f"{server.url}/uploads", json={"content_type": "application/json", "bytes": size}, timeout=60)
    upload, url = answer.json(), urlsplit(answer.json()["url"])
    lines = [f"PUT {url.path}?{url.query} HTTP/1.1", "Host: localhost", "Content-Type: application/json", f"Content-Length: {size}"]
    return upload["id"], "\r\n".join([*lines, "", ""]).encode()


def test_readers_that_take_nothing_or_little_are_closed_and_a_slow_one_gets_all(program, tmp_path):
    templates = large_report(tmp_path)
    with Server(program, tmp_path / "data", templates=templates) as server:
        answer = requests.post(f"{server.url}/append_queue", json={"template": "large", "data": {}}, timeout=60)
        job = answer.json()["id"]
        wait_for(lambda: server.job(job)["status"] == "completed", "the report", within=120)
        size = len(server.report(job))
        assert size > 8_000_000
        get = f"GET /jobs/{job}/report HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        before = descriptors(server)
        with connections(server, 1, get) as [stalled], connections(server, 1, get) as [slow], small_buffer(server, get) as dripping:
            begun, received = time.monotonic(), 0
            while time.monotonic() - begun < STALL_SECONDS + 15:
                received += len(slow.recv(20_000))
                take(dripping, 500)
                time.sleep(1)
            assert descriptors(server) <= before + 2, "the others have neither sockets nor files any more"
            while piece := slow.recv(65_536):
                received += len(piece)
            assert received > size
            assert len(answer_of(stalled)) < size and len(answer_of(dripping)) < size


@contextmanager
def small_buffer(server: Server, sent: bytes) -> Iterator[socket.socket]:
    """A connection of whose answer the system takes no more than its reader."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect(address_of(server))
        send(connection, sent)
        yield connection


def take(connection: socket.socket, most: int) -> None:
    connection.settimeout(1)
    try:
        connection.recv(most)
    except OSError:
        pass


def large_report(folder: Path) -> Path:
    """A template whose report does not compress."""
    template = folder / "templates/large"
    template.mkdir(parents=True)
    noise = subprocess.run(["head", "-c", "9000000", "/dev/urandom"], capture_output=True, check=True).stdout
    (template / "noise.bin").write_bytes(noise)
    (template / "main.typ").write_text('#pdf.attach("noise.bin", read("noise.bin", encoding: none))\nLarge.\n')
    return folder / "templates"


def descriptors(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def test_one_address_cannot_have_every_connection(program, tmp_path):
    options = ["--max-connections", "40", "--max-connections-per-address", "10"]
    with Server(program, tmp_path / "data", *options) as server:
        held = b"POST /append_queue HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6000000\r\n\r\n" + b" " * 100_000
        get = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        # Not the address of the requests that waited for the server to start: one of them might still be open.
        with connections(server, 60, held, source="127.0.0.2") as busy:
            wait_for(lambda: sum(is_open(connection) for connection in busy) == 10, "ten to be left", within=5)
            with connections(server, 1, get, source="127.0.0.2") as [refused]:
                assert answer_of(refused) == b""
            assert server.answers()

        def answers_again() -> bool:
            with connections(server, 1, get, source="127.0.0.2") as [connection]:
                return answer_of(connection).startswith(b"HTTP/1.1 200 ")

        wait_for(answers_again, "the server to answer again", within=5)


@pytest.mark.parametrize("hosts", ["", "Host: a.test\r\nHost: b.test\r\n", "Host: a.test\r\nhost: a.test\r\n"])
def test_a_request_has_one_host(server, hosts):
    with connections(server, 1, f"GET /healthz HTTP/1.1\r\n{hosts}\r\n".encode()) as [connection]:
        answer = answer_of(connection)
    assert answer.startswith(b"HTTP/1.1 400 ") and b"urn:pressrun:problem:bad-host" in answer, answer


@pytest.mark.parametrize("call, status", [
    ("GET /jobs", 401), ("POST /append_queue", 401), ("POST /nothing", 401), ("PUT /healthz", 405),
    ("PUT /uploads/x", 403), ("GET /healthz", 200),
])
def test_a_large_body_that_nobody_reads_hides_no_answer(program, tmp_path, call, status):
    method, path = call.split()
    with Server(program, tmp_path / "data", "--token", "a-token-of-its-own-for-this-test") as server:
        for _ in range(5):
            assert requests.request(method, server.url + path, data=b" " * 5_900_000, timeout=30).status_code == status


def test_a_client_that_asks_before_it_sends_is_answered_at_once(server):
    head = b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5900000\r\n\r\n"
    start = time.monotonic()
    with connections(server, 1, head) as [connection]:
        assert answer_of(connection).startswith(b"HTTP/1.1 404 ")
    assert time.monotonic() - start < 5


def test_http_1_0_needs_no_host(server):
    with connections(server, 1, b"GET /healthz HTTP/1.0\r\n\r\n") as [connection]:
        assert answer_of(connection).startswith(b"HTTP/1.0 200 ")


def test_a_server_for_all_addresses_says_that_its_links_are_for_one_machine(program, tmp_path):
    server = Server(program, tmp_path / "data", "--token", "a-token-of-its-own-for-this-test")
    command = server.command(free_address().replace("127.0.0.1", "0.0.0.0"))
    log = tmp_path / "log"
    for options, warns in [([], True), (["--public-url", "https://reports.example.org"], False)]:
        with log.open("wb") as file:
            process = subprocess.Popen([*command, *options], stdout=file, stderr=subprocess.STDOUT)
        try:
            wait_for(lambda: "Pressrun listens" in log.read_text(), "the server to start", within=60)
            time.sleep(0.5)
        finally:
            process.terminate()
            process.wait(timeout=60)
        assert bool(re.search(r"localhost:\d+.*--public-url", log.read_text())) == warns, log.read_text()


def test_a_server_behind_a_public_url_without_a_token_warns_that_it_is_open(program, tmp_path):
    for number, (options, warns) in enumerate([
        (("--public-url", "https://reports.example.org"), True),
        (("--public-url", "http://localhost:9000"), False),
        (("--public-url", "https://reports.example.org", "--token", "a-token-of-its-own-for-this-test"), False),
    ]):
        with Server(program, tmp_path / str(number), *options, log=tmp_path / f"{number}.log") as server:
            pass
        log = server.log.read_text()
        assert bool(re.search("WARN.*no token.*https://reports.example.org", log)) == warns, log
        assert re.search("stopping: reports in progress have 25 s; press Ctrl-C", log), log
