"""Measures Pressrun and what a user would pick instead, prints one page of tables and writes it with a chart.

    python -m bench [--rows 1000,10000,100000,1000000] [--only Pressrun,wkhtmltopdf] [--bound 120] [--quick] [--out resources]
"""

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from datetime import date
from pathlib import Path

from bench import chart, invoices, machine, page, promises, reports
from bench.listener import measure as listeners
from bench.settings import CACHE, ROOT, Settings
from bench.tools import all_tools

TOOLS = "Pressrun,typst-py,wkhtmltopdf,ReportLab,Chromium,WeasyPrint"


def main() -> None:
    options = arguments()
    work = Path(tempfile.mkdtemp(prefix="bench-", dir=CACHE))
    try:
        settings = Settings(
            tuple(int(count) for count in options.rows.split(",")), tuple(options.only.split(",")), options.bound,
            options.program.resolve(), options.listener_zip.resolve(), options.quick, work,
        )
        measure(settings, options.out)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def measure(settings: Settings, out: Path) -> None:
    tools = all_tools(settings)
    for tool in tools:
        if tool.version is None:
            say(f"{tool.name} is MISSING on this machine: it is not part of the comparison")
    made_invoices = invoices.measure(settings, tools, say)
    made_listeners = measure_listeners(settings)
    made_reports = reports.measure(settings, tools, say)
    one_core = next((reports.one_core(settings, tool) for tool in tools if tool.name == "Pressrun"), None)
    kept = promises.all_promises(made_reports, one_core, made_invoices, made_listeners, settings.bound)
    figures = {
        "machine": machine.describe() | {"day": date.today().isoformat()},
        "bound_seconds": settings.bound, "quick": settings.quick,
        "versions": {tool.name: tool.version for tool in tools},
        "promises": [asdict(promise) for promise in kept], "invoices": made_invoices, "listeners": made_listeners,
        "reports": [asdict(made) for made in made_reports], "one_core": one_core,
    }
    written = page.write(settings, figures, tools, made_reports, kept)
    out.mkdir(exist_ok=True)
    (out / "bench.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "bench.svg").write_text(chart.draw(made_reports, settings.bound), encoding="utf-8")
    (out / "bench.md").write_text(written, encoding="utf-8")
    print(written)


def measure_listeners(settings: Settings) -> list[dict]:
    if not settings.listener_zip.is_file():
        say("there is NO dist/listener.zip: the listeners are not measured; `make build` makes it")
        return []
    measured = listeners.measure(settings)
    for row in measured:
        say(f"listener, {row['name']}: first poll after {invoices.milliseconds(row['first_poll'])}")
    return measured


def say(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1000,10000,100000,1000000", help="how many rows the ledgers have")
    parser.add_argument("--only", default=TOOLS, help="the tools to measure")
    parser.add_argument("--bound", type=float, default=120, help="how many seconds a tool has for a report")
    parser.add_argument("--program", type=Path, required=True, help="the `pressrun` executable")
    parser.add_argument("--listener-zip", type=Path, default=ROOT / "dist/listener.zip", help="the listener as it is deployed")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the repetitions: to see that all of it runs")
    parser.add_argument("--out", type=Path, default=ROOT / "resources", help="folder for bench.md, bench.json and bench.svg")
    return parser.parse_args()


if __name__ == "__main__":
    main()
