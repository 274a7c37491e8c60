"""Data too large for a request: uploaded, checked row by row, typeset; on one machine and on AWS."""

import csv
import io
import json
import subprocess
import threading
from pathlib import Path

import requests

import pdf
from emulated_aws import ROOT
from polling import wait_for
from server import Server

UPLOAD_BYTES = 200_000_000
# The server's own memory may grow by so much while it takes 200 MB in, checks them and spools them.
MOST_GROWTH_BYTES = 30_000_000
BAD_ROW = 1_500_000
TYPES = {"json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv"}


def test_200_mb_go_through_while_the_servers_memory_stays_flat(program, tmp_path):
    templates = unlimited_statement(tmp_path / "templates")
    upload = tmp_path / "rows.ndjson"
    rows, bad_line = write_rows(upload, UPLOAD_BYTES)
    assert upload.stat().st_size >= UPLOAD_BYTES
    with Server(program, tmp_path / "data", templates=templates) as server:
        url = server.url
        # What the server needs once in any case, such as the template's schema, is not the upload's.
        warm = put(url, "ndjson", json.dumps(statement()["transactions"][0]).encode())
        ended(server, queue(url, warm, rest()))
        with Memory(server.process.pid) as memory:
            with upload.open("rb") as body:
                upload_id = put(url, "ndjson", body, upload.stat().st_size)
            job = ended(server, queue(url, upload_id, rest()))
        print(f"memory grew by {memory.growth / 1e6:.0f} MB for {upload.stat().st_size / 1e6:.0f} MB and {rows} rows")
    assert memory.growth < MOST_GROWTH_BYTES
    assert job["status"] == "failed", job
    assert job["error"]["type"] == "urn:pressrun:problem:invalid-data"
    # The schema says twice what a date is.
    violations = job["error"]["errors"]
    places = {(it["line"], it["column"], it["pointer"]) for it in violations}
    assert places == {(bad_line, 9, f"/transactions/{BAD_ROW}/date")}, violations
    assert f"line {bad_line}, column 9, at /transactions/{BAD_ROW}/date: " in job["error"]["detail"]


def test_every_format_gives_the_report_that_the_same_data_gives_in_a_request(program, tmp_path):
    data = statement()
    with Server(program, tmp_path / "data", "--token", "token-of-an-upload-test") as server:
        session = requests.Session()
        session.headers["Authorization"] = "Bearer token-of-an-upload-test"
        inline = session.post(f"{server.url}/append_queue", json={"template": "statement", "data": data}).json()
        expected = words(session, server.url, inline["id"], tmp_path)
        for kind, text in texts(data).items():
            beside = None if kind == "json" else rest()
            upload_id = put(server.url, kind, text.encode(), session=session)
            job = queue(server.url, upload_id, beside, session=session)
            assert words(session, server.url, job, tmp_path) == expected, kind


def test_the_command_line_uploads_rows_and_shows_what_is_wrong_with_them(program, tmp_path):
    data = statement()
    head = tmp_path / "head.json"
    head.write_text(json.dumps(rest()))
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text(texts(data)["csv"])
    bad.write_text(good.read_text() + "2026-13-01,Never,1.00,\n")
    line = len(data["transactions"]) + 2
    with Server(program, tmp_path / "data") as server:
        def run(*arguments) -> subprocess.CompletedProcess:
            return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, cwd=ROOT)

        sent = run("send", "statement", "--data", good, "--head", head, "-o", tmp_path / "sent.pdf", "--url", server.url)
        assert sent.returncode == 0, sent.stderr
        rendered = run("render", "statement", "--data", good, "--head", head, "-o", tmp_path / "rendered.pdf")
        assert rendered.returncode == 0, rendered.stderr
        assert pdf.text(tmp_path / "sent.pdf") == pdf.text(tmp_path / "rendered.pdf")

        sent = run("send", "statement", "--data", bad, "--head", head, "--wait", "--url", server.url)
        rendered = run("render", "statement", "--data", bad, "--head", head, "-o", tmp_path / "none.pdf")
        assert (sent.returncode, rendered.returncode) == (1, 3)
        for answer in (sent, rendered):
            assert f"line {line}, at /transactions/{line - 2}/date:" in answer.stderr, answer.stderr

        large = tmp_path / "large.json"
        # Larger than a request may be.
        large.write_text(" " * 7_000_000 + json.dumps(data))
        sent = run("send", "statement", "--data", large, "-o", tmp_path / "large.pdf", "--url", server.url)
        assert sent.returncode == 0, sent.stderr
        assert pdf.text(tmp_path / "large.pdf") == pdf.text(tmp_path / "rendered.pdf")


def test_an_upload_into_the_bucket_becomes_a_report(deployment, tmp_path):
    data = statement()
    for kind, text in texts(data).items():
        begun = begin(deployment, kind, len(text.encode()))
        assert "X-Amz-Signature=" in begun["url"] and begun["url"].startswith(deployment.endpoint), begun["url"]
        answer = requests.put(begun["url"], data=text.encode(), headers=begun["headers"], timeout=60)
        assert answer.status_code == 200, answer.text
        beside = {} if kind == "json" else {"data": rest()}
        answer = deployment.call("POST", "/append_queue", json={"template": "statement", "input": begun["id"], **beside})
        assert answer.status_code == 202, answer.text
        job = deployment.ended(answer.json())
        assert job["status"] == "completed" and job["input"] == begun["id"], job
        report = tmp_path / f"{kind}.pdf"
        report.write_bytes(deployment.download(answer.json()["report_url"], token=""))
        assert data["transactions"][-1]["description"] in pdf.text(report)


def test_the_bucket_takes_an_upload_as_it_was_begun_and_no_other(deployment):
    """The emulator checks the signature over the headers as they arrive, so it refuses what S3 refuses here."""
    body = b"date,description,amount\n"
    begun = begin(deployment, "csv", len(body))
    for headers, sent in [
        ({**begun["headers"], "Content-Length": str(len(body) + 1)}, body + b"x"),
        ({**begun["headers"], "Content-Length": str(len(body) - 1)}, body[:-1]),
        ({**begun["headers"], "Content-Type": "application/json"}, body),
    ]:
        answer = requests.put(begun["url"], data=sent, headers=headers, timeout=60)
        assert answer.status_code == 403, f"{headers}: {answer.status_code} {answer.text}"
    queued = {"template": "statement", "input": begun["id"], "data": rest()}
    answer = deployment.call("POST", "/append_queue", json=queued)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:pressrun:problem:unknown-upload")
    answer = deployment.call("PUT", f"/uploads/{begun['id']}?bytes=1&expires=1&sig=x", data=b"x")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:pressrun:problem:unknown-path")


def test_an_upload_that_does_not_fit_fails_its_job_with_the_line(deployment):
    text = texts(statement())["ndjson"] + '{"date": "2026-09-30", "description": "", "amount": 1}\n'
    begun = begin(deployment, "ndjson", len(text.encode()))
    assert requests.put(begun["url"], data=text.encode(), headers=begun["headers"], timeout=60).status_code == 200
    queued = {"template": "statement", "input": begun["id"], "data": rest()}
    answer = deployment.call("POST", "/append_queue", json=queued)
    job = deployment.ended(answer.json())
    [violation] = job["error"]["errors"]
    row = len(statement()["transactions"])
    assert (violation["line"], violation["column"], violation["pointer"]) == (row + 1, 39, f"/transactions/{row}/description")


def statement() -> dict:
    """The statement's sample."""
    return json.loads((ROOT / "templates/statement/sample.json").read_text())


def rest() -> dict:
    data = statement()
    del data["transactions"]
    return data


def texts(data: dict) -> dict[str, str]:
    """The same data in every format; of NDJSON and CSV its rows."""
    rows = data["transactions"]
    table = io.StringIO()
    writer = csv.DictWriter(table, ["date", "description", "amount", "reference"])
    writer.writeheader()
    writer.writerows(rows)
    return {"json": json.dumps(data), "ndjson": "".join(json.dumps(row) + "\n" for row in rows), "csv": table.getvalue()}


def unlimited_statement(templates: Path) -> Path:
    """The statement, but for any number of transactions."""
    folder = templates / "statement"
    folder.mkdir(parents=True)
    for name in ("main.typ", "template.json", "sample.json"):
        (folder / name).write_bytes((ROOT / "templates/statement" / name).read_bytes())
    schema = json.loads((ROOT / "templates/statement/schema.json").read_text())
    del schema["properties"]["transactions"]["maxItems"]
    (folder / "schema.json").write_text(json.dumps(schema))
    (templates / "kit").symlink_to(ROOT / "templates/kit")
    return templates


def write_rows(file: Path, size: int) -> tuple[int, int]:
    """Writes rows until there are so many bytes; one of them has no sensible date. Returns their number and its line."""
    with file.open("w") as rows:
        number, written, bad_line = 0, 0, 0
        while written < size or number <= BAD_ROW:
            month = 13 if number == BAD_ROW else 1 + number % 12
            row = f'{{"date":"2026-{month:02}-{1 + number % 28:02}","description":"Payment {number} to somebody","amount":"{number % 997}.{number % 100:02}"}}\n'
            # A blank line is a line, and no row.
            row = "\n" + row if number == 7 else row
            if number == BAD_ROW:
                bad_line = number + 2
            rows.write(row)
            number, written = number + 1, written + len(row)
    return number, bad_line


def put(url: str, kind: str, body, size: int | None = None, session=requests) -> str:
    """Uploads to a server on this machine and returns the upload's id."""
    size = len(body) if size is None else size
    begun = session.post(f"{url}/uploads", json={"content_type": TYPES[kind], "bytes": size}, timeout=60)
    assert begun.status_code == 201, begun.text
    begun = begun.json()
    # No token: the URL is enough.
    answer = requests.put(begun["url"], data=body, headers=begun["headers"], timeout=600)
    assert answer.status_code == 200, answer.text
    return begun["id"]


def begin(deployment, kind: str, size: int) -> dict:
    answer = deployment.call("POST", "/uploads", json={"content_type": TYPES[kind], "bytes": size})
    assert answer.status_code == 201, answer.text
    return answer.json()


def queue(url: str, upload_id: str, data: dict | None, session=requests) -> str:
    body = {"template": "statement", "input": upload_id}
    if data is not None:
        body["data"] = data
    answer = session.post(f"{url}/append_queue", json=body, timeout=60)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def ended(server: Server, job_id: str) -> dict:
    def record() -> dict | None:
        job = server.job(job_id)
        return job if job["status"] in ("completed", "failed") else None

    return wait_for(record, f"job {job_id} to end", within=600, every=0.5)


def words(session: requests.Session, url: str, job_id: str, folder: Path) -> str:
    def report() -> requests.Response | None:
        answer = session.get(f"{url}/jobs/{job_id}/report", timeout=60)
        failed = answer.headers["Content-Type"] != "application/pdf" and answer.json().get("job_status") == "failed"
        assert not failed, answer.text
        return answer if answer.status_code == 200 else None

    file = folder / f"{job_id}.pdf"
    file.write_bytes(wait_for(report, f"the report of {job_id}", within=120).content)
    return pdf.text(file)


class Memory(threading.Thread):
    """Samples the memory of one process, without its children."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.status, self.done = Path(f"/proc/{pid}/status"), threading.Event()
        self.first = self.most = self.resident()

    def resident(self) -> int:
        line = next(line for line in self.status.read_text().splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def run(self) -> None:
        while not self.done.wait(0.05):
            self.most = max(self.most, self.resident())

    @property
    def growth(self) -> int:
        return self.most - self.first

    def __enter__(self) -> "Memory":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.done.set()
        self.join()
