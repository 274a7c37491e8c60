"""The memory that a process and all its descendants hold together, with pages that several share counted once."""

import os
from pathlib import Path

PROC = Path("/proc")


def of_tree(root: int) -> int:
    """Bytes: the sum of the proportional set sizes."""
    return sum(proportional(pid) for pid in tree(root))


def tree(root: int) -> list[int]:
    """A process and its living descendants, parents first."""
    # Whoever it started has a greater number, unless the numbers went round meanwhile.
    members = [root]
    for pid in everybody():
        if pid > root and parent(pid) in members:
            members.append(pid)
    return members


def everybody() -> list[int]:
    return sorted(int(name) for name in os.listdir(PROC) if name.isdigit())


def parent(pid: int) -> int | None:
    return parent_and_session(pid)[0]


def parent_and_session(pid: int) -> tuple[int | None, int | None]:
    """Nothing for a process that is gone."""
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None, None
    # The name before them may hold anything, parentheses too.
    _, parent, _, session = stat.rpartition(")")[2].split()[:4]
    return int(parent), int(session)


def proportional(pid: int) -> int:
    """A page that n processes share counts for 1/n in each. Nothing for a process that has ended."""
    try:
        rollup = (PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return 0
    line = next((line for line in rollup.splitlines() if line.startswith("Pss:")), "Pss: 0")
    return int(line.split()[1]) * 1024


def spare() -> int:
    """Bytes that the machine could still hand out."""
    lines = (PROC / "meminfo").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) * 1024
