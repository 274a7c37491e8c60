"""One page of a headless Chromium that stays open, told what to print through a pipe (the DevTools protocol)."""

import atexit
import base64
import json
import os
import subprocess
from pathlib import Path

from bench.tools import chromium_command, chromium_program


class Page:
    """A blank page that is filled and printed again and again."""

    def __init__(self, folder: Path) -> None:
        to_browser, self.requests = os.pipe()
        self.answers, from_browser = os.pipe()

        command = [*chromium_command(chromium_program(), folder), "--remote-debugging-pipe", "about:blank"]
        # It reads from 3 and writes to 4.
        moved = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        self.process = subprocess.Popen(
            ["bash", "-c", moved, *map(str, command)], pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        atexit.register(self.close)
        self.said, self.number, self.session = b"", 0, None
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        self.frame = self.call("Page.getFrameTree")["frameTree"]["frame"]["id"]

    def print(self, html: str) -> bytes:
        self.call("Page.setDocumentContent", frameId=self.frame, html=html)
        return base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True)["data"])

    def call(self, method: str, **parameters) -> dict:
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        sent = memoryview(json.dumps(message).encode() + b"\0")
        while sent:
            sent = sent[os.write(self.requests, sent):]
        while (answer := self.next_message()).get("id") != self.number:
            pass  # An event.
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def next_message(self) -> dict:
        while b"\0" not in self.said:
            read = os.read(self.answers, 1 << 20)
            if not read:
                raise RuntimeError("Chromium ended")
            self.said += read
        message, _, self.said = self.said.partition(b"\0")
        return json.loads(message)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
