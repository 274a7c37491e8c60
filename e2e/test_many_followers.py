"""A thousand callers who follow jobs at once: all are told, soon, and the server stays small and quick."""

import statistics
import threading
import time
from datetime import datetime
from pathlib import Path

import requests

from server import Server

FOLLOWERS = 500
# The server's memory may grow by so much for a thousand open connections.
MOST_GROWTH_BYTES = 100_000_000
JOBS = 50


class Follower(threading.Thread):
    """Follows one job until it has ended, and notes when it heard of it."""

    def __init__(self, url: str, stream: bool, ready: threading.Semaphore) -> None:
        super().__init__(daemon=True)
        self.url, self.stream, self.ready = url, stream, ready
        self.ended: str | None = None
        self.heard_at = 0.0

    def run(self) -> None:
        if self.stream:
            self.read_events()
        else:
            self.ready.release()
            while self.ended is None:
                answer = requests.get(f"{self.url}?wait=60", timeout=90).json()
                self.hear(answer["status"])

    def read_events(self) -> None:
        with requests.get(f"{self.url}/events", stream=True, timeout=90) as answer:
            self.ready.release()
            for line in answer.iter_lines(chunk_size=1):
                if line.startswith(b"event: "):
                    self.hear(line.removeprefix(b"event: ").decode())

    def hear(self, status: str) -> None:
        if status in ("completed", "failed"):
            self.ended, self.heard_at = status, time.time()


def test_one_who_follows_a_job_hears_of_its_end_at_once(program, tmp_path):
    with Server(program, tmp_path / "data") as server:
        delays = {"poll": [], "stream": []}
        for number in range(JOBS):
            job_id = server.queue(number)
            ready = threading.Semaphore(0)
            followers = [Follower(f"{server.url}/jobs/{job_id}", stream, ready) for stream in (False, True)]
            for follower in followers:
                follower.start()
            for follower in followers:
                follower.join(60)
                assert follower.ended == "completed"
            ended_at = finished_at(server, job_id)
            delays["poll"].append(followers[0].heard_at - ended_at)
            delays["stream"].append(followers[1].heard_at - ended_at)
    for way, seconds in delays.items():
        print(f"{way}: heard {statistics.median(seconds) * 1000:.0f} ms after the end, in the median of {JOBS}")
        # A generous bound: what is measured is whether anything waits for a clock.
        assert statistics.median(seconds) < 0.25, way


def test_a_thousand_followers_are_all_told_and_cost_little(program, tmp_path):
    templates = tmp_path / "templates"
    slow(templates / "slow")
    with Server(program, tmp_path / "data", "--workers", "1", templates=templates) as server:
        before = resident(server.process.pid)
        usual = post_latency(server)
        jobs = [post(server) for _ in range(FOLLOWERS)]
        ready = threading.Semaphore(0)
        urls = [f"{server.url}/jobs/{jobs[0]}"] * FOLLOWERS + [f"{server.url}/jobs/{job}" for job in jobs]
        followers = [Follower(url, number % 2 == 0, ready) for number, url in enumerate(urls)]
        for follower in followers:
            follower.start()
        for _ in followers:
            assert ready.acquire(timeout=60)
        time.sleep(1)
        growth = resident(server.process.pid) - before
        busy = post_latency(server)
        print(f"memory grew by {growth / 1e6:.0f} MB; a POST takes {busy / usual:.1f} times as long")
        assert growth < MOST_GROWTH_BYTES
        for follower in followers[:FOLLOWERS]:
            follower.join(120)
        assert {follower.ended for follower in followers[:FOLLOWERS]} == {"completed"}
        for follower in followers[FOLLOWERS:]:
            follower.join(120)
        assert {follower.ended for follower in followers[FOLLOWERS:]} == {"completed"}


def slow(folder: Path) -> None:
    """A template that keeps the one worker busy for a moment."""
    folder.mkdir(parents=True)
    (folder / "main.typ").write_text("#for a in range(60) { for b in range(1000) { let c = a * b } }\nDone.\n")


def post(server: Server) -> str:
    answer = requests.post(f"{server.url}/append_queue", json={"template": "slow", "data": {}}, timeout=60)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def post_latency(server: Server) -> float:
    """The median time of a request that is queued, in seconds."""
    times = []
    for _ in range(20):
        start = time.perf_counter()
        post(server)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def finished_at(server: Server, job_id: str) -> float:
    return datetime.fromisoformat(server.job(job_id)["finished_at"]).timestamp()


def resident(pid: int) -> int:
    """The memory of a process, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
