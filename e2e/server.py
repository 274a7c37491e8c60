"""One `pressrun serve`, and what is to be true of the jobs it accepted."""

import json
import re
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import urlsplit

import requests

import pdf
from emulated_aws import ROOT
from polling import wait_for

CALLERS_AT_ONCE = 16


class Server:
    """One `pressrun serve` over a data folder, which outlives it."""

    def __init__(self, program: Path, data: Path, *options: str, templates: Path | None = None, log: Path | None = None) -> None:
        self.program, self.data, self.options = program, data, options
        self.templates = templates or ROOT / "templates"
        self.log = log or data.parent / "server.log"
        self.process: subprocess.Popen | None = None
        self.url = ""

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def start(self) -> None:
        address = free_address()
        self.url = f"http://{address}"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command(address), stdout=log, stderr=subprocess.STDOUT)
        wait_for(self.answers, f"{self.url}/healthz to answer", within=60)

    def command(self, address: str) -> list:
        command = [self.program, "serve", "--addr", address, "--data", self.data, "--templates", self.templates]
        return [*command, *self.options]

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return requests.get(f"{self.url}/healthz", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def refuses(self, code: int = 1) -> str:
        """What it says on standard error when it refuses to start."""
        try:
            answer = subprocess.run(self.command(free_address()), capture_output=True, text=True, timeout=60)
        except subprocess.TimeoutExpired:
            raise AssertionError("it serves all the same") from None
        assert answer.returncode == code, f"exit code {answer.returncode}\n{answer.stderr}"
        assert "panicked" not in answer.stderr, answer.stderr
        return answer.stderr

    def kill(self) -> None:
        """Ends the process as a power cut would: nothing of it runs any more."""
        self.process.kill()
        self.process.wait()

    def send(self, number: int, headers: dict[str, str] | None = None) -> requests.Response:
        """Asks for one letter, which says its number."""
        letter = json.loads((ROOT / "templates/letter/sample.json").read_text())
        letter["subject"] = f"Letter number {number}"
        body = {"template": "letter", "data": letter}
        return requests.post(f"{self.url}/append_queue", json=body, headers=headers, timeout=60)

    def queue(self, number: int) -> str:
        """Queues one letter and returns the job's id."""
        answer = self.send(number)
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

    def reports(self) -> dict[str, bytes]:
        """Every report in the data folder, by its job's id."""
        return {file.stem: file.read_bytes() for file in (self.data / "objects/reports").glob("*.pdf")}


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def wait_until_completed(server: Server, ids: list[str], callers: ThreadPoolExecutor) -> None:
    def all_ended() -> list[dict] | None:
        jobs = list(callers.map(server.job, ids))
        return jobs if all(job["status"] in ("completed", "failed") for job in jobs) else None

    jobs = wait_for(all_ended, f"{len(ids)} jobs to end", within=600, every=1)
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
    wait_for(lambda: mails <= {file.name for file in outbox.iterdir()}, "a mail for every job", within=120)
    assert {file.name for file in outbox.glob("*.eml")} == mails
    mail = message_from_bytes((outbox / f"{ids[0]}-completed.eml").read_bytes(), policy=policy.default)
    assert mail["Subject"] == "Report ready: letter"
    assert link_path(mail.get_content()).startswith(f"/r/{ids[0]}?expires=")


def link_path(text: str) -> str:
    """The path of the link below `Download`: the port changes when a server is started again."""
    link = urlsplit(re.search(r"^Download:\r?\n(\S+)\r?$", text, re.MULTILINE).group(1))
    return f"{link.path}?{link.query}"
