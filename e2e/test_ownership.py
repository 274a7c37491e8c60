"""Jobs belong to their caller: every call of the OpenAPI document is made by another caller, and tells nothing.

The table below says for each call what another caller gets. A call that it does not name fails the test, so that a new
call is thought of before it is published.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import requests
from websockets.sync.client import connect

from emulated_aws import BILLING_TOKEN, CRM_TOKENS, ROOT, Deployment
from polling import wait_for
from server import Server

UNKNOWN = "01a1fd88-28fa-7243-a82c-05f04864e387"
ROWS = json.dumps({"date": "2026-11-21", "description": "Own rows", "amount": 12}) + "\n"


def token() -> str:
    return secrets.token_hex(16)


@dataclass
class Caller:
    """One caller of a server or of a deployment."""

    request: Callable[..., requests.Response]
    token: str | None
    socket: Callable
    jobs: list[dict] = field(default_factory=list)

    def call(self, method: str, path: str, **options) -> requests.Response:
        return self.request(method, path, token=self.token, **options)

    def anonymously(self, method: str, path: str, **options) -> requests.Response:
        return self.request(method, path, token=None, **options)

    def job(self, job_id: str) -> dict:
        return self.call("GET", f"/jobs/{job_id}").json()

    def queue(self, body: dict, **headers) -> dict:
        answer = self.call("POST", "/append_queue", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        self.jobs.append(answer.json())
        return answer.json()

    def ended(self, job: dict) -> dict:
        def record() -> dict | None:
            record = self.job(job["id"])
            return record if record["status"] in ("completed", "failed") else None

        return wait_for(record, f"job {job['id']} to end", within=90)

    def say(self, message: dict) -> dict:
        """What a message over a WebSocket is answered with."""
        with self.socket(self.token) as socket:
            socket.send(json.dumps(message))
            return json.loads(socket.recv(timeout=60))


@dataclass
class Case:
    """What A has, and what B asks for."""

    a: Caller
    b: Caller
    letter: dict
    completed: dict
    failed: dict
    upload: dict

    def secrets(self) -> list[str]:
        """What of A's must not be in an answer to B."""
        link = self.completed["link"].split("sig=")[1]
        return [self.completed["id"], self.failed["id"], self.upload["id"], link, "hook-of-a", "Letter of A"]


def same(case: Case, method: str, path: str, **options) -> None:
    """B gets for A's jobs the very answer that there is for an id which nobody has."""
    for job in (case.completed, case.failed):
        foreign = case.b.call(method, path.format(id=job["id"]), **options)
        unknown = case.b.call(method, path.format(id=UNKNOWN), **options)
        assert (foreign.status_code, foreign.content) == (404, unknown.content), foreign.text
        names = set(foreign.headers) - {"Date"}
        assert names == set(unknown.headers) - {"Date"}
    assert case.a.call("GET", f"/jobs/{case.failed['id']}").json()["status"] == "failed", "B changed it"


def append_queue(case: Case) -> None:
    rows = {"template": "statement", "data": head()}
    absent = case.upload["id"].replace(case.upload["id"][:8], "01a1fd88")
    foreign, unknown = (case.b.call("POST", "/append_queue", json=rows | {"input": upload}) for upload in (case.upload["id"], absent))
    assert (foreign.status_code, unknown.status_code) == (404, 404), foreign.text
    assert foreign.text.replace(case.upload["id"], absent) == unknown.text, "another's upload is answered as one that there is not"
    # The key of A is none of B's: the same request is another job.
    again = case.b.queue(case.letter, **{"Idempotency-Key": "key-of-a"})
    assert again["id"] != case.completed["id"]
    assert case.a.queue(case.letter, **{"Idempotency-Key": "key-of-a"})["id"] == case.completed["id"]


def jobs(case: Case) -> None:
    listed = case.b.call("GET", "/jobs?limit=100").json()["jobs"]
    own = {job["id"] for job in case.b.jobs}
    assert {job["id"] for job in listed} <= own
    assert not own.isdisjoint(job["id"] for job in listed)
    for query in (f"cursor={case.completed['id']}", "status=failed", "template=letter&status=completed"):
        answer = case.b.call("GET", f"/jobs?limit=100&{query}")
        assert {job["id"] for job in answer.json()["jobs"]} <= own


def socket(case: Case) -> None:
    foreign = case.b.say({"subscribe": case.completed["id"]})
    assert foreign == case.b.say({"subscribe": UNKNOWN})
    assert foreign["type"] == "urn:pressrun:problem:unknown-job"


def link(case: Case) -> None:
    """A link is for everybody who has it, and nobody can make one."""
    parts = urlsplit(case.completed["link"])
    altered = f"{parts.path}?{parts.query}".replace(case.completed["id"], case.failed["id"])
    assert case.b.anonymously("GET", altered).status_code == 403
    assert case.b.anonymously("GET", f"{parts.path}?{parts.query}").status_code in (200, 302)


def begin_upload(case: Case) -> None:
    answer = case.b.call("POST", "/uploads", json={"content_type": "application/x-ndjson", "bytes": len(ROWS)})
    assert answer.status_code == 201
    assert answer.json()["id"].split(".")[1] != case.upload["id"].split(".")[1]


def put_upload(case: Case) -> None:
    answer = case.b.call("PUT", f"/uploads/{case.upload['id']}?bytes=1&expires=1795258491&sig=x", data="x")
    assert answer.status_code in (403, 404)


def public(path: str) -> Callable[[Case], None]:
    """The same for everybody."""

    def check(case: Case) -> None:
        answers = [caller.call("GET", path) for caller in (case.a, case.b)]
        assert answers[0].status_code == answers[1].status_code
        assert not any(secret in answers[1].text for secret in case.secrets())

    return check


# By operationId.
EXPECTED: dict[str, Callable[[Case], None]] = {
    "append_queue": append_queue,
    "jobs": jobs,
    "job": lambda case: same(case, "GET", "/jobs/{id}?wait=0"),
    "job_events": lambda case: same(case, "GET", "/jobs/{id}/events"),
    "report": lambda case: same(case, "GET", "/jobs/{id}/report"),
    "retry": lambda case: same(case, "POST", "/jobs/{id}/retry"),
    "socket": socket,
    "link": link,
    "begin_upload": begin_upload,
    "put_upload": put_upload,
    "templates": public("/templates"),
    "template": public("/templates/letter"),
    "metrics": public("/metrics"),
    "healthz": public("/healthz"),
    "readyz": public("/readyz"),
    "openapi_json": public("/openapi.json"),
    "page": public("/"),
    "page_css": public("/page.css"),
    "page_js": public("/page.js"),
}


def operations(document: dict) -> dict[str, tuple[str, str, bool]]:
    """Method, path and whether it needs a token, by operationId."""
    calls = {}
    for path, item in document["paths"].items():
        for method, call in item.items():
            calls[call["operationId"]] = (method.upper(), path, call.get("security", document["security"]) != [])
    return calls


def check_every_call(a: Caller, b: Caller, admin: Caller) -> None:
    case = prepared(a, b)
    calls = operations(b.call("GET", "/openapi.json").json())
    assert set(calls) <= set(EXPECTED), "a call of the OpenAPI document that nobody thought of: add it to EXPECTED"
    for name in calls:
        EXPECTED[name](case)
    wrong = Caller(b.request, "no-token-of-this-server", b.socket)
    for method, path, guarded in calls.values():
        if guarded:
            for caller in (wrong, Caller(b.request, None, b.socket)):
                answer = caller.call(method, path.format(id=case.completed["id"], name="letter"), json={})
                assert answer.status_code == 401, f"{method} {path}: {answer.text}"
    # One who has the right sees it all.
    assert admin.job(case.completed["id"])["link"] == case.completed["link"]
    listed = {job["id"] for job in admin.call("GET", "/jobs?limit=100").json()["jobs"]}
    assert {job["id"] for job in a.jobs + b.jobs} <= listed
    assert admin.call("POST", f"/jobs/{case.failed['id']}/retry").status_code == 202
    assert a.ended(case.failed)["retries"] == 1, "it stays its caller's"
    assert b.call("GET", f"/jobs/{case.failed['id']}").status_code == 404


def prepared(a: Caller, b: Caller) -> Case:
    letter = json.loads((ROOT / "templates/letter/sample.json").read_text())
    letter["subject"] = "Letter of A"
    notify = {"webhook": "https://user-of-a.example.invalid/path?hook-of-a=1"}
    body = {"template": "letter", "data": letter, "notify": notify}
    completed = a.ended(a.queue(body, **{"Idempotency-Key": "key-of-a"}))
    assert completed["status"] == "completed"
    assert completed["webhook"]["url"] == "https://user-of-a.example.invalid/path", "a query is shown to nobody"
    failed = a.ended(a.queue({"template": "statement", "input": put(a, "nonsense\n")["id"], "data": head()}))
    assert failed["status"] == "failed"
    b.ended(b.queue({"template": "letter", "data": letter | {"subject": "Letter of B"}}))
    return Case(a, b, body, completed, failed, put(a, ROWS))


def head() -> dict:
    """What the template `statement` takes besides rows."""
    statement = json.loads((ROOT / "templates/statement/sample.json").read_text())
    del statement["transactions"]
    return statement


def put(caller: Caller, rows: str) -> dict:
    upload = caller.call("POST", "/uploads", json={"content_type": "application/x-ndjson", "bytes": len(rows)}).json()
    assert caller.anonymously("PUT", upload["url"], data=rows, headers=upload["headers"]).status_code == 200
    return upload


class OneMachine:
    """Callers of a `pressrun serve`."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def request(self, method: str, path: str, token: str | None, **options) -> requests.Response:
        headers = dict(options.pop("headers", {})) | ({"Authorization": f"Bearer {token}"} if token else {})
        url = path if path.startswith("http") else self.server.url + path
        return requests.request(method, url, headers=headers, allow_redirects=False, timeout=60, **options)

    def socket(self, token: str):
        url = self.server.url.replace("http:", "ws:")
        return connect(f"{url}/ws", additional_headers={"Authorization": f"Bearer {token}"})

    def caller(self, token: str) -> Caller:
        return Caller(self.request, token, self.socket)


def test_no_call_tells_a_caller_of_anothers_jobs(program, tmp_path):
    a, b, ops = token(), token(), token()
    (tmp_path / "tokens").write_text(f"a {a}\nb {b}\nops {ops} admin\n")
    with Server(program, tmp_path / "data", "--tokens-file", tmp_path / "tokens") as server:
        machine = OneMachine(server)
        check_every_call(machine.caller(a), machine.caller(b), machine.caller(ops))
    log = server.log.read_text()
    assert "hook-of-a" not in log and not any(secret in log for secret in (a, b, ops))


def test_no_call_tells_a_caller_of_anothers_jobs_on_aws(deployment: Deployment):
    def request(method: str, path: str, token: str | None, **options) -> requests.Response:
        return deployment.call(method, path, token=token, **options)

    def caller(token: str) -> Caller:
        return Caller(request, token, deployment.socket)

    check_every_call(caller(CRM_TOKENS[0]), caller(BILLING_TOKEN), caller(deployment.outputs["api_token"]))


def test_where_jobs_are_shared_every_caller_sees_all(program, tmp_path):
    a, b = token(), token()
    with Server(program, tmp_path / "data", "--tokens", f"a {a},b {b}", "--shared-jobs") as server:
        machine = OneMachine(server)
        case = prepared(machine.caller(a), machine.caller(b))
        assert case.b.job(case.completed["id"])["link"] == case.completed["link"]
        listed = {job["id"] for job in case.b.call("GET", "/jobs?limit=100").json()["jobs"]}
        assert {job["id"] for job in case.a.jobs + case.b.jobs} <= listed
        job = case.b.queue({"template": "statement", "input": case.upload["id"], "data": head()})
        assert "input-missing" not in json.dumps(case.b.ended(job)), "its upload was found"
        assert case.b.say({"subscribe": case.completed["id"]}) == {"subscribed": case.completed["id"]}


def test_jobs_of_before_there_were_names_are_the_operators(program, tmp_path):
    """A server that asked nobody gets named callers: what is on record is for those who may see all."""
    with Server(program, tmp_path / "data") as server:
        job_id = server.queue(1)
        wait_for(lambda: server.job(job_id)["status"] == "completed", "the job to be completed", within=60)
    a, own = token(), token()
    with Server(program, tmp_path / "data", "--tokens", f"a {a}", "--token", own) as server:
        machine = OneMachine(server)
        assert machine.caller(a).call("GET", f"/jobs/{job_id}").status_code == 404
        assert machine.caller(a).call("GET", "/jobs").json()["jobs"] == []
        assert machine.caller(own).job(job_id)["status"] == "completed"
