"""Postman's collection, run by newman on one machine and through the function URL."""

import json
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from emulated_aws import ROOT
from server import Server

COLLECTION = ROOT / "resources/pressrun.postman_collection.json"
NEWMAN = ROOT / "e2e/node_modules/.bin/newman"
pytestmark = pytest.mark.skipif(
    not NEWMAN.exists(), reason="newman is not installed (npm is missing): the Postman collection was NOT run"
)


def test_the_collection_passes_on_one_machine(program, tmp_path):
    with Server(program, tmp_path / "data", "--token", "postman-token-of-a-test") as server:
        newman(COLLECTION, server.url, "postman-token-of-a-test")


def test_the_collection_passes_through_the_function_url(deployment, tmp_path):
    # The emulator has one address, and tells function URLs by the header; an upload goes to the bucket.
    host = urlsplit(deployment.url).netloc
    collection = json.loads(COLLECTION.read_text())
    header = f"pm.request.headers.upsert({{key: 'Host', value: {json.dumps(host)}}});"
    script = [f"if (pm.info.requestName !== 'Put the upload') {header}"]
    collection["event"] = [{"listen": "prerequest", "script": {"type": "text/javascript", "exec": script}}]
    file = tmp_path / "collection.json"
    file.write_text(json.dumps(collection))
    newman(file, deployment.endpoint, deployment.outputs["api_token"], "--insecure")


def newman(collection: Path, url: str, token: str, *options: str) -> None:
    variables = ["--env-var", f"baseUrl={url}", "--env-var", f"token={token}"]
    command = [NEWMAN, "run", collection, "--bail", *variables, *options]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert answer.returncode == 0, answer.stdout + answer.stderr
