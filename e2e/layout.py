"""What a page must never look like: text off the page, text over text, figures too small to read, tables torn apart."""

import re
from collections.abc import Iterator

from printed import MM, Page, Word

SMALLEST = 5.5
# How far text may stand out or overlap, in points: what rounding does, and the side bearings of letters.
SLACK = 0.75
MARGIN = 20 * MM
# The first and the last word of a row's text.
START, END = re.compile("R[0-9]+R"), re.compile("E[0-9]+E")


def faults(pages: list[Page]) -> list[str]:
    """Everything that is wrong with the pages themselves."""
    found = []
    for page in pages:
        words = page.words()
        for check in (outside, too_small, overlapping):
            found += [f"page {page.number} of {len(pages)}: {fault}" for fault in check(page, words)]
    return found


def outside(page: Page, words: list[Word]) -> Iterator[str]:
    """Text beyond the margins at the sides, or beyond the paper."""
    for word in words:
        if word.left < MARGIN - SLACK or word.right > page.width - MARGIN + SLACK:
            yield f"{word} is beyond the margins, {MARGIN:.1f} to {page.width - MARGIN:.1f}"
        if word.top < 5 or word.baseline > page.height - 10:
            yield f"{word} is off the paper, which is {page.height:.1f} high"


def too_small(_page: Page, words: list[Word]) -> Iterator[str]:
    """Text that nobody can read."""
    for word in words:
        if word.size < SMALLEST - 0.01:
            yield f"{word} is smaller than {SMALLEST} pt"


def overlapping(_page: Page, words: list[Word]) -> Iterator[str]:
    """Words over words."""
    words = sorted(words, key=lambda word: word.top)
    for index, word in enumerate(words):
        bottom = word.baseline + 0.15 * word.size
        for other in words[index + 1 :]:
            if other.top > bottom - SLACK:
                break
            if min(word.right, other.right) - max(word.left, other.left) > SLACK:
                yield f"{word} and {other} are over each other"


def torn(pages: list[Page], header: str, ends: tuple[str, ...], rows: int) -> list[str]:
    """What is wrong with a table of so many rows, whose texts have a first and a last word."""
    found, printed = [], []
    for page in pages:
        here, words = f"page {page.number} of {len(pages)}", str(page.body).split()
        starts = [int(word[1:-1]) for word in words if START.fullmatch(word)]
        stops = {int(word[1:-1]) for word in words if END.fullmatch(word)}
        printed += starts
        if rows and not starts:
            if page.body.find(header) >= 0:
                found.append(f"{here}: the table's header {header!r} stands above no row")
            found += [f"{here}: {end!r} stands there without a row" for end in ends if page.body.find(end) >= 0]
        found += [f"{here}: row {row} goes on to another page" for row in starts if row not in stops]
    if printed != list(range(1, rows + 1)):
        found.append(f"rows 1 to {rows} are expected; printed are {len(printed)}: {printed[:3]} … {printed[-3:]}")
    return found


def moved(pages: list[Page], others: list[Page]) -> list[str]:
    """What of a report stands elsewhere in another one that should look the same."""
    if len(pages) != len(others):
        return [f"{len(pages)} pages and {len(others)}"]
    found = []
    for page, other in zip(pages, others):
        one, two = ({(glyph.text, round(glyph.left), round(glyph.baseline)) for glyph in seen(p)} for p in (page, other))
        for what, gone in (("gone", lacking(one, two)), ("new", lacking(two, one))):
            if gone:
                found.append(f"page {page.number}: {len(gone)} of {len(one)} glyphs are {what}, such as {sorted(gone)[:4]}")
    return found


def lacking(glyphs: set[tuple], others: set[tuple]) -> list[tuple]:
    """Which glyphs are not among others. One may lie just beside a whole point."""
    near = [(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)]
    return [(text, left, line) for text, left, line in glyphs if not any((text, left + x, line + y) in others for x, y in near)]


def seen(page: Page) -> Iterator:
    """The glyphs that can be seen."""
    return (glyph for glyph in page.glyphs if glyph.text.strip())
