"""Whether a PDF is whole: a tool that delivers less than was asked for has not won."""

import re
import subprocess
from pathlib import Path


def pages(pdf: Path) -> int:
    said = subprocess.run(["pdfinfo", pdf], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"^Pages:\s+(\d+)$", said, re.MULTILINE).group(1))


def ends_with(pdf: Path, words: str, count: int) -> bool:
    """Whether the words stand on one of the last two of so many pages: totals may follow the last row on a page of their own."""
    command = ["pdftotext", "-f", str(max(1, count - 1)), "-l", str(count), pdf, "-"]
    return words in subprocess.run(command, capture_output=True, text=True, check=True).stdout
