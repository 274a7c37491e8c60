"""Runs the stand-ins for SQS and DynamoDB, and calls one as barely as it can be called."""

import json
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import invoice
from bench.listener import http1
from bench.settings import PYTHON, ROOT


@dataclass(frozen=True)
class Certificate:
    """What the services show, and what trusts it: AWS speaks TLS, and a listener pays for that too."""

    file: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> "Certificate":
        """For 127.0.0.1, as e2e/with-emulator makes one."""
        made = cls(folder / "aws.crt", folder / "aws.key")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-keyout", made.key, "-out", made.file, "-subj", "/CN=Pressrun bench",
             "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=IP:127.0.0.1"],
            check=True, stderr=subprocess.DEVNULL,
        )
        return made

    def trusted(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.file)


class Services:
    """Both services, each call to which takes so many seconds at least."""

    def __init__(self, delay: float, certificate: Certificate, running: ExitStack) -> None:
        self.sqs = running.enter_context(service(delay, certificate))
        self.dynamodb = running.enter_context(service(delay, certificate))
        self.trusted = certificate.trusted()
        self.bare = BareSqs(self.sqs, self.trusted)

    def calls(self) -> tuple[int, int]:
        """How many messages were sent and how many records were put."""
        counts = []
        for port, call in ((self.sqs, "SendMessage"), (self.dynamodb, "PutItem")):
            with urllib.request.urlopen(f"https://127.0.0.1:{port}/", context=self.trusted) as answer:
                counts.append(json.load(answer).get(call, 0))
        return counts[0], counts[1]

    def environment(self) -> dict[str, str]:
        """Where a function finds them."""
        return {
            "AWS_ENDPOINT_URL_SQS": f"https://127.0.0.1:{self.sqs}",
            "AWS_ENDPOINT_URL_DYNAMODB": f"https://127.0.0.1:{self.dynamodb}",
            "PRESSRUN_QUEUE_URL": f"https://127.0.0.1:{self.sqs}/000000000000/jobs",
        }


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


@contextmanager
def service(delay: float, certificate: Certificate) -> Iterator[int]:
    """One of the services; its port."""
    command = [PYTHON, "-m", "bench.listener.aws", str(delay), certificate.file, certificate.key]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait()
