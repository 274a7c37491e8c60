"""Cold and warm invocations of the three listeners, against the same services and the same bare SendMessage."""

import json
import os
import socket
import ssl
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import invoice, memory
from bench.listener import http1
from bench.listener.functions import Function, all_functions
from bench.listener.runtime_api import Answer, RuntimeApi, function_url_event
from bench.settings import PYTHON, ROOT, Settings

# What a call to either service takes at least, in seconds.
DELAY = 0.005
COLD_STARTS, WARM_EVENTS = 20, 600
# Before times count: connections are made, and code is compiled or read.
WARM_UP = 20


class Harness:
    """The services, the functions, and a bare client of SQS beside them."""

    def __init__(self, settings: Settings, services: ExitStack) -> None:
        self.settings = settings
        certificate = make_certificate(settings.work)
        self.sqs = services.enter_context(service(*certificate))
        self.dynamodb = services.enter_context(service(*certificate))
        self.trusted = ssl.create_default_context(cafile=certificate[0])
        self.bare = BareSqs(self.sqs, self.trusted)
        self.functions = all_functions(settings, environment(self, certificate[0]))

    def calls(self) -> tuple[int, int]:
        """How many messages were sent and how many records were put."""
        counts = []
        for port, call in ((self.sqs, "SendMessage"), (self.dynamodb, "PutItem")):
            with urllib.request.urlopen(f"https://127.0.0.1:{port}/", context=self.trusted) as answer:
                counts.append(json.load(answer).get(call, 0))
        return counts[0], counts[1]


class BareSqs:
    """A SendMessage and nothing else, over a connection that is kept: what no listener can do without."""

    def __init__(self, port: int, trusted: ssl.SSLContext) -> None:
        plain = socket.create_connection(("127.0.0.1", port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = trusted.wrap_socket(plain, server_hostname="127.0.0.1")
        self.reader = http1.Reader(self.connection)
        message = json.dumps({"template": "invoice", "data": invoice.SAMPLE})
        body = json.dumps({"QueueUrl": f"https://127.0.0.1:{port}/000000000000/jobs", "MessageBody": message}).encode()
        head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Amz-Target: AmazonSQS.SendMessage\r\n"
        head += f"Content-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n\r\n"
        self.request = head.encode() + body

    def send(self) -> float:
        """Seconds that it took."""
        started = time.perf_counter()
        self.connection.sendall(self.request)
        status, _ = self.reader.answer()
        taken = time.perf_counter() - started
        if status != 200:
            raise RuntimeError(f"SendMessage was answered with {status}")
        return taken


def measure(settings: Settings) -> list[dict]:
    """What each listener takes; times in seconds."""
    with ExitStack() as services:
        harness = Harness(settings, services)
        # One round that does not count: files come into the page cache, and Python compiles its modules.
        for function in harness.functions:
            cold(harness, function)
        rounds = [{function.name: cold(harness, function) for function in harness.functions}
                  for _ in range(settings.times(COLD_STARTS))]
        return [row(function, [each[function.name] for each in rounds], warm(harness, function)) for function in harness.functions]


def row(function: Function, colds: list[tuple[float, float]], warms: dict) -> dict:
    polls, answers = zip(*colds)
    return {
        "name": function.name, "version": function.version,
        "first_poll": statistics.median(polls), "first_answer": statistics.median(answers),
        "zip_bytes": function.zip_bytes, "zip_with_sdk_bytes": function.zip_with_sdk_bytes, **warms,
    }


def cold(harness: Harness, function: Function) -> tuple[float, float]:
    """From the start of the process to its first poll, and to its first answered POST."""
    with started(harness, function) as (api, _, at):
        polled = api.first_poll()
        answer = accepted(api.invoke(event(1)))
        return polled - at, answer.arrived - at


def warm(harness: Harness, function: Function) -> dict:
    """How much longer a POST takes than a bare SendMessage, which is sent before each."""
    count, before = harness.settings.times(WARM_EVENTS), harness.calls()
    with started(harness, function) as (api, pid, _):
        for number in range(WARM_UP):
            accepted(api.invoke(event(number)))
        bare, whole = [], []
        for number in range(count):
            bare.append(harness.bare.send())
            answer = accepted(api.invoke(event(number)))
            whole.append(answer.arrived - answer.handed_over)
        resident = memory.of_tree(pid)
    sent, put = (after - earlier for after, earlier in zip(harness.calls(), before))
    if (sent, put) != (WARM_UP + 2 * count, WARM_UP + count):
        raise RuntimeError(f"{function.name}: {sent} messages and {put} records of {WARM_UP + count} requests")
    base = statistics.median(bare)
    added = sorted(taken - base for taken in whole)
    return {
        "bare": base, "added": statistics.median(added), "added_p99": added[int(len(added) * 0.99)], "resident_bytes": resident,
    }


def event(number: int) -> bytes:
    return function_url_event("/append_queue", {"template": "invoice", "data": invoice.varied(number)})


def accepted(answer: Answer) -> Answer:
    """All three answer with 202; ours streams it."""
    prelude = answer.body.partition(b"\0" * 8)[0]
    if not answer.handed_over or json.loads(prelude).get("statusCode") != 202:
        raise RuntimeError(f"a listener answered {answer.body[:500]!r}")
    return answer


@contextmanager
def started(harness: Harness, function: Function) -> Iterator[tuple[RuntimeApi, int, float]]:
    """The function: its runtime API, its process, and when that was started."""
    api = RuntimeApi()
    env = function.env | {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.port}"}
    log = harness.settings.work / f"{function.name}.log"
    with log.open("wb") as said:
        at = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, function.command)), cwd=function.folder, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        )
        try:
            yield api, process.pid, at
        finally:
            process.kill()
            process.wait()


@contextmanager
def service(certificate: Path, key: Path) -> Iterator[int]:
    """One of the services; its port."""
    command = [PYTHON, "-m", "bench.listener.aws", str(DELAY), certificate, key]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """For 127.0.0.1, as e2e/with-emulator makes one: AWS speaks TLS, and a listener pays for that too."""
    certificate, key = folder / "aws.crt", folder / "aws.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", key, "-out", certificate, "-subj", "/CN=Pressrun bench",
         "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, stderr=subprocess.DEVNULL,
    )
    return certificate, key


def environment(harness: Harness, certificate: Path) -> dict[str, str]:
    """What Lambda tells a function, with the services' addresses and a certificate that is trusted beside the usual ones."""
    paths = ssl.get_default_verify_paths()
    system = Path(paths.cafile or paths.openssl_cafile)
    bundle = harness.settings.work / "trusted.pem"
    bundle.write_bytes(certificate.read_bytes() + (system.read_bytes() if system.exists() else b""))
    return {
        "PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8",
        "AWS_LAMBDA_FUNCTION_NAME": "listener", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_LOG_GROUP_NAME": "listener", "AWS_LAMBDA_LOG_STREAM_NAME": "bench", "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "_HANDLER": "handler.handle",
        "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_SESSION_TOKEN": "bench",
        "AWS_ENDPOINT_URL_SQS": f"https://127.0.0.1:{harness.sqs}",
        "AWS_ENDPOINT_URL_DYNAMODB": f"https://127.0.0.1:{harness.dynamodb}",
        "SSL_CERT_FILE": str(bundle), "AWS_CA_BUNDLE": str(bundle), "NODE_EXTRA_CA_CERTS": str(certificate),
        "PRESSRUN_QUEUE_URL": f"https://127.0.0.1:{harness.sqs}/000000000000/jobs", "PRESSRUN_TABLE": "jobs",
        "PRESSRUN_ACCESS": "none", "PRESSRUN_ACCEPT_ANYBODY": "yes",
        "PRESSRUN_BUCKET": "reports", "PRESSRUN_LINK_KEY": "bench", "PRESSRUN_TEMPLATES": str(harness.settings.work / "listener/templates"),
        "RUST_LOG": "info",
    }
