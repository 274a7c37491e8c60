"""The machine that the figures are from."""

import os
import platform
import subprocess
from pathlib import Path

from bench.settings import ROOT


def describe() -> dict:
    """Processor, cores, memory and system; nothing that would name the machine."""
    processor = field(Path("/proc/cpuinfo"), "model name") or platform.machine()
    total = field(Path("/proc/meminfo"), "MemTotal") or "0 kB"
    return {
        "processor": processor, "cores": len(os.sched_getaffinity(0)), "architecture": platform.machine(),
        "memory_gb": round(int(total.split()[0]) / (1 << 20)), "kernel": platform.release().split("-")[0],
        "system": field(Path("/etc/os-release"), "PRETTY_NAME", "=").strip('"'), "commit": commit(),
    }


def field(file: Path, name: str, separator: str = ":") -> str:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(separator)[2].strip() for line in lines if line.startswith(name)), "")


def commit() -> str:
    """What was measured; empty outside a clone."""
    answer = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return answer.stdout.strip()
