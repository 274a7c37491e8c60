"""The tables, as Markdown that can be read on a terminal too."""

from bench import dollars
from bench.invoices import milliseconds
from bench.process import OK
from bench.promises import Promise
from bench.reports import Made


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A table with its columns aligned; the first one to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows)]

    def line(cells: list[str]) -> str:
        first, *others = zip(cells, widths)
        return "| " + " | ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|"
    return "\n".join([line(header), rule, *map(line, rows)])


def of_tools(names: list[str], reports: list[Made], invoices: list[dict]) -> str:
    """A column a tool, a line for each thing that was made."""
    by_name = {row["name"]: row for row in invoices}

    def across(cell) -> list[str]:
        return [cell(by_name.get(name, {})) for name in names]

    rows = [
        ["one-page invoice, cold", *across(lambda row: milliseconds(row.get("cold")))],
        ["one-page invoice, warm", *across(lambda row: milliseconds(row.get("warm")))],
        ["invoices a second and core", *across(lambda row: f"{row['per_core']:.0f}" if row.get("per_core") else "–")],
        ["  1,000 of them on Lambda", *across(invoice_dollars)],
    ]
    for count in sorted({made.rows for made in reports}):
        each = {made.tool: made for made in reports if made.rows == count}
        rows += [
            [f"{count:,} rows", *(report(each[name]) for name in names)],
            ["  1,000 of them on Lambda", *(report_dollars(each[name]) for name in names)],
        ]
    return markdown(["", *names], rows)


def report(made: Made) -> str:
    if made.status != OK:
        return made.status
    return f"{seconds(made.seconds)} · {megabytes(made.peak_bytes)}"


def seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def megabytes(value: int | None) -> str:
    return "–" if value is None else f"{value / 1e6:,.0f} MB"


def invoice_dollars(row: dict) -> str:
    # What has no warm mode is started anew for each.
    taken = row.get("warm") or row.get("cold")
    return usd(dollars.compute(taken, taken, row.get("peak_bytes") or 0)) if taken else "–"


def report_dollars(made: Made) -> str:
    if made.status != OK:
        return "–"
    return usd(dollars.compute(made.seconds, made.cpu_seconds, made.peak_bytes or 0))


def usd(cost: dict | None) -> str:
    if cost is None:
        return "does not fit"
    return f"${cost['usd']:.4f}" if cost["usd"] < 0.1 else f"${cost['usd']:,.2f}"


def of_listeners(listeners: list[dict]) -> str:
    """A column a listener."""

    def line(what: str, cell) -> list[str]:
        return [what, *map(cell, listeners)]

    return markdown(["", *(row["name"] for row in listeners)], [
        line("process start to first poll", lambda row: milliseconds(row["first_poll"])),
        line("process start to first answered POST", lambda row: milliseconds(row["first_answer"])),
        line("added to a bare SendMessage, median", lambda row: f"{row['added'] * 1000:.2f} ms"),
        line("added to a bare SendMessage, p99", lambda row: f"{row['added_p99'] * 1000:.2f} ms"),
        line("added where calls take time, median", lambda row: f"{row['slow']['added'] * 1000:.2f} ms"),
        line("added where calls take time, p99", lambda row: f"{row['slow']['added_p99'] * 1000:.2f} ms"),
        line("memory once warm", lambda row: megabytes(row["resident_bytes"])),
        line("package", lambda row: size(row["zip_bytes"])),
        line("package with the SDK it loads", lambda row: size(row["zip_with_sdk_bytes"])),
    ])


def size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} KB"


def of_promises(promises: list[Promise]) -> str:
    def verdict(promise: Promise) -> str:
        return {None: "not measured", True: "kept", False: "NOT KEPT"}[promise.kept]

    rows = [[it.what, it.asked, it.measured or "–", verdict(it)] for it in promises]
    return markdown(["promise", "asked", "measured", ""], rows)
