"""SQS and DynamoDB as far as a listener needs them: each call is answered after the same pause. DELAY CERTIFICATE KEY.

Run as a program it prints its port. The harness runs one for each service, lest they wait for each other.
"""

import hashlib
import json
import socket
import ssl
import sys
import time
from collections import Counter

from bench.listener import http1

CALLS = Counter()


def handler(delay: float) -> http1.Handler:
    def handle(request: http1.Request, connection: socket.socket) -> None:
        call = request.headers.get("x-amz-target", "").rpartition(".")[2]
        if not call:
            return http1.answer(connection, "200 OK", {}, json.dumps(CALLS).encode())
        made = outcome(call, request.body)
        CALLS[call] += 1
        # What was spent on working out the answer is part of the pause.
        time.sleep(max(0, request.arrived + delay - time.perf_counter()))
        http1.answer(connection, "200 OK", {"Content-Type": request.headers["content-type"]}, json.dumps(made).encode())

    return handle


def outcome(call: str, body: bytes) -> dict:
    if call != "SendMessage":
        return {}
    message = json.loads(body)["MessageBody"]
    return {"MessageId": "5a8b2d1c-0000-4000-8000-000000000000", "MD5OfMessageBody": hashlib.md5(message.encode()).hexdigest()}


def main() -> None:
    delay, certificate, key = sys.argv[1:]
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    port = http1.serve(handler(float(delay)), lambda connection: tls.wrap_socket(connection, server_side=True))
    print(port, flush=True)
    sys.stdin.read()  # Until the harness ends.


if __name__ == "__main__":
    main()
