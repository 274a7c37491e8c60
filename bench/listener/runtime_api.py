"""The Lambda runtime API: hands a function its events and takes the answers, with the time of each."""

import itertools
import json
import queue
import socket
import time
from dataclasses import dataclass

from bench.listener import http1

PREFIX = "/2018-06-01/runtime"
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """What a function made of one event."""

    # When the event was handed over and when the whole answer had arrived, on `time.perf_counter`.
    handed_over: float
    arrived: float
    body: bytes


class RuntimeApi:
    """One for each start of a function: what is left of the last one must not take the next one's event."""

    def __init__(self) -> None:
        self.polls, self.events, self.answers = queue.SimpleQueue(), queue.SimpleQueue(), queue.SimpleQueue()
        self.handed_over: dict[str, float] = {}
        self.numbers = itertools.count(1)
        self.port = http1.serve(self.handle)

    def first_poll(self) -> float:
        """When the function asked for its first event."""
        return self.polls.get(timeout=TIMEOUT_SECONDS)

    def invoke(self, event: bytes) -> Answer:
        self.events.put(event)
        return self.answers.get(timeout=TIMEOUT_SECONDS)

    def handle(self, request: http1.Request, connection: socket.socket) -> None:
        if request.path == f"{PREFIX}/invocation/next":
            self.polls.put(request.arrived)
            return self.hand_over(self.events.get(), connection)
        http1.answer(connection, "202 Accepted", {"Content-Type": "application/json"}, b'{"status":"OK"}')
        parts = request.path.removeprefix(f"{PREFIX}/").split("/")
        if parts[-1] == "response":
            self.answers.put(Answer(self.handed_over[parts[1]], request.arrived, request.body))
        else:
            self.answers.put(Answer(0, request.arrived, request.body or b"an error without words"))

    def hand_over(self, event: bytes, connection: socket.socket) -> None:
        number = f"8476a536-e9f4-11e8-9739-{next(self.numbers):012}"
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": number,
            "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + 60_000),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:listener",
            "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
        }
        self.handed_over[number] = time.perf_counter()
        http1.answer(connection, "200 OK", headers, event)


def function_url_event(path: str, body: dict) -> bytes:
    """A POST as a function URL makes an event of it."""
    return json.dumps({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "content-type": "application/json", "host": "abc.lambda-url.us-east-1.on.aws", "user-agent": "bench",
            "x-forwarded-for": "203.0.113.7", "x-forwarded-port": "443", "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "anonymous", "apiId": "abc", "domainName": "abc.lambda-url.us-east-1.on.aws", "domainPrefix": "abc",
            "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7", "userAgent": "bench"},
            "requestId": "e1506fd5-9e7b-434f-bd42-4f8fa224b599", "routeKey": "$default", "stage": "$default",
            "time": "21/Nov/2026:12:00:00 +0000", "timeEpoch": 1795262400000,
        },
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }).encode()
