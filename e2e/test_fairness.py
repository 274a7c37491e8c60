"""Callers share one machine by turns: what some of them ask for does not hold up another's small report."""

import ctypes
import json
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import requests

import long_reports
from emulated_aws import ROOT
from polling import wait_for
from server import Server
from test_connections import connections
from test_uploads import put

ENDLESS = "#for a in range(100000) { for b in range(100000) { let c = a * b } }"
CALLERS = "abcde"
ROWS = 200_000
INVOICES = 40
# How long an invoice may take, and how many times as long as on an idle server where the machine is slow.
MOST_SECONDS, MOST_TIMES = 1.0, 8


def test_six_endless_reports_of_one_caller_do_not_hold_up_another(program, tmp_path):
    with serve(program, tmp_path, "--time-limit", "3", "--quota-jobs", "10") as server:
        caller, idle = session("a"), invoices(server, 10)
        endless = [queue(server, caller, template="endless", data={}) for _ in range(6)]
        assert_quick(invoices(server), idle)
        for job_id in endless:
            job = ended(server, caller, job_id)
            # Each has its whole time, however long it stood still for others.
            assert job["error"]["type"] == "urn:pressrun:problem:time-limit-exceeded", job
            assert (job["attempts"], "after 3 s" in job["error"]["detail"]) == (1, True), job


def test_four_callers_with_endless_reports_do_not_hold_up_a_fifth(program, tmp_path):
    with serve(program, tmp_path, "--time-limit", "60") as server, adopting_orphans():
        idle = invoices(server, 10)
        for name in CALLERS[:4]:
            for _ in range(4):
                queue(server, session(name), template="endless", data={})
        times = invoices(server)
        children = typesetters(server)
        server.kill()
        assert_quick(times, idle)
        assert 2 < len(children) <= 2 * (1 + 3 + 1), "some stand still, not too many"
        wait_for(lambda: not alive(children), "the children to end with their server, even those that stood still", within=10)


def test_forty_callers_with_an_endless_report_each_do_not_hold_up_another(program, tmp_path):
    others = [f"caller-{number}" for number in range(40)]
    with serve(program, tmp_path, "--time-limit", "60", callers=[*CALLERS, *others]) as server:
        idle = invoices(server, 10)
        for name in others:
            queue(server, session(name), template="endless", data={})
        # Each is young for half a second, and goes first for as long.
        invoices(server, 1)
        assert_quick(invoices(server), idle)
        server.kill()


def test_slow_bodies_do_not_hold_up_the_large_request_of_another(program, tmp_path):
    with serve(program, tmp_path) as server:
        ledger = {"template": "ledger", "data": {**long_reports.head(), "entries": [json.loads(row) for row in long_reports.rows(1_000)]}}
        with connections(server, 6, unfinished("a")), connections(server, 6, unfinished("b")):
            time.sleep(1)
            start = time.monotonic()
            queue(server, session("e"), **ledger)
            assert time.monotonic() - start < 5


def unfinished(name: str) -> bytes:
    """A large request of which more is to come."""
    head = f"POST /append_queue HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token(name)}\r\nContent-Length: 5000000\r\n\r\n"
    return head.encode() + b" " * 100_000


def test_long_ledgers_do_not_hold_up_an_invoice_and_are_whole(program, tmp_path):
    with serve(program, tmp_path) as server:
        ledgers, idle = {}, invoices(server, 10)
        body = "".join(long_reports.rows(ROWS)).encode()
        for name in CALLERS[:4]:
            caller = session(name)
            upload = put(server.url, "ndjson", body, session=caller)
            ledgers[name] = queue(server, caller, template="ledger", data=long_reports.head(), input=upload)
        assert_quick(invoices(server), idle)
        for name, job_id in ledgers.items():
            job = ended(server, session(name), job_id)
            assert (job["status"], job["attempts"]) == ("completed", 1), job
        report = tmp_path / "report.pdf"
        report.write_bytes(session("a").get(f"{server.url}/jobs/{ledgers['a']}/report", timeout=60).content)
        long_reports.check(report, ROWS, job["pages"])


def test_a_caller_alone_has_all_workers_and_its_jobs_in_order(program, tmp_path):
    with serve(program, tmp_path) as server:
        caller = session("a")
        invoices(server, 1)
        ids = [queue(server, caller, template="work", data={}) for _ in range(6)]
        jobs = [ended(server, caller, job_id) for job_id in ids]
        starts = [job["started_at"] for job in jobs]
        assert starts == sorted(starts), jobs
        assert jobs[0]["finished_at"] > jobs[1]["started_at"], "two at a time"


@contextmanager
def serve(program, folder, *options: str, callers: Sequence[str] = CALLERS) -> Iterator[Server]:
    templates = folder / "templates"
    shutil.copytree(ROOT / "templates", templates)
    for name, main in {"endless": ENDLESS, "work": ENDLESS.replace("(100000)", "(300)")}.items():
        (templates / name).mkdir()
        (templates / name / "main.typ").write_text(main)
    tokens = folder / "tokens"
    tokens.write_text("".join(f"{name} {token(name)}\n" for name in callers))
    with Server(program, folder / "data", "--workers", "2", "--stop-timeout", "0", "--tokens-file", tokens, *options, templates=templates) as server:
        yield server


def token(name: str) -> str:
    return f"token-of-{name}-for-an-end-to-end-test"


def session(name: str) -> requests.Session:
    caller = requests.Session()
    caller.headers["Authorization"] = f"Bearer {token(name)}"
    return caller


def queue(server: Server, caller: requests.Session, **body) -> str:
    answer = caller.post(f"{server.url}/append_queue", json=body, timeout=60)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def ended(server: Server, caller: requests.Session, job_id: str) -> dict:
    def record() -> dict | None:
        job = caller.get(f"{server.url}/jobs/{job_id}?wait=20", timeout=60).json()
        return job if job["status"] in ("completed", "failed") else None

    return wait_for(record, f"job {job_id} to end", within=600)


def invoices(server: Server, count: int = INVOICES) -> list[float]:
    """How long each of the fifth caller's invoices takes, from the request to its end."""
    caller, times = session("e"), []
    invoice = json.loads((ROOT / "templates/invoice/sample.json").read_text())
    for _ in range(count):
        start = time.monotonic()
        job = ended(server, caller, queue(server, caller, template="invoice", data=invoice))
        assert job["status"] == "completed", job
        times.append(time.monotonic() - start)
        time.sleep(0.05)
    return times


def assert_quick(times: list[float], idle: list[float]) -> None:
    """All but the one that meets what has just begun."""
    ordered = sorted(times)
    usual, longest = statistics.median(idle), ordered[-2]
    print(f"\nidle {usual:.3f} s, beside others {statistics.median(times):.3f} s, longest but one {longest:.3f} s")
    assert longest < max(MOST_SECONDS, MOST_TIMES * usual), ordered


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """As an init that shares the server's session: the system does not wake those that stand still."""
    system, PR_SET_CHILD_SUBREAPER = ctypes.CDLL(None), 36
    assert system.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    yield
    system.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def typesetters(server: Server) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(server.process.pid)], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


def alive(pids: list[int]) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=,stat=", "-p", ",".join(map(str, pids))], capture_output=True, text=True)
    return [int(line.split()[0]) for line in found.stdout.splitlines() if not line.split()[1].startswith("Z")]
