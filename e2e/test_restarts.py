"""A server that is stopped or killed again and again in the middle of one job, which completes all the same."""

import os
import shutil
import signal

import pytest
import requests

from emulated_aws import ROOT
from polling import wait_for
from server import Server
from test_fairness import typesetters
from test_uploads import ended

# Works for some seconds, which no restart leaves it but the last.
LONG = """#for a in range(400) { for b in range(10000) { let c = calc.sqrt(a * b) } }
Done
"""


@pytest.fixture
def templates(tmp_path):
    folder = tmp_path / "templates"
    shutil.copytree(ROOT / "templates/kit", folder / "kit")
    (folder / "long").mkdir()
    (folder / "long/main.typ").write_text(LONG)
    return folder


@pytest.mark.parametrize("stops", [12, pytest.param(60, marks=pytest.mark.chaos)])
def test_stops_cost_a_job_neither_attempts_nor_deliveries(program, templates, tmp_path, stops):
    with Server(program, tmp_path / "data", "--workers", "1", "--stop-timeout", "0", templates=templates) as server:
        job_id = queue(server)
        for _ in range(stops):
            running(server, job_id)
            server.process.terminate()
            assert server.process.wait(timeout=10) == 0
            server.start()
        job = ended(server, job_id)
    assert (job["status"], job["attempts"]) == ("completed", 1), job


@pytest.mark.parametrize("kills", [8, pytest.param(20, marks=pytest.mark.chaos)])
def test_a_job_does_not_fail_because_its_server_is_killed(program, templates, tmp_path, kills):
    with Server(program, tmp_path / "data", "--workers", "1", templates=templates) as server:
        job_id = queue(server)
        for _ in range(kills):
            running(server, job_id)
            server.kill()
            server.start()
        job = ended(server, job_id)
    assert (job["status"], job["attempts"]) == ("completed", kills + 1), job


def test_a_typesetter_that_the_system_kills_is_no_fault_of_its_job(program, templates, tmp_path):
    with Server(program, tmp_path / "data", "--workers", "1", templates=templates) as server:
        job_id = queue(server)
        running(server, job_id)
        for pid in typesetters(server):
            os.kill(pid, signal.SIGKILL)
        job = ended(server, job_id)
    assert (job["status"], job["attempts"]) == ("completed", 2), job


@pytest.mark.chaos
def test_a_job_that_is_in_hand_whenever_its_server_dies_ends(program, templates, tmp_path):
    with Server(program, tmp_path / "data", "--workers", "1", templates=templates) as server:
        job_id = queue(server)
        for _ in range(60):
            if wait_for(lambda: moved(server, job_id), "a run or an end", within=60, every=0.02) == "failed":
                break
            server.kill()
            server.start()
        job = ended(server, job_id)
    assert job["status"] == "failed" and job["error"]["type"] == "urn:pressrun:problem:attempts-exhausted", job
    assert job["attempts"] == 50 + 5 + 1, job


def queue(server: Server) -> str:
    answer = requests.post(f"{server.url}/append_queue", json={"template": "long", "data": {}}, timeout=60)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def moved(server: Server, job_id: str) -> str | None:
    status = server.job(job_id)["status"]
    return None if status == "queued" else status


def running(server: Server, job_id: str) -> None:
    status = wait_for(lambda: moved(server, job_id), "a run", within=60, every=0.02)
    assert status == "running", server.job(job_id)
