"""A small disk."""

import subprocess
from pathlib import Path

PAGE_BYTES = 4096


class Disk:
    """A small file system of its own, which can be full or read-only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.filler = folder / "filler"

    def fill(self) -> None:
        with self.filler.open("ab", buffering=0) as filler:
            for size in (PAGE_BYTES * 16, 1):
                try:
                    while True:
                        filler.write(b"x" * size)
                except OSError:
                    pass  # No room for that much.

    def make_room(self) -> None:
        self.filler.unlink()

    def make_read_only(self) -> None:
        subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)
