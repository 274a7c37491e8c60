"""`pressrun serve` on one machine: many callers at once, and a crash in the middle of the work."""

from concurrent.futures import ThreadPoolExecutor

from polling import wait_for
from server import CALLERS_AT_ONCE, Server, check_announcements, check_reports, wait_until_completed

JOBS = 300


def test_300_requests_at_once_become_300_reports(program, tmp_path):
    with Server(program, tmp_path / "data") as server, ThreadPoolExecutor(CALLERS_AT_ONCE) as callers:
        ids = list(callers.map(server.queue, range(JOBS)))
        assert len(set(ids)) == JOBS
        wait_until_completed(server, ids, callers)
        check_reports(server, ids, callers, tmp_path)
        check_announcements(server, ids)


def test_a_killed_server_finishes_every_job_it_accepted(program, tmp_path):
    with Server(program, tmp_path / "data") as server, ThreadPoolExecutor(CALLERS_AT_ONCE) as callers:
        ids = list(callers.map(server.queue, range(JOBS)))
        wait_for(lambda: server.job(ids[20])["status"] == "completed", "the first jobs", within=60)
        server.kill()
        reports = list((tmp_path / "data").rglob("*.pdf"))
        assert 0 < len(reports) < JOBS, "the kill must fall into the middle of the work"

        server.start()
        wait_until_completed(server, ids, callers)
        check_reports(server, ids, callers, tmp_path)
        check_announcements(server, ids)
        assert {report.stem for report in (tmp_path / "data").rglob("*.pdf")} == set(ids)
