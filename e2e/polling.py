"""Waiting for a condition instead of for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def wait_for(look: Callable[[], Found | None], what: str, within: float, every: float = 0.2) -> Found:
    """Calls `look` until it returns something true, and returns that; fails after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {within} s in vain for {what}"
        time.sleep(every)
