"""The invoice with ReportLab, without its logo: pictures in SVG are beyond it. DATA OUT."""

import json
import sys
from pathlib import Path

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.platypus import Paragraph, SimpleDocTemplate, Table

from bench import invoice

STYLES = getSampleStyleSheet()
TIGHT = [("TOPPADDING", (0, 0), (-1, -1), 1), ("BOTTOMPADDING", (0, 0), (-1, -1), 1), ("VALIGN", (0, 0), (-1, -1), "TOP")]
RULED = [*TIGHT, ("LINEBELOW", (0, 0), (-1, -1), 0.5, colors.lightgrey)]


def text(words: str, style: str = "Normal") -> Paragraph:
    return Paragraph(words.replace("&", "&amp;"), STYLES[style])


def build(data: dict, out) -> None:
    """Writes the invoice to a file or a file's name."""
    made, seller, buyer = invoice.sums(data), data["seller"], data["buyer"]
    facts = Table(invoice.facts(data), style=TIGHT)
    items = [["Description", "Quantity", "Unit", "Unit price", "VAT", "Amount"]]
    for description, detail, cells in invoice.lines(data, made["nets"]):
        items.append([[text(description), text(detail)], *cells])
    bank = [(key.replace("_", " "), value) for key, value in data["payment"]["bank"].items()]
    due = ("Amount due", invoice.money(made["due"]))
    edges = dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), 12 * mm)
    SimpleDocTemplate(out, pagesize=A4, title=f"Invoice {data['number']}", **edges).build([
        Table([[[text(line) for line in block] for block in (
            [seller["name"]], seller["address"], [seller[key] for key in ("phone", "email", "website")],
        )]], style=TIGHT),
        text("Invoice", "Heading1"),
        Table([[[text(line) for line in (buyer["name"], *buyer["address"], buyer["tax_id"])], facts]], style=TIGHT),
        Table(items, colWidths=[90 * mm, 16 * mm, 16 * mm, 22 * mm, 14 * mm, 24 * mm], style=RULED),
        Table([*invoice.totals(made), due], hAlign="RIGHT", style=TIGHT),
        text("Payment", "Heading2"), text(data["payment"]["terms"]), Table(bank, style=TIGHT),
        text("Notes", "Heading2"), text(data["notes"]), text(seller["registration"]),
    ])


if __name__ == "__main__":
    build(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), sys.argv[2])
