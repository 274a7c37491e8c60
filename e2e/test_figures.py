"""Every figure of random invoices, statements and ledgers is right to the last digit, in every locale."""

import json
import random
from decimal import Decimal

import pytest

import figures
import layouts
import random_documents
from expected import LOCALES, total
from printed import Text, body
from typist import Refused, Typist, render

SEEDS = 100
MANY_SEEDS = 3334  # with three templates, more than 10,000 documents


def check(typist: Typist, template: str, seed: int) -> str | None:
    """What is wrong with one document, if anything is."""
    data = getattr(random_documents, template)(seed)
    try:
        figures.CHECKS[template](data, body(typist.make(template, data, tagged=seed % 4 == 0).pages))
    except (Refused, figures.Wrong) as wrong:
        return f"{template} of seed {seed}: {wrong}\n{json.dumps(data, ensure_ascii=False)}"
    return None


def check_all(typist: Typist, template: str, seeds: range) -> None:
    """All documents are right; says how many are not, and shows the shortest three."""
    wrong = [found for seed in seeds if (found := check(typist, template, seed)) is not None]
    wrong.sort(key=len)
    assert not wrong, f"{len(wrong)} of {len(seeds)} are wrong, such as\n" + "\n".join(wrong[:3])


@pytest.mark.parametrize("template", figures.CHECKS)
def test_figures_of_random_documents_are_right(typist, template):
    check_all(typist, template, range(SEEDS))


@pytest.mark.many
@pytest.mark.parametrize("template", figures.CHECKS)
def test_figures_of_very_many_random_documents_are_right(typist, template):
    check_all(typist, template, range(SEEDS, SEEDS + MANY_SEEDS))


def test_figures_of_very_large_products_are_right_or_refused(typist):
    wrong = []
    for seed in range(20):
        data = random_documents.large_products(seed)
        try:
            figures.check_invoice(data, body(typist.make("invoice", data).pages))
        except Refused as refused:
            if refused.error["name"] != "invalid-data":
                wrong.append(str(refused)[:300])
        except figures.Wrong as found:
            wrong.append(f"{found}\n{json.dumps(data['lines'])}")
    assert not wrong, f"{len(wrong)} of 20 are wrong, such as\n" + "\n".join(wrong[:3])


@pytest.mark.parametrize("way", ["whole", "tagged", "sections"])
@pytest.mark.parametrize("template", ["statement", "ledger"])
def test_figures_of_long_reports_are_right(program, tmp_path, template, way):
    data = next(data for seed in range(99) if figure_rows(template, data := getattr(random_documents, template)(seed)) > 40)
    field = layouts.FIELD[template]
    data[field] = (data[field] * 40)[:1500]
    file = tmp_path / "data.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    options = {"whole": ["--section-rows", 0, "--no-tags"], "tagged": ["--section-rows", 0], "sections": ["--section-rows", 100, "--no-tags"]}
    figures.CHECKS[template](data, body(render(program, template, tmp_path, "--data", file, *options[way]).pages()))


def figure_rows(template: str, data: dict) -> int:
    """How many rows a document has, if they are summed."""
    return len(data[layouts.FIELD[template]]) if template == "statement" or data.get("totals") else 0


# Digits before and after the point: what every total holds, and what a number by itself may have.
SUMMED = [(1, 0), (3, 2), (6, 4), (12, 4), (16, 2), (17, 3), (19, 0), (14, 8)]
ALONE = [*SUMMED, (20, 8), (14, 14), (1, 20), (8, 20), (28, 0), (25, 3)]


def any_number(dice: random.Random, sizes: list[tuple[int, int]]) -> str:
    """A JSON number of at most 28 digits, as somebody may write it."""
    whole, places = dice.choice(sizes)
    number = str(dice.randrange(10**whole))
    if places:
        number += f".{str(dice.randrange(10**places)).zfill(places)}"
    if dice.random() < 0.1:
        number = f"{dice.randrange(1, 10**6)}{dice.choice('eE')}{dice.choice(['', '+'])}{dice.randint(0, 10)}"
    return dice.choice(["", "", "-"]) + number


@pytest.mark.parametrize("form", ["json", "ndjson", "csv", "strings"])
def test_numbers_are_exact_however_they_are_written(program, tmp_path, form):
    dice = random.Random(form)
    numbers = [(any_number(dice, SUMMED), any_number(dice, ALONE)) for _ in range(900)]
    if form in ("csv", "strings"):
        numbers = [(format(Decimal(one), "f"), format(Decimal(other), "f")) for one, other in numbers]
    columns = [{"field": "n", "label": "Row", "width": "20mm"}]
    columns += [{"field": field, "label": field, "format": "number", "digits": 8} for field in "ab"]
    head = {"locale": "en-GB", "title": "N", "organisation": {"name": "K"}, "columns": columns, "totals": ["a"]}
    quote = '"' if form == "strings" else ""
    rows = [f'{{"n":"R{row}","a":{quote}{a}{quote},"b":{quote}{b}{quote}}}' for row, (a, b) in enumerate(numbers)]
    file, beside = tmp_path / f"rows.{form if form in ('ndjson', 'csv') else 'json'}", tmp_path / "head.json"
    beside.write_text(json.dumps(head))
    given = ["--data", file, "--head", beside]
    if form == "csv":
        file.write_text("n,a,b\n" + "".join(f"R{row},{a},{b}\n" for row, (a, b) in enumerate(numbers)))
    elif form == "ndjson":
        file.write_text("\n".join(rows))
    else:
        file.write_text(json.dumps(head)[:-1] + ',"entries":[' + ",".join(rows) + "]}")
        given = given[:2]
    text = body(render(program, "ledger", tmp_path, *given, "--no-tags").pages())
    wrong = wrong_numbers(numbers, text)
    assert not wrong, f"{len(wrong)} of {len(numbers)} are wrong, such as\n" + "\n".join(wrong[:8])


def wrong_numbers(numbers: list[tuple[str, str]], text: Text) -> list[str]:
    """Which of the numbers are not what was written, and the total if it is not theirs."""
    write, found, at = (lambda value: LOCALES["en-GB"].number(value, 8)), [], 0
    for row, (one, other) in enumerate(numbers):
        scan = figures.Scan(text, text.find(f"R{row} ", at))
        try:
            scan.expect(f"row {row}, {one} and {other}", f"R{row} {write(Decimal(one))} {write(Decimal(other))}")
            at = scan.at
        except figures.Wrong as wrong:
            found.append(str(wrong))
    whole = write(total(Decimal(one) for one, _ in numbers))
    if text.find(f"Total {whole}", at) < 0:
        found.append(f"the total is not {whole}: {text.part(len(text.bare) - 120, len(text.bare))}")
    return found
