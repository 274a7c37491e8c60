"""Invoices through the whole pipeline of `pressrun serve`: one after the other, and as many as it takes."""

import http.client
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from bench import invoice
from bench.settings import TEMPLATES, Settings

READY_WITHIN_SECONDS = 60
# Enough for a worker to find the next job queued whenever it is done with one.
IN_FLIGHT = 8


class Caller:
    """One caller, over a connection that it keeps."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self, method: str, path: str, body: bytes | None = None) -> dict:
        self.connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status not in (200, 202):
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:300]!r}")
        return json.loads(content)

    def make(self, body: bytes) -> float:
        """Queues an invoice and waits until it is made; returns how many seconds that took."""
        started = time.perf_counter()
        job = self.call("POST", "/append_queue", body)
        while job["status"] in ("queued", "running"):
            job = self.call("GET", f"/jobs/{job['id']}?wait=60")
        if job["status"] != "completed":
            raise RuntimeError(f"an invoice was not made: {job}")
        return time.perf_counter() - started


def request(number: int) -> bytes:
    return json.dumps({"template": "invoice", "data": invoice.varied(number)}).encode()


@contextmanager
def server(settings: Settings, name: str, *options: str, cores: set[int] | None = None) -> Iterator[int]:
    """A `pressrun serve` on a data folder of its own; the port it listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address, data = f"127.0.0.1:{port}", settings.work / name
    command = [settings.program, "serve", "--addr", address, "--data", data, "--templates", TEMPLATES, *options]
    with (settings.work / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | {"RUST_LOG": "warn"},
            preexec_fn=None if cores is None else lambda: os.sched_setaffinity(0, cores),
        )
    try:
        wait_until_ready(process, port, Path(log.name))
        yield port
    finally:
        process.terminate()
        process.wait(timeout=60)


def wait_until_ready(process: subprocess.Popen, port: int, log: Path) -> None:
    until = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"pressrun serve ended: {log.read_text()}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("pressrun serve does not listen")


def throughput(port: int, seconds: float) -> float:
    """PDFs a second while there is always something queued."""
    numbers, made, until = count(1_000), [], time.perf_counter() + seconds

    def keep_asking() -> None:
        caller = Caller(port)
        while time.perf_counter() < until:
            caller.make(request(next(numbers)))
            made.append(time.perf_counter())

    callers = [threading.Thread(target=keep_asking) for _ in range(IN_FLIGHT)]
    started = time.perf_counter()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return len(made) / (max(made) - started)
