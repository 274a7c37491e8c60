"""The words that templates print, from the kit: what a test wants to know is the figure beside them."""

import re
from functools import cache

from typist import TEMPLATES


ENTRY = re.compile(r'([a-z][a-z-]*): "((?:[^"\\]|\\.)*)"')
BLOCK = re.compile(r'^  "?([a-z]{2}(?:-[A-Z]{2})?)"?: \((.*?)(?=^  "?[a-z]{2}|^\))', re.S | re.M)


@cache
def words(locale: str) -> dict[str, str]:
    """Every word of a locale by its key."""
    source = (TEMPLATES / "kit/labels.typ").read_text(encoding="utf-8")
    blocks = {name: dict(ENTRY.findall(block)) for name, block in BLOCK.findall(source)}
    found = blocks["en"] | blocks[locale[:2]] | blocks.get(locale, {})
    assert found["amount-due"] and found["carried-forward"], "labels.typ is not written as words.py reads it"
    return found


def say(locale: str, key: str, **values: str) -> str:
    """A word with its values."""
    return words(locale)[key].format(**values)
