"""One caller's costly requests: schemas without an end, large bodies, long names. The others notice nothing of them."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
import requests

from emulated_aws import ROOT
from polling import wait_for
from server import Server

MEGABYTE = 1 << 20
CHECK_SECONDS = 2
TICKS = os.sysconf("SC_CLK_TCK")
MAIN = '#set page(paper: "a4")\n= Costly\n'


def block(kind: str) -> dict:
    blocks = {"type": "array", "items": {"$ref": "#/$defs/block"}}
    return {"type": "object", "required": ["kind", "blocks"], "properties": {"kind": {"const": kind}, "blocks": blocks}}


SCHEMAS = {
    "rich": {
        "properties": {"body": {"$ref": "#/$defs/block"}},
        "$defs": {"block": {"oneOf": [block("paragraph"), block("list"), {"type": "integer"}]}},
    },
    # Without an error to tell of before its end, and so without memory that could be full of them.
    "doubles": {
        "$ref": "#/$defs/0",
        "$defs": {str(n): {"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(40)} | {"40": {"type": "object"}},
        "required": ["missing"],
    },
    "patterns": {"properties": {"text": {"pattern": "^((?=.*b)a)*c$"}}},
    "texts": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
}


def nested(depth: int) -> dict:
    body = {"kind": "paragraph", "blocks": ["wrong"]}
    for _ in range(depth):
        body = {"kind": "paragraph", "blocks": [body]}
    return {"body": body}


@pytest.fixture(scope="module")
def server(program, tmp_path_factory):
    folder = tmp_path_factory.mktemp("costly")
    templates = folder / "templates"
    templates.mkdir()
    for name in ("kit", "invoice"):
        (templates / name).symlink_to(ROOT / "templates" / name)
    for name, schema in SCHEMAS.items():
        (templates / name).mkdir()
        (templates / name / "main.typ").write_text(MAIN)
        (templates / name / "schema.json").write_text(json.dumps(schema))
    (templates / "free").mkdir()
    (templates / "free/main.typ").write_text(MAIN)
    with Server(program, folder / "data", templates=templates) as server:
        yield server


def post(server: Server, body: dict | bytes, **headers: str) -> requests.Response:
    data = body if isinstance(body, bytes) else json.dumps(body)
    return requests.post(f"{server.url}/append_queue", data=data, headers=headers, timeout=120)


def processes(server: Server) -> list[int]:
    """The server and its children."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return [server.process.pid, *map(int, children)]


def cpu_seconds(server: Server) -> float:
    fields = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in processes(server)]
    return sum(int(each[11]) + int(each[12]) for each in fields) / TICKS


def resident_bytes(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


class Health:
    """Asks how the server is, again and again, and knows the longest time that an answer took."""

    def __init__(self, server: Server) -> None:
        self.url, self.longest, self.asks = f"{server.url}/healthz", 0.0, True

    def ask(self) -> None:
        with requests.Session() as session:
            while self.asks:
                start = time.monotonic()
                assert session.get(self.url, timeout=30).status_code == 200
                self.longest = max(self.longest, time.monotonic() - start)
                time.sleep(0.01)


@pytest.fixture
def health(server):
    health = Health(server)
    with ThreadPoolExecutor(1) as thread:
        asking = thread.submit(health.ask)
        yield health
        health.asks = False
        asking.result()


@pytest.mark.parametrize("body", [
    {"template": "rich", "data": nested(20)},
    {"template": "rich", "data": nested(30)},
    {"template": "rich", "data": nested(60)},
    {"template": "doubles", "data": {"a": 1}},
    {"template": "patterns", "data": {"text": "a" * 100_000 + "b"}},
], ids=["depth 20", "depth 30", "depth 60", "references that double", "a pattern that looks around"])
def test_a_check_that_takes_too_long_is_cut_off(server, health, body):
    start = time.monotonic()
    answer = post(server, body)
    assert time.monotonic() - start < CHECK_SECONDS + 4
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"] == "urn:pressrun:problem:schema-too-costly"
    assert f"`{body['template']}`" in answer.json()["detail"]
    assert health.longest < 0.5
    health.asks = False
    time.sleep(0.2)
    before = cpu_seconds(server)
    time.sleep(2)
    assert cpu_seconds(server) - before < 0.2, "it is cut off and goes on all the same"


def test_the_log_warns_of_a_schema_that_may_take_too_long(server):
    wait_for(lambda: "/$defs/block/oneOf" in server.log.read_text(), "the warning", within=10)
    log = server.log.read_text()
    assert "rich" in log and "/$defs/block/oneOf" in log


def test_small_requests_pass_those_that_take_too_long(server):
    invoice = {"template": "invoice", "data": json.loads((ROOT / "templates/invoice/sample.json").read_text())}
    assert post(server, invoice).status_code == 202
    with ThreadPoolExecutor(8) as callers:
        costly = [callers.submit(post, server, {"template": "doubles", "data": {"a": 1}}) for _ in range(4)]
        time.sleep(0.3)
        times = []
        for _ in range(20):
            start = time.monotonic()
            assert post(server, invoice).status_code == 202
            times.append(time.monotonic() - start)
        assert sorted(times)[-2] < 0.5, times
        assert all(it.result().status_code == 422 for it in costly)


@pytest.mark.parametrize("value, count", [(b"1", 2_900_000), (b'{"n":0}', 720_000)], ids=["numbers", "objects"])
def test_large_bodies_stall_nobody_and_their_memory_is_given_back(server, health, value, count):
    wrong = b'{"template": "texts", "data": {"a": [' + b",".join([value] * count) + b"]}}"
    assert 5 * MEGABYTE < len(wrong) < 6 * MEGABYTE
    with ThreadPoolExecutor(48) as callers:
        sent = [callers.submit(post, server, wrong) for _ in range(48)]
        wait(sent)
    for answer in (it.result() for it in sent):
        assert answer.status_code == 422, answer.text[:300]
        assert len(answer.content) <= MEGABYTE
        assert len(answer.json()["errors"]) == 1_000
    assert health.longest < 1
    health.asks = False
    wait_for(lambda: resident_bytes(server) < 100 * MEGABYTE, "the memory", within=40)


def test_an_answer_is_bounded_whatever_it_quotes(server):
    body = {"template": "texts", "data": {"n" * 950_000: [0] * 10_000}}
    answer = post(server, body)
    assert answer.status_code == 422
    assert len(answer.content) <= MEGABYTE
    problem = answer.json()
    assert problem["errors"] and all(len(it["pointer"]) < 500 for it in problem["errors"])
    # Text that takes six bytes for each of its own.
    body = {"template": "texts", "data": {f"{n}" + "\x01" * 390: ["\x01" * 60, 1] for n in range(1_000)}}
    answer = post(server, body)
    assert answer.status_code == 422 and len(answer.content) <= MEGABYTE
    problem = answer.json()
    assert 0 < len(problem["errors"]) < 1_000
    assert f"{len(problem['errors'])} violations and {1_000 - len(problem['errors'])} more" in problem["detail"]


def test_the_same_json_in_another_order_is_the_same_request(server):
    body = {"template": "free", "data": {"a": 1, "b": {"c": 1.5, "d": [1, 2]}}}
    first = post(server, body, **{"Idempotency-Key": "order"})
    again = post(server, b'{ "data": {"b": {"d": [1,2], "c": 1.5}, "a": 1}, "template": "\\u0066ree" }', **{"Idempotency-Key": "order"})
    assert first.status_code == again.status_code == 202, again.text
    assert first.json() == again.json()
    for other in (b'{"template": "free", "data": {"a": 1.0, "b": {"c": 1.5, "d": [1, 2]}}}',
                  b'{"template": "free", "data": {"a": 1, "b": {"c": 1.5, "d": [2, 1]}}}'):
        assert post(server, other, **{"Idempotency-Key": "order"}).json()["type"].endswith("idempotency-key-reused")
