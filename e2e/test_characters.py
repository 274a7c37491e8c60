"""No character of the data is lost, and none changes what stands around it."""

import json
import random
from collections import Counter

import pytest

import characters
import layouts
from printed import IGNORABLE, Page, body
from typist import Refused, Typist, render

SEEDS = 40
MANY_SEEDS = 1000


def filled(template: str, dice: random.Random) -> tuple[dict, dict[tuple, str]]:
    """A document, and its free texts by their places, each between two marks."""
    data = layouts.document(template, dice.choice(["en-GB", "de-DE", "fr-FR"]), 3)
    if template == "ledger":
        for column in data["columns"]:
            column.update({"wrap": True} if column.get("format", "text") == "text" else {})
            column["width"] = "30mm"
    values = {}
    places = layouts.fields(template)
    if template == "ledger":
        places = [*places, *(((("entries", row, key), 2000)) for row in range(3) for key in ("text", "account"))]
    for number, (path, most) in enumerate(places):
        start, end = f"§{number}§", f"¶{number}¶"
        room = most - len(start) - len(end)
        value = start + (characters.text(dice, min(room, 120)) if room > 0 else "") + end
        data = layouts.with_text(data, path, value)
        values[path] = value
    return data, values


def look(pages: list[Page], values: dict[tuple, str], warnings: list[dict] | None) -> list[str]:
    """What is wrong with a document's texts."""
    texts = [body(pages), *(page.text for page in pages)]
    if any("\u200b" in glyph.text for page in pages for glyph in page.glyphs) and not has_zero_width(values):
        return ["there is a U+200B in what is copied"]
    found, gone = [], Counter()
    for number, (path, value) in enumerate(values.items()):
        pointer = "/" + "/".join(map(str, path))
        places = [(text, place) for text in texts if (place := characters.between(text, f"§{number}§", f"¶{number}¶"))]
        if not places:
            found.append(f"{pointer}: {ascii(value)} is nowhere")
            continue
        text, (start, end) = places[0]
        inner = value.removeprefix(f"§{number}§").removesuffix(f"¶{number}¶")
        printed = text.bare[start:end]
        if len(places) == 1 and text is texts[0]:
            printed = characters.without_break(inner, printed)
        try:
            gone.update(characters.replaced(inner, printed))
        except characters.Differs as differs:
            found.append(f"{pointer}: {differs}")
            continue
        joined = [gap for gap in characters.gaps(inner) if not text.has_gap(start + gap)]
        if joined and len(printed) == end - start == len(characters.shown(inner)):
            found.append(f"{pointer}: the blanks of {ascii(inner)} are not all there: {ascii(text.part(start, end))}")
    if warnings is not None and not found:
        by_pointer = {"/" + "/".join(map(str, path)): value for path, value in values.items()}
        found += characters.warned_wrongly(by_pointer, gone, warnings)
    return found


def has_zero_width(values: dict[tuple, str]) -> bool:
    """Whether the data has a U+200B of its own."""
    return any("\u200b" in value for value in values.values())


def check(typist: Typist, template: str, seed: int, **options) -> str | None:
    """What is wrong with one document, if anything is."""
    dice = random.Random(seed)
    data, values = filled(template, dice)
    options = {"tagged": seed % 2 == 0, **options}
    try:
        made = typist.make(template, data, **options)
        found = look(made.pages, values, made.warnings)
    except Refused as refused:
        found = [str(refused)[:500]]
    return f"{template} of seed {seed}, {options}:\n  " + "\n  ".join(found[:3]) if found else None


def check_all(typist: Typist, template: str, seeds: range, **options) -> None:
    """All documents are right; says how many are not, and shows the shortest."""
    wrong = sorted((found for seed in seeds if (found := check(typist, template, seed, **options)) is not None), key=len)
    assert not wrong, f"{len(wrong)} of {len(seeds)} are wrong, such as\n" + "\n".join(wrong[:6])


@pytest.mark.parametrize("template", layouts.NAMES)
def test_every_character_comes_out_again(typist, template):
    check_all(typist, template, range(SEEDS))


@pytest.mark.parametrize("standard", ["a-1b", "a-2b", "a-2u", "a-3a", "a-4", "ua-1", "1.4", "2.0"])
@pytest.mark.parametrize("template", layouts.NAMES)
def test_every_character_comes_out_under_every_standard(typist, template, standard):
    check_all(typist, template, range(6), tagged=True, pdf_standard=standard)


@pytest.mark.many
@pytest.mark.parametrize("template", layouts.NAMES)
def test_every_character_of_very_many_documents_comes_out_again(typist, template):
    check_all(typist, template, range(SEEDS, SEEDS + MANY_SEEDS))


# What one value is, in turn: the same letters, without and with what could change the order of others.
DIRECTIONS = {
    "right-to-left": "זזזז",
    "right-to-left with digits": "זז 77 זז",
    "override": "\u202eZZZZ",
    "embedding": "\u202bZZZZ",
    "isolate": "\u2067ZZZZ",
    "closed twice": "ZZ\u202c\u2069\u2069ZZ",
    "marks": "ZZ\u200fZZ\u200f",
    "Arabic": "ززز",
}
OF_VALUES = set("Zזز7")


def words_around(typist: Typist, data: dict, template: str, tagged: bool) -> list[str]:
    """The words of a report as they are drawn, but for those of the value. Of further pages, those beyond the margins."""
    words = []
    for page in typist.make(template, data, tagged=tagged).pages:
        drawn = [word.text for word in page.words() if page.number == 1 or not page.is_body(word)]
        words += IGNORABLE.sub("", " ".join(drawn)).split()
    return [word for word in words if not set(word) <= OF_VALUES]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("template", layouts.NAMES)
def test_no_value_reorders_the_words_around_it(typist, template, direction):
    found = []
    for index, (path, most) in enumerate(layouts.fields(template)):
        value = DIRECTIONS[direction][:most]
        plain = "ZZ 77 ZZ" if " " in value else "ZZZZ"[: len(value)]
        # Of one page, and of more, which have a running header.
        for rows in (3, 70) if layouts.is_repeated(path) or path[-1] == "name" else (3,):
            data = layouts.document(template, "en-GB", rows)
            one, other = (
                words_around(typist, layouts.with_text(data, path, text), template, index % 2 == 1) for text in (plain, value)
            )
            changed = [f"{before!r} → {after!r}" for before, after in zip(one, other) if before != after]
            # A font of another height moves rows to the next page.
            if changed and (rows == 3 or sorted(one) == sorted(other)):
                found.append(f"/{'/'.join(map(str, path))} = {ascii(value)}: {changed[:6]}")
    assert not found, f"{template}: the words around {len(found)} values change their order:\n" + "\n".join(found)


def bare(pages: list[Page]) -> Counter:
    """How often each character is between the margins."""
    return Counter(body(pages).bare)


@pytest.mark.parametrize("template", layouts.NAMES)
def test_every_character_of_either_direction_comes_out_again(typist, template):
    found = []
    for index, (path, most) in enumerate(layouts.fields(template)):
        if path[-1] in ("small_print", "registration") or layouts.is_repeated(path):
            continue  # beyond the margins, or printed again on further pages
        value = characters.text(random.Random(index), min(most, 36), directed=True)
        data = layouts.document(template, "en-GB", 2)
        if template == "ledger":
            data["columns"][0]["wrap"] = True
        without, made = (
            typist.make(template, layouts.with_text(data, path, text), tagged=index % 2 == 1) for text in ("-", "-" + value)
        )
        gone = Counter(warning["character"] for warning in made.warnings for _ in range(warning["count"]))
        expected = Counter(characters.shown(value))
        expected = expected - gone + Counter({characters.STAND_IN: sum(gone.values())} if gone else {})
        printed = bare(made.pages) - bare(without.pages)
        if expected != printed:
            lost, added = expected - printed, printed - expected
            found.append(f"/{'/'.join(map(str, path))} = {ascii(value)}: lost {ascii(dict(lost))}, added {ascii(dict(added))}")
    assert not found, f"{template}: {len(found)} values come out otherwise:\n" + "\n".join(found)


CODES = {
    "an IBAN": ("payment", "bank", "iban"),
    "a mail address": ("seller", "email"),
    "a web address": ("seller", "website"),
    "an invoice number": ("number",),
    "a serial number": ("lines", 0, "detail"),
}


@pytest.mark.parametrize("tagged", [False, True], ids=["untagged", "tagged"])
@pytest.mark.parametrize("what", CODES)
def test_long_codes_are_copied_as_they_are(typist, what, tagged):
    codes = {
        "an IBAN": "MT84MALT011000012345MTLCAST001S",
        "a mail address": "accounts.receivable.of.the.department@kestrelvane.example",
        "a web address": "https://kestrelvane.example/manuals/kv-300/installation.pdf",
        "an invoice number": "INV2026000000000417CORR0000001",
        "a serial number": "SN0123456789" * 6,
    }
    data = layouts.with_text(layouts.document("invoice", "en-GB", 3), CODES[what], codes[what])
    pages = typist.make("invoice", data, tagged=tagged).pages
    text = "".join(glyph.text for page in pages for glyph in page.glyphs)
    assert codes[what] in text, f"{codes[what]!r} is not in {text[:1500]!r}"


@pytest.mark.parametrize("template", ["statement", "ledger"])
@pytest.mark.parametrize("way", ["whole", "tagged", "sections"])
def test_every_character_comes_out_of_long_reports(program, tmp_path, template, way):
    field = "description" if template == "statement" else "text"
    dice, data = random.Random(17), layouts.document(template, "en-GB", 700)
    for number, row in enumerate(data[layouts.FIELD[template]], 1):
        row[field] = f"{layouts.first(number)} {characters.text(dice, 40)} {layouts.last(number)}"
    file = tmp_path / "data.json"
    file.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    options = {"whole": ["--section-rows", 0, "--no-tags"], "tagged": ["--section-rows", 0], "sections": ["--section-rows", 100, "--no-tags"]}
    text, found = body(render(program, template, tmp_path, "--data", file, *options[way]).pages()), []
    for number, row in enumerate(data[layouts.FIELD[template]], 1):
        place = characters.between(text, layouts.first(number), layouts.last(number))
        inner = row[field].removeprefix(layouts.first(number)).removesuffix(layouts.last(number))
        try:
            characters.replaced(inner, text.bare[slice(*place)] if place else "nowhere")
        except characters.Differs as differs:
            found.append(f"row {number}: {differs}")
    assert not found, f"{template}, {way}: {len(found)} of 700 texts are wrong, such as\n" + "\n".join(found[:5])


@pytest.mark.parametrize("choice", ["warn", "fail"])
def test_characters_beside_the_rows_are_told_once_in_sections(program, tmp_path, choice):
    data = layouts.document("ledger", "en-GB", 300)
    data["organisation"]["name"], data["notes"] = "Ann 字", ["After the rows: 漢"]
    file = tmp_path / "data.json"
    file.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    made = render(program, "ledger", tmp_path, "--data", file, "--section-rows", 60, "--no-tags", "--on-missing-glyph", choice)
    if choice == "fail":
        assert made.status == 3 and "U+6F22" in made.said, made.said
        return
    assert made.status == 0 and "at /organisation/name, 字 (U+5B57): " in made.said, made.said
    assert "at /notes/0, 漢 (U+6F22): " in made.said, made.said


def wrong_cells(typist: Typist, cells: list[str], each: int) -> list[str]:
    """Which of these short texts come out otherwise, so many in a letter."""
    found = []
    for start in range(0, len(cells), each):
        part = cells[start : start + each]
        data = layouts.document("letter", "en-GB", 1)
        data["paragraphs"] = [" ".join(f"a{start + index}b{cell}c" for index, cell in enumerate(part))]
        made = typist.make("letter", data)
        text, gone = made.body(), Counter()
        for index, cell in enumerate(part, start):
            place = characters.between(text, f"a{index}b", "c")
            try:
                gone.update(characters.replaced(cell, text.bare[slice(*place)] if place else "nothing"))
            except characters.Differs as differs:
                found.append(f"{characters.name(cell[-1])}: {differs}")
        found += characters.warned_wrongly({"/paragraphs/0": data["paragraphs"][0]}, gone, made.warnings)
    return found


def test_every_character_comes_out_by_itself_or_as_a_stand_in(typist):
    # A mark stands on a letter.
    cells = [f"o{one}" if characters.is_mark(one) else one for one in characters.assigned(0xA0, 0x20000)]
    found = wrong_cells(typist, cells, 400)
    assert not found, f"{len(found)} of {len(cells)} are wrong, such as\n" + "\n".join(found[:20])


@pytest.mark.parametrize("base", "AQdhlЖΩ7(")
def test_every_mark_comes_out_once(typist, base):
    blocks = [(0x300, 0x370), (0x483, 0x488), (0x1AB0, 0x1AC0), (0x1DC0, 0x1E00), (0x20D0, 0x20F1)]
    cells = [base + mark for block in blocks for mark in characters.assigned(*block) if characters.shown(mark)]
    found = wrong_cells(typist, cells, 400)
    assert not found, f"{len(found)} of {len(cells)} are wrong, such as\n" + "\n".join(found[:20])


def test_characters_of_fallback_fonts_come_out_alone(typist):
    # Fonts that have them, and that Typst does not take for them, if it takes one font for a whole text.
    codes = "2125 2607 2608 26B0 26B1 2715 2716 2727 2728 2729 3013 3014 3015 A72E A72F F102 F15D F2AD F6FC EB42"
    found = [wrong for code in codes.split() for wrong in wrong_cells(typist, [chr(int(code, 16))], 1)]
    assert not found, f"{len(found)} are wrong:\n" + "\n".join(found)


@pytest.mark.many
def test_every_symbol_comes_out_alone(typist):
    blocks = [(0xA0, 0x3200), (0xA640, 0xAC00), (0xE000, 0x10000), (0x1D000, 0x1D800), (0x1F000, 0x1FB00)]
    cells = [one for block in blocks for one in characters.assigned(*block) if not characters.is_mark(one)]
    found = wrong_cells(typist, cells, 1)
    assert not found, f"{len(found)} of {len(cells)} are wrong, such as\n" + "\n".join(found[:40])
