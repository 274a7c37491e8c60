"""Webhooks: what a receiver gets from `pressrun serve`, checked with another implementation of Standard Webhooks than the
one that signs, and what is refused.

On the emulator only refusals can be seen: from AWS a webhook goes to public addresses alone, and no receiver of a test
has one. That an event gets through is shown by `pressrun serve`, which sends it with the same code.
"""

import base64
import json
import socket
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from standardwebhooks import Webhook, WebhookVerificationError

from bad_mail_servers import HUNG, MailServer
from emulated_aws import ROOT
from polling import wait_for
from server import Server, free_address

SECRETS = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "A" * 43 + "=")


class Receiver:
    """A caller's server. It gives its answers in turn, and the last one from then on; by TLS with a certificate."""

    def __init__(self, *answers: int | str, address: str | None = None, certificate: Path | None = None) -> None:
        self.requests: list[tuple[dict[str, str], str]] = []
        left, requests = list(answers), self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
                answer = left.pop(0) if len(left) > 1 else left[0]
                self.send_response(answer if isinstance(answer, int) else 307)
                if isinstance(answer, str):
                    self.send_header("Location", answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_) -> None:
                pass

        host, port = (address or free_address()).split(":")
        self.server = ThreadingHTTPServer((host, int(port)), Handler)
        self.url = f"http://{host}:{port}/hook"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.url = f"https://{socket.gethostname()}:{port}/hook"

    def __enter__(self) -> "Receiver":
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def queue(server: Server, webhook: str, template: str = "letter") -> requests.Response:
    data = json.loads((ROOT / "templates/letter/sample.json").read_text()) if template == "letter" else {}
    body = {"template": template, "data": data, "notify": {"webhook": webhook}}
    return requests.post(f"{server.url}/append_queue", json=body, timeout=60)


def queued(server: Server, webhook: str, template: str = "letter") -> str:
    answer = queue(server, webhook, template)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def settled(server: Server, job_id: str) -> dict:
    """What became of the job's webhook, once no further attempt is made."""

    def webhook() -> dict | None:
        webhook = server.job(job_id)["webhook"]
        return webhook if webhook["status"] != "pending" else None

    return wait_for(webhook, f"the webhook of job {job_id} to be delivered or given up", within=90)


def secret_of(server: Server) -> str:
    return (server.data / "webhook.secret").read_text()


def test_a_receiver_that_stumbles_gets_the_event(program, tmp_path):
    with Receiver(500, 500, 500, 200) as receiver, Server(program, tmp_path / "data") as server:
        job_id = queued(server, receiver.url)
        webhook = settled(server, job_id)
        assert (webhook["url"], webhook["status"], webhook["attempts"]) == (receiver.url, "delivered", 4)
        assert [attempt["status"] for attempt in webhook["latest"]] == [500, 500, 500, 200]
        assert len(receiver.requests) == 4
        checker = Webhook(secret_of(server))
        for headers, body in receiver.requests:
            event = checker.verify(body, headers)
            with pytest.raises(WebhookVerificationError):
                checker.verify(body.replace("completed", "complete"), headers)
            with pytest.raises(WebhookVerificationError):
                checker.verify(body, headers | {"webhook-id": "another"})
        assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 1

        job = server.job(job_id)
        del job["webhook"], job["announcement"]
        link = job["link"]
        assert (event["type"], event["timestamp"], event["data"]) == ("job.completed", job["finished_at"], job)
        assert requests.get(link, timeout=60).content.startswith(b"%PDF")
        shown = subprocess.run([program, "job", job_id, "--url", server.url], capture_output=True, text=True, check=True)
        assert "webhook    delivered, 4 attempts" in shown.stdout


def test_a_tarpit_delays_nobody_elses_events(program, tmp_path):
    with (
        MailServer(HUNG) as tarpit, Receiver(200) as receiver, Server(program, tmp_path / "data") as server,
        ThreadPoolExecutor(8) as callers,
    ):
        slow = list(callers.map(lambda _: queued(server, f"http://{tarpit.address}/hook"), range(60)))
        wait_for(lambda: tarpit.open == 4, "the tarpit to hold what it may", within=60)
        wait_for(lambda: all(server.job(id)["status"] == "completed" for id in slow), "the reports", within=120)
        for _ in range(5):
            job_id = queued(server, receiver.url)
            ended = wait_for(lambda: server.job(job_id).get("finished_at"), "the end", within=60, every=0.01)
            webhook = settled(server, job_id)
            began = datetime.fromisoformat(webhook["latest"][0]["at"])
            assert webhook["status"] == "delivered" and began - datetime.fromisoformat(ended) < timedelta(seconds=1)
        assert (tarpit.most_at_once, len(receiver.requests)) == (4, 5)
        began = time.monotonic()
        server.process.terminate()
        assert server.process.wait(timeout=60) == 0 and time.monotonic() - began < 40


def test_an_event_survives_the_death_of_the_server(program, tmp_path):
    address = free_address()
    with Server(program, tmp_path / "data") as server:
        job_id = queued(server, f"http://{address}/hook")
        wait_for(lambda: server.job(job_id).get("webhook", {}).get("attempts"), "an attempt", within=60)
        server.kill()
        with Receiver(204, address=address) as receiver:
            server.start()
            webhook = settled(server, job_id)
            assert webhook["status"] == "delivered" and "Connection refused" in webhook["latest"][0]["error"]
            Webhook(secret_of(server)).verify(receiver.requests[-1][1], receiver.requests[-1][0])


def test_each_end_of_a_job_is_an_event(program, tmp_path):
    template = tmp_path / "templates/letter/main.typ"
    template.parent.mkdir(parents=True)
    template.write_text("#nothing")
    with Receiver(200) as receiver, Server(program, tmp_path / "data", templates=tmp_path / "templates") as server:
        job_id = queued(server, receiver.url)
        assert settled(server, job_id)["status"] == "delivered"
        template.write_text("Hello")
        assert requests.post(f"{server.url}/jobs/{job_id}/retry", timeout=60).status_code == 202
        wait_for(lambda: len(receiver.requests) == 2, "the second event", within=60)
        assert settled(server, job_id)["attempts"] == 1
        checker = Webhook(secret_of(server))
        first, second = (checker.verify(body, headers) for headers, body in receiver.requests)
        assert (first["type"], second["type"]) == ("job.failed", "job.completed")
        assert first["data"]["error"]["diagnostics"][0]["line"] == 1
        assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 2


def test_a_receiver_can_go_over_to_another_secret(program, tmp_path):
    with Receiver(200) as receiver, Server(program, tmp_path / "data", "--webhook-secret", ",".join(SECRETS)) as server:
        settled(server, queued(server, receiver.url))
        (headers, body), = receiver.requests
        for secret in SECRETS:
            Webhook(secret).verify(body, headers)
        with pytest.raises(WebhookVerificationError):
            Webhook("whsec_" + "B" * 43 + "=").verify(body, headers)


def test_what_is_out_of_reach_is_refused_with_the_reason(program, tmp_path):
    with Receiver("https://169.254.169.254/") as redirector, Server(program, tmp_path / "data") as server:
        for url in ["https://169.254.169.254/latest/meta-data/", "https://10.0.0.1/", redirector.url]:
            webhook = settled(server, queued(server, url))
            assert (webhook["status"], webhook["attempts"]) == ("refused", 1)
            assert "which is not a public address" in webhook["latest"][0]["error"]
        for url in ["http://example.org/", "http://169.254.169.254/", "https://user@example.org/", "example.org"]:
            answer = queue(server, url)
            assert answer.status_code == 422, answer.text
            assert answer.json()["errors"][0]["pointer"] == "/notify/webhook"


@pytest.fixture
def certificate(tmp_path, monkeypatch) -> Path:
    """A certificate of this machine's name, with its key, which servers trust."""
    name, file = socket.gethostname(), tmp_path / "certificate.pem"
    if not is_loopback(name):
        pytest.skip(f"{name} is no name for 127.0.0.1, so redirects by names were NOT tested")
    options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    extensions = ["-addext", f"subjectAltName=DNS:{name}", "-addext", "basicConstraints=critical,CA:FALSE"]
    command = ["openssl", "req", "-x509", *options, *extensions, "-keyout", file, "-out", tmp_path / "public.pem"]
    subprocess.run(command, check=True, capture_output=True)
    with file.open("a") as both:
        both.write((tmp_path / "public.pem").read_text())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "public.pem"))
    return file


def is_loopback(name: str) -> bool:
    try:
        return socket.gethostbyname(name).startswith("127.")
    except OSError:
        return False


def test_no_other_server_redirects_to_a_name_of_this_machine(program, tmp_path, certificate):
    with (
        Receiver(200, certificate=certificate) as goal,
        Receiver(goal.url, certificate=certificate) as redirector,
        Server(program, tmp_path / "data") as server,
    ):
        assert settled(server, queued(server, goal.url))["status"] == "delivered"
        webhook = settled(server, queued(server, redirector.url))
        assert (webhook["status"], len(goal.requests)) == ("refused", 1)
        error = webhook["latest"][0]["error"]
        assert "is not the name of a public address" in error and "127." not in error, error
        assert "127.0.0.1" in server.log.read_text(), "the operator is told"


def test_only_hosts_of_the_list_are_told(program, tmp_path):
    options = ["--webhook-hosts", "127.0.0.1,*.example.org"]
    with Receiver("http://localhost:1/") as redirector, Server(program, tmp_path / "data", *options) as server:
        answer = queue(server, "https://example.com/hook")
        assert answer.status_code == 422 and "127.0.0.1, *.example.org" in answer.text
        webhook = settled(server, queued(server, redirector.url))
        assert webhook["status"] == "refused" and "localhost is not among" in webhook["latest"][0]["error"]


def test_a_secret_that_is_none_is_refused_at_the_start(program, tmp_path):
    said = Server(program, tmp_path / "data", "--webhook-secret", "hunter2").refuses(2)
    assert "whsec_" in said and "hunter2" not in said


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://169.254.169.254/latest/meta-data/", "169.254.169.254, which is not a public address"),
    ],
)
def test_from_aws_only_public_addresses_receive_webhooks(deployment, url, reason):
    job = deployment.queue("probe", {"divisor": 8}, notify={"webhook": url})

    def refused() -> dict | None:
        webhook = deployment.job(job)["webhook"]
        return webhook if webhook["status"] != "pending" else None

    webhook = wait_for(refused, f"the webhook to {url} to be refused", within=90)
    assert (webhook["url"], webhook["status"], webhook["attempts"]) == (url, "refused", 1)
    assert reason in webhook["latest"][0]["error"]
    assert deployment.job(job)["status"] == "completed", "a webhook does not touch its job"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.org/", "the URL must be https"),
        ("http://127.0.0.1:9000/", "webhooks may not go to the server's own machine"),
        ("https://127.0.0.1/", "webhooks may not go to the server's own machine"),
        ("https://localhost/", "webhooks may not go to the server's own machine"),
        ("https://[::ffff:127.0.0.1]/", "webhooks may not go to the server's own machine"),
    ],
)
def test_from_aws_neither_plain_http_nor_the_function_itself_is_a_destination(deployment, url, reason):
    body = {"template": "probe", "data": {"divisor": 8}, "notify": {"webhook": url}}
    answer = deployment.call("POST", "/append_queue", json=body)
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["pointer"] == "/notify/webhook" and reason in error["detail"], answer.text


def test_the_secret_of_a_deployment_is_one(deployment):
    prefix, _, secret = deployment.outputs["webhook_secret"].partition("_")
    assert (prefix, len(base64.b64decode(secret, validate=True))) == ("whsec", 32)
