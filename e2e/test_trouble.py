"""`pressrun serve` where it cannot work: it says what is in its way and what to do, and loses nothing it accepted."""

import random
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from disk import PAGE_BYTES, Disk
from polling import wait_for
from server import CALLERS_AT_ONCE, Server, wait_until_completed

SECONDS_FULL = 10
# Its announcement and the lines of as many deliveries as a message has.
LOG_BYTES_A_JOB = 5_000


@pytest.fixture
def server(program, disk, tmp_path) -> Server:
    """A server, not started, whose data is on that disk."""
    # A message that cannot be given back is hidden for a little longer than the time limit.
    return Server(program, disk.folder / "data", "--time-limit", "20", log=tmp_path / "server.log")


def test_a_port_in_use_is_named(program, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        answer = subprocess.run(
            Server(program, tmp_path / "data").command(address), capture_output=True, text=True, timeout=60
        )
    assert answer.returncode == 1, answer.stderr
    assert address in answer.stderr and "--addr" in answer.stderr, answer.stderr
    assert not (tmp_path / "data").exists()


def test_a_full_disk_is_named_where_there_is_no_data_yet(disk, server):
    disk.fill()
    check_says(server.refuses(), server.data, "room", "--data")


def test_a_full_disk_is_named_where_there_is_data_and_nothing_is_lost(disk, server):
    done = one_report(server)
    # Without a log the start needs room; with the one that a server left it can serve, and answer 503.
    remove_write_ahead_log(server.data / "pressrun.db")
    disk.fill()
    check_says(server.refuses(), server.data, "room")
    disk.make_room()
    with server:
        assert server.job(done)["status"] == "completed" and server.report(done)


def test_a_disk_that_fills_up_while_it_serves_loses_nothing_that_was_accepted(disk, server):
    with server, ThreadPoolExecutor(CALLERS_AT_ONCE) as callers:
        accepted = list(callers.map(server.queue, range(100)))
        refused = fill_until_refused(disk, server, accepted)

        assert refused.headers["Content-Type"] == "application/problem+json"
        assert refused.json()["type"] in ("urn:pressrun:problem:storage-full", "urn:pressrun:problem:unavailable")
        assert int(refused.headers["Retry-After"]) >= 1
        assert requests.get(f"{server.url}/readyz", timeout=60).status_code == 503
        time.sleep(SECONDS_FULL)
        assert requests.get(f"{server.url}/healthz", timeout=60).status_code == 200
        assert server.log.stat().st_size < LOG_BYTES_A_JOB * len(accepted), "it must not try again without a pause"

        disk.make_room()
        accepted.append(wait_for(lambda: id_of(server.send(101)), "a job to be accepted again", within=60))
        wait_until_completed(server, accepted, callers)
        assert all(callers.map(server.report, accepted))


def fill_until_refused(disk: Disk, server: Server, accepted: list[str]) -> requests.Response:
    """The first refusal on a full disk; before that the server may find room that it had left itself."""
    for _ in range(1_000):
        disk.fill()
        answer = server.send(100)
        if answer.status_code in (503, 507):
            return answer
        assert answer.status_code == 202, answer.text
        accepted.append(answer.json()["id"])
    raise AssertionError("the disk is never full")


def id_of(answer: requests.Response) -> str | None:
    return answer.json()["id"] if answer.status_code == 202 else None


def test_a_read_only_data_folder_is_named(disk, server):
    one_report(server)
    disk.make_read_only()
    check_says(server.refuses(), server.data, "read-only", "writable", "--data")


def test_a_data_folder_that_cannot_be_made_is_named(disk, server):
    disk.make_read_only()
    check_says(server.refuses(), server.data, "read-only", "writable", "--data")


def test_a_file_that_is_no_database_is_named_and_left_as_it_is(program, tmp_path):
    server = Server(program, tmp_path / "data")
    database = server.data / "pressrun.db"
    database.parent.mkdir()
    garbage = random.Random(1).randbytes(10 * PAGE_BYTES)
    database.write_bytes(garbage)

    check_says(server.refuses(), database, "restore", "move it away")
    assert database.read_bytes() == garbage


def test_a_database_with_a_damaged_page_is_named_and_left_as_it_is_whichever_page_that_is(program, tmp_path):
    server = Server(program, tmp_path / "data")
    with server, ThreadPoolExecutor(CALLERS_AT_ONCE) as callers:
        wait_until_completed(server, list(callers.map(server.queue, range(200))), callers)
    database = server.data / "pressrun.db"
    pages = pages_of(database)
    assert len(pages) >= 8, "too few to have a middle"

    for number in range(1, len(pages)):
        damaged = b"".join([*pages[:number], random.Random(number).randbytes(PAGE_BYTES), *pages[number + 1 :]])
        database.write_bytes(damaged)
        check_says(server.refuses(), database, "restore", "move it away")
        assert database.read_bytes() == damaged, f"page {number}"
    database.write_bytes(b"".join(pages))
    server.start()
    server.kill()


def pages_of(database: Path) -> list[bytes]:
    """What is in the file, without pages that nothing uses and nothing left in a write-ahead log."""
    connection = sqlite3.connect(database)
    connection.execute("VACUUM")
    connection.close()
    remove_write_ahead_log(database)
    content = database.read_bytes()
    return [content[start : start + PAGE_BYTES] for start in range(0, len(content), PAGE_BYTES)]


def remove_write_ahead_log(database: Path) -> None:
    """Moves what is in the write-ahead log into the database: the last connection that is closed removes the log."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert not database.with_name(f"{database.name}-wal").exists()


def one_report(server: Server) -> str:
    """Serves until one report is made, stops, and returns the job's id."""
    with server:
        job = server.queue(1)
        wait_for(lambda: server.job(job)["status"] == "completed", "the report", within=60)
    return job


def check_says(complaint: str, thing: Path, *advice: str) -> None:
    """The complaint names the thing and says what to do about it."""
    said = complaint.lower()
    assert str(thing).lower() in said, complaint
    assert [words for words in advice if words not in said] == [], complaint
