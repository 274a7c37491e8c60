"""The tools: how each is found, which version it is, and how it is started for one report."""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from bench import invoice
from bench.ledger import Ledger
from bench.makers import typst_folder
from bench.settings import PYTHON, TEMPLATES, Settings

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Tool:
    """One way of making a PDF, started anew for each."""

    name: str
    # As the tool itself says; none if it is missing.
    version: str | None
    # The commands that make a ledger, and an invoice of this data in this folder.
    ledger: Callable[[Ledger, Path], list]
    invoice: Callable[[dict, Path, Path], list]
    env: dict[str, str] = field(default_factory=dict)


def all_tools(settings: Settings) -> list[Tool]:
    """Ours first."""
    tools = [pressrun(settings), typst_py(), wkhtmltopdf(), reportlab(), chromium(settings.work), weasyprint()]
    return [tool for tool in tools if tool.name in settings.only]


def pressrun(settings: Settings) -> Tool:
    def common(out: Path) -> list:
        return ["--templates", TEMPLATES, "-o", out, "--time-limit", int(settings.bound) + 1, "--output-limit", 4096]

    def ledger(source: Ledger, out: Path) -> list:
        rows = ["--data", source.ndjson, "--head", source.head]
        return [settings.program, "render", "ledger", *rows, *common(out)]

    def one(data: dict, folder: Path, out: Path) -> list:
        return [settings.program, "render", "invoice", "--data", json_file(data, folder), *common(out)]

    return Tool("Pressrun", said(settings.program, "--version"), ledger, one)


def typst_py() -> Tool:
    def maker(main: Path, out: Path) -> list:
        return [PYTHON, "-m", "bench.makers.typst_pdf", main, out]

    return Tool(
        "typst-py", installed("typst"), lambda source, out: maker(source.typst, out),
        lambda data, folder, out: maker(typst_folder.lay_out(folder / "typst", data), out),
    )


def reportlab() -> Tool:
    return Tool(
        "ReportLab", installed("reportlab"),
        lambda source, out: [PYTHON, "-m", "bench.makers.reportlab_ledger", source.json, out],
        lambda data, folder, out: [PYTHON, "-m", "bench.makers.reportlab_invoice", json_file(data, folder), out],
    )


def weasyprint() -> Tool:
    program = Path(PYTHON).parent / "weasyprint"
    return of_the_web("WeasyPrint", installed("weasyprint"), lambda page, out: [program, page, out])


def wkhtmltopdf() -> Tool:
    version = said("wkhtmltopdf", "--version")
    # It does not heed the page's own @page.
    edges = ["--page-size", "A4", "-T", "20mm", "-B", "20mm", "-L", "20mm", "-R", "20mm"]
    # No screen is needed; Debian's build would ask for one.
    env = {"QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": "/tmp"}
    return of_the_web("wkhtmltopdf", version, lambda page, out: ["wkhtmltopdf", "--quiet", *edges, page, out], env)


def chromium(work: Path) -> Tool:
    program = chromium_program()

    def printing(page: Path, out: Path) -> list:
        return [*chromium_command(program, work), "--no-pdf-header-footer", f"--print-to-pdf={out}", page.as_uri()]

    return of_the_web("Chromium", program and said(program, "--version"), printing)


def chromium_program() -> str | None:
    return next((path for path in map(shutil.which, CHROMIUM_NAMES) if path), None)


def chromium_command(program: str, work: Path) -> list:
    """Headless, with a profile of its own. The sandbox does not start for root, nor in most containers."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage", "--disable-extensions"]
    return [program, *options, f"--user-data-dir={work / 'chromium'}"]


def of_the_web(name: str, version: str | None, printing: Callable[[Path, Path], list], env: dict | None = None) -> Tool:
    """A tool that takes a page of the web."""

    def one(data: dict, folder: Path, out: Path) -> list:
        page = folder / "invoice.html"
        page.write_text(invoice.as_html(data), encoding="utf-8")
        return printing(page, out)

    return Tool(name, version, lambda source, out: printing(source.html, out), one, env or {})


def json_file(data: dict, folder: Path) -> Path:
    (folder / "invoice.json").write_text(json.dumps(data), encoding="utf-8")
    return folder / "invoice.json"


def said(program: str | Path, *arguments: str) -> str | None:
    """The first line a program says of itself; none if there is no such program."""
    try:
        answer = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return next((line.strip() for line in answer.stdout.splitlines() if line.strip()), "unknown version")


def installed(package: str) -> str | None:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return None
