"""What an operator sees of `pressrun serve`: its log, its metrics and its spans, and what must never be in them."""

import json
import re
import secrets
import shutil
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from emulated_aws import ROOT
from polling import wait_for
from server import Server, link_path

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER_SPAN = "00f067aa0ba902b7"
FIELDS = ("job_id", "attempt", "template", "request_id", "trace_id")


@contextmanager
def listening(answer):
    """A server on this machine that answers every POST with 200; yields its URL and what it was sent."""
    taken = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((self.path, dict(self.headers), body))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", taken
    finally:
        server.shutdown()
        server.server_close()


class Observed:
    """A server with a token and a log in JSON, and what is asked of it."""

    def __init__(self, server: Server, token: str) -> None:
        self.server, self.token = server, token

    def call(self, method: str, path: str, **options) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        return requests.request(method, self.server.url + path, headers=headers, timeout=60, **options)

    def queue(self, data: dict, template: str = "letter", headers: dict | None = None, **more) -> str:
        body = {"template": template, "data": data, **more}
        answer = self.call("POST", "/append_queue", json=body, headers=headers or {})
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def ended(self, job_id: str) -> dict:
        """The job's record once its end was announced as well."""

        def record() -> dict | None:
            job = self.call("GET", f"/jobs/{job_id}").json()
            return job if (self.server.data / f"outbox/{job_id}-{job['status']}.eml").exists() else None

        return wait_for(record, f"job {job_id} to end", within=60)

    def lines(self) -> list[dict]:
        """The lines of the log; what the server says at its start is for people."""
        return [json.loads(line) for line in self.server.log.read_text().splitlines() if line.startswith("{")]

    def value(self, metric: str) -> float:
        text = self.call("GET", "/metrics").text
        found = re.search(rf"^{re.escape(metric)} (\S+)$", text, re.MULTILINE)
        return float(found.group(1)) if found else 0.0


@pytest.fixture
def letter() -> dict:
    return json.loads((ROOT / "templates/letter/sample.json").read_text())


@contextmanager
def observed(program, folder, monkeypatch, templates=None, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    token = secrets.token_hex(16)
    options = ("--token", token, "--webhook-loopback", "--log-format", "json")
    with Server(program, folder / "data", *options, templates=templates) as server:
        yield Observed(server, token)


def test_every_line_of_a_job_names_it(program, tmp_path, monkeypatch, letter):
    headers = {"traceparent": f"00-{TRACE}-{CALLER_SPAN}-01", "x-request-id": "order-7"}
    with observed(program, tmp_path, monkeypatch) as it:
        job = it.queue(letter, headers=headers)
        it.ended(job)
        answer = it.call("GET", "/healthz")
        assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-request-id"])
        assert it.call("GET", f"/jobs/{job}", headers={"x-request-id": "order-8"}).headers["x-request-id"] == "order-8"
    lines = [line for line in it.lines() if line.get("request_id") == "order-7"]
    assert {line["job_id"] for line in lines} == {job}
    assert {line["trace_id"] for line in lines} == {TRACE}
    assert {line["template"] for line in lines} == {"letter"}
    said = [line["message"] for line in lines]
    assert [said.count(message) for message in ("accepted", "answered", "running", "completed", "announced")] == [1] * 5, said
    of_the_run = [line for line in lines if line["message"] in ("running", "completed")]
    assert all(line["attempt"] == 1 and all(field in line for field in FIELDS) for line in of_the_run)
    access = next(line for line in lines if line["message"] == "answered")
    assert (access["method"], access["route"], access["status"]) == ("POST", "/append_queue", 202)
    assert access["bytes"] > 0 and access["duration_ms"] >= 0
    looked = next(line for line in it.lines() if line.get("request_id") == "order-8")
    assert (looked["route"], looked["job_id"]) == ("/jobs/{id}", job)


def test_no_secret_and_no_data_is_in_the_log(program, tmp_path, monkeypatch, letter):
    canary = "canary" + secrets.token_hex(8)
    templates = tmp_path / "templates"
    shutil.copytree(ROOT / "templates", templates)
    (templates / "quoting").mkdir()
    # An error and a warning that say what is in the data.
    quoting = '#let data = json("/data.json")\n#text(font: data.font)[x]\n#if "word" in data { panic(data.word) }\n'
    (templates / "quoting/main.typ").write_text(quoting)
    traced = observed(program, tmp_path, monkeypatch, templates, RUST_LOG="trace")
    with listening(b"") as (receiver, events), traced as it:
        letter["subject"] = canary
        hook = f"{receiver}/hook?key={canary}"
        job = it.queue(letter, notify={"subject": canary, "webhook": hook}, headers={"Idempotency-Key": canary})
        it.ended(job)
        wait_for(lambda: events, "the webhook", within=60)
        mail = (it.server.data / f"outbox/{job}-completed.eml").read_text()
        link = link_path(mail)
        assert requests.get(it.server.url + link, timeout=60).content.startswith(b"%PDF-")
        assert requests.get(it.server.url + link + "0", timeout=60).status_code == 403

        # Templates that quote their data in what they say, data that does not fit, and an upload of rows that do not.
        warned = it.queue({"font": canary}, template="quoting")
        assert it.ended(warned)["status"] == "completed"
        broken = it.queue({"font": canary, "word": canary}, template="quoting")
        assert canary in json.dumps(it.ended(broken)["error"])
        assert it.call("POST", "/append_queue", json={"template": "letter", "data": {canary: canary}}).status_code == 422
        assert it.call("POST", "/append_queue", data=f'{{"template": "{canary}"').status_code == 400
        rows = f"date,amount\n{canary},{canary}\n"
        begun = it.call("POST", "/uploads", json={"content_type": "text/csv", "bytes": len(rows)}).json()
        put = requests.put(begun["url"], data=rows, headers=begun["headers"], timeout=60)
        assert put.status_code < 300, put.text
        account = json.loads((ROOT / "templates/statement/sample.json").read_text())
        del account["transactions"]
        uploaded = it.call("POST", "/append_queue", json={"template": "statement", "input": begun["id"], "data": account})
        assert uploaded.status_code == 202, uploaded.text
        assert it.ended(uploaded.json()["id"])["status"] == "failed"
        assert it.call("GET", "/jobs", headers={"Authorization": f"Bearer {canary}"}).status_code == 401
    log = it.server.log.read_text()
    assert job in log and broken in log and "compiles with a warning" in log
    signatures = re.findall(r"sig=([^&\s]+)", link) + re.findall(r"sig=([^&\s]+)", begun["url"])
    assert len(signatures) == 2
    for secret in (canary, it.token, *signatures):
        assert secret not in log, f"{secret} is in {[line for line in log.splitlines() if secret in line]}"


def test_metrics_are_there_for_those_who_show_the_token(program, tmp_path, monkeypatch, letter):
    with observed(program, tmp_path, monkeypatch) as it:
        assert requests.get(f"{it.server.url}/metrics", timeout=60).status_code == 401
        for number in range(3):
            it.ended(it.queue(letter))
        assert it.call("POST", "/append_queue", json={"template": "no-such", "data": {}}).status_code == 404
        answer = it.call("GET", "/metrics")
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        assert answer.text.endswith("# EOF\n")
        expected = {
            "pressrun_accepted_total": 3,
            'pressrun_rejected_total{reason="unauthorized"}': 1,
            'pressrun_rejected_total{reason="unknown-template"}': 1,
            "pressrun_completed_total": 3,
            "pressrun_retries_total": 0,
            "pressrun_queue_wait_seconds_count": 3,
            "pressrun_typeset_time_seconds_count": 3,
            'pressrun_announcements_total{channel="outbox"}': 3,
            'pressrun_cold_starts_total{function="serve"}': 1,
        }
        wait_for(lambda: it.value("pressrun_completed_total") == 3, "the last job", within=60)
        assert {name: it.value(name) for name in expected} == expected
        sizes = [len(report) for report in it.server.reports().values()]
        assert it.value("pressrun_bytes_total") == sum(sizes)
        assert it.value("pressrun_pages_total") >= 3


def test_a_request_and_its_job_are_one_trace(program, tmp_path, monkeypatch, letter):
    with listening(b"{}") as (collector, exports), listening(b"") as (receiver, events):
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}
        with observed(program, tmp_path, monkeypatch, PRESSRUN_SERVICE="month-end", **variables) as it:
            headers = {"traceparent": f"00-{TRACE}-{CALLER_SPAN}-01"}
            job = it.queue(letter, notify={"webhook": f"{receiver}/hook"}, headers=headers)
            it.ended(job)
            wait_for(lambda: it.call("GET", f"/jobs/{job}").json()["webhook"]["status"] == "delivered", "it", within=60)
            alone = it.queue(letter)
            it.ended(alone)
    exported = list(spans(exports))
    assert {service for service, _ in exported} == {"month-end"}
    of_trace = [span for _, span in exported if span["traceId"] == TRACE]
    names = sorted(span["name"] for span in of_trace)
    assert names == ["announce", "deliver", "fetch", "request", "run", "store", "typeset"]
    assert {attributes(span)["job_id"] for span in of_trace} == {job}
    by_id = {span["spanId"]: span["name"] for span in of_trace} | {CALLER_SPAN: "caller"}
    parents = {span["name"]: by_id[span["parentSpanId"]] for span in of_trace}
    assert parents == {
        "request": "caller", "run": "request", "fetch": "run", "typeset": "run", "store": "run", "announce": "run",
        "deliver": "announce",
    }
    # A caller who is in no trace begins one.
    of_alone = [span for _, span in exported if attributes(span).get("job_id") == alone]
    run = next(span for span in of_alone if span["name"] == "run")
    request, = [span for span in of_alone if span["spanId"] == run["parentSpanId"]]
    assert request["name"] == "request" and not request.get("parentSpanId")
    assert {span["traceId"] for span in of_alone if span["name"] != "request"} == {request["traceId"]} != {TRACE}
    in_log = {line["trace_id"] for line in it.lines() if line.get("job_id") == alone and "attempt" in line}
    assert in_log == {request["traceId"]}


def test_a_collector_that_is_away_keeps_nobody_waiting(program, tmp_path, monkeypatch, letter):
    with observed(program, tmp_path, monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") as it:
        it.ended(it.queue(letter))
    assert it.server.process.returncode == 0
    warned = [line for line in it.lines() if line["message"] == "the collector did not take the spans"]
    assert warned and warned[0]["level"] == "WARN"


def test_the_log_is_for_people_unless_said_otherwise(program, tmp_path, letter):
    with Server(program, tmp_path / "data") as server:
        job = server.queue(1)
        wait_for(lambda: server.job(job)["status"] == "completed", "the job", within=60)
    run = next(line for line in server.log.read_text().splitlines() if "running" in line)
    assert f"job_id={job}" in run and "template=letter" in run and not run.startswith("{")
    said = Server(program, tmp_path / "data", "--log-format", "xml").refuses(2)
    assert "human" in said and "json" in said


def spans(exports):
    """Every span that was exported, with the name of its service."""
    for path, _, body in exports:
        assert path == "/v1/traces"
        for resource in json.loads(body)["resourceSpans"]:
            service = attributes(resource["resource"])["service.name"]
            for scope in resource["scopeSpans"]:
                yield from ((service, span) for span in scope["spans"])


def attributes(span: dict) -> dict:
    return {it["key"]: next(iter(it["value"].values())) for it in span.get("attributes", [])}
