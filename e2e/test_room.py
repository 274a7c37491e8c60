"""Room on the disk: a reserve for work that was accepted, quotas of bytes, and readiness that says so."""

import http.client
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from polling import wait_for
from server import Server

MEBIBYTE = 1024 * 1024


@pytest.fixture
def server(program, tmp_path) -> Iterator[Server]:
    with Server(program, tmp_path / "data") as server:
        yield server


def begin(server: Server, size: int, **headers: str) -> requests.Response:
    wanted = {"content_type": "application/x-ndjson", "bytes": size}
    return requests.post(f"{server.url}/uploads", json=wanted, headers=headers, timeout=60)


def problem(answer: requests.Response) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].rsplit(":", 1)[1]


def test_a_server_with_room_is_ready(server):
    for _ in range(2):
        answer = requests.get(f"{server.url}/readyz", timeout=60)
        assert (answer.status_code, answer.text) == (200, "ready\n")


def test_new_work_is_refused_below_the_reserve_and_old_work_goes_on(program, tmp_path):
    server = Server(program, tmp_path / "data")
    with server:
        job = server.queue(1)
        wait_for(lambda: server.job(job)["status"] == "completed", "the report", within=60)
        put = begin(server, 2).json()
    free = int(subprocess.run(["df", "--output=avail", "-m", tmp_path], capture_output=True, text=True).stdout.split()[1])
    server.options = ("--min-free-space", str(free + 10_000))
    with server:
        url = urlsplit(put["url"])
        put_again = requests.put(f"{server.url}{url.path}?{url.query}", data="{}", headers=put["headers"], timeout=60)
        for answer in (server.send(2), begin(server, 0), put_again):
            assert problem(answer) == (507, "storage-full"), answer.text
            assert f"keeps {free + 10_000} MiB for accepted work" in answer.json()["detail"]
            assert int(answer.headers["Retry-After"]) > 0
        ready = requests.get(f"{server.url}/readyz", timeout=60)
        assert problem(ready) == (503, "not-ready") and "too little room" in ready.json()["detail"]
        assert not re.search("[0-9]", ready.json()["detail"]), "unauthenticated callers do not learn how much is free"
        assert requests.get(f"{server.url}/healthz", timeout=60).status_code == 200
        assert server.report(job)
    log = server.log.read_text()
    assert re.search(f"reserve_mib={free + 10_000}", log) and "lower --min-free-space" in log, log


def test_an_upload_may_not_take_the_reserve(program, tmp_path):
    with Server(program, tmp_path / "data", "--min-free-space", "1") as server:
        free = int(subprocess.run(["df", "--output=avail", "-B1", tmp_path], capture_output=True, text=True).stdout.split()[1])
        if free > 5 * 1024 * MEBIBYTE:
            pytest.skip(f"the disk has {free} bytes free, more than an upload may have: NOT tested here")
        assert problem(begin(server, free)) == (507, "storage-full")


def test_a_put_on_a_full_disk_hears_of_it_and_queued_jobs_wait_for_room(program, disk, tmp_path):
    with Server(program, disk.folder / "data", "--min-free-space", "8", "--workers", "1", log=tmp_path / "log") as server:
        size = 20 * MEBIBYTE
        upload = begin(server, size).json()
        disk.fill()
        url = urlsplit(upload["url"])
        client = http.client.HTTPConnection(url.netloc, timeout=60)
        # A client that sends all before it reads.
        client.request("PUT", f"{url.path}?{url.query}", body=b" " * size, headers=upload["headers"])
        answer = client.getresponse()
        assert answer.status == 507 and json.load(answer)["type"].endswith(":storage-full")
        disk.make_room()
        assert requests.put(upload["url"], data=b" " * size, headers=upload["headers"], timeout=60).status_code == 200


def begun_put(server: Server, upload: dict, sent: int) -> socket.socket:
    """A connection that has sent so much of an upload's PUT."""
    url = urlsplit(upload["url"])
    connection = socket.create_connection((url.hostname, url.port), timeout=60)
    headers = "".join(f"{name}: {value}\r\n" for name, value in upload["headers"].items())
    connection.sendall(f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\n{headers}\r\n".encode() + b" " * sent)
    return connection


def test_uploads_at_once_leave_the_reserve(program, disk, tmp_path):
    size, reserve = 15 * MEBIBYTE, 10
    with Server(program, disk.folder / "data", "--min-free-space", str(reserve), log=tmp_path / "log") as server:
        uploads = [begin(server, size).json() for _ in range(3)]

        def put(upload: dict) -> tuple[int, bytes]:
            def pieces() -> Iterator[bytes]:
                for _ in range(15):
                    yield b" " * MEBIBYTE
                    time.sleep(0.1)

            url = urlsplit(upload["url"])
            connection = http.client.HTTPConnection(url.netloc, timeout=60)
            connection.request("PUT", f"{url.path}?{url.query}", pieces(), {**upload["headers"], "Content-Length": str(size)})
            answer = connection.getresponse()
            return answer.status, answer.read()

        with ThreadPoolExecutor() as callers:
            answers = list(callers.map(put, uploads))
        refused = [body for status, body in answers if status == 507]
        assert refused and all(b"storage-full" in body for body in refused), answers
        assert len(refused) + sum(status == 200 for status, _ in answers) == 3, answers
        # Each looks at every mebibyte it has written.
        assert shutil.disk_usage(disk.folder).free >= (reserve - 3) * MEBIBYTE
        wait_for(lambda: not list((disk.folder / "data/work").glob("*.draft")), "the drafts to be removed", within=5)
        assert server.send(1).status_code == 202


def test_an_upload_is_put_once_at_a_time(server):
    upload = begin(server, 20).json()
    with begun_put(server, upload, 10) as first:
        wait_for(lambda: list((server.data / "work").glob("*.draft")), "the first PUT to be in progress", within=5)
        second = requests.put(upload["url"], data=b"{}" + b" " * 18, headers=upload["headers"], timeout=60)
        assert problem(second) == (409, "upload-in-progress") and int(second.headers["Retry-After"]) > 0
        first.sendall(b" " * 10)
        assert first.recv(65_536).startswith(b"HTTP/1.1 200 ")
    again = requests.put(upload["url"], data=b"{}" + b" " * 18, headers=upload["headers"], timeout=60)
    assert again.status_code == 200


def test_a_job_outlasts_a_full_disk(program, disk, tmp_path):
    templates = patient_template(tmp_path)
    options = ["--min-free-space", "4", "--workers", "1", "--time-limit", "20"]
    with Server(program, disk.folder / "data", *options, templates=templates, log=tmp_path / "log") as server:
        body = {"template": "slow", "data": {}}
        jobs = [requests.post(f"{server.url}/append_queue", json=body, timeout=60).json()["id"] for _ in range(2)]
        wait_for(lambda: server.job(jobs[0])["status"] == "running", "the job to run", within=60)
        disk.fill()
        time.sleep(45)
        assert all(server.job(job)["status"] in ("queued", "running") for job in jobs)
        disk.make_room()
        for job in jobs:
            wait_for(lambda: server.job(job)["status"] == "completed", "the report", within=120)
        assert all(server.job(job)["attempts"] <= 2 for job in jobs)


def patient_template(folder: Path) -> Path:
    template = folder / "templates/slow"
    template.mkdir(parents=True)
    noise = subprocess.run(["head", "-c", "3000000", "/dev/urandom"], capture_output=True, check=True).stdout
    (template / "noise.bin").write_bytes(noise)
    slow = "#for a in range(2000) { for b in range(1000) { let c = a * b } }"
    (template / "main.typ").write_text(f'#pdf.attach("noise.bin", read("noise.bin", encoding: none))\n{slow}\nDone.\n')
    return folder / "templates"


def test_a_caller_stores_no_more_bytes_than_its_quota(program, tmp_path):
    tokens = "crm crm-token-0123456789abcdef,billing billing-token-0123456789abcd"
    options = ["--tokens", tokens, "--quota-bytes", "100000"]
    crm, billing = ({"Authorization": f"Bearer {pair.split()[1]}"} for pair in tokens.split(","))
    with Server(program, tmp_path / "data", *options) as server:
        assert begin(server, 95_000, **crm).status_code == 201
        refused = begin(server, 6_000, **crm)
        assert problem(refused) == (429, "too-many-bytes")
        assert "95000" in refused.json()["detail"] and "100000" in refused.json()["detail"]
        assert int(refused.headers["Retry-After"]) > 0
        assert begin(server, 95_000, **billing).status_code == 201
        job = server.send(1, headers=crm).json()["id"]
        url = f"{server.url}/jobs/{job}"
        wait_for(lambda: requests.get(url, headers=crm, timeout=60).json()["status"] == "completed", "the report", within=60)
        size = requests.get(url, headers=crm, timeout=60).json()["bytes"]
        assert size > 5_000
        refused = server.send(2, headers=crm)
        assert problem(refused) == (429, "too-many-bytes")
        assert str(95_000 + size) in refused.json()["detail"]
        assert server.send(3, headers=billing).status_code == 202
