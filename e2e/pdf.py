"""What a report is checked with: qpdf for the file, pdftotext for the words."""

import subprocess
from pathlib import Path


def check(file: Path) -> None:
    """Fails unless qpdf finds the file without error or warning."""
    answer = subprocess.run(["qpdf", "--check", file], capture_output=True, text=True)
    assert answer.returncode == 0, f"{file}\n{answer.stdout}{answer.stderr}"


def text(file: Path) -> str:
    """The words, as they stand on the pages."""
    return subprocess.run(["pdftotext", "-layout", file, "-"], capture_output=True, text=True, check=True).stdout
