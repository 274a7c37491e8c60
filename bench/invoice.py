"""The one-page invoice that every tool makes: the template's sample, each time with another number and quantity."""

import base64
import copy
import html
import json
from decimal import ROUND_HALF_UP, Decimal

from bench.settings import TEMPLATES

SAMPLE = json.loads((TEMPLATES / "invoice/sample.json").read_text(encoding="utf-8"))
LOGO = base64.b64encode((TEMPLATES / "invoice/logo.svg").read_bytes()).decode()

STYLE = """@page { size: A4; margin: 18mm }
body { font: 8.5pt sans-serif; color: #222222 } h1 { font-size: 18pt; margin: 4mm 0 } h2 { font-size: 10pt; margin: 2mm 0 }
table { width: 100%; border-collapse: collapse } td, th { vertical-align: top; text-align: left; padding: 1mm }
.lines td, .lines th { border-bottom: 0.5pt solid #cccccc } .amount { text-align: right; white-space: nowrap }
small { color: #666666; font-size: 8pt } .due { font-size: 14pt; font-weight: bold; background: #eef3f5 }"""


def varied(number: int) -> dict:
    """An invoice that was never made before, so that no tool has it in a cache."""
    data = copy.deepcopy(SAMPLE)
    data["number"] = f"KV-2026-{number:06}"
    data["lines"][0]["quantity"] = 1 + number % 97
    return data


def sums(data: dict) -> dict[str, Decimal | list]:
    """The net amount of each line, the tax of each rate, and what is due."""
    nets = [
        pence(Decimal(str(line["quantity"])) * Decimal(line["unit_price"]) * (100 - line.get("discount_percent", 0)) / 100)
        for line in data["lines"]
    ]
    rates = sorted({line["tax_rate"] for line in data["lines"]}, reverse=True)
    bases = {rate: sum(net for net, line in zip(nets, data["lines"]) if line["tax_rate"] == rate) for rate in rates}
    taxes = [(rate, base, pence(base * rate / 100)) for rate, base in bases.items()]
    total = sum(nets) + sum(tax for _, _, tax in taxes)
    paid = Decimal(data["amount_paid"])
    return {"nets": nets, "subtotal": sum(nets), "taxes": taxes, "total": total, "paid": paid, "due": total - paid}


def pence(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def money(amount: Decimal) -> str:
    return f"£{amount:,.2f}"


def facts(data: dict) -> list[tuple[str, str]]:
    keys = ("number", "issue_date", "supply_date", "due_date", "purchase_order")
    return [(key.replace("_", " ").capitalize(), data[key]) for key in keys] + [("VAT number", data["seller"]["tax_id"])]


def lines(data: dict, nets: list[Decimal]) -> list[tuple[str, str, list[str]]]:
    """Each line's description, its detail, and its other cells."""
    made = []
    for line, net in zip(data["lines"], nets):
        discount = f"Less {line['discount_percent']}% discount" if "discount_percent" in line else ""
        detail = " · ".join(part for part in (line.get("detail", ""), discount) if part)
        cells = [str(line["quantity"]), line["unit"], line["unit_price"], f"{line['tax_rate']}%", f"{net:,.2f}"]
        made.append((line["description"], detail, cells))
    return made


def totals(made: dict) -> list[tuple[str, str]]:
    taxes = [(f"VAT {rate}% on {money(base)}", money(tax)) for rate, base, tax in made["taxes"]]
    ends = [("Total", money(made["total"])), ("Paid", money(-made["paid"]))]
    return [("Subtotal", money(made["subtotal"])), *taxes, *ends]


def as_html(data: dict) -> str:
    """The invoice as a page of the web."""
    made, seller, buyer, bank = sums(data), data["seller"], data["buyer"], data["payment"]["bank"]
    contacts = [seller[key] for key in ("phone", "email", "website")]
    head = ("Description", "Quantity", "Unit", "Unit price", "VAT", "Amount")
    items = "".join(
        f"<tr><td>{escape(description)}<br><small>{escape(detail)}</small></td>{cells('td', row)}</tr>"
        for description, detail, row in lines(data, made["nets"])
    )
    return f"""<!DOCTYPE html><html lang="en-GB"><head><meta charset="utf-8"><title>Invoice {escape(data["number"])}</title>
<style>{STYLE}</style></head><body>
<table><tr><td><img src="data:image/svg+xml;base64,{LOGO}" height="50" alt=""> <b>{escape(seller["name"])}</b></td>
<td>{broken(seller["address"])}</td><td>{broken(contacts)}</td></tr></table>
<h1>Invoice</h1>
<table><tr><td><small>Bill to</small><br><b>{escape(buyer["name"])}</b><br>{broken(buyer["address"])}<br>{buyer["tax_id"]}</td>
<td><table>{pairs(facts(data))}</table></td></tr></table>
<table class="lines"><tr><th>{head[0]}</th>{cells("th", head[1:])}</tr>{items}</table>
<table>{pairs(totals(made))}<tr class="due"><td>Amount due</td>{cells("td", [money(made["due"])])}</tr></table>
<h2>Payment</h2><p>{escape(data["payment"]["terms"])}</p>
<table>{pairs([(key.replace("_", " "), value) for key, value in bank.items()])}</table>
<h2>Notes</h2><p>{escape(data["notes"])}</p><p><small>{escape(seller["registration"])}</small></p></body></html>
"""


def escape(text: str) -> str:
    return html.escape(text)


def broken(texts: list[str]) -> str:
    return "<br>".join(map(html.escape, texts))


def cells(kind: str, values) -> str:
    return "".join(f'<{kind} class="amount">{html.escape(value)}</{kind}>' for value in values)


def pairs(values: list[tuple[str, str]]) -> str:
    return "".join(f"<tr><td>{html.escape(name)}</td>{cells('td', [value])}</tr>" for name, value in values)
