"""The ledger that every tool typesets: seeded rows of five columns, as each tool takes them."""

import html
import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path

SEED = 5
TITLE = "General ledger"
LABELS = ("Date", "Document", "Description", "Debit", "Credit")
FIELDS = ("date", "document", "text", "debit", "credit")

NAMES = (
    "Ashlock Racecourse", "Cotswold Calibration Lab", "St Brannock’s School", "Tidewater Brewing", "Paper & Post",
    "Harrowgate Solar Farms", "Marlowe & Finch Bank", "Wylye Valley Growers", "Orchard Lane Dairy", "Fenwick Haulage",
)
DEEDS = ("invoice", "receipt", "credit note", "weather stations", "recalibration", "service fee", "refund", "office supplies")

HEAD = {
    "locale": "en-GB",
    "currency": "GBP",
    "title": TITLE,
    "organisation": {"name": "Kestrel & Vane Ltd", "address": ["14 Foundry Wharf", "Bristol BS1 6XN", "United Kingdom"]},
    "columns": [
        {"field": "date", "label": "Date", "width": "20mm", "format": "date"},
        {"field": "document", "label": "Document", "width": "22mm"},
        {"field": "text", "label": "Description", "width": "1fr", "wrap": True},
        {"field": "debit", "label": "Debit", "width": "26mm", "format": "number"},
        {"field": "credit", "label": "Credit", "width": "26mm", "format": "number"},
    ],
    "totals": ["debit", "credit"],
}

# Amounts have a class: selectors that count the cells of each row cost wkhtmltopdf a time that grows with the square of the
# rows. One that counts the rows does not.
PAGE = """<!DOCTYPE html>
<html lang="en-GB"><head><meta charset="utf-8"><title>General ledger</title><style>
@page { size: A4; margin: 20mm }
body { font: 8pt sans-serif } h1 { font-size: 16pt }
table { width: 100%; border-collapse: collapse }
thead { display: table-header-group } tr { page-break-inside: avoid }
th, td { text-align: left; padding: 1.2mm 1mm; border-bottom: 0.5pt solid #cccccc }
.amount { text-align: right; white-space: nowrap } tr:nth-child(even) { background: #f1f5f9 }
</style></head><body><h1>General ledger</h1><table>
"""

TYPST = """#set page("a4", margin: 20mm)
#set text(9pt)
#let rows = json("rows.json")
= General ledger
#table(
  columns: (18mm, 20mm, 1fr, 24mm, 24mm),
  align: (left, left, left, right, right),
  stroke: (x, y) => (bottom: 0.5pt + gray),
  table.header([Date], [Document], [Description], [Debit], [Credit]),
  ..rows.flatten(),
)
"""


class Ledger:
    """A ledger of so many rows; its files are made when they are asked for."""

    def __init__(self, rows: int, folder: Path) -> None:
        self.rows, self.folder = rows, folder / f"ledger-{rows}"
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def last_document(self) -> str:
        """What only the last row says."""
        return document(self.rows)

    @cached_property
    def ndjson(self) -> Path:
        """For Pressrun, besides `head`."""
        with self.file("rows.ndjson") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in entries(self.rows))
        return self.folder / "rows.ndjson"

    @cached_property
    def head(self) -> Path:
        with self.file("head.json") as file:
            json.dump(HEAD, file)
        return self.folder / "head.json"

    @cached_property
    def json(self) -> Path:
        """Rows of text as shown, with the totals last: for ReportLab and plain Typst."""
        with self.file("rows.json") as file:
            json.dump(list(written(self.rows)), file, ensure_ascii=False)
        return self.folder / "rows.json"

    @cached_property
    def typst(self) -> Path:
        assert self.json
        with self.file("main.typ") as file:
            file.write(TYPST)
        return self.folder / "main.typ"

    @cached_property
    def html(self) -> Path:
        """For those that print pages of the web."""
        with self.file("ledger.html") as file:
            file.write(PAGE + "<thead>" + table_row("th", LABELS) + "</thead><tbody>\n")
            file.writelines(table_row("td", row) for row in written(self.rows))
            file.write("</tbody></table></body></html>\n")
        return self.folder / "ledger.html"

    def file(self, name: str):
        return (self.folder / name).open("w", encoding="utf-8")


def entries(count: int) -> Iterator[dict]:
    """The first so many rows; the same ones every time."""
    chance = random.Random(SEED)
    for number in range(1, count + 1):
        side = chance.choice(("debit", "credit"))
        yield {
            "date": (date(2026, 1, 1) + timedelta(days=number * 364 // count)).isoformat(),
            "document": document(number),
            "text": f"{chance.choice(NAMES)}, {chance.choice(DEEDS)} {chance.randrange(1000, 9999)}",
            side: f"{chance.randrange(100, 2_000_000) / 100:.2f}",
        }


def document(number: int) -> str:
    return f"JE-{number:07}"


def written(count: int) -> Iterator[list[str]]:
    """The rows as they are shown, then their totals."""
    pence = {"debit": 0, "credit": 0}
    for row in entries(count):
        for side in pence.keys() & row.keys():
            pence[side] += round(float(row[side]) * 100)
        amounts = [f"{float(row[side]):,.2f}" if side in row else "" for side in pence]
        year, month, day = row["date"].split("-")
        yield [f"{day}/{month}/{year}", row["document"], row["text"], *amounts]
    yield ["", "", "Sum", *(f"{amount / 100:,.2f}" for amount in pence.values())]


def table_row(cell: str, values) -> str:
    date, number, words, *amounts = (html.escape(value) for value in values)
    plain = "".join(f"<{cell}>{value}</{cell}>" for value in (date, number, words))
    return f"<tr>{plain}" + "".join(f'<{cell} class="amount">{value}</{cell}>' for value in amounts) + "</tr>\n"
