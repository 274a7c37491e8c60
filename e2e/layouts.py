"""Documents whose pages are looked at: of any length, in any locale, and with every value as long as its schema admits."""

import copy
import json
from collections.abc import Iterator
from functools import cache

from typist import TEMPLATES
from words import say

NAMES = ("invoice", "statement", "ledger", "letter")
COUNTS = (0, 1, *range(19, 27), *range(57, 63), 500, 2000)
# What the pattern of a text begins with that is only not blank.
NOT_BLANK = "[^\\s"
FIELD = {"invoice": "lines", "statement": "transactions", "ledger": "entries", "letter": "paragraphs"}


@cache
def file(template: str, name: str) -> str:
    """A file of a template."""
    return (TEMPLATES / template / f"{name}.json").read_text(encoding="utf-8")


def sample(template: str) -> dict:
    """A template's sample."""
    return json.loads(file(template, "sample"))


def schema(template: str) -> dict:
    """A template's schema."""
    return json.loads(file(template, "schema"))


def first(number: int) -> str:
    """The first word of a row's text."""
    return f"R{number}R"


def last(number: int) -> str:
    """The last word of a row's text."""
    return f"E{number}E"


def marked(number: int, words: int) -> str:
    """A row's text: its first word, more, its last one."""
    return " ".join([first(number), *("several more words" for _ in range(words)), last(number)])


def document(template: str, locale: str, count: int, tall: bool = False) -> dict:
    """The sample in a locale, with so many rows, each of one line or now and then of up to five."""
    data = sample(template)
    data["locale"] = locale
    if template == "letter":
        data["paragraphs"] = [marked(number, 2) for number in range(1, max(1, min(count, 100)) + 1)]
        return data
    rows = data[FIELD[template]]
    if template == "invoice":
        count = max(1, count)
    data[FIELD[template]] = [row(template, rows[number % len(rows)], number, tall) for number in range(1, count + 1)]
    data.pop("closing_balance", None)
    return data


def row(template: str, like: dict, number: int, tall: bool) -> dict:
    """A row like another one, with a text of its own."""
    more = number * 7 % 24 if tall else 0
    result = {key: value for key, value in like.items() if key != "detail"}
    result["text" if template == "ledger" else "description"] = marked(number, more)
    if template == "invoice" and not tall:
        result.pop("discount_percent", None)
    return result


def ends(template: str, locale: str) -> tuple[str, ...]:
    """The words of what must not stand without a row."""
    key = {"invoice": "amount-due", "statement": "closing-balance", "ledger": "sum"}.get(template)
    return (say(locale, key),) if key else ()


def header(template: str, data: dict) -> str:
    """The first words of the table's header."""
    if template == "ledger":
        return " ".join(column["label"] for column in data["columns"][:3])
    keys = {"invoice": ("description", "quantity"), "statement": ("date", "description")}[template]
    return " ".join(say(data["locale"], key) for key in keys)


def texts(node: dict, root: dict, path: tuple = ()) -> Iterator[tuple[tuple, dict]]:
    """Every free text that a schema knows: where it is, and its schema. Of an array, the first item."""
    if "$ref" in node:
        node = {**root["$defs"][node["$ref"].rsplit("/", 1)[-1]], **node}
    if node.get("type") == "object":
        for key, child in node.get("properties", {}).items():
            yield from texts(child, root, (*path, key))
    elif node.get("type") == "array":
        yield from texts(node["items"], root, (*path, 0))
    elif node.get("type") == "string" and "maxLength" in node and not is_particular(node):
        yield path, node


def is_particular(node: dict) -> bool:
    """Whether a string is no free text but a code."""
    return "format" in node or not node.get("pattern", NOT_BLANK).startswith(NOT_BLANK)


def fields(template: str) -> list[tuple[tuple, int]]:
    """Every free text of a template that is printed as it is, and its greatest length."""
    root = schema(template)
    found = [(path, node["maxLength"]) for path, node in texts(root, root)]
    return [(path, most) for path, most in found if path[-1] not in ("field",) and path[0] != "totals"]


def with_text(data: dict, path: tuple, value: str) -> dict:
    """The data with another text at a place."""
    data = copy.deepcopy(data)
    node = data
    for key, following in zip(path, path[1:]):
        if isinstance(node, list):
            if not node:
                node.append([] if following == 0 else {})
            node = node[key]
        else:
            node = node.setdefault(key, [] if following == 0 else {})
    if isinstance(node, list) and not node:
        node.append(value)
    else:
        node[path[-1]] = value
    return data


def fill(kind: str, length: int) -> str:
    """A text of a length that is hard to set."""
    if kind == "lines":
        return ("line\n" * length)[: length - 1] + "."
    pieces = {
        "wide": "W",
        "words": "Wide WORDS of a language, ",
        "digits": "0123456789",
        "compound": "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    }
    return (pieces[kind] * length)[:length].strip().ljust(1, "W")


def is_repeated(path: tuple) -> bool:
    """Whether a text stands in more than one place: what names a document, and the labels of columns."""
    return path in (("title",), ("number",), ("account", "number"), ("columns", 0, "label"), ("tax_name",))
