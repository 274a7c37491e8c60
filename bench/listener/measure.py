"""Cold and warm invocations of the three listeners, against the same services and the same bare SendMessage."""

import json
import os
import ssl
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import invoice, memory
from bench.listener.functions import Function, all_functions
from bench.listener.runtime_api import Answer, RuntimeApi, function_url_event
from bench.listener.services import Certificate, Services
from bench.settings import Settings

# What a call to either service takes at least where they are slow, in seconds: about what it takes within AWS.
DELAY = 0.005
COLD_STARTS, WARM_EVENTS = 20, 600
# Before times count: connections are made, and code is compiled or read.
WARM_UP = 20


class Harness:
    """The functions; services that answer at once, and services that take their time."""

    def __init__(self, settings: Settings, running: ExitStack) -> None:
        self.settings = settings
        certificate = Certificate.make(settings.work)
        self.prompt, self.slow = (Services(delay, certificate, running) for delay in (0, DELAY))
        self.functions = all_functions(settings, environment(settings, certificate))


def measure(settings: Settings) -> list[dict]:
    """What each listener takes; times in seconds."""
    with ExitStack() as running:
        harness = Harness(settings, running)
        # One round that does not count: files come into the page cache, and Python compiles its modules.
        for function in harness.functions:
            cold(harness, function)
        rounds = [{function.name: cold(harness, function) for function in harness.functions}
                  for _ in range(settings.times(COLD_STARTS))]
        return [row(harness, function, [each[function.name] for each in rounds]) for function in harness.functions]


def row(harness: Harness, function: Function, colds: list[tuple[float, float]]) -> dict:
    polls, answers = zip(*colds)
    return {
        "name": function.name, "version": function.version,
        "first_poll": statistics.median(polls), "first_answer": statistics.median(answers),
        "zip_bytes": function.zip_bytes, "zip_with_sdk_bytes": function.zip_with_sdk_bytes,
        **warm(harness, function, harness.prompt), "slow": warm(harness, function, harness.slow),
    }


def cold(harness: Harness, function: Function) -> tuple[float, float]:
    """From the start of the process to its first poll, and to its first answered POST."""
    with started(harness, function, harness.slow) as (api, _, at):
        polled = api.first_poll()
        answer = accepted(api.invoke(event(1)))
        return polled - at, answer.arrived - at


def warm(harness: Harness, function: Function, services: Services) -> dict:
    """How much longer a POST takes than a bare SendMessage, which is sent before each."""
    count, before = harness.settings.times(WARM_EVENTS), services.calls()
    with started(harness, function, services) as (api, pid, _):
        for number in range(WARM_UP):
            accepted(api.invoke(event(number)))
        bare, whole = [], []
        for number in range(count):
            bare.append(services.bare.send())
            answer = accepted(api.invoke(event(number)))
            whole.append(answer.arrived - answer.handed_over)
        resident = memory.of_tree(pid)
    sent, put = (after - earlier for after, earlier in zip(services.calls(), before))
    if (sent, put) != (WARM_UP + 2 * count, WARM_UP + count):
        raise RuntimeError(f"{function.name}: {sent} messages and {put} records of {WARM_UP + count} requests")
    base = statistics.median(bare)
    added = sorted(taken - base for taken in whole)
    return {
        "bare": base, "added": statistics.median(added), "added_p99": added[int(len(added) * 0.99)], "resident_bytes": resident,
    }


def event(number: int) -> bytes:
    return function_url_event("/append_queue", {"template": "invoice", "data": invoice.varied(number)})


def accepted(answer: Answer) -> Answer:
    """All three answer with 202; ours streams it."""
    prelude = answer.body.partition(b"\0" * 8)[0]
    if not answer.handed_over or json.loads(prelude).get("statusCode") != 202:
        raise RuntimeError(f"a listener answered {answer.body[:500]!r}")
    return answer


@contextmanager
def started(harness: Harness, function: Function, services: Services) -> Iterator[tuple[RuntimeApi, int, float]]:
    """The function: its runtime API, its process, and when that was started."""
    api = RuntimeApi()
    env = function.env | services.environment() | {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.port}"}
    log = harness.settings.work / f"{function.name}.log"
    with log.open("wb") as said:
        at = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, function.command)), cwd=function.folder, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        )
        try:
            yield api, process.pid, at
        finally:
            process.kill()
            process.wait()


def environment(settings: Settings, certificate: Certificate) -> dict[str, str]:
    """What Lambda tells a function, with a certificate that is trusted beside the usual ones."""
    paths = ssl.get_default_verify_paths()
    system = Path(paths.cafile or paths.openssl_cafile)
    bundle = settings.work / "trusted.pem"
    bundle.write_bytes(certificate.file.read_bytes() + (system.read_bytes() if system.exists() else b""))
    return {
        "PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8",
        "AWS_LAMBDA_FUNCTION_NAME": "listener", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_LOG_GROUP_NAME": "listener", "AWS_LAMBDA_LOG_STREAM_NAME": "bench", "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "_HANDLER": "handler.handle",
        "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_SESSION_TOKEN": "bench",
        "SSL_CERT_FILE": str(bundle), "AWS_CA_BUNDLE": str(bundle), "NODE_EXTRA_CA_CERTS": str(certificate.file),
        "PRESSRUN_TABLE": "jobs",
        "PRESSRUN_ACCESS": "none", "PRESSRUN_ACCEPT_ANYBODY": "yes",
        "PRESSRUN_BUCKET": "reports", "PRESSRUN_LINK_KEY": "bench", "PRESSRUN_TEMPLATES": str(settings.work / "listener/templates"),
        "RUST_LOG": "info",
    }
