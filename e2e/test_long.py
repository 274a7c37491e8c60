"""Reports in sections: progress that callers see, a crash in the middle, and a function whose time is over."""

import json
import threading

import requests

import long_reports
from emulated_aws import aws
from polling import wait_for
from server import Server
from test_uploads import begin, ended, put

SECTION_ROWS = 2500


def test_a_stream_tells_how_far_a_long_report_is(program, tmp_path):
    count = 60_000
    with Server(program, tmp_path / "data") as server:
        job_id = queue(server.url, count)
        told = []
        with requests.get(f"{server.url}/jobs/{job_id}/events", stream=True, timeout=120) as stream:
            for line in stream.iter_lines(decode_unicode=True):
                if line.startswith("data:"):
                    told.append(json.loads(line.removeprefix("data:")))
        steps = [job["progress"] for job in told if job["status"] == "running" and job.get("progress")]
        assert steps, told
        done = [step["sections_done"] for step in steps]
        assert done == sorted(set(done)) and done[-1] <= steps[-1]["sections"], steps
        # Sections end with a page, so that they have a few rows more or less; the first and the last page are two more.
        assert abs(steps[-1]["sections"] - 2 - count / SECTION_ROWS) <= 0.05 * count / SECTION_ROWS, steps
        assert told[-1]["status"] == "completed", told[-1]
        report = tmp_path / "report.pdf"
        report.write_bytes(server.report(job_id))
        long_reports.check(report, count, told[-1]["pages"])
        assert not list((server.data / "objects/sections").rglob("*.pdf"))


def test_a_killed_server_goes_on_from_the_sections_it_has(program, tmp_path):
    count = 200_000
    with Server(program, tmp_path / "data") as server:
        job_id = queue(server.url, count)
        sections = server.data / "objects/sections" / job_id

        def made() -> dict:
            return {file.name: file.stat().st_mtime_ns for file in sections.rglob("*.pdf")}

        wait_for(lambda: len(made()) >= 0.6 * count / SECTION_ROWS, "60 % of the sections", within=300, every=0.02)
        server.kill()
        before = made()
        assert len(before) < count / SECTION_ROWS, "the kill must fall into the middle of the work"

        server.start()
        watcher = Watcher(made)
        job = ended(server, job_id)
        after = watcher.stop()
        assert job["status"] == "completed", job
        again = [name for name, at in before.items() if after.get(name) != at]
        assert len(again) <= 0.05 * count / SECTION_ROWS, f"{len(again)} of {len(before)} sections were made again"
        report = tmp_path / "report.pdf"
        report.write_bytes(server.report(job_id))
        long_reports.check(report, count, job["pages"])


def test_a_function_whose_time_is_over_passes_its_job_on(deployment, tmp_path):
    """Several times what the function gets done in its time, stored in several parts."""
    count = 600_000
    with deployment.timeout("processor", 12):
        body = "".join(long_reports.rows(count)).encode()
        upload = begin(deployment, "ndjson", len(body))
        answer = requests.put(upload["url"], data=body, headers=upload["headers"], timeout=60)
        assert answer.status_code == 200, answer.text
        request = {"template": "ledger", "input": upload["id"], "data": long_reports.head()}
        answer = deployment.call("POST", "/append_queue", json=request)
        assert answer.status_code == 202, answer.text
        job = deployment.ended(answer.json(), within=400)
    assert job["status"] == "completed", job
    assert job["attempts"] > 1
    report = tmp_path / "report.pdf"
    report.write_bytes(deployment.download(answer.json()["report_url"], token=""))
    long_reports.check(report, count, job["pages"])
    bucket = deployment.outputs["bucket"]
    assert aws("s3").list_objects_v2(Bucket=bucket, Prefix="sections/")["KeyCount"] == 0


class Watcher(threading.Thread):
    """Remembers the last that was seen before it was cleared away."""

    def __init__(self, look) -> None:
        super().__init__(daemon=True)
        self.look, self.done, self.seen = look, threading.Event(), {}
        self.start()

    def run(self) -> None:
        while not self.done.wait(0.02):
            try:
                self.seen.update(self.look())
            except FileNotFoundError:
                continue

    def stop(self) -> dict:
        self.done.set()
        self.join()
        return self.seen


def queue(url: str, count: int) -> str:
    upload = put(url, "ndjson", "".join(long_reports.rows(count)).encode())
    request = {"template": "ledger", "input": upload, "data": long_reports.head()}
    answer = requests.post(f"{url}/append_queue", json=request, timeout=60)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]
