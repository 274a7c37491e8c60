"""As much of an HTTP/1.1 server as the harness needs, with the moment at which each request had arrived."""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """One request, whole."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    # When its last byte was read, on `time.perf_counter`.
    arrived: float


# Answers a request on its connection.
Handler = Callable[[Request, socket.socket], None]


def serve(handler: Handler, wrap: Callable[[socket.socket], socket.socket] | None = None) -> int:
    """Serves on a free loopback port for as long as the process lives; a thread a connection."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)

    def accept() -> None:
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=attend, args=(connection, handler, wrap), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listening.getsockname()[1]


def attend(connection: socket.socket, handler: Handler, wrap: Callable | None) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        with wrap(connection) if wrap else connection as connection:
            reader = Reader(connection)
            while request := reader.request():
                handler(request, connection)
    except OSError:
        pass  # The client hung up.


class Reader:
    """Reads requests, or answers, off a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection, self.read = connection, b""

    def request(self) -> Request | None:
        """The next one; none if the client hung up."""
        try:
            first, headers = self.head()
            body = self.body(headers)
        except EOFError:
            return None
        method, path, _ = first.split(" ", 2)
        return Request(method, path, headers, body, time.perf_counter())

    def answer(self) -> tuple[int, bytes]:
        first, headers = self.head()
        return int(first.split(" ", 2)[1]), self.body(headers)

    def head(self) -> tuple[str, dict[str, str]]:
        first, *lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        return first, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self.exactly(int(headers.get("content-length", 0)))
        chunks = []
        while size := int(self.until(b"\r\n").split(b";")[0], 16):
            chunks.append(self.exactly(size))
            self.exactly(2)
        while self.until(b"\r\n"):
            pass  # A trailer.
        return b"".join(chunks)

    def until(self, end: bytes) -> bytes:
        while end not in self.read:
            self.more()
        found, _, self.read = self.read.partition(end)
        return found

    def exactly(self, size: int) -> bytes:
        while len(self.read) < size:
            self.more()
        found, self.read = self.read[:size], self.read[size:]
        return found

    def more(self) -> None:
        read = self.connection.recv(1 << 18)
        if not read:
            raise EOFError
        self.read += read


def answer(connection: socket.socket, status: str, headers: dict[str, str], body: bytes) -> None:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items()), f"Content-Length: {len(body)}"]
    connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
