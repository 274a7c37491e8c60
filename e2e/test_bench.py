"""`make bench` in small: every step is taken, and what is written says so. Nothing here asks how long anything took."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from emulated_aws import ROOT


@pytest.fixture(scope="module")
def measured(program, zips, tmp_path_factory) -> Path:
    """The folder of one small run, with peers that may be installed or not."""
    out = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "bench", "--rows", "200,1200", "--only", "Pressrun,wkhtmltopdf,ReportLab", "--quick"]
    command += ["--program", program, "--listener-zip", zips["listener"], "--out", out]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stderr
    assert (out / "bench.md").read_text() in answer.stdout
    return out


def test_our_reports_are_measured(measured):
    figures = json.loads((measured / "bench.json").read_text())
    ours = [made for made in figures["reports"] if made["tool"] == "Pressrun"]
    assert [(made["rows"], made["status"]) for made in ours] == [(200, "ok"), (1200, "ok")]
    for made in ours:
        assert made["seconds"] > 0 and made["cpu_seconds"] > 0 and made["pages"] > made["rows"] // 60
        # Typst with its fonts, and less than all of a small machine.
        assert 20e6 < made["peak_bytes"] < 2e9
    invoices = next(row for row in figures["invoices"] if row["name"] == "Pressrun")
    assert min(invoices["cold"], invoices["warm"], invoices["alone"], invoices["all_cores"]) > 0
    listener = next(row for row in figures["listeners"] if row["name"] == "Pressrun")
    assert 0 < listener["first_poll"] < listener["first_answer"]


def test_the_page_has_a_line_for_all_that_was_made_and_promised(measured):
    page = (measured / "bench.md").read_text()
    for line in ("one-page invoice, cold", "one-page invoice, warm", "200 rows", "1,200 rows", "process start to first poll"):
        assert f"| {line} " in page
    promises = json.loads((measured / "bench.json").read_text())["promises"]
    assert len(promises) == 13
    # Of a hundred thousand rows this run can say nothing.
    assert next(it for it in promises if it["what"].startswith("100,000 rows"))["kept"] is None
    assert str(Path.home()) not in page


def test_a_missing_tool_is_said_to_be_missing(measured):
    figures = json.loads((measured / "bench.json").read_text())
    missing = [tool for tool, version in figures["versions"].items() if version is None]
    assert "Pressrun" not in missing
    for tool in missing:
        assert {made["status"] for made in figures["reports"] if made["tool"] == tool} == {"missing"}
        assert f"- {tool}: **missing on this machine**" in (measured / "bench.md").read_text()


def test_the_chart_is_a_picture_of_both(measured):
    chart = ElementTree.parse(measured / "bench.svg").getroot()
    words = [text.text for text in chart.iter("{http://www.w3.org/2000/svg}text")]
    assert chart.tag.endswith("svg") and words.count("Pressrun") == 2
    assert {"Time", "Peak memory of all processes", "rows"} <= set(words)


def test_a_report_that_lacks_its_last_row_does_not_count(program, tmp_path):
    from bench import pdf
    from bench.ledger import Ledger

    shorter, longer, out = Ledger(100, tmp_path), Ledger(101, tmp_path), tmp_path / "report.pdf"
    rows = ["--data", shorter.ndjson, "--head", shorter.head, "--templates", ROOT / "templates"]
    subprocess.run([program, "render", "ledger", *rows, "-o", out], check=True, timeout=60)
    pages = pdf.pages(out)
    assert pages > 1 and pdf.ends_with(out, shorter.last_document, pages)
    assert not pdf.ends_with(out, longer.last_document, pages)
