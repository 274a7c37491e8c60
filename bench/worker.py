"""Our typesetter alone, without a pipeline around it: the warm child process of `pressrun`, spoken to directly."""

import json
import subprocess
import time
from types import TracebackType

from bench import invoice
from bench.settings import TEMPLATES, Settings


class Worker:
    """A `pressrun __typeset`: a line of JSON goes in, a report is written, a line comes out."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.work / "typeset"
        self.folder.mkdir(exist_ok=True)
        # As `typesetter::worker::command` starts it.
        self.process = subprocess.Popen(
            [settings.program, "__typeset"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={"RAYON_NUM_THREADS": "1"},
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=60)

    def make(self, number: int) -> float:
        """Seconds from request to answer, with the data in its file already."""
        data = self.folder / "data.json"
        data.write_text(json.dumps(invoice.varied(number)), encoding="utf-8")
        line = json.dumps({
            "template": str(TEMPLATES / "invoice"), "kit": str(TEMPLATES / "kit"), "data": str(data), "output": str(self.folder),
            "options": {"timestamp": "2026-11-21T00:00:00Z", "ident": str(number)},
            "limits": {"max_output_bytes": 1 << 28, "max_pages": 1000},
        })
        started = time.perf_counter()
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        taken = time.perf_counter() - started
        if json.loads(answer or b"{}").get("outcome") != "done":
            raise RuntimeError(f"the typesetter answered {answer[:300]!r}")
        return taken
