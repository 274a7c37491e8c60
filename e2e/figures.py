"""What invoices, statements and ledgers must print, figure by figure, computed anew with Python's decimals."""

from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

from expected import EXACT, LOCALES, PLACES, exact, needed, product, rounded, total
from printed import Text, Wanted
from words import say


class Wrong(AssertionError):
    """A report prints something else than it must."""


class Scan:
    """Goes through a text, which must be what is expected, one after the other."""

    def __init__(self, text: Text, start: int = 0):
        self.text, self.at = text, start

    def take(self, *choices: str) -> bool:
        """Whether one of these stands here; then goes on behind it."""
        for choice in choices:
            wanted = Wanted(choice)
            end, gaps = self.at + len(wanted.bare), (self.at + gap for gap in wanted.gaps)
            # A figure must not go on where it should end.
            if self.text.bare.startswith(wanted.bare, self.at) and all(map(self.text.has_gap, (*gaps, end))):
                self.at = end
                return True
        return False

    def expect(self, what: str, *choices: str) -> None:
        """One of these must stand here."""
        if not self.take(*choices):
            found = str(self.text.part(self.at, self.at + len(choices[0]) + 40))
            raise Wrong(f"{what}: expected {' '.join(choices[0].split())!r}, found {found!r}")

    def seek(self, what: str, wanted: str, *at_a_glance: tuple[str, str]) -> None:
        """This must stand somewhere from here on, and what is said at a glance before it, in this order."""
        until = self.text.find(wanted, self.at)
        if until < 0:
            raise Wrong(f"{what}: expected {wanted!r}, found {self.text.part(self.at, self.at + 3000)!r}")
        for name, figure in at_a_glance:
            at, end = self.text.find(figure, self.at), len(Wanted(figure).bare)
            while at >= 0 and not (self.text.has_gap(at) and self.text.has_gap(at + end)):
                at = self.text.find(figure, at + 1)
            if not 0 <= at < until:
                found = self.text.part(max(self.at, until - 200), until)
                raise Wrong(f"{name} at a glance: expected {figure!r}, found {found!r}")
            self.at = at + end
        self.at = until + len(Wanted(wanted).bare)


@dataclass
class Sums:
    """The sums of an invoice."""

    nets: list[Decimal]
    subtotal: Decimal
    discount: Decimal
    # Rate, base and tax, highest rate first.
    taxes: list[tuple[Decimal, Decimal, Decimal]] = field(default_factory=list)
    paid: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal:
        """What is charged in all."""
        return total([self.subtotal, self.discount.copy_negate(), *(tax for _, _, tax in self.taxes)])


def percent_of(amount: Decimal, percent: Decimal) -> Decimal:
    """So many hundredths of an amount, exactly."""
    return product(amount, percent).scaleb(-2, EXACT)


def allocate(whole: Decimal, shares: list[Decimal], places: int) -> list[Decimal]:
    """An amount in parts like the exact shares, by largest remainder; the first of those alike."""
    unit = Decimal(1).scaleb(-places)
    parts = [share.quantize(unit, ROUND_DOWN, EXACT) for share in shares]
    missing = EXACT.subtract(whole, total(parts))
    sign = 1 if missing > 0 else -1
    remainders = [sign * EXACT.subtract(share, part) for share, part in zip(shares, parts)]
    order = sorted(range(len(parts)), key=lambda index: -remainders[index])
    for index in order[: int(abs(missing) / unit)]:
        parts[index] = EXACT.add(parts[index], sign * unit)
    return parts


def sums_of(data: dict) -> Sums:
    """The sums of an invoice, by the rules of the docs."""
    places = PLACES[data["currency"]]
    nets = []
    for line in data["lines"]:
        left = EXACT.subtract(Decimal(100), exact(line.get("discount_percent", 0)))
        nets.append(rounded(percent_of(product(exact(line["quantity"]), exact(line["unit_price"])), left), places))
    subtotal = total(nets)
    rate_of = [exact(line.get("tax_rate", 0)) for line in data["lines"]]
    rates = sorted(set(rate_of), reverse=True)
    bases = [total(net for net, own in zip(nets, rate_of) if own == rate) for rate in rates]
    percent = exact(data.get("discount_percent", 0))
    discount = rounded(percent_of(subtotal, percent), places)
    parts = allocate(discount, [percent_of(base, percent) for base in bases], places)
    sums = Sums(nets, subtotal, discount, paid=rounded(exact(data.get("amount_paid", 0)), places))
    for rate, base, part in zip(rates, bases, parts):
        base = EXACT.subtract(base, part)
        sums.taxes.append((rate, base, rounded(percent_of(base, rate), places)))
    return sums


def check_invoice(data: dict, text: Text) -> None:
    """Every figure of an invoice, in the order of the page."""
    name, currency, lines = data["locale"], data["currency"], data["lines"]
    locale, places, sums = LOCALES[name], PLACES[currency], sums_of(data)
    cash = lambda value: locale.money(value, currency)
    tax_name = data.get("tax_name", say(name, "tax"))
    taxed, units = any("tax_rate" in line for line in lines), any("unit" in line for line in lines)
    labels = [say(name, "description"), say(name, "quantity"), *([say(name, "unit")] if units else [])]
    labels += [say(name, "unit-price"), *([tax_name] if taxed else []), say(name, "amount")]
    header = " ".join(labels)
    scan = Scan(text)
    scan.seek("table", header)
    for number, (line, net) in enumerate(zip(lines, sums.nets), 1):
        parts = [line["description"], line.get("detail", "")]
        if "discount_percent" in line:
            parts.append(say(name, "line-discount", percent=locale.percentage(exact(line["discount_percent"]))))
        quantity, price = exact(line["quantity"]), exact(line["unit_price"])
        parts += [locale.number(quantity, needed(quantity)), line.get("unit", "")]
        parts.append(locale.number(price, max(places, needed(price))))
        if taxed:
            parts.append(locale.percentage(exact(line.get("tax_rate", 0))))
        scan.take(header)
        scan.expect(f"line {number}", " ".join([*parts, locale.number(net, places)]))
    scan.take(header)
    scan.expect("subtotal", f"{say(name, 'subtotal')} {cash(sums.subtotal)}")
    if "discount_percent" in data:
        label = say(name, "discount", percent=locale.percentage(exact(data["discount_percent"])))
        scan.expect("discount", f"{label} {cash(sums.discount.copy_negate())}")
    for rate, base, tax in sums.taxes if taxed else []:
        label = say(name, "tax-on", tax=tax_name, percent=locale.percentage(rate), base=cash(base))
        scan.expect(f"tax of {rate} %", f"{label} {cash(tax)}")
    if "amount_paid" in data:
        scan.expect("total", f"{say(name, 'total')} {cash(sums.total)}")
        scan.expect("paid", f"{say(name, 'paid')} {cash(sums.paid.copy_negate())}")
    scan.expect("amount due", f"{say(name, 'amount-due')} {cash(EXACT.subtract(sums.total, sums.paid))}")


class Rows:
    """Goes through the rows of a list over its pages, with what is carried from each page to the next."""

    def __init__(self, scan: Scan, header: str, carried, brought):
        self.scan, self.header = scan, header
        self.carried, self.brought = carried, brought

    def turn(self, number: int) -> None:
        """Goes over a page's end, if there is one before this row."""
        if self.carried is None:
            self.scan.take(self.header)
        elif self.scan.take(*self.carried()):
            self.scan.expect(f"header above row {number}", self.header)
            self.scan.expect(f"brought forward above row {number}", *self.brought())

    def expect(self, number: int, row: str) -> None:
        """The next row."""
        if self.scan.take(row):
            return
        self.turn(number)
        self.scan.expect(f"row {number}", row)


def ends_before(scan: Scan, *parts: str) -> list[float]:
    """Where what stands before each of these ends, from the left of the page; they are read backwards."""
    at, ends = scan.at, []
    for part in parts:
        at -= len(Wanted(part).bare)
        ends.append(scan.text.rights[at - 1])
    return ends


def check_statement(data: dict, text: Text) -> None:
    """Every figure of a statement, in the order of the pages."""
    name, currency, entries = data["locale"], data["currency"], data["transactions"]
    locale, places = LOCALES[name], PLACES[currency]
    number = lambda value: locale.number(value, places)
    amounts = [exact(entry["amount"]) for entry in entries]
    balance = exact(data["opening_balance"])
    came, went = total(a for a in amounts if a >= 0), total(a.copy_negate() for a in amounts if a < 0)
    closing = total([balance, *amounts])
    references = data.get("references", True)
    keys = ["date", "description", *(["reference"] if references else []), "money-out", "money-in", "balance"]
    header = " ".join(say(name, key) for key in keys)
    scan = Scan(text)
    told = [("opening balance", balance), ("money in", came), ("money out", went), ("closing balance", closing)]
    scan.seek("header", header, *((what, locale.money(value, currency)) for what, value in told))

    def line(key: str, day: str = "") -> tuple[str, str]:
        return f"{say(name, key)} {day} {number(balance)}", f"{day} {say(name, key)} {number(balance)}"

    rows = Rows(scan, header, lambda: line("carried-forward"), lambda: line("brought-forward"))
    # Of money in, and of money out.
    column_ends = ends_before(scan, say(name, "balance"), say(name, "money-in"))
    scan.expect("opening balance", *line("opening-balance", locale.date(data["period"]["from"])))
    for index, (entry, amount) in enumerate(zip(entries, amounts), 1):
        after = EXACT.add(balance, amount)
        parts = [locale.date(entry["date"]), entry["description"], *([entry.get("reference", "")] if references else [])]
        parts += [number(amount.copy_abs()), number(after)]
        rows.expect(index, " ".join(parts))
        (figure_end,) = ends_before(scan, number(after))
        if abs(figure_end - column_ends[amount < 0]) > 1:
            raise Wrong(f"row {index}: {parts[-2]!r} ends at {figure_end:.1f}, not in its column of {column_ends}")
        balance = after
    end = line("closing-balance", locale.date(data["period"]["to"]))
    if not scan.take(*end):
        rows.turn(len(entries) + 1)
        scan.expect("closing balance", *end)


def ledger_value(column: dict, value, locale, currency: str | None) -> str:
    """A value as its column writes it."""
    if value in (None, ""):
        return ""
    kind = column.get("format", "text")
    if kind == "text":
        return value
    if kind == "date":
        return locale.date(value)
    places = column.get("digits", 2 if currency is None else PLACES[currency])
    value = value if isinstance(value, Decimal) else exact(value)
    if kind == "percent":
        return locale.percentage(value, column.get("digits", max(2, places)))
    return locale.money(value, currency, places) if kind == "money" and currency else locale.number(value, places)


def check_ledger(data: dict, text: Text) -> None:
    """Every figure of a ledger, in the order of the pages."""
    name, currency, columns, entries = data["locale"], data.get("currency"), data["columns"], data["entries"]
    locale, summed = LOCALES[name], data.get("totals", [])
    write = lambda column, value: ledger_value(column, value, locale, currency)
    header = " ".join(column["label"] for column in columns)
    amounts = {f: [exact(e[f]) if e.get(f) not in (None, "") else Decimal(0) for e in entries] for f in summed}
    scan = Scan(text)
    told = [("entries", locale.number(Decimal(len(entries)), 0))]
    for column in [column for column in columns if column["field"] in summed][:3]:
        told.append((f"total of {column['field']}", write(column, total(amounts[column["field"]]))))
    scan.seek("header", header, *told)
    sums = dict.fromkeys(summed, Decimal(0))

    def line(key: str) -> tuple[str, str]:
        cells = " ".join(write(column, sums[column["field"]]) for column in columns if column["field"] in sums)
        return (f"{say(name, key)} {cells}",)

    carried = (lambda: line("carried-forward")) if summed else None
    rows = Rows(scan, header, carried, lambda: line("brought-forward"))
    for index, entry in enumerate(entries):
        rows.expect(index + 1, " ".join(write(column, entry.get(column["field"])) for column in columns))
        sums = {field: EXACT.add(sums[field], amounts[field][index]) for field in summed}
    if summed and not scan.take(*line("sum")):
        rows.turn(len(entries) + 1)
        scan.expect("total", *line("sum"))


CHECKS = {"invoice": check_invoice, "statement": check_statement, "ledger": check_ledger}
