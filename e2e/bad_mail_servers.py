"""Mail servers that misbehave, each in its own way."""

import socket
import threading
import time
from contextlib import suppress

#: How each of them answers what it is asked; None hangs up.
HUNG, NO, FULL, CLOSES, SLOW, GOOD = "hung", "550", "451", "closes", "slow", "good"

BYTES_A_SECOND = 10_000


class MailServer:
    """An SMTP server that behaves as it is told to, and counts the connections and mails that it sees."""

    def __init__(self, behaviour: str, address: str = "127.0.0.1:0") -> None:
        self.behaviour = behaviour
        host, port = address.split(":")
        self.socket = socket.create_server((host, int(port)), backlog=256)
        self.address = "{}:{}".format(*self.socket.getsockname())
        self.mails: list[bytes] = []
        self.connections, self.open, self.most_at_once = 0, 0, 0
        #: How many seconds each connection waits for the greeting.
        self.hold = 0.0
        self.lock, self.closed = threading.Lock(), threading.Event()

    def __enter__(self) -> "MailServer":
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.closed.set()
        # Shutting down wakes the thread that accepts.
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with self.lock:
            self.connections, self.open = self.connections + 1, self.open + 1
            self.most_at_once = max(self.most_at_once, self.open)
        try:
            with connection, suppress(OSError):
                if self.behaviour == HUNG:
                    while connection.recv(1024):
                        pass
                else:
                    self.converse(connection)
        finally:
            with self.lock:
                self.open -= 1

    def converse(self, connection: socket.socket) -> None:
        lines = connection.makefile("rb")
        self.closed.wait(self.hold)

        def answer(text: str) -> None:
            connection.sendall(f"{text}\r\n".encode())

        answer("220 mail.test")
        while line := lines.readline():
            command = line.split(b" ")[0].strip().upper()
            if command == b"RCPT" and self.behaviour == NO:
                answer("550-5.1.1 There is no\r\n550 such \x1b[31mmailbox\x07 here")
            elif command == b"RCPT" and self.behaviour == FULL:
                answer("451 4.3.0 The mailbox is busy")
            elif command == b"DATA":
                answer("354 Go on")
                if self.behaviour == CLOSES:
                    lines.readline()
                    return
                self.mails.append(self.data(lines))
                answer("250 Taken")
            elif command == b"QUIT":
                return answer("221 Bye")
            else:
                answer("250 mail.test")

    def data(self, lines) -> bytes:
        mail = b""
        while (line := lines.readline()) not in (b".\r\n", b""):
            mail += line
            if self.behaviour == SLOW:
                time.sleep(len(line) / BYTES_A_SECOND)
        return mail


def black_hole() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return "{}:{}".format(*probe.getsockname())
