"""The page at `/`, driven in Chromium: what a person does there with a mouse, with a keyboard and on a phone.

Each test is a scenario of page/scenarios.mjs. Any of them fails if the page asks for anything from elsewhere, breaks
its Content Security Policy or throws.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import pdf
from emulated_aws import ROOT
from server import CALLERS_AT_ONCE, Server, wait_until_completed

DRIVE = ROOT / "e2e/page/drive.mjs"
PLAYWRIGHT = ROOT / "e2e/node_modules/playwright-core"
CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
BROKEN = '#let data = json("/data.json")\n\nTotal: #(data.amount * totl)\n'

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or not PLAYWRIGHT.exists(),
    reason="Chromium or Playwright is not installed (see scripts/tools): the page was NOT tested",
)

Browse = Callable[..., dict]


class PageServer(Server):
    """A server whose templates are a copy, with one among them that does not compile."""

    def command(self, address: str) -> list:
        templates = self.data.parent / "templates"
        if not templates.exists():
            shutil.copytree(ROOT / "templates", templates)
            (templates / "broken").mkdir()
            (templates / "broken/main.typ").write_text(BROKEN)
            (templates / "broken/sample.json").write_text('{"amount": 12}')
        return [templates if part == ROOT / "templates" else part for part in super().command(address)]


@pytest.fixture
def browse(program, tmp_path) -> Browse:
    """Runs a scenario against a fresh server and returns what the scenario does."""

    def run(scenario: str, *options: str, before: Callable[[Server], None] | None = None, **given) -> dict:
        with PageServer(program, tmp_path / "data", *options) as server:
            if before:
                before(server)
            answer = subprocess.run(
                ["node", DRIVE, scenario, server.url, json.dumps(given)],
                capture_output=True, text=True, timeout=600, env={**os.environ, "CHROMIUM": CHROMIUM},
            )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return json.loads(answer.stdout)

    return run


def test_a_sample_is_submitted_watched_seen_and_downloaded(browse, tmp_path):
    browse("submit", folder=str(tmp_path))
    report = tmp_path / "report.pdf"
    pdf.check(report)
    assert "KV-2026-0417" in pdf.text(report)


def test_a_cut_stream_is_taken_up_after_its_last_event(browse):
    browse("cutStream")


def test_without_a_stream_the_page_polls(browse):
    browse("noStream")


def test_a_submission_that_was_not_answered_is_one_job_however_often_it_is_sent(browse):
    browse("lostAnswer")


def test_plain_http_under_another_name_is_enough(browse):
    browse("plainHttp", "--allowed-hosts", "pressrun.test")


def test_a_failure_is_shown_with_its_place_and_the_job_is_retried(browse, tmp_path):
    browse("failure", template=str(tmp_path / "templates/broken/main.typ"), mended=BROKEN.replace("totl", "2"))


def test_jobs_are_listed_a_page_at_a_time_filtered_and_opened(browse):
    def queue_23(server: Server) -> None:
        with ThreadPoolExecutor(CALLERS_AT_ONCE) as callers:
            wait_until_completed(server, list(callers.map(server.queue, range(23))), callers)

    browse("listing", before=queue_23)


def test_a_mistake_in_json_is_shown_with_line_and_column_as_one_types(browse):
    browse("mistakes")


def test_a_violation_of_the_schema_is_shown_at_its_line(browse):
    browse("violations")


def test_drafts_survive_a_look_at_another_template(browse):
    browse("drafts")


def test_the_token_is_asked_for_kept_and_forgotten(browse):
    browse("token", "--token", "page-token-of-a-test", token="page-token-of-a-test")


def test_everything_can_be_done_by_keyboard(browse):
    browse("keyboard")


def test_a_phone_of_360_pixels_is_wide_enough(browse):
    browse("phone")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browse, scheme):
    found = browse("axe", "--token", "page-token-of-a-test", token="page-token-of-a-test", colorScheme=scheme)
    assert set(found) == {"token", "start", "schema", "completed", "violations", "mistake", "failed"}
    assert {state: violations for state, violations in found.items() if violations} == {}


def test_the_policy_stops_inline_scripts_and_calls_to_elsewhere(browse):
    browse("policy")
