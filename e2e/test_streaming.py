"""Answers through a function URL that streams: each arrives with its status, its headers and its whole body.

What the emulator cannot show: that bytes arrive as they are written, since it collects an answer before it hands it out.
listener/tests/streaming.rs shows that the function sends them so.
"""

from emulated_aws import aws


def test_the_url_streams(deployment):
    url = aws("lambda").get_function_url_config(FunctionName=deployment.outputs["listener_function"], Qualifier="live")
    assert url["InvokeMode"] == "RESPONSE_STREAM"


def test_problems_arrive_with_their_status_and_headers(deployment, invoice):
    good = {"template": "invoice", "data": invoice}
    for answer, status, name in [
        (deployment.call("POST", "/append_queue", token="wrong", json=good), 401, "unauthorized"),
        (deployment.call("GET", "/nothing"), 404, "unknown-path"),
        (deployment.call("GET", "/append_queue"), 405, "wrong-method"),
        (deployment.call("POST", "/append_queue", data=b"x", headers={"Content-Type": "text/csv"}), 415, "unsupported-media-type"),
        (deployment.call("POST", "/append_queue", data=b"{"), 400, "malformed-json"),
        (deployment.call("POST", "/append_queue", json={"template": "invoice", "data": {}}), 422, "invalid-data"),
        (deployment.call("POST", "/append_queue", data=b"x" * (6 * 1024 * 1024 + 1)), 413, "body-too-large"),
    ]:
        assert answer.status_code == status, answer.text
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["type"] == f"urn:pressrun:problem:{name}"
    assert deployment.call("GET", "/append_queue").headers["Allow"] == "POST"
    assert deployment.call("GET", "/jobs", token=None).headers["WWW-Authenticate"] == "Bearer"


def test_the_page_arrives_whole_with_its_policy(deployment):
    page = deployment.call("GET", "/", token=None)
    assert page.status_code == 200 and page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.text.rstrip().endswith("</html>")
    script = deployment.call("GET", "/page.js", token=None)
    assert script.headers["Content-Type"].startswith("text/javascript") and len(script.content) > 20_000


def test_answers_without_a_body_arrive_too(deployment):
    head = deployment.call("HEAD", "/healthz", token=None)
    assert (head.status_code, head.content) == (200, b"")

    job = deployment.queue("probe", {"divisor": 8})
    ended = deployment.ended(job)
    redirect = deployment.call("GET", job["report_url"])
    assert redirect.status_code == 302 and redirect.headers["Location"].startswith("https://")
    headers = {"Last-Event-ID": f"0.{ended['attempts']}.2"}
    told = deployment.call("GET", f"/jobs/{job['id']}/events", headers=headers)
    assert (told.status_code, told.content) == (204, b"")


def test_a_long_answer_arrives_whole(deployment, invoice):
    invoice["lines"] = [f"no line {number:03}" for number in range(999)]
    refused = deployment.call("POST", "/append_queue", json={"template": "invoice", "data": invoice})
    assert refused.status_code == 422 and len(refused.content) > 64_000
    assert {f"/data/lines/{number}" for number in range(999)} <= {error["pointer"] for error in refused.json()["errors"]}
