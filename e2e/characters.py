"""Random text of all of Unicode, and whether what a report prints is that text."""

import random
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator

from printed import IGNORABLE, Text

STAND_IN = "\ufffd"
# Directional formatting, and what is written from right to left.
DIRECTED = {"R", "AL", "AN", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "PDF", "PDI", "FSI"}
# What the kit's font has, so that it is never replaced.
ALWAYS = set(map(chr, [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x180), *range(0x410, 0x450)]))

LATIN = ["Weather", "station", "№", "12", "3000", "m²", "naïve", "Æther", "Straße", "Łódź", "Ωmega", "Привет", "€5", "fi", "ffl"]
DECOMPOSED = ["e\u0301", "a\u0323\u0301", "n\u0303", "o\u0308\u0304", "A\u030a", "и\u0306", "u\u031b\u0301"]
DIGITS = ["0\u064b", "1\ufe0f\u20e3", "7\u0301", "42\u0338", "5\u20dd", "#\ufe0f\u20e3", "0\u0663", "²\u0307"]
EMOJI = ["😀", "👨\u200d👩\u200d👧", "👍🏽", "🇩🇪", "❤\ufe0f", "🏴\U000e0067\U000e0062\U000e007f", "☺"]
SCRIPTS = ["नमस्ते", "สวัสดี", "漢字かな", "한글", "\u1112\u1161\u11ab", "ქართული", "Հայ", "አማርኛ", "ɸɹʒ", "𝔘𝔫𝔦", "𐍈"]
LONG = ["MT84MALT011000012345MTLCAST001S", "accounts.receivable.department@kestrelvane.example", "W" * 40, "0123456789" * 4, "ā\u0301" * 20]
LAYOUT = ["soft\xadhyphen", "zero\u200bwidth", "no\u2060break", "a\u200cb", "a\u200db", "x\ufeffy", "non\xa0break", "thin\u2009gap", "a\u034fb"]
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\x0b", "\x0c", "\u2028", "\u2029", "\x85", "\u3000", " \t ", "\x1f"]
CONTROLS = ["\x01", "\x07", "\x08", "\x1b", "\x7f", "\x80", "\x9f", "\x00"]
RIGHT_TO_LEFT = ["שלום", "עולם 12", "مرحبا", "١٢٣", "אָ", "لا", "\u200fא", "שלום (3) abc"]
OVERRIDES = ["\u202e", "\u202d", "\u202a", "\u202b", "\u202c", "\u2066", "\u2067", "\u2068", "\u2069", "\u200e", "\u200f", "\u061c"]


def is_directed(character: str) -> bool:
    """Whether it may change the order in which others stand."""
    return unicodedata.bidirectional(character) in DIRECTED


def any_character(dice: random.Random) -> str:
    """Some character that Unicode assigns, of any plane, or a private or illegal one."""
    most = dice.choice([0x250, 0x600, 0x3000, 0x10000, 0x20000, sys.maxunicode])
    while True:
        character = chr(dice.randint(0xA0, most))
        kind = unicodedata.category(character)
        if kind not in ("Cs", "Cn") or (kind == "Cn" and dice.random() < 0.02):
            return character


def text(dice: random.Random, most: int, directed: bool = False) -> str:
    """Some text of at most so many characters, with or without what changes the order of characters."""
    kinds = [LATIN, LATIN, DECOMPOSED, DIGITS, EMOJI, SCRIPTS, LAYOUT, CONTROLS, LONG]
    if directed:
        kinds += [RIGHT_TO_LEFT] * 4 + [OVERRIDES] * 3
    parts = []
    for _ in range(dice.randint(1, 7)):
        parts.append(dice.choice(dice.choice(kinds)) if dice.random() < 0.8 else any_character(dice))
        parts.append(dice.choice(["", "", *SPACES]))
    written = "".join(parts)
    if not directed:
        written = "".join(character for character in written if not is_directed(character))
    return written[:most]


def is_blank(character: str) -> bool:
    """Whether a character is shown by room alone; the space of Ogham is a stroke."""
    return character.isspace()


def shown(value: str) -> str:
    """What of a value can be seen: no blanks, no controls, nothing that Unicode lets one ignore."""
    kept = [character for character in IGNORABLE.sub("", value) if not is_blank(character)]
    return "".join(character for character in kept if unicodedata.category(character) != "Cc")


# A report has no more.
MOST_WARNINGS = 50


class Differs(Exception):
    """A text is not what it should be."""


def replaced(value: str, found: str) -> list[str]:
    """The characters for which stand-ins are shown; the text is the value but for them."""
    wanted = shown(value)
    if len(wanted) != len(found):
        wanted, found = (unicodedata.normalize("NFD", text) for text in (wanted, found))
    if len(wanted) != len(found) or any(two not in (one, STAND_IN) for one, two in zip(wanted, found)):
        raise Differs(f"expected {ascii(wanted)}, found {ascii(found)}")
    gone = [one for one, two in zip(wanted, found) if two == STAND_IN != one]
    if lost := [character for character in gone if character in ALWAYS]:
        raise Differs(f"{lost} have glyphs, and are shown as stand-ins: expected {ascii(wanted)}, found {ascii(found)}")
    return gone


def without_break(value: str, found: str) -> str:
    """A text that goes on to the next page, without what of other columns stands between its two parts."""
    length = len(shown(value))
    for first in range(length, -1, -1):
        joined = found[:first] + found[len(found) - (length - first) :]
        try:
            replaced(value, joined)
        except Differs:
            continue
        return joined
    return found


def gaps(value: str) -> list[int]:
    """After how many characters of what is shown there is something blank."""
    found, length = [], 0
    for character in IGNORABLE.sub("", value):
        if is_blank(character):
            found.append(length)
        elif unicodedata.category(character) != "Cc":
            length += 1
    return found


def between(text: Text, start: str, end: str) -> tuple[int, int] | None:
    """Where what stands between two marks starts and ends."""
    at = text.bare.find(start)
    until = text.bare.find(end, at)
    return None if min(at, until) < 0 else (at + len(start), until)


def warned_wrongly(values: dict[str, str], gone: Counter, warnings: list[dict]) -> Iterator[str]:
    """What is wrong with the warnings about characters, given all values by their pointers and all that were replaced."""
    told = {warning["character"]: warning for warning in warnings if warning["code"] == "missing-glyph"}
    for character in gone.keys() - told.keys() if len(warnings) < MOST_WARNINGS else ():
        yield f"a stand-in is shown for {name(character)}, without a warning"
    for character in told.keys() - gone.keys():
        yield f"{name(character)} is warned of, and is shown"
    for character in gone.keys() & told.keys():
        warning = told[character]
        if warning["code_point"] != f"U+{ord(character):04X}":
            yield f"{name(character)} has the code point {warning['code_point']}"
        if character not in values.get(warning["pointer"], ""):
            yield f"{name(character)} is not at {warning['pointer']}"
        if warning["count"] != gone[character]:
            yield f"{gone[character]} stand-ins are shown for {name(character)}, and {warning['count']} are warned of"


def name(character: str) -> str:
    """A character as a person knows it."""
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".strip()


def assigned(start: int, end: int) -> list[str]:
    """The characters that Unicode assigns or leaves to private use, but for those that set a direction, and most ideographs."""
    ideographs = (range(0x3500, 0x9F00), range(0xAD00, 0xD700), range(0x17200, 0x18D00))
    codes = (code for code in range(start, end) if not any(code in part for part in ideographs))
    return [chr(code) for code in codes if unicodedata.category(chr(code)) not in ("Cs", "Cn", "Cc") and not is_directed(chr(code))]


def is_mark(character: str) -> bool:
    """Whether a character stands on another one."""
    return unicodedata.category(character).startswith("M")
