"""Makes reports as fast as they can be made: one warm child that typesets, asked as the processor asks it."""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import printed
from emulated_aws import ROOT

# The program's own variable, for templates that are elsewhere.
TEMPLATES = Path(os.environ.get("PRESSRUN_TEMPLATES", ROOT / "templates"))
TIMESTAMP = "2026-11-21T00:00:00Z"


@dataclass
class Made:
    """A report that was made."""

    pages: list[printed.Page]
    warnings: list[dict]

    def body(self) -> printed.Text:
        """What is between the margins of all pages."""
        return printed.body(self.pages)


class Refused(Exception):
    """Why there is no report."""

    def __init__(self, error: dict):
        super().__init__(json.dumps(error, ensure_ascii=False))
        self.error = error


class Typist:
    """A child that typesets, and what is read of its reports. The data is taken as it is: no schema is looked at."""

    def __init__(self, program: Path, templates: Path = TEMPLATES):
        self.program, self.templates = program, templates
        memory = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(prefix="pressrun-", dir=memory if os.access(memory, os.W_OK) else None))
        self.child = self.start()

    def start(self) -> subprocess.Popen:
        """Starts the child."""
        return subprocess.Popen(
            [self.program, "__typeset"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"RAYON_NUM_THREADS": "1", "RUST_MIN_STACK": str(8 << 20)},
        )

    def make(self, template: str, data: dict, tagged: bool = False, **options) -> Made:
        """A report, read."""
        report = self.ask(template, data, tagged, options)
        return Made(printed.read(report["files"][0]), report.get("warnings", []))

    def ask(self, template: str, data: dict, tagged: bool, options: dict) -> dict:
        """What the child says of a report it made."""
        file = self.folder / "data.json"
        file.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        request = {
            "template": str(self.templates / template),
            "kit": str(self.templates / "kit"),
            "data": str(file),
            "output": str(self.folder),
            "options": {"timestamp": TIMESTAMP, "ident": "proof", "tagged": tagged, **options},
            "limits": {"max_output_bytes": 1 << 30, "max_pages": 100000},
            "rows": self.rows(template),
        }
        self.child.stdin.write(json.dumps(request).encode() + b"\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            self.child.wait()
            status, self.child = self.child.returncode, self.start()
            raise Refused({"kind": "crash", "message": f"the child ended with {status}"})
        answer = json.loads(line)
        if answer.get("spent"):
            self.child.wait()
            self.child = self.start()
        if answer["outcome"] != "done":
            raise Refused(answer["error"])
        return answer["report"]

    def rows(self, template: str) -> dict | None:
        """Which property of a template's data is its rows, and what names their fields."""
        manifest = self.templates / template / "template.json"
        if not manifest.exists():
            return None
        rows = json.loads(manifest.read_text())["rows"]
        columns, totals = rows.get("columns"), rows.get("totals")
        names = [f"{columns}/*/field"] * isinstance(columns, str) + [f"{totals}/*"] * isinstance(totals, str)
        return {"field": rows["field"], "names": names}

    def close(self) -> None:
        """Ends the child."""
        self.child.stdin.close()
        self.child.wait()
        shutil.rmtree(self.folder)


@dataclass
class Rendered:
    """What `pressrun render` came to."""

    status: int
    said: str
    file: Path

    def pages(self) -> list[printed.Page]:
        """The report's pages."""
        assert self.status == 0, f"pressrun render ended with {self.status}: {self.said}"
        return printed.read(self.file)


def render(program: Path, template: str, folder: Path, *arguments) -> Rendered:
    """Makes a report by the command line, which reads and checks the data as uploads are read and checked."""
    file = folder / "report.pdf"
    command = [program, "render", template, "--templates", TEMPLATES, "-o", file, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    return Rendered(done.returncode, done.stderr, file)
