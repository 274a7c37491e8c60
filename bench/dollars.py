"""What a thousand reports cost on Lambda at the measured times."""

import json
import re
from pathlib import Path

from bench.settings import ROOT

PRICES = json.loads((Path(__file__).parent / "prices.json").read_text(encoding="utf-8"))

# A function gets processor time in proportion to its memory; with so much, one core.
MB_OF_ONE_CORE = 1769
LARGEST_MB, LONGEST_SECONDS = 10_240, 900
# Memory beside what was measured: the runtime's, and some to spare.
HEADROOM = 1.25

# What the pipeline asks of other services for each report: the message is sent, received and deleted; the record is
# written four times, each with its two indexes; one object, one announcement.
CALLS = {"lambda_request": 2, "sqs_request": 3, "dynamodb_write": 12, "s3_put": 1, "sns_publish": 1}


def price(name: str) -> float:
    return PRICES["prices"][name]["usd"]


def terraform_default(variable: str) -> int:
    """A number that variables.tf has as a default."""
    text = (ROOT / "variables.tf").read_text(encoding="utf-8")
    return int(re.search(rf'variable "{variable}" {{.*?default\s*=\s*(\d+)', text, re.DOTALL).group(1))


def compute(seconds: float, cpu_seconds: float, peak_bytes: int) -> dict | None:
    """A thousand runs of a function as large as our processor, or as large as it needs to be; none if that is too large."""
    memory = max(terraform_default("processor_memory_mb"), round(peak_bytes / (1 << 20) * HEADROOM))
    share = memory / MB_OF_ONE_CORE
    # More cores than a program keeps busy do not make it faster.
    busy = max(1.0, cpu_seconds / seconds)
    duration = seconds if busy <= share else cpu_seconds / share
    if memory > LARGEST_MB or duration > LONGEST_SECONDS:
        return None
    return {"memory_mb": memory, "seconds": duration, "usd": 1000 * duration * memory / 1024 * price("lambda_gb_second")}


def pipeline(waiting: float, working: float) -> float:
    """What a thousand reports cost besides: the listener, which waits and works so many seconds, and calls to services."""
    memory = terraform_default("listener_memory_mb")
    # It has less than a core, so its work takes longer.
    listening = (waiting + working * MB_OF_ONE_CORE / memory) * memory / 1024 * price("lambda_gb_second")
    return 1000 * (listening + sum(count * price(name) for name, count in CALLS.items()))
