"""`pressrun serve` under load, killed at random moments and started again, until all is settled."""

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from polling import wait_for
from server import CALLERS_AT_ONCE, Server, check_announcements, check_reports, wait_until_completed

JOBS = 1_000
KILLS = 10
SECONDS_BETWEEN_KILLS = (1.0, 5.0)
# So that requests arrive for about as long as there are kills.
LONGEST_PAUSE_OF_A_CALLER = 2 * CALLERS_AT_ONCE * KILLS * sum(SECONDS_BETWEEN_KILLS) / 2 / JOBS

pytestmark = pytest.mark.chaos


def test_a_server_killed_ten_times_under_load_loses_nothing(program, tmp_path):
    seed = int(os.environ.get("PRESSRUN_SEED") or random.randrange(2**32))
    print(f"\nPRESSRUN_SEED={seed}")
    moments, pauses = random.Random(seed), random.Random(seed + 1)
    reports: dict[str, bytes] = {}
    busy = 0

    with Server(program, tmp_path / "data", "--workers", "2") as server, ThreadPoolExecutor(CALLERS_AT_ONCE) as callers:
        pause = [pauses.uniform(0, LONGEST_PAUSE_OF_A_CALLER) for _ in range(JOBS)]
        answers = [callers.submit(accepted, server, number, pause[number]) for number in range(JOBS)]
        for kill in range(KILLS):
            time.sleep(moments.uniform(*SECONDS_BETWEEN_KILLS))
            if kill % 2:
                await_a_run(server)
            server.kill()
            check_kept(reports, server)
            busy += any((server.data / "work").iterdir())
            server.start()
        ids = [answer.result() for answer in answers]
        print(f"{JOBS} jobs, {KILLS} kills, {busy} of them into a run")
        assert len(set(ids)) == JOBS
        assert busy > 0, "no kill fell into a run"

        wait_until_completed(server, ids, callers)
        check_kept(reports, server)
        assert reports.keys() == set(ids)
        check_reports(server, ids, callers, tmp_path)
        check_announcements(server, ids)
        announcements = server.log.read_text().count(": announced")
        print(f"{announcements} announcements, {announcements - JOBS} of them duplicates")
        assert announcements >= JOBS


def await_a_run(server: Server) -> None:
    """Returns within a run, which takes a few milliseconds, or when there was none for a while."""
    deadline = time.monotonic() + 2
    while not any((server.data / "work").iterdir()) and time.monotonic() < deadline:
        pass


def accepted(server: Server, number: int, pause: float) -> str:
    """Sends one request until a server answers that it is accepted, always under its own key; returns the job's id."""
    time.sleep(pause)

    def send() -> str | None:
        try:
            answer = server.send(number, {"Idempotency-Key": f'"letter-{number}"'})
        except requests.RequestException:
            return None
        assert answer.status_code in (202, 503), answer.text
        return answer.json()["id"] if answer.status_code == 202 else None

    return wait_for(send, f"letter {number} to be accepted", within=300)


def check_kept(reports: dict[str, bytes], server: Server) -> None:
    """No report that was there once is gone or another one."""
    found = server.reports()
    assert {job_id: report for job_id, report in found.items() if job_id in reports} == reports
    reports.update(found)
