"""Rows for long ledgers, and what has to be in the report they make."""

import json
from collections.abc import Iterator
from decimal import Decimal

import pdf
from emulated_aws import ROOT


def rows(count: int) -> Iterator[str]:
    """Lines of NDJSON, one entry each."""
    for number in range(count):
        field = "debit" if number % 2 else "credit"
        amount = f"{number % 997}.{number % 100:02}"
        yield f'{{"date":"2026-{1 + number % 12:02}-{1 + number % 28:02}","document":"JE-{number:07}","text":"Payment {number}","{field}":"{amount}"}}\n'


def sums(count: int) -> dict[str, str]:
    """What the entries' amounts come to, as the ledger writes them."""
    found = {"debit": Decimal(0), "credit": Decimal(0)}
    for line in rows(count):
        for field, value in json.loads(line).items():
            if field in found:
                found[field] += Decimal(value)
    return {field: f"{value:,.2f}" for field, value in found.items()}


def head() -> dict:
    """The data beside the entries."""
    sample = json.loads((ROOT / "templates/ledger/sample.json").read_text())
    del sample["entries"]
    sample["columns"] = [column for column in sample["columns"] if column["field"] != "account"]
    next(column for column in sample["columns"] if column["field"] == "document")["width"] = "24mm"
    return sample


def check(file, count: int, pages: int) -> None:
    """The report has every entry, in order, its pages say which of how many they are, and its sums are right."""
    pdf.check(file)
    sheets = pdf.text(file).removesuffix("\f").split("\f")
    assert len(sheets) == pages
    for number, sheet in enumerate(sheets, 1):
        assert f"{number} of {pages}" in sheet.replace(",", ""), f"page {number} of {pages} says:\n{sheet[-400:]}"
    text = "".join(sheets)
    found = [int(word[3:]) for word in text.split() if word.startswith("JE-")]
    assert found == list(range(count))
    for field, total in sums(count).items():
        # The first page says it at a glance; below the last row only the notes follow.
        ends = (sheets[0], "".join(sheets[-2:]))
        assert all(total in end for end in ends), f"{field}: no {total} on the first page, or at the end:\n{ends}"
