"""What one run of the benchmark is told: how many rows, how long a tool may take, and where everything is."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "templates"
CACHE = Path(os.environ.get("PRESSRUN_CACHE") or Path.home() / ".cache/pressrun")
NODE_MODULES = CACHE / "bench-node/node_modules"

# The interpreter of the environment that bench/prepare made; this one, since `make bench` starts it.
PYTHON = sys.executable


@dataclass(frozen=True)
class Settings:
    """One run of the benchmark."""

    rows: tuple[int, ...]
    # The tools that are measured, by their names in `tools.py`.
    only: tuple[str, ...]
    # How long one run of a tool may take, in seconds.
    bound: float
    # The `pressrun` executable and the listener's zip.
    program: Path
    listener_zip: Path
    # Fewer repetitions of everything: the figures then say little, but every step is taken.
    quick: bool
    # A folder of this run's own, removed after it.
    work: Path

    def times(self, often: int) -> int:
        """How often to do what a whole run does `often`."""
        return max(2, often // 20) if self.quick else often
