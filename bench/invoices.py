"""One-page invoices: from the start of a process, warm, and as many a second as one core makes."""

import json
import os
import statistics
import subprocess
from collections.abc import Callable

from bench import invoice, serving
from bench.makers.warm import MAKERS
from bench.process import OK, run
from bench.settings import PYTHON, ROOT, Settings
from bench.tools import Tool
from bench.worker import Worker

COLD_RUNS, WARM_RUNS = 15, 100
# Until caches are filled and connections made.
UNCOUNTED = 10
THROUGHPUT_SECONDS = 10.0


def measure(settings: Settings, tools: list[Tool], say: Callable[[str], None]) -> list[dict]:
    """For each tool the median of cold and warm times in seconds, and PDFs a second and core."""
    made = []
    for tool in tools:
        if tool.version is None:
            continue
        row = {"name": tool.name, **cold(settings, tool)}
        if tool.name == "Pressrun":
            row |= ours(settings)
        elif tool.name in MAKERS:
            row |= warm(settings, tool)
        say(f"invoice, {tool.name}: cold {milliseconds(row['cold'])}, warm {milliseconds(row.get('warm'))}")
        made.append(row)
    return made


def milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1000:.1f} ms"


def cold(settings: Settings, tool: Tool) -> dict:
    folder = settings.work / "invoices"
    folder.mkdir(exist_ok=True)
    taken = []
    for number in range(settings.times(COLD_RUNS) + 1):
        command = tool.invoice(invoice.varied(number), folder, folder / f"{tool.name}.pdf")
        made = run(command, settings.bound, tool.env)
        if made.status != OK:
            return {"cold": None, "note": f"{made.status} {made.note}".strip()}
        taken.append(made.seconds)
    # The first one reads the program from the disk.
    return {"cold": statistics.median(taken[1:]), "peak_bytes": run(command, settings.bound, tool.env, look_every=0.005).peak_bytes}


def warm(settings: Settings, tool: Tool) -> dict:
    """In one process on one core, one after the other, with nothing around it."""
    folder = settings.work / f"warm-{tool.name}"
    folder.mkdir(exist_ok=True)
    command = [PYTHON, "-m", "bench.makers.warm", tool.name, str(settings.times(WARM_RUNS)), folder]
    core = {min(os.sched_getaffinity(0))}
    try:
        answer = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=5 * settings.bound,
            preexec_fn=lambda: os.sched_setaffinity(0, core),
        )
        taken = json.loads(answer.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, IndexError, ValueError):
        return {"note": "the warm run failed"}
    return {"warm": statistics.median(taken), "per_core": 1 / statistics.mean(taken)}


def ours(settings: Settings) -> dict:
    """Through the pipeline, beside the typesetter alone, by turns; then as many as one core makes, and all of them."""
    pipeline, alone = [], []
    with serving.server(settings, "serve-warm") as port, Worker(settings) as worker:
        caller = serving.Caller(port)
        for number in range(UNCOUNTED + settings.times(WARM_RUNS)):
            alone.append(worker.make(number))
            pipeline.append(caller.make(serving.request(number)))
    seconds = 0.5 if settings.quick else THROUGHPUT_SECONDS
    return {
        "warm": statistics.median(pipeline[UNCOUNTED:]), "alone": statistics.median(alone[UNCOUNTED:]),
        "per_core": on_one_core(settings, seconds), "all_cores": on_all_cores(settings, seconds),
    }


def on_one_core(settings: Settings, seconds: float) -> float | None:
    """The server, its queue, records and typesetter on one core, the callers on another."""
    mine = os.sched_getaffinity(0)
    if len(mine) < 2:
        return None
    first, second = sorted(mine)[:2]
    with serving.server(settings, "serve-one-core", "--workers", "1", cores={first}) as port:
        os.sched_setaffinity(0, {second})
        try:
            serving.throughput(port, seconds / 5)
            return serving.throughput(port, seconds)
        finally:
            os.sched_setaffinity(0, mine)


def on_all_cores(settings: Settings, seconds: float) -> float:
    """Server and callers share all cores."""
    with serving.server(settings, "serve-all-cores") as port:
        serving.throughput(port, seconds / 5)
        return serving.throughput(port, seconds)
