"""The ledger of more and more rows, with every tool, for as far as it gets."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace

from bench import pdf
from bench.ledger import Ledger
from bench.process import OK, Run, run
from bench.settings import Settings
from bench.tools import Tool

MISSING, WRONG, NOT_TRIED = "missing", "not whole", "not tried"

# A run that is over sooner is made three times, and the best one counts.
SHORT_SECONDS = 5
# At so many rows our two cores are compared with one.
ONE_CORE_ROWS = 100_000


@dataclass(frozen=True)
class Made:
    """A ledger by one tool, or why there is none."""

    tool: str
    rows: int
    status: str
    note: str = ""
    seconds: float | None = None
    cpu_seconds: float | None = None
    peak_bytes: int | None = None
    pages: int | None = None
    pdf_bytes: int | None = None


def measure(settings: Settings, tools: list[Tool], say: Callable[[str], None]) -> list[Made]:
    """Every tool with every number of rows."""
    made: list[Made] = []
    for rows in sorted(settings.rows):
        ledger = Ledger(rows, settings.work)
        for tool in tools:
            smaller = next((it for it in reversed(made) if it.tool == tool.name), None)
            made.append(make(settings, tool, ledger, smaller))
            say(f"{rows:,} rows, {tool.name}: {made[-1].status}" + (f", {made[-1].seconds:.2f} s" if made[-1].seconds else ""))
    return made


def make(settings: Settings, tool: Tool, ledger: Ledger, smaller: Made | None) -> Made:
    """The ledger with one tool, unless it is known from a smaller one that it will not come to an end."""
    nothing = Made(tool.name, ledger.rows, NOT_TRIED)
    if tool.version is None:
        return replace(nothing, status=MISSING)
    if smaller and smaller.status != OK:
        return replace(nothing, note=f"{smaller.rows:,} rows: {smaller.status}")
    if smaller and (expected := smaller.seconds * ledger.rows / smaller.rows) > settings.bound:
        return replace(nothing, note=f"{expected:.0f} s to be expected")
    out = ledger.folder / f"{tool.name}.pdf"
    try:
        return measured(settings, tool, ledger, out, nothing)
    finally:
        out.unlink(missing_ok=True)


def measured(settings: Settings, tool: Tool, ledger: Ledger, out, nothing: Made) -> Made:
    command = tool.ledger(ledger, out)
    best = run(command, settings.bound, tool.env)
    if best.status != OK:
        return replace(nothing, status=best.status, note=best.note)
    try:
        pages = pdf.pages(out)
        if not pdf.ends_with(out, ledger.last_document, pages):
            return replace(nothing, status=WRONG, note="the last row is not there")
    except (OSError, subprocess.CalledProcessError, AttributeError) as error:
        return replace(nothing, status=WRONG, note=f"no readable PDF: {error}"[:160])
    size = out.stat().st_size
    best = best_of(best, lambda: run(command, settings.bound, tool.env), settings)
    return replace(
        nothing, status=OK, seconds=best.seconds, cpu_seconds=best.cpu_seconds, pages=pages, pdf_bytes=size,
        peak_bytes=peak(settings, tool, command, best.seconds),
    )


def best_of(first: Run, again: Callable[[], Run], settings: Settings) -> Run:
    if first.seconds >= SHORT_SECONDS or settings.quick:
        return first
    return min((it for it in (first, again(), again()) if it.status == OK), key=lambda it: it.seconds)


def peak(settings: Settings, tool: Tool, command: list, seconds: float) -> int | None:
    """In a run of its own, since looking slows it."""
    look_every = min(0.1, max(0.005, seconds / 200))
    return run(command, 4 * settings.bound, tool.env, look_every=look_every).peak_bytes


def one_core(settings: Settings, tool: Tool) -> dict | None:
    """Our time on one core and on two, one after the other: of several pairs, the one with the median ratio. None where there
    is one core only."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return None
    ledger = Ledger(min(ONE_CORE_ROWS, max(settings.rows)), settings.work)
    out = ledger.folder / "one-core.pdf"
    command, both = tool.ledger(ledger, out), (cores[:1], cores[:2])
    pairs = [[run(command, settings.bound, cores=set(chosen)) for chosen in both] for _ in range(pairs_of_cores(settings))]
    out.unlink(missing_ok=True)
    if any(it.status != OK for pair in pairs for it in pair):
        return None
    times = sorted(([it.seconds for it in pair] for pair in pairs), key=lambda pair: pair[0] / pair[1])
    one, two = times[len(times) // 2]
    return {"rows": ledger.rows, "one": one, "two": two}


def pairs_of_cores(settings: Settings) -> int:
    """How many pairs are run: times drift by the minute, and a pair drifts together."""
    return 1 if settings.quick else 9
