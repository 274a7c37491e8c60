"""The OpenAPI document as others read it: a validator, and schemathesis, which holds the server to its every word."""

import json
import re
import subprocess
import sys
from itertools import count
from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator

from emulated_aws import ROOT
from server import Server

CASES = 2_000
TOKEN = "schemathesis-token"


def test_the_document_is_openapi_3_1():
    document = json.loads((ROOT / "resources/openapi.json").read_text())
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_2000_cases_find_no_failure(program, tmp_path):
    with Server(program, tmp_path / "data", "--token", TOKEN) as server:
        cases, seeds = 0, count(1)
        while cases < CASES:
            cases += schemathesis(server.url, tmp_path, next(seeds), 150, "--header", f"Authorization: Bearer {TOKEN}")
    print(f"{cases} cases")


def test_a_server_without_a_token_is_as_it_says(program, tmp_path):
    with Server(program, tmp_path / "data") as server:
        assert schemathesis(server.url, tmp_path, 1, 30) > 0


def schemathesis(url: str, folder: Path, seed: int, most_examples: int, *options: str) -> int:
    """Runs all checks in all phases, and returns of how many cases, which varies with the server's answers.

    It keeps what it learns in the folder.
    """
    program = Path(sys.executable).with_name("schemathesis")
    command = [program, "--config-file", ROOT / "e2e/schemathesis.toml", "run", f"{url}/openapi.json", *options]
    command += ["--checks", "all", "--seed", str(seed), "--max-examples", str(most_examples)]
    command += ["--continue-on-failure", "--no-color"]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    phases = re.findall(r"✅ (\w+)$", answer.stdout, re.MULTILINE)
    assert phases == ["Examples", "Coverage", "Fuzzing", "Stateful"], answer.stdout
    return int(re.search(r"^  (\d+) generated, \1 passed", answer.stdout, re.MULTILINE).group(1))
