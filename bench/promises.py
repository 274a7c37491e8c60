"""What Pressrun promises, as ratios measured in one run, and whether it holds."""

from dataclasses import dataclass

from bench.process import OK, OVER
from bench.reports import Made

MEGABYTE = 1e6


@dataclass(frozen=True)
class Promise:
    """One line: what is compared, what is asked, what was measured."""

    what: str
    asked: str
    # None if this run did not measure it.
    measured: str | None
    kept: bool | None


def at_least(what: str, least: float, measured: float | None, unit: str = "×", more: bool = False) -> Promise:
    """`more` says that the other one was stopped, so that the truth is better still."""
    if measured is None:
        return Promise(what, f"≥ {least:g}{unit}", None, None)
    return Promise(what, f"≥ {least:g}{unit}", f"{'> ' if more else ''}{measured:.1f}{unit}", measured >= least)


def at_most(what: str, most: float, measured: float | None, unit: str = "×", strictly: bool = False) -> Promise:
    asked = f"{'<' if strictly else '≤'} {most:g}{unit}"
    if measured is None:
        return Promise(what, asked, None, None)
    return Promise(what, asked, f"{measured:.2f}{unit}", measured < most if strictly else measured <= most)


def all_promises(reports: list[Made], one_core: dict | None, invoices: list[dict], listeners: list[dict], bound: float) -> list[Promise]:
    return [*of_rows(reports, one_core, bound), *of_invoices(invoices), *of_listeners(listeners)]


def of_rows(reports: list[Made], one_core: dict | None, bound: float) -> list[Promise]:
    def find(tool: str, rows: int) -> Made | None:
        return next((made for made in reports if (made.tool, made.rows) == (tool, rows)), None)

    def good(tool: str, rows: int) -> Made | None:
        made = find(tool, rows)
        return made if made and made.status == OK else None

    ours, some, many = (good("Pressrun", rows) for rows in (10_000, 100_000, 1_000_000))
    promises = []
    for peer, least in (("wkhtmltopdf", 10), ("WeasyPrint", 150)):
        theirs = find("" if ours is None else peer, 10_000)
        stopped = theirs is not None and theirs.status == OVER
        seconds = bound if stopped else theirs.seconds if theirs else None
        promises.append(at_least(f"10,000 rows: faster than {peer}", least, seconds and seconds / ours.seconds, more=stopped))
    theirs = good("wkhtmltopdf", 10_000)
    both, long = ours and theirs, some and many
    cores = one_core if one_core and one_core["rows"] == 100_000 else None
    return [
        *promises,
        at_most("10,000 rows: peak memory to wkhtmltopdf's", 1, both and ours.peak_bytes / theirs.peak_bytes),
        at_most("1,000,000 rows: time a row to that at 100,000", 1.15, long and (many.seconds / some.seconds / 10)),
        at_most("1,000,000 rows: peak memory to that at 100,000", 1.3, long and many.peak_bytes / some.peak_bytes),
        at_most("1,000,000 rows: peak memory", 600, many and many.peak_bytes / MEGABYTE, " MB", strictly=True),
        at_least("100,000 rows: two cores to one", 1.8, cores and cores["one"] / cores["two"]),
    ]


def of_invoices(invoices: list[dict]) -> list[Promise]:
    by_name = {row["name"]: row for row in invoices}
    ours = by_name.get("Pressrun", {})
    bare = [time for time in (ours.get("alone"), by_name.get("typst-py", {}).get("warm")) if time]
    return [
        at_most(
            "warm invoice through `pressrun serve` to the bare compile", 3,
            ours["warm"] / min(bare) if bare and "warm" in ours else None, strictly=True,
        ),
        at_least("invoices a second and core", 60, ours.get("per_core"), ""),
    ]


def of_listeners(listeners: list[dict]) -> list[Promise]:
    by_name = {row["name"]: row for row in listeners}
    ours, python = by_name.get("Pressrun"), by_name.get("Python")
    both = ours and python

    def times(key: str) -> float | None:
        return python[key] / ours[key] if both else None

    return [
        at_least("listener: to its first poll, faster than Python", 30, times("first_poll")),
        at_least("listener: to its first answered POST, faster than Python", 8, times("first_answer")),
        at_most("listener: added to a bare SendMessage answered at once, median", 1, ours and ours["added"] * 1000, " ms"),
        at_most("listener: added to a bare SendMessage answered at once, p99", 3, ours and ours["added_p99"] * 1000, " ms"),
    ]
