"""Who `pressrun serve` lets in: tokens that are rotated under load, tokens of an OIDC issuer, quotas, and other sites."""

import hashlib
import hmac
import json
import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from emulated_aws import ROOT
from oidc import KINDS, Issuer
from polling import wait_for
from server import CALLERS_AT_ONCE, Server

REQUESTS = 1000

ONE, TWO, THREE = (f"token-number-{number}-of-a-test" for number in ("one", "two", "three"))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def problem(answer: requests.Response) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix("urn:pressrun:problem:")


def replace(file: Path, text: str) -> None:
    """Puts another file in its place, as an operator should."""
    draft = file.with_suffix(".new")
    draft.write_text(text)
    os.replace(draft, file)


def test_a_token_is_rotated_while_1000_requests_run(program, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("# who may call\ncrm old-token-of-the-crm\nbilling other-token-of-billing\n")
    current, flying, answered = ["old-token-of-the-crm"], Counter(), threading.Semaphore(0)
    lock = threading.Lock()

    with Server(program, tmp_path / "data", "--tokens-file", tokens) as server, ThreadPoolExecutor(CALLERS_AT_ONCE) as callers:
        url = f"{server.url}/append_queue"
        body = {"template": "letter", "data": json.loads((ROOT / "templates/letter/sample.json").read_text())}

        def queue(_) -> tuple[str, int]:
            with lock:
                token = current[0]
                flying[token] += 1
            status = requests.post(url, json=body, headers=bearer(token), timeout=60).status_code
            with lock:
                flying[token] -= 1
            answered.release()
            return token, status

        def rotate() -> None:
            for _ in range(REQUESTS // 3):
                answered.acquire()
            replace(tokens, "crm old-token-of-the-crm\ncrm new-token-of-the-crm\nbilling other-token-of-billing\n")
            with lock:
                current[0] = "new-token-of-the-crm"
            # Whoever read the old token a moment ago is still on the way with it.
            wait_for(lambda: flying["old-token-of-the-crm"] == 0, "the callers to have changed", within=60, every=0.01)
            replace(tokens, "crm new-token-of-the-crm\nbilling other-token-of-billing\n")

        rotation = threading.Thread(target=rotate)
        rotation.start()
        answers = list(callers.map(queue, range(REQUESTS)))
        rotation.join()
        assert {status for _, status in answers} == {202}, "a request with a valid token was refused"
        assert {token for token, _ in answers} == {"old-token-of-the-crm", "new-token-of-the-crm"}

        def refused() -> bool:
            return requests.get(f"{server.url}/jobs", headers=bearer("old-token-of-the-crm"), timeout=60).status_code == 401

        wait_for(refused, "the old token to be refused", within=10)
        assert requests.get(f"{server.url}/jobs", headers=bearer("other-token-of-billing"), timeout=60).status_code == 200
    log = server.log.read_text()
    assert not any(token in log for token in ("old-token-of-the-crm", "new-token-of-the-crm", "other-token-of-billing"))


@pytest.fixture
def issuer():
    with Issuer() as issuer:
        issuer.add_key("first")
        yield issuer


@pytest.fixture
def server(program, tmp_path, issuer):
    options = ("--access", "jwt", "--jwt-issuer", issuer.url, "--jwt-audience", "reports,6hb31l7fe4")
    with Server(program, tmp_path / "data", *options) as server:
        yield server


def encoded(part: dict) -> str:
    """A part of a JWT."""
    return jwt.utils.base64url_encode(json.dumps(part).encode()).decode()


def forged(issuer: Issuer, key: bytes, alg: str = "HS256") -> str:
    """A token signed by HMAC; PyJWT refuses to make one with a public key."""
    message = f"{encoded({'alg': alg, 'kid': 'first'})}.{encoded(issuer.claims())}"
    signature = hmac.new(key, message.encode(), hashlib.sha256).digest()
    return f"{message}.{jwt.utils.base64url_encode(signature).decode()}"


def bad_tokens(issuer: Issuer) -> dict[str, str]:
    now = int(time.time())
    public = issuer.keys["first"][1].public_key()
    issuer.add_key("stranger", published=False)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    header, claims, signature = issuer.token("first").split(".")
    _, stranger = issuer.keys["stranger"]
    return {
        "wrong issuer": issuer.token("first", iss="https://login.example.org/"),
        "wrong audience": issuer.token("first", aud="somebody"),
        "expired": issuer.token("first", exp=now - 61),
        "not yet valid": issuer.token("first", nbf=now + 120),
        "never expires": issuer.token("first", exp=None),
        "of nobody": issuer.token("first", sub=None),
        "alg none": jwt.encode(issuer.claims(), None, algorithm="none", headers={"kid": "first"}),
        "alg None": f"{encoded({'alg': 'None', 'kid': 'first'})}.{claims}.",
        "HS256 with the public key in PEM": forged(issuer, pem),
        "HS256 with the public key in DER": forged(issuer, der),
        "HS256 with its modulus": forged(issuer, jwt.utils.base64url_decode(issuer.public_key("first")["n"])),
        "HMAC called RS256": forged(issuer, pem, alg="RS256"),
        "unknown kid": issuer.token("stranger"),
        "another's signature": jwt.encode(issuer.claims(), stranger, algorithm="RS256", headers={"kid": "first"}),
        "no kid": jwt.encode(issuer.claims(), issuer.keys["first"][1], algorithm="RS256"),
        "altered claims": f"{header}.{encoded(issuer.claims(sub='admin'))}.{signature}",
        "no signature": f"{header}.{claims}.",
        "Cognito's id token of another client": issuer.token("first", aud="other", token_use="id"),
        "Cognito's access token of another client": issuer.token("first", aud=None, client_id="other", token_use="access"),
        "no JWT": "s3cret",
    }


def test_what_is_wrong_with_a_token_is_refused(server, issuer):
    good = issuer.token("first")
    assert server.send(0, bearer(good)).status_code == 202
    for what, token in bad_tokens(issuer).items():
        answer = server.send(0, bearer(token))
        assert problem(answer) == (401, "unauthorized"), what
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"', what
    answer = server.send(0)
    assert (problem(answer), answer.headers["WWW-Authenticate"]) == ((401, "unauthorized"), "Bearer")
    assert server.send(0, bearer(good)).status_code == 202

    # One stranger's key was looked for; the others' were known, or not looked for again so soon.
    assert issuer.requests.count("/keys") == 2
    log = server.log.read_text()
    assert good not in log and "fetched the issuer's keys" in log


@pytest.mark.parametrize("algorithm", KINDS)
def test_a_good_token_of_each_algorithm_lets_its_subject_in(server, issuer, algorithm):
    issuer.add_key(algorithm, algorithm)
    now = int(time.time())
    for changes in (
        {},
        {"aud": ["somebody", "reports"]},
        {"aud": None, "client_id": "6hb31l7fe4", "token_use": "access"},
        {"nbf": now - 5},
        {"exp": now - 20},
    ):
        answer = server.send(0, bearer(issuer.token(algorithm, **changes)))
        assert answer.status_code == 202, (changes, answer.text)


def test_a_new_key_of_the_issuer_is_picked_up(server, issuer):
    assert server.send(0, bearer(issuer.token("first"))).status_code == 202
    issuer.add_key("second")
    assert server.send(0, bearer(issuer.token("second"))).status_code == 202
    assert server.send(0, bearer(issuer.token("first"))).status_code == 202


def test_an_issuer_that_is_gone_is_not_the_callers_fault(program, tmp_path):
    with Issuer() as issuer:
        issuer.add_key("first")
    options = ("--access", "jwt", "--jwt-issuer", issuer.url, "--jwt-audience", "reports")
    with Server(program, tmp_path / "data", *options) as server:
        answer = server.send(0, bearer(issuer.token("first")))
        assert (problem(answer), answer.headers["Retry-After"]) == ((503, "issuer-unavailable"), "5")


def test_quotas_are_each_callers_own(program, tmp_path):
    # Nothing is typeset in time: whatever is queued stays in flight.
    options = ("--tokens", f"crm {ONE},crm {TWO},billing {THREE}", "--quota-jobs", "3", "--quota-requests", "8", "--workers", "1")
    with Server(program, tmp_path / "data", *options) as server:
        wait_for(lambda: time.time() % 60 < 30, "most of a minute to be left", within=60)
        answers = [server.send(number, bearer(token)) for number, token in enumerate([ONE, TWO] * 6)]
        refused = {problem(answer) for answer in answers if answer.status_code != 202}
        assert (429, "too-many-requests") in refused
        assert refused <= {(429, "too-many-requests"), (429, "too-many-jobs")}
        assert all(problem(answer) == (429, "too-many-requests") for answer in answers[8:])
        assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in answers if answer.status_code == 429)
        assert server.send(0, bearer(THREE)).status_code == 202


def test_the_quota_is_that_of_the_socket_too(program, tmp_path):
    letter = {"template": "letter", "data": json.loads((ROOT / "templates/letter/sample.json").read_text())}
    options = ("--tokens", f"crm {ONE},billing {TWO}", "--quota-requests", "1")
    with Server(program, tmp_path / "data", *options) as server:
        wait_for(lambda: time.time() % 60 < 40, "much of a minute to be left", within=60)
        url = server.url.replace("http://", "ws://") + "/ws"
        with pytest.raises(InvalidStatus):
            connect(url)
        with connect(url, additional_headers=bearer(ONE)) as socket:
            socket.send(json.dumps(letter))
            assert json.loads(socket.recv(timeout=60))["status"] == "queued"
            socket.send(json.dumps(letter))
            frames = (json.loads(socket.recv(timeout=60)) for _ in range(10))
            refused = next(frame for frame in frames if "type" in frame)
            assert (refused["status"], refused["type"]) == (429, "urn:pressrun:problem:too-many-requests")
        assert problem(server.send(0, bearer(ONE))) == (429, "too-many-requests")
        assert server.send(0, bearer(TWO)).status_code == 202


def test_pages_of_admitted_sites_alone_may_call(program, tmp_path):
    page, evil = "https://app.example.org", "https://evil.example"
    with Server(program, tmp_path / "data", "--cors-origins", page) as server:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,idempotency-key"}
        answer = requests.options(f"{server.url}/append_queue", headers={"Origin": page} | asked, timeout=60)
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, page)
        assert server.send(0, {"Origin": page}).status_code == 202
        answer = server.send(0, {"Origin": evil})
        assert problem(answer) == (403, "foreign-origin")
        assert "Access-Control-Allow-Origin" not in answer.headers

        url = server.url.replace("http://", "ws://") + "/ws"
        with pytest.raises(InvalidStatus) as refusal:
            connect(url, origin=evil)
        assert refusal.value.response.status_code == 403
        connect(url, origin=page).close()


def test_what_would_let_strangers_in_is_not_started(program, tmp_path):
    assert "--accept-anybody" in Open(program, tmp_path / "data", "--access", "none").refuses(2)
    assert "callers must send a token" in Open(program, tmp_path / "data").refuses(2)
    assert "is for AWS" in Server(program, tmp_path / "data", "--access", "iam").refuses(2)


class Open(Server):
    """One that listens to other machines."""

    def command(self, address: str) -> list:
        return [part if part != address else address.replace("127.0.0.1", "0.0.0.0") for part in super().command(address)]
