"""How each locale writes figures, written once more: what a report prints is held to this, and it to nothing of the kit's."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal

# More digits than anything here has, so that nothing is rounded but where it says so.
EXACT = Context(prec=200)

# Decimal places by ISO 4217, of all that do not have two and of some that have.
PLACES = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("AUD BRL CAD CHF CNY COP EUR GBP HUF IDR INR IRR LBP MGA MRU MXN SEK USD ZAR".split(), 2),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}

SYMBOLS = {
    "USD": "$", "EUR": "€", "GBP": "£", "INR": "₹", "JPY": "¥", "CNY": "CN¥", "KRW": "₩", "VND": "₫", "AUD": "A$",
    "CAD": "CA$", "BRL": "R$", "MXN": "MX$",
}  # fmt: skip


@dataclass(frozen=True)
class Locale:
    """How a locale writes."""

    name: str
    group: str
    point: str
    # The template of money, of a percentage and of a day.
    after: bool
    percent: str
    day: str
    # Sizes of the second and further groups, and how long a number is before it is grouped.
    second: int = 3
    grouped: int = 4
    symbols: tuple = ()

    def digits(self, number: str) -> str:
        """Digits in groups."""
        if len(number) < self.grouped:
            return number
        head, groups = number[:-3], [number[-3:]]
        while head:
            groups.insert(0, head[-self.second :])
            head = head[: -self.second]
        return self.group.join(groups)

    def number(self, value: Decimal, places: int) -> str:
        """A number, rounded half away from zero."""
        value = rounded(value, places)
        whole, _, fraction = format(value.copy_abs(), "f").partition(".")
        written = self.digits(whole) + (self.point + fraction if fraction else "")
        return ("−" if value < 0 else "") + written

    def money(self, value: Decimal, currency: str, places: int | None = None) -> str:
        """An amount with the currency's sign."""
        written = self.number(value, PLACES[currency] if places is None else places)
        sign, figure = ("−", written[1:]) if written.startswith("−") else ("", written)
        symbol = dict(self.symbols).get(currency, SYMBOLS.get(currency, currency))
        if self.after:
            return f"{sign}{figure}\u00a0{symbol}"
        return f"{sign}{symbol}\u00a0{figure}" if symbol[-1].isalpha() else f"{sign}{symbol}{figure}"

    def percentage(self, value: Decimal, places: int | None = None) -> str:
        """A percentage, with the places it needs unless they are given."""
        return self.percent.format(self.number(value, needed(value) if places is None else places))

    def date(self, day: str) -> str:
        """A day of a list."""
        year, month, date = day.split("-")
        return self.day.format(d=date, m=month, y=year)


LOCALES = {
    locale.name: locale
    for locale in (
        Locale("en-US", ",", ".", False, "{}%", "{m}/{d}/{y}"),
        Locale("en-GB", ",", ".", False, "{}%", "{d}/{m}/{y}", symbols=(("USD", "US$"),)),
        Locale("en-IN", ",", ".", False, "{}%", "{d}/{m}/{y}", second=2),
        Locale("de-DE", ".", ",", True, "{}\u00a0%", "{d}.{m}.{y}"),
        Locale("de-CH", "’", ".", False, "{}%", "{d}.{m}.{y}"),
        Locale("fr-FR", "\u202f", ",", True, "{}\u202f%", "{d}/{m}/{y}"),
        Locale("es-ES", ".", ",", True, "{}\u00a0%", "{d}/{m}/{y}", grouped=5),
    )
}


def rounded(value: Decimal, places: int) -> Decimal:
    """Rounded half away from zero."""
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, EXACT)


def needed(value: Decimal) -> int:
    """The decimal places that a value needs."""
    digits = format(value, "f")
    return len(digits.partition(".")[2].rstrip("0"))


def exact(value) -> Decimal:
    """The number that was written in the JSON."""
    return Decimal(value) if isinstance(value, str) else Decimal(repr(value))


def product(*values: Decimal) -> Decimal:
    """An exact product."""
    result = Decimal(1)
    for value in values:
        result = EXACT.multiply(result, value)
    return result


def total(values) -> Decimal:
    """An exact sum."""
    result = Decimal(0)
    for value in values:
        result = EXACT.add(result, value)
    return result
