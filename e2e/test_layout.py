"""No page shows text off the page, text over text, figures too small to read, or a table torn apart."""

import itertools
import json

import pytest

import figures
import layout
import layouts
from expected import LOCALES
from printed import Page, body, comes_out
from typist import Refused, Typist, render
from words import say

KINDS = ("wide", "words", "lines", "compound", "digits")


def look(typist: Typist, template: str, data: dict, tagged: bool) -> tuple[list[Page], list[str]]:
    """The pages, and what is wrong with them."""
    try:
        made = typist.make(template, data, tagged=tagged)
    except Refused as refused:
        return [], [str(refused)[:600]]
    # Text that ends in an ellipsis is what a column without `wrap` asks for. Every other doubt is a fault of ours.
    warned = [warning for warning in made.warnings if warning["code"] != "text-shortened"]
    return made.pages, layout.faults(made.pages) + [json.dumps(warning, ensure_ascii=False) for warning in warned]


def show(what: str, faults: list[str]) -> str:
    """The first of many faults."""
    return f"{what}: {len(faults)} faults\n  " + "\n  ".join(faults[:3])


def look_at_length(typist: Typist, template: str, locale: str, count: int, tagged: bool, tall: bool) -> str | None:
    """What is wrong with a document of so many rows."""
    data = layouts.document(template, locale, count, tall)
    pages, faults = look(typist, template, data, tagged)
    if template != "letter" and pages:
        rows = len(data[layouts.FIELD[template]])
        faults += layout.torn(pages, layouts.header(template, data), layouts.ends(template, locale), rows)
    for page in pages:
        number = say(locale, "page-of", page=str(page.number), pages=str(len(pages)))
        if page.text.find(number) < 0:
            faults.append(f"page {page.number} of {len(pages)} does not say {number!r}")
    what = f"{template}, {locale}, {count} rows of {'several lines' if tall else 'a line'}, {'tagged' if tagged else 'untagged'}"
    return show(what, faults) if faults else None


def covering() -> list[tuple]:
    """Every template and count, tagged and not, with rows of both kinds; the locales take turns."""
    locales = itertools.cycle(LOCALES)
    cases = itertools.product(layouts.COUNTS[:-2], (False, True), (False, True))
    return [(next(locales), *case) for case in cases]


def everything() -> list[tuple]:
    """All there is."""
    return list(itertools.product(LOCALES, layouts.COUNTS, (False, True), (False, True)))


def look_at_all(typist: Typist, template: str, cases: list[tuple]) -> None:
    """None of them has a fault."""
    found = [fault for case in cases if (fault := look_at_length(typist, template, *case)) is not None]
    assert not found, f"{len(found)} of {len(cases)} documents are wrong, such as\n" + "\n".join(found[:4])


@pytest.mark.parametrize("template", layouts.NAMES)
def test_pages_of_reports_of_any_length_are_whole(typist, template):
    look_at_all(typist, template, covering())


@pytest.mark.many
@pytest.mark.parametrize("template", layouts.NAMES)
def test_pages_of_reports_of_all_lengths_and_locales_are_whole(typist, template):
    look_at_all(typist, template, everything())


def look_at_text(typist: Typist, template: str, path: tuple, most: int, kind: str, tagged: bool) -> str | None:
    """What is wrong with a document that has a text as long as its schema admits."""
    value = layouts.fill(kind, most)
    data = layouts.with_text(layouts.document(template, "en-GB", 3), path, value)
    pages, faults = look(typist, template, data, tagged)
    if pages and not is_cut(template, path):
        if rest := comes_out(value, pages):
            faults.append(f"of {value[:40]!r}… these last {len(rest)} characters are not printed: {rest[:80]!r}")
    pointer = "/" + "/".join(map(str, path))
    what = f"{template}, {pointer} of {most} characters ({kind}), {'tagged' if tagged else 'untagged'}"
    return show(what, faults) if faults else None


def is_cut(template: str, path: tuple) -> bool:
    """Whether a text ends in an ellipsis where it is too long for its column; a ledger's does unless it wraps."""
    return template == "ledger" and path[0] == "entries"


@pytest.mark.parametrize("template", layouts.NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_texts_as_long_as_the_schema_admits_stay_on_the_page(typist, template, kind):
    fields = layouts.fields(template)
    cases = [(path, most, index % 2 == 1) for index, (path, most) in enumerate(fields)]
    found = [f for path, most, tagged in cases if (f := look_at_text(typist, template, path, most, kind, tagged))]
    assert not found, f"{len(found)} of {len(cases)} texts are wrong, such as\n" + "\n".join(found)


@pytest.mark.parametrize("template", layouts.NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_all_texts_at_once_stay_on_the_page(typist, template, kind):
    values = {path: layouts.fill(kind, most) for path, most in layouts.fields(template)}
    data = layouts.document(template, "de-DE", 3)
    for path, value in values.items():
        data = layouts.with_text(data, path, value)
    for party in (part for part in data.values() if isinstance(part, dict) and "address" in part):
        party["address"] = party["address"][:1] * 8
    for tagged in (False, True):
        pages, faults = look(typist, template, data, tagged)
        for path, value in values.items():
            if pages and (rest := comes_out(value, pages)):
                faults.append(f"/{'/'.join(map(str, path))}: these last {len(rest)} characters are not printed: {rest[:80]!r}")
        assert not faults, show(f"{template}, {kind}, {'tagged' if tagged else 'untagged'}", faults)


def special(name: str) -> tuple[str, dict]:
    """Data that is hard to find room for, by its name."""
    figure = "123456789012345678901234.5678"
    if name == "a hundred tax rates":
        data = layouts.document("invoice", "en-GB", 100)
        for number, line in enumerate(data["lines"]):
            line["tax_rate"] = f"{number}.25"
        return "invoice", data
    if name == "ninety lines of terms":
        data = layouts.document("invoice", "de-DE", 8)
        data["payment"]["terms"] = "\n".join(f"Zeile {number} der Bedingungen" for number in range(90))
        return "invoice", data
    if name == "notes of many paragraphs":
        data = layouts.document("ledger", "en-GB", 3)
        data["notes"] = ["A paragraph of notes, as long as it may be. " * 45] * 40
        return "ledger", data
    if name.endswith("columns"):
        data = layouts.document("ledger", "de-DE", 30)
        count = int(name.split()[0])
        data["columns"] = [{"field": f"f{n}", "label": f"Column {n}", "format": "number" if n > 7 else "text"} for n in range(count)]
        data["columns"][0]["width"] = "30mm"
        data["totals"] = [f"f{n}" for n in range(8, count)]
        for number, entry in enumerate(data["entries"]):
            entry.update({f"f{n}": f"{number * 7919 % 1000}{number}456.78" if n > 7 else f"t{n}" for n in range(count)})
            entry["f0"] = layouts.marked(number + 1, 0)
        return "ledger", data
    template, locale, currency, *wide = name.split()
    data = layouts.document(template, locale, 30)
    data["currency"] = currency
    if wide:
        keep = {"text": "1fr", "debit": "60mm", "credit": "60mm"}
        data["columns"] = [column | {"width": keep[column["field"]]} for column in data["columns"] if column["field"] in keep]
    if template == "ledger":
        data["entries"][0]["debit"] = data["entries"][1]["credit"] = figure
    elif template == "statement":
        data["opening_balance"] = data["transactions"][0]["amount"] = "999999999999.9999"
    else:
        data["lines"][0].update(quantity="99", unit_price="999999999999.9999", tax_rate="27.1234")
    return template, data


SPECIALS = ["a hundred tax rates", "ninety lines of terms", "notes of many paragraphs", "12 columns", "14 columns", "16 columns"]
SPECIALS += [
    f"{template} {locale} {currency}{wide}"
    for template, wide in (("invoice", ""), ("statement", ""), ("ledger", ""), ("ledger", " wide"))
    for locale, currency in zip(LOCALES, ("USD", "KWD", "INR", "IDR", "CHF", "CLF", "COP"))
]
# What has no room at a size that can be read, and is refused; all else must be printed.
TOO_WIDE = {"12 columns", "16 columns"}
TOO_WIDE |= {name for name in SPECIALS if name.startswith("ledger") and not name.endswith("wide")}


@pytest.mark.parametrize("tagged", [False, True], ids=["untagged", "tagged"])
@pytest.mark.parametrize("name", SPECIALS)
def test_what_needs_much_room_stays_readable(typist, name, tagged):
    template, data = special(name)
    pages, faults = look(typist, template, data, tagged)
    if name in TOO_WIDE:
        assert not pages and '"invalid-data"' in faults[0] and "least size that can be read" in faults[0], show(name, faults)
        return
    if pages:
        numbers = [word.text for page in pages for word in page.words() if layout.START.fullmatch(word.text)]
        rows = data[layouts.FIELD[template]]
        if len(numbers) != len(rows):
            faults.append(f"{len(numbers)} of {len(rows)} rows are printed: {numbers[-3:]}")
        for text in [*data.get("notes", [])] if template == "ledger" else [data.get("payment", {}).get("terms", "")]:
            if rest := comes_out(text, pages):
                faults.append(f"of {text[:40]!r}… these last {len(rest)} characters are not printed: {rest[:80]!r}")
        if template == "invoice":
            try:
                figures.check_invoice(data, body(pages))
            except figures.Wrong as wrong:
                faults.append(str(wrong))
    assert not faults, show(f"{name}, {'tagged' if tagged else 'untagged'}", faults)


def tall_row(at: int, lines: int) -> dict:
    """A ledger of twelve rows, of which one has so many lines."""
    data = layouts.document("ledger", "en-GB", 12)
    data["columns"] = [{"field": "number", "label": "No.", "width": "20mm"}, {"field": "text", "label": "Text", "wrap": True}]
    data["entries"] = [{"number": f"R{row}Q", "text": "short"} for row in range(12)]
    data["entries"][at]["text"] = "\n".join(f"L{line}Z" for line in range(lines))
    return {key: value for key, value in data.items() if key != "totals"}


@pytest.mark.parametrize("way", ["drawn", "tagged", "sections"])
def test_a_row_about_as_high_as_a_page_takes_nothing_along(typist, program, tmp_path, way):
    faults = []
    for at, lines in itertools.product([0, 4, 11], range(56, 72, 1 if way != "sections" else 3)):
        data = tall_row(at, lines)
        if way == "sections":
            file = tmp_path / "data.json"
            file.write_text(json.dumps(data), encoding="utf-8")
            pages = render(program, "ledger", tmp_path, "--data", file, "--section-rows", 5, "--no-tags").pages()
        else:
            pages = typist.make("ledger", data, tagged=way == "tagged").pages
        words = [word.text for page in pages for word in page.words()]
        wanted = [f"R{row}Q" for row in range(12)] + [f"L{line}Z" for line in range(lines)]
        wrong = [word for word in wanted if words.count(word) != 1]
        faults += [f"{lines} lines in row {at}: {wrong[:5]} are not printed once"] if wrong else []
        faults += layout.faults(pages)
    assert not faults, show(way, faults)


@pytest.mark.parametrize("tall", [False, True], ids=["of a line", "of several lines"])
@pytest.mark.parametrize("template", ["statement", "ledger"])
def test_pages_of_sections_are_those_of_the_whole(program, tmp_path, template, tall):
    data = layouts.document(template, "de-DE", 300, tall)
    file = tmp_path / "data.json"
    file.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    ways = [["--section-rows", 0, "--no-tags"], ["--section-rows", 60, "--no-tags"], ["--section-rows", 0]]
    whole, sections, tagged = (render(program, template, tmp_path, "--data", file, *way).pages() for way in ways)
    faults = layout.faults(sections) + layout.torn(sections, layouts.header(template, data), layouts.ends(template, "de-DE"), 300)
    assert not faults, show(f"{template} in sections", faults)
    for name, pages in (("sections", sections), ("tagged", tagged)):
        moved = layout.moved(whole, pages)
        assert not moved, show(f"{template}, {name} against the whole", moved)
