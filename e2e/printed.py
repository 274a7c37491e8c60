"""What a PDF prints, in content order: every glyph with its text, its place and its size.

Reads content streams itself, by ToUnicode and ActualText, as a program that copies text does. Tests that ask what a reader
of the report sees or copies stand on it.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from functools import cached_property
from math import hypot

import pikepdf

# What is drawn of a page is text, forms, and what moves and names them; the rest is not looked at.
OPERATORS = "q Q cm BT ET Tf Tm Td Ts Tz Tc Tw TJ Tj Tr BDC BMC EMC Do"
IDENTITY = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)

# Default_Ignorable_Code_Point of Unicode: nothing to see by itself.
IGNORABLE = re.compile(
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def times(one: tuple, other: tuple) -> tuple:
    """Two transformations, the first one first."""
    a, b, c, d, e, f = one
    g, h, i, j, k, l = other
    return (a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + l)


class Font:
    """A font of two-byte codes: the text and the width of each."""

    def __init__(self, font):
        self.name = str(font.get("/BaseFont", "")).split("+")[-1]
        self.texts = to_unicode(font.ToUnicode.read_bytes()) if "/ToUnicode" in font else {}
        descendant = font.DescendantFonts[0]
        self.default = float(descendant.get("/DW", 1000))
        self.widths = widths(descendant.get("/W", []))

    def glyphs(self, codes: bytes) -> list[tuple[str, float]]:
        """Text and width of each code."""
        texts, widths, default = self.texts, self.widths, self.default
        codes = [codes[at] << 8 | codes[at + 1] for at in range(0, len(codes), 2)]
        return [(texts.get(code, ""), widths.get(code, default) / 1000) for code in codes]


def widths(array) -> dict[int, float]:
    """The W array of a font."""
    found, at = {}, 0
    while at < len(array):
        first, second = int(array[at]), array[at + 1]
        if isinstance(second, pikepdf.Array):
            found.update((first + index, float(width)) for index, width in enumerate(second))
            at += 2
        else:
            width = float(array[at + 2])
            found.update((code, width) for code in range(first, int(second) + 1))
            at += 3
    return found


def to_unicode(cmap: bytes) -> dict[int, str]:
    """The text of each code, from a ToUnicode CMap."""
    found = {}

    def text(digits: bytes) -> str:
        return bytes.fromhex(digits.decode()).decode("utf-16-be", "surrogatepass")

    for part in re.findall(rb"beginbfchar(.*?)endbfchar", cmap, re.S):
        for code, digits in re.findall(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]*)>", part):
            found[int(code, 16)] = text(digits)
    for part in re.findall(rb"beginbfrange(.*?)endbfrange", cmap, re.S):
        for first, last, digits in re.findall(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>", part):
            start = text(digits)
            for index, code in enumerate(range(int(first, 16), int(last, 16) + 1)):
                found[code] = start[:-1] + chr(ord(start[-1]) + index)
    return found


@dataclass(slots=True)
class Glyph:
    """One glyph. All but the first of those that share an ActualText have no text."""

    text: str
    left: float
    right: float
    baseline: float
    size: float
    # The number of the text operator that drew it, on its page.
    run: int


@dataclass
class Page:
    """One page: its size in points, and its glyphs in content order. Distances are from the top left."""

    number: int
    width: float
    height: float
    glyphs: list[Glyph] = field(default_factory=list)

    @cached_property
    def text(self) -> "Text":
        """All of it."""
        return Text(self.glyphs)

    @cached_property
    def body(self) -> "Text":
        """What is between the margins of the kit's page."""
        return Text([glyph for glyph in self.glyphs if self.is_body(glyph)])

    def is_body(self, part: "Glyph | Word") -> bool:
        """Whether something stands between the margins."""
        return 17 * MM < part.baseline < self.height - 22.9 * MM

    def words(self) -> list["Word"]:
        """What was drawn at one go, cut at blanks."""
        found, before = [], None
        for glyph in self.glyphs:
            if not glyph.text.strip() and glyph.text:
                before = None
                continue
            if before is None or apart(before, glyph):
                found.append(Word("", glyph.left, glyph.right, glyph.baseline, glyph.size, self.number))
            word, before = found[-1], glyph
            word.text += glyph.text
            word.right, word.left = max(word.right, glyph.right), min(word.left, glyph.left)
        return [word for word in found if word.text]


MM = 72 / 25.4


@dataclass
class Word:
    """Letters side by side."""

    text: str
    left: float
    right: float
    baseline: float
    size: float
    page: int

    @property
    def top(self) -> float:
        """The height of a capital above the baseline."""
        return self.baseline - 0.72 * self.size

    def __str__(self) -> str:
        text = self.text if len(self.text) < 30 else self.text[:28] + "…"
        return f"{text!r} ({self.left:.1f} to {self.right:.1f}, baseline {self.baseline:.1f}, {self.size:.1f} pt)"


class Text:
    """Text in content order, without blanks; it is known where these were."""

    def __init__(self, glyphs: list[Glyph]):
        bare, gaps, length, before = [], [], 0, None
        # Where each character ends, from the left of its page.
        self.rights = []
        for glyph in glyphs:
            if before is not None and apart(before, glyph):
                gaps.append(length)
            before = glyph
            for character in IGNORABLE.sub("", glyph.text):
                if character.isspace():
                    gaps.append(length)
                else:
                    bare.append(character)
                    self.rights.append(glyph.right)
                    length += 1
        self.bare = "".join(bare)
        self.gaps = sorted(set(gaps))

    def __str__(self) -> str:
        return self.part(0, len(self.bare))

    def part(self, start: int, end: int) -> str:
        """What stands there, with its blanks."""
        edges = [start, *(gap for gap in self.gaps if start < gap < end), min(end, len(self.bare))]
        return " ".join(self.bare[one:other] for one, other in zip(edges, edges[1:]) if one < other)

    def has_gap(self, at: int) -> bool:
        """Whether something blank stands before this place, or nothing at all stands there."""
        if at == len(self.bare):
            return True
        index = bisect_left(self.gaps, at)
        return index < len(self.gaps) and self.gaps[index] == at

    def find(self, value: str, start: int = 0) -> int:
        """Where a value stands, each of its blanks as some blank, lines broken anywhere; -1 if nowhere."""
        wanted = Wanted(value)
        at = self.bare.find(wanted.bare, start)
        while at >= 0 and not all(self.has_gap(at + gap) for gap in wanted.gaps):
            at = self.bare.find(wanted.bare, at + 1)
        return at


def comes_out(value: str, pages: list[Page]) -> str:
    """What of a value is on no page: it may go on from page to page, as a cell of a table does. Empty if all is there."""
    rest = Wanted(value).bare
    for page in pages:
        # The longest start of it that is on this page.
        least, most = 0, len(rest) + 1
        while most - least > 1:
            middle = (least + most) // 2
            least, most = (middle, most) if rest[:middle] in page.text.bare else (least, middle)
        rest = rest[least:]
    return rest


class Wanted:
    """A value as `Text` has it."""

    def __init__(self, value: str):
        words = IGNORABLE.sub("", value).split()
        self.bare = "".join(words)
        self.gaps, length = [], 0
        for word in words[:-1]:
            length += len(word)
            self.gaps.append(length)


def apart(one: Glyph, other: Glyph) -> bool:
    """Whether two glyphs that follow each other have something blank between them."""
    if one.run == other.run:
        return other.left - one.right > 0.2 * one.size
    near = min(abs(other.left - one.right), abs(one.left - other.right)) < 0.12 * max(one.size, other.size)
    return abs(one.baseline - other.baseline) > 0.6 * min(one.size, other.size) or not near


class Reader:
    """Reads the pages of a file."""

    def __init__(self):
        self.fonts: dict[tuple, Font] = {}

    def font(self, resources, name: str) -> Font:
        """A font of a page's resources; most pages share them."""
        font = resources.Font[name]
        key = font.objgen if font.objgen != (0, 0) else id(font)
        if key not in self.fonts:
            self.fonts[key] = Font(font)
        return self.fonts[key]

    def page(self, number: int, page) -> Page:
        """One page."""
        left, bottom, right, top = (float(edge) for edge in page.MediaBox)
        result = Page(number, right - left, top - bottom)
        stack = Stack(result)
        self.content(page, page.Resources, (1.0, 0.0, 0.0, -1.0, -left, top), stack)
        return result

    def content(self, stream, resources, matrix: tuple, stack: "Stack") -> None:
        """A page's content, or a form's."""
        saved, font, size, rise, line = [], None, 0.0, 0.0, IDENTITY
        for operands, operator in pikepdf.parse_content_stream(stream, OPERATORS):
            match str(operator):
                case "q":
                    saved.append((matrix, font, size, rise))
                case "Q":
                    matrix, font, size, rise = saved.pop()
                case "cm":
                    matrix = times(tuple(map(float, operands)), matrix)
                case "BT":
                    line = IDENTITY
                case "Tf":
                    font, size = self.font(resources, str(operands[0])), float(operands[1])
                case "Tm":
                    line = tuple(map(float, operands))
                case "Td":
                    line = times((1, 0, 0, 1, *map(float, operands)), line)
                case "Ts":
                    rise = float(operands[0])
                case "TJ" | "Tj":
                    parts = operands[0] if str(operator) == "TJ" else operands
                    stack.show(font, size, times((1, 0, 0, 1, 0, rise), times(line, matrix)), parts)
                case "BDC":
                    stack.begin(operands[0], operands[1], resources)
                case "BMC":
                    stack.begin(operands[0], None, resources)
                case "EMC":
                    stack.end()
                case "Do":
                    form = resources.XObject[str(operands[0])]
                    if form.get("/Subtype") == "/Form":
                        inner = times(tuple(map(float, form.get("/Matrix", IDENTITY))), matrix)
                        self.content(form, form.get("/Resources", resources), inner, stack)


class Stack:
    """The marked content that is open, and the page it is on."""

    def __init__(self, page: Page):
        self.page = page
        # The ActualText of each, "" once it is used up, None where there is none.
        self.open: list[str | None] = []
        self.run = 0

    def begin(self, _tag, properties, resources) -> None:
        """Opens marked content."""
        if isinstance(properties, pikepdf.Name):
            properties = resources.Properties[str(properties)]
        actual = properties.get("/ActualText") if properties is not None else None
        self.open.append(None if actual is None else str(actual).removeprefix("\ufeff"))

    def end(self) -> None:
        """Closes the last."""
        self.open.pop()

    def show(self, font: Font, size: float, matrix: tuple, parts) -> None:
        """Draws text."""
        self.run += 1
        a, b, c, d, e, f = matrix
        scale, height = hypot(a, b), hypot(c, d) * abs(size)
        means = self.actual if any(actual is not None for actual in self.open) else str
        glyphs, x = self.page.glyphs, 0.0
        for part in parts:
            if not isinstance(part, (pikepdf.String, bytes)):
                x -= float(part) / 1000 * size
                continue
            for text, width in font.glyphs(bytes(part)):
                left, width = e + x * a, width * size
                x += width
                glyphs.append(Glyph(means(text), left, left + width * scale, f + x * b, height, self.run))

    def actual(self, text: str) -> str:
        """What a glyph means here: the outermost ActualText, once."""
        for index, actual in enumerate(self.open):
            if actual is not None:
                self.open[index] = ""
                return actual
        return text


def read(file) -> list[Page]:
    """All pages of a file."""
    reader = Reader()
    with pikepdf.open(file) as document:
        return [reader.page(number, page) for number, page in enumerate(document.pages, 1)]


def body(pages: list[Page]) -> Text:
    """What is between the margins of all pages."""
    glyphs = []
    for page in pages:
        # Runs are counted by page; those of two pages are not to be the same.
        for glyph in page.glyphs:
            if page.is_body(glyph):
                glyph = Glyph(glyph.text, glyph.left, glyph.right, glyph.baseline, glyph.size, glyph.run + (page.number << 32))
                glyphs.append(glyph)
    return Text(glyphs)
