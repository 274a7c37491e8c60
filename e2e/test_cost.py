"""What `make cost` says: that it follows reports, rows and prices, and what it answers without figures."""

import json
import subprocess

import pytest

from emulated_aws import ROOT

BENCH = {
    "machine": {"day": "2026-11-21", "processor": "a test"},
    "invoices": [{"name": "Pressrun", "warm": 0.02, "peak_bytes": 50_000_000}],
    "reports": [
        {"tool": tool, "rows": rows, "seconds": slow * rows / 10_000, "cpu_seconds": slow * rows / 5_000, "peak_bytes": 10**8, "pdf_bytes": 50 * rows}
        for tool, slow in (("Pressrun", 1), ("another", 100)) for rows in (1_000, 100_000)
    ],
}
MEASURED = ("lambda_gb_second", "lambda_request", "sqs_request", "dynamodb_write", "s3_put", "sns_publish")
# Powers of ten, so that what each line is made of can be read off it.
PRICES = {"as_of": "2026-11", "region": "us-east-1", "prices": {name: {"usd": 0.00001} for name in MEASURED}}


@pytest.fixture
def cost(tmp_path):
    (tmp_path / "bench.json").write_text(json.dumps(BENCH))
    (tmp_path / "prices.json").write_text(json.dumps(PRICES))

    def run(*arguments: str) -> dict[str, float]:
        command = [ROOT / "scripts/cost", "--json", "--bench", tmp_path / "bench.json",
                   "--prices", tmp_path / "prices.json", ROOT / "resources/prices.json", *arguments]
        answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        lines = {line["what"]: line["usd"] for line in answer["lines"]}
        assert answer["usd_a_month"] == pytest.approx(sum(lines.values()))
        return lines

    return run


def test_without_reports_only_what_always_runs_is_paid(cost):
    lines = cost("--reports", "0")
    assert {name for name, usd in lines.items() if usd == 0} == {
        "processor", "listener", "bucket", "transfer", "announcements", "logs", "traces",
    }
    assert lines["invocations"] == pytest.approx(43_200 * 0.00001)


def test_twice_the_reports_cost_twice_as_much_above_that(cost):
    nothing, once, twice = (cost("--reports", str(reports)) for reports in (0, 5_000, 10_000))
    for name in nothing:
        assert twice[name] - nothing[name] == pytest.approx(2 * (once[name] - nothing[name])), name


def test_a_ledger_costs_what_pressrun_was_measured_to_take(cost):
    # 10,000 rows take a second and two of a processor, so two on the 2,048 MB of a core and a bit.
    assert cost("--reports", "1000", "--rows", "10000")["processor"] == pytest.approx(1000 * 2 * 1769 / 2048 * 2 * 0.00001)


def test_longer_reports_kept_longer_cost_more(cost):
    short, long = (cost("--reports", "1000", "--rows", rows) for rows in ("20000", "200000"))
    assert long["processor"] == pytest.approx(10 * short["processor"])
    assert long["transfer"] == pytest.approx(10 * short["transfer"])
    assert cost("--retention-days", "60")["bucket"] > cost("--retention-days", "30")["bucket"]


def test_a_few_pages_cost_less_than_many(cost):
    assert cost("--pages", "10")["processor"] == pytest.approx(10 * cost("--pages", "1")["processor"])


def test_no_price_stands_in_two_tables():
    if not (ROOT / "bench/prices.json").exists():
        pytest.skip("there is no bench/prices.json")
    tables = [json.loads((ROOT / file).read_text())["prices"] for file in ("bench/prices.json", "resources/prices.json")]
    assert set(tables[0]) == set(MEASURED) and not set(tables[0]) & set(tables[1])
    assert all(price["usd"] > 0 and price["source"].startswith("https://aws.amazon.com/") for table in tables for price in table.values())


def test_it_says_what_to_do_where_nothing_was_measured(tmp_path):
    answer = subprocess.run([ROOT / "scripts/cost", "--bench", tmp_path / "none.json", "--prices", ROOT / "resources/prices.json"],
                            capture_output=True, text=True)
    assert answer.returncode == 1 and "make bench" in answer.stderr and "Traceback" not in answer.stderr
