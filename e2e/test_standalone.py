"""`pressrun serve` on one machine: Postman's collection, many callers at once, and a crash in the middle of the work."""

import json
import re
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

import pdf
from emulated_aws import ROOT
from polling import wait_for

JOBS = 300
CALLERS_AT_ONCE = 16
NEWMAN = ROOT / "e2e/node_modules/.bin/newman"


class Server:
    """One `pressrun serve` over a data folder, which outlives it."""

    def __init__(self, program: Path, data: Path, token: str = "") -> None:
        self.program, self.data, self.token = program, data, token
        self.process: subprocess.Popen | None = None
        self.url = ""

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.url = f"http://{address}"
        command = [self.program, "serve", "--addr", address, "--data", self.data, "--templates", ROOT / "templates"]
        if self.token:
            command += ["--token", self.token]
        with (self.data.parent / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        wait_for(self.answers, f"{self.url}/healthz to answer", within=30)

    def answers(self) -> bool:
        assert self.process.poll() is None, (self.data.parent / "server.log").read_text()
        try:
            return requests.get(f"{self.url}/healthz", timeout=2).status_code == 200
        except requests.ConnectionError:
            return False

    def kill(self) -> None:
        """Ends the process as a power cut would: nothing of it runs any more."""
        self.process.kill()
        self.process.wait()

    def queue(self, number: int) -> str:
        """Queues one letter and returns the job's id."""
        letter = json.loads((ROOT / "templates/letter/sample.json").read_text())
        letter["subject"] = f"Letter number {number}"
        answer = requests.post(f"{self.url}/append_queue", json={"template": "letter", "data": letter}, timeout=60)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def job(self, job_id: str) -> dict:
        answer = requests.get(f"{self.url}/jobs/{job_id}", timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def report(self, job_id: str) -> bytes:
        answer = requests.get(f"{self.url}/jobs/{job_id}/report", timeout=60)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "application/pdf"
        return answer.content


@pytest.fixture(scope="session")
def program() -> Path:
    """The `pressrun` executable, with the dependencies that `cargo test --workspace` has built already."""
    command = ["cargo", "build", "--workspace", "--bin", "pressrun", "--message-format=json-render-diagnostics"]
    answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    for line in answer.stdout.splitlines():
        artifact = json.loads(line)
        if artifact.get("executable") and artifact["target"]["name"] == "pressrun":
            return Path(artifact["executable"])
    raise AssertionError("cargo named no executable called pressrun")


def test_the_postman_collection_passes(program, tmp_path):
    if not NEWMAN.exists():
        pytest.skip("newman is not installed (npm is missing): the Postman collection was NOT run")
    collection = ROOT / "resources/pressrun.postman_collection.json"
    with Server(program, tmp_path / "data", token="postman-token") as server:
        answer = subprocess.run(
            [NEWMAN, "run", collection, "--bail", "--env-var", f"baseUrl={server.url}", "--env-var", "token=postman-token"],
            capture_output=True, text=True,
        )
    assert answer.returncode == 0, answer.stdout + answer.stderr


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


def wait_until_completed(server: Server, ids: list[str], callers: ThreadPoolExecutor) -> None:
    def all_ended() -> list[dict] | None:
        jobs = list(callers.map(server.job, ids))
        return jobs if all(job["status"] in ("completed", "failed") for job in jobs) else None

    jobs = wait_for(all_ended, f"{len(ids)} jobs to end", within=300, every=1)
    assert [job for job in jobs if job["status"] != "completed"] == []


def check_reports(server: Server, ids: list[str], callers: ThreadPoolExecutor, folder: Path) -> None:
    """Each job has its own report, whole, with the words of its own request."""

    def check(number: int) -> bytes:
        file = folder / f"{number}.pdf"
        file.write_bytes(server.report(ids[number]))
        pdf.check(file)
        assert f"Letter number {number}\n" in pdf.text(file) + "\n"
        return file.read_bytes()

    assert len(set(callers.map(check, range(len(ids))))) == len(ids)


def check_announcements(server: Server, ids: list[str]) -> None:
    """Each job's end is told in one mail, which names its link."""
    mails = {f"{job_id}-completed.eml" for job_id in ids}
    outbox = server.data / "outbox"
    wait_for(lambda: mails <= {file.name for file in outbox.iterdir()}, "a mail for every job", within=60)
    assert {file.name for file in outbox.glob("*.eml")} == mails
    mail = message_from_bytes((outbox / f"{ids[0]}-completed.eml").read_bytes(), policy=policy.default)
    assert mail["Subject"] == "Report ready: letter"
    assert link_path(mail.get_content()).startswith(f"/r/{ids[0]}?expires=")


def link_path(text: str) -> str:
    """The path of the link below `Download`: the port changes when a server is started again."""
    link = urlsplit(re.search(r"^Download:\r?\n(\S+)\r?$", text, re.MULTILINE).group(1))
    return f"{link.path}?{link.query}"
