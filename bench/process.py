"""Runs a program as a user would and tells how long it took, or how much memory all of its processes took together."""

import ctypes
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench import memory

OK, OVER, FAILED, EXHAUSTED = "ok", "over the bound", "failed", "out of memory"

# From <linux/prctl.h>: who is left behind by its parent becomes this process's child.
PR_SET_CHILD_SUBREAPER = 36

# How long those that a program left behind may take to end.
GRACE = 2

# A program that leaves the machine less than this is stopped before the machine stops.
SPARE_BYTES = 768 << 20


@dataclass(frozen=True)
class Run:
    """How one run of a program went."""

    status: str
    # Wall time, and the processor time of all its processes.
    seconds: float
    cpu_seconds: float
    # Of all its processes together; none if nobody looked.
    peak_bytes: int | None
    # Why there is no result.
    note: str = ""


def run(
    command: Iterable, bound: float, env: dict[str, str] | None = None, cores: set[int] | None = None,
    look_every: float | None = None,
) -> Run:
    """Runs a command to its end, or to the bound. Memory is only looked at if `look_every` so many seconds: that costs time."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            cwd=Path(__file__).parent.parent, start_new_session=True, env=None if env is None else os.environ | env,
            preexec_fn=None if cores is None else lambda: os.sched_setaffinity(0, cores),
        )
        stopped, peak = watch(process.pid, started + bound, look_every)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        cpu_seconds = usage.ru_utime + usage.ru_stime + reap(process.pid)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        last_words = said.read().decode(errors="replace").strip().splitlines()
    outcome = stopped or (OK if process.returncode == 0 else FAILED)
    note = describe(process.returncode, last_words) if outcome == FAILED else ""
    return Run(outcome, seconds, cpu_seconds, peak, note)


def watch(pid: int, until: float, look_every: float | None) -> tuple[str | None, int | None]:
    """Waits for the process. Tells why it was stopped, if it was, and the most memory that was seen."""
    peak, ended = None, os.pidfd_open(pid)
    try:
        waiting = select.poll()
        waiting.register(ended, select.POLLIN)
        while not waiting.poll(min(look_every or 1, max(0, until - time.perf_counter())) * 1000):
            if look_every:
                peak = max(peak or 0, memory.of_tree(pid))
            reason = OVER if time.perf_counter() >= until else EXHAUSTED if memory.spare() < SPARE_BYTES else None
            if reason:
                stop(pid)
                return reason, peak
        return None, peak
    finally:
        os.close(ended)


def reap(session: int) -> float:
    """Waits for those that a program left behind when it ended; tells the processor time they had taken."""
    taken, until = 0.0, time.monotonic() + GRACE
    while left := [pid for pid in memory.everybody() if memory.parent_and_session(pid) == (os.getpid(), session)]:
        if time.monotonic() > until:
            for pid in left:
                stop(pid)
        for pid in left:
            _, _, usage = os.wait4(pid, 0 if time.monotonic() > until else os.WNOHANG)
            taken += usage.ru_utime + usage.ru_stime
        time.sleep(0.002)
    return taken


def stop(pid: int) -> None:
    """Ends a process and all that it started."""
    for member in memory.tree(pid):
        try:
            os.kill(member, signal.SIGKILL)
        except ProcessLookupError:
            pass  # It ended with its parent.


def describe(code: int, last_words: list[str]) -> str:
    """Why a program failed, in a line."""
    how = f"signal {-code}" if code < 0 else f"exit status {code}"
    return f"{how}: {last_words[-1][:160]}" if last_words else how
