"""A mail server in trouble is no trouble for reports: they are made at full speed, each job tells the truth of its
announcement, and the server stops in its time."""

import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from email import message_from_bytes, policy

import pytest
import requests

from bad_mail_servers import CLOSES, FULL, GOOD, HUNG, NO, SLOW, MailServer, black_hole
from polling import wait_for
from server import CALLERS_AT_ONCE, Server

REPORTS = int(os.environ.get("PRESSRUN_MAIL_REPORTS", "300"))
STOP_TIMEOUT = 4

#: For how many seconds a mail server greets nobody: four at once, all mails then take minutes, and all reports seconds.
HOLD = 2
#: Longer than an attempt may take.
FOR_EVER = 600


def options(address: str, *more: str) -> list[str]:
    mail = ["--smtp-url", f"smtp://{address}", "--mail-from", "a@example.org", "--mail-to", "b@example.org"]
    return [*mail, "--stop-timeout", str(STOP_TIMEOUT), *more]


def announcements(server: Server, ids: list[str], callers: ThreadPoolExecutor) -> list[dict]:
    return [job["announcement"] for job in callers.map(server.job, ids)]


def make(server: Server, callers: ThreadPoolExecutor, count: int) -> list[str]:
    """Makes reports; returns their jobs."""
    ids = list(callers.map(server.queue, range(count)))
    wait_for(
        lambda: all(job["status"] == "completed" for job in callers.map(server.job, ids)), f"{count} reports", within=300
    )
    return ids


@pytest.mark.parametrize("behaviour", [HUNG, "refused", NO, FULL, CLOSES, SLOW, GOOD])
def test_reports_are_made_whatever_the_mail_server_does(program, tmp_path, behaviour):
    mail_server = MailServer(behaviour) if behaviour != "refused" else None
    with mail_server or nullcontext(), ThreadPoolExecutor(CALLERS_AT_ONCE) as callers:
        address = mail_server.address if mail_server else black_hole()
        with Server(program, tmp_path / "data", *options(address)) as server:
            if mail_server:
                mail_server.hold = HOLD
            ids = make(server, callers, REPORTS)
            if mail_server:
                assert mail_server.connections < REPORTS / 2, "no report waits for a mail"
                mail_server.hold = 0

            settled = {NO: "refused", SLOW: "delivered", GOOD: "delivered"}.get(behaviour)
            if settled:
                wait_for(
                    lambda: all(each["status"] == settled for each in announcements(server, ids, callers)),
                    f"every announcement to be {settled}", within=240,
                )
            else:
                wait_for(
                    lambda: all(each["attempts"] for each in announcements(server, ids, callers)), "attempts", within=240
                )
            check(announcements(server, ids, callers), behaviour)
            if behaviour == HUNG:
                wait_for(lambda: 1 <= mail_server.open <= 4, "few attempts at once", within=60)
            if behaviour in (SLOW, GOOD):
                told = [message_from_bytes(mail, policy=policy.default)["X-Pressrun-Job"] for mail in mail_server.mails]
                assert sorted(told) == sorted(ids), "each end is mailed once"

            if mail_server and behaviour != HUNG:
                mail_server.hold = FOR_EVER
                make(server, callers, 8)
                wait_for(lambda: mail_server.open, "attempts that hang", within=60)
            began = time.monotonic()
            server.process.terminate()
            assert server.process.wait(timeout=60) == 0
            assert time.monotonic() - began < STOP_TIMEOUT + 2


def check(all_of_them: list[dict], behaviour: str) -> None:
    """What jobs say of announcements is what happened to them."""
    for announcement in all_of_them:
        assert announcement["channel"] == "mail"
        latest = announcement.get("latest", [{}])[-1]
        if behaviour == NO:
            assert (announcement["attempts"], latest["status"]) == (1, 550)
            assert latest["error"].startswith("The mail server answered 550: 5.1.1 There is no such ")
            assert "\x1b" not in latest["error"] and "\x07" not in latest["error"]
            assert "next_attempt_at" not in announcement
        elif behaviour in (SLOW, GOOD):
            assert (announcement["status"], latest["status"]) == ("delivered", 250)
        else:
            assert announcement["status"] == "pending", announcement
        if behaviour == "refused":
            assert "Connection refused" in latest["error"] and announcement["next_attempt_at"]
        if behaviour == HUNG:
            said = ("The mail server could not be reached: ", "The mail server did not ", "Skipped: the mail server has not ")
            assert latest["error"].startswith(said), latest
            assert "status" not in latest and announcement["next_attempt_at"]
        if behaviour == FULL:
            assert latest["status"] == 451 and "The mailbox is busy" in latest["error"]
        if behaviour == CLOSES:
            assert latest["error"].startswith("The mail server's answer could not be read: ")


def test_what_was_not_delivered_is_delivered_by_the_next_server(program, tmp_path):
    address = black_hole()
    data = tmp_path / "data"
    with Server(program, data, *options(address)) as server:
        job_id = server.queue(1)
        wait_for(lambda: server.job(job_id).get("announcement", {}).get("attempts"), "an attempt", within=60)
        server.kill()
        with MailServer(GOOD, address) as mail_server:
            server.start()
            wait_for(lambda: server.job(job_id)["announcement"]["status"] == "delivered", "the mail", within=60)
            assert len(mail_server.mails) == 1
        shown = subprocess.run([program, "job", job_id, "--url", server.url], capture_output=True, text=True, check=True)
        assert "announced  by mail: delivered, " in shown.stdout


def test_a_password_is_told_to_nobody(program, tmp_path):
    address = black_hole()
    mail = ["--smtp-url", f"smtp://ann:hunter2@{address}", "--mail-from", "a@example.org", "--mail-to", "b@example.org"]
    with Server(program, tmp_path / "data", *mail) as server:
        job_id = server.queue(1)
        job = wait_for(
            lambda: (job := server.job(job_id)).get("announcement", {}).get("attempts") and job, "an attempt", within=60
        )
    assert "hunter2" not in json.dumps(job) and "hunter2" not in server.log.read_text()


def test_what_a_mail_holds_of_the_data_is_plain(program, tmp_path):
    """A bare CR is forbidden in mails (RFC 5321), and an ESC acts on the terminal that shows one."""
    with MailServer(GOOD) as mail_server, Server(program, tmp_path / "data", *options(mail_server.address)) as server:
        row = json.dumps({"da\rte": "\x1b[2J", "\x07": 1})
        wanted = {"content_type": "application/x-ndjson", "bytes": len(row)}
        upload = requests.post(f"{server.url}/uploads", json=wanted, timeout=60)
        assert upload.status_code == 201, upload.text
        put = requests.put(
            upload.json()["url"], data=row, headers={"Content-Type": "application/x-ndjson"}, timeout=60
        )
        assert put.ok, put.text
        sample = json.loads((server.templates / "ledger/sample.json").read_text())
        sample.pop("entries")
        body = {"template": "ledger", "data": sample, "input": upload.json()["id"]}
        job = requests.post(f"{server.url}/append_queue", json=body, timeout=60)
        assert job.status_code == 202, job.text
        (mail,) = wait_for(lambda: mail_server.mails, "the mail", within=60)
    head, _, text = mail.partition(b"\r\n\r\n")
    assert b"\r" not in mail.replace(b"\r\n", b"") and b"\x1b" not in mail and b"\x07" not in mail
    lines = head.split(b"\r\n")
    assert b"Auto-Submitted: auto-generated" in lines
    assert not [line for line in lines if line.rstrip().endswith(b":")], "no header is empty"
    content = message_from_bytes(mail, policy=policy.default).get_content().replace("\r\n", "\n")
    assert "da\ufffdte" in content and not set(content) & set("\r\x1b\x07"), content
