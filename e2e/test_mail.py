"""Mail: what a real SMTP server gets from `pressrun serve`, and what subscribers of the topic are told of."""

import json
import time
from email import message_from_bytes, policy

import requests
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from emulated_aws import ROOT, Inbox, aws
from polling import wait_for
from server import Server, free_address


class Postbox(Message):
    """Keeps every mail that the server takes."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[tuple[list[str], bytes]] = []

    def handle_message(self, message) -> None:
        raise NotImplementedError

    async def handle_DATA(self, server, session, envelope) -> str:
        self.mails.append((envelope.rcpt_tos, envelope.content))
        return "250 OK"


def test_the_end_of_a_job_is_mailed_and_an_outage_loses_no_mail(program, tmp_path):
    address = free_address()
    host, _, port = address.partition(":")
    options = ["--smtp-url", f"smtp://{address}", "--mail-from", "Reports <reports@example.org>",
               "--mail-to", "ann@example.org, Bob <bob@example.org>"]
    postbox = Postbox()
    with Server(program, tmp_path / "data", *options) as server:
        # Nobody takes mail yet: the job is done all the same, and is announced later.
        letter = json.loads((ROOT / "templates/letter/sample.json").read_text())
        notify = {"subject": "Month end", "tags": ["month-end", "eu"]}
        body = {"template": "letter", "data": letter, "notify": notify}
        job = requests.post(f"{server.url}/append_queue", json=body, timeout=60).json()
        wait_for(lambda: server.job(job["id"])["status"] == "completed", "the job", within=60)

        controller = Controller(postbox, hostname=host, port=int(port))
        controller.start()
        try:
            wait_for(lambda: postbox.mails, "the mail", within=120)
        finally:
            controller.stop()
    (recipients, content), = postbox.mails
    mail = message_from_bytes(content, policy=policy.default)
    assert recipients == ["ann@example.org", "bob@example.org"]
    assert (mail["From"], mail["Subject"]) == ("Reports <reports@example.org>", "Month end")
    assert (mail["X-Pressrun-Job"], mail["X-Pressrun-Tags"]) == (job["id"], "month-end, eu")
    assert mail["Message-ID"] == f"<{job['id']}.0.completed@pressrun>"
    assert f"{server.url}/r/{job['id']}?expires=" in mail.get_content()
    assert not list((tmp_path / "data/outbox").iterdir()), "what was sent is not left in the outbox as well"


def test_a_mail_server_that_makes_no_sense_is_refused_at_the_start(program, tmp_path):
    options = ["--smtp-url", "gopher://mail", "--mail-from", "a@example.org", "--mail-to", "b@example.org"]
    said = Server(program, tmp_path / "data", *options).refuses(2)
    assert "--smtp-url" in said and "smtps://" in said


def test_a_subscriber_is_told_of_what_its_filter_names(deployment):
    filter_policy = {"tags": ["month-end"], "status": ["completed"]}
    inbox = Inbox(deployment.outputs["topic_arn"], "pressrun-e2e-month-end", filter_policy)

    tagged = deployment.queue("probe", {"divisor": 8}, notify={"tags": ["eu", "month-end"]})
    others = [
        deployment.queue("probe", {"divisor": 8}, notify={"tags": ["eu"]}),
        deployment.queue("probe", {"divisor": 8}),
        deployment.queue("probe", {"divisor": 0}, notify={"tags": ["month-end"]}),
    ]
    for job in [tagged, *others]:
        deployment.ended(job)
    attribute = inbox.of(tagged)["MessageAttributes"]["tags"]
    assert (attribute["Type"], json.loads(attribute["Value"])) == ("String.Array", ["eu", "month-end"])
    time.sleep(1)  # For what comes after it.
    assert len(inbox.all_of(tagged)) == 1
    assert set(inbox.announcements) == {tagged["id"]}


def test_each_address_is_subscribed_with_its_own_filter(deployment):
    subscriptions = aws("sns").list_subscriptions_by_topic(TopicArn=deployment.outputs["topic_arn"])["Subscriptions"]
    emails = {each["Endpoint"]: each for each in subscriptions if each["Protocol"] == "email"}
    assert set(emails) == {"accounts@example.com", "support@example.com"}
