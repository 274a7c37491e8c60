"""Random invoices, statements and ledgers from a seed: rates, discounts, credits, currencies, sizes of numbers."""

import random
import string
from decimal import Decimal

from expected import LOCALES, PLACES

SELLER = {"name": "Kestrel Ltd", "address": ["14 Foundry Wharf", "Bristol"]}


class Dice:
    """What is random of a document."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)

    def written(self, value: Decimal):
        """A value as a decimal string or, if a double holds it, as a JSON number now and then."""
        text = format(value, "f")
        if self.random.random() < 0.4 and len(value.normalize().as_tuple().digits) <= 17:
            number = float(value)
            # Halfway between two texts of the same length, both are the double's shortest.
            halfway = 2 * abs(Decimal(number) - value) == Decimal(1).scaleb(value.normalize().as_tuple().exponent)
            if Decimal(repr(number)) == value and "e" not in repr(number) and not halfway:
                return int(value) if value == int(value) and self.random.random() < 0.5 else number
        return text

    def amount(self, most_whole: int, most_places: int) -> Decimal:
        """Zero or more, with up to so many digits before and after the point; small ones are as frequent as large ones."""
        whole, places = self.random.randint(1, most_whole), self.random.randint(0, most_places)
        digits = self.random.randrange(10 ** (whole + places))
        if self.random.random() < 0.2:
            digits -= digits % 5**places  # quarters, halves: what rounding has to decide about
        return Decimal(digits).scaleb(-places)

    def percent(self) -> Decimal:
        """0 to 100."""
        usual = (0, 5, 7, "7.7", "8.875", 10, 15, 19, 20, "33.3333", 50, "99.9999", 100)
        if self.random.random() < 0.8:
            return Decimal(self.random.choice(usual))
        places = self.random.choice((4, 8))
        return Decimal(self.random.randrange(10 ** (2 + places))).scaleb(-places)

    def word(self) -> str:
        """A word."""
        return "".join(self.random.choices(string.ascii_lowercase, k=self.random.randint(3, 9)))

    def place(self) -> dict:
        """Locale and currency."""
        return {"locale": self.random.choice(list(LOCALES)), "currency": self.random.choice(list(PLACES))}

    def date(self) -> str:
        """A day."""
        return f"{self.random.randint(2000, 2030)}-{self.random.randint(1, 12):02}-{self.random.randint(1, 28):02}"


def invoice(seed: int) -> dict:
    """An invoice."""
    dice = Dice(seed)
    choose = dice.random.choice
    # Up to what a line may come to, and what no double holds.
    whole, places = choose([(3, 2), (3, 2), (5, 4), (7, 4), (8, 8)])
    rates = [dice.percent() for _ in range(choose([1, 1, 2, 3, 4, 6]))]
    taxed, units = dice.random.random() < 0.85, dice.random.random() < 0.5
    lines = []
    for number in range(choose([1, 1, 2, 3, 3, 4, 5, 8, 12, 30])):
        line = {"description": f"{dice.word()} {number}"}
        if dice.random.random() < 0.2:
            line["detail"] = f"{dice.word()} {dice.word()}"
        sign = -1 if dice.random.random() < 0.15 else 1
        line["quantity"] = dice.written(sign * dice.amount(choose([1, 2, whole]), choose([0, 0, places])))
        line["unit_price"] = dice.written(choose([1, 1, 1, 1, -1]) * dice.amount(whole, places))
        if dice.random.random() < 0.05:
            line["unit_price"] = dice.random.randrange(10**4) / 10 ** dice.random.randint(6, 10)
        if units and dice.random.random() < 0.8:
            line["unit"] = choose(["pcs", "h", "kg"])
        if dice.random.random() < 0.25:
            line["discount_percent"] = dice.written(dice.percent())
        if taxed and dice.random.random() < 0.9:
            line["tax_rate"] = dice.written(choose(rates))
        lines.append(line)
    data = {
        **dice.place(),
        "number": f"N{seed}",
        "issue_date": "2026-11-02",
        "due_date": "2026-12-02",
        "seller": SELLER,
        "buyer": {"name": "Harrowgate plc", "address": ["Salisbury"]},
        "lines": lines,
    }
    if dice.random.random() < 0.6:
        data["discount_percent"] = dice.written(dice.percent())
    if dice.random.random() < 0.3:
        data["amount_paid"] = dice.written(dice.amount(whole, places))
    return data


def statement(seed: int) -> dict:
    """An account statement."""
    dice = Dice(seed)
    choose = dice.random.choice
    whole, places = choose([(4, 2), (6, 4), (9, 4), (9, 8)])
    transactions = []
    for number in range(choose([0, 1, 2, 5, 12, 31, 45, 80])):
        entry = {"date": dice.date(), "description": f"{dice.word()} {number}"}
        entry["amount"] = dice.written(choose([1, 1, -1]) * dice.amount(whole, places))
        if dice.random.random() < 0.3:
            entry["reference"] = dice.word()
        transactions.append(entry)
    data = {
        **dice.place(),
        "issuer": {"name": "Marlowe Bank", "address": ["Bristol"]},
        "holder": {"name": "Kestrel Ltd", "address": ["Bristol"]},
        "account": {"number": f"AC {seed}"},
        "period": {"from": "2026-07-01", "to": "2026-09-30"},
        "opening_balance": dice.written(choose([1, 1, -1]) * dice.amount(whole, places)),
        "transactions": transactions,
    }
    if dice.random.random() < 0.3:
        data["references"] = False
        for entry in transactions:
            entry.pop("reference", None)
    return data


def ledger(seed: int) -> dict:
    """A ledger; sums have at most 28 digits."""
    dice = Dice(seed)
    choose = dice.random.choice
    whole, places = choose([(4, 2), (7, 4), (16, 8)])
    formats = ["number", "money", "percent", "date", "text"]
    columns = [{"field": "text", "label": "Text", "width": "34mm"}]
    for index in range(choose([1, 2, 2, 3])):
        column = {"field": f"f{index}", "label": f"F{index}", "width": "45mm"}
        column["format"] = choose(formats[:3] if index == 0 else formats)
        if column["format"] in formats[:3] and dice.random.random() < 0.4:
            column["digits"] = dice.random.randint(0, 8)
        columns.append(column)
    entries = []
    for number in range(choose([0, 1, 2, 7, 20, 44, 70])):
        entry = {"text": f"{dice.word()} {number}"}
        for column in columns[1:]:
            if dice.random.random() < 0.1:
                entry[column["field"]] = choose([None, ""])
            elif column["format"] == "date":
                entry[column["field"]] = dice.date()
            elif column["format"] == "text":
                entry[column["field"]] = dice.word()
            else:
                entry[column["field"]] = dice.written(choose([1, 1, -1]) * dice.amount(whole, places))
        entries.append(entry)
    data = {
        **dice.place(),
        "title": f"Ledger {seed}",
        "organisation": {"name": "Kestrel Ltd"},
        "columns": columns,
        "entries": entries,
        "style": choose(["zebra", "rules"]),
    }
    figures = [column["field"] for column in columns if column.get("format") in formats[:3]]
    if dice.random.random() < 0.8:
        data["totals"] = dice.random.sample(figures, dice.random.randint(1, len(figures)))
    if dice.random.random() < 0.2:
        del data["currency"]
    return data


def large_products(seed: int) -> dict:
    """An invoice whose products have up to 40 digits, of which those that are dropped lie just below a half."""
    dice = Dice(seed)
    while True:
        quantity, price = (dice.random.randrange(10**15, 10**16) for _ in range(2))
        rest = quantity * price % 10**6
        if 499_900 <= rest < 500_000:
            break
    line = {"description": "x", "quantity": format(Decimal(quantity).scaleb(-4), "f"), "unit_price": format(Decimal(price).scaleb(-4), "f")}
    return invoice(seed) | {"currency": "USD", "lines": [line]}
