"""The page that goes into resources/: chart, tables, and how they came about."""

from bench import dollars, table
from bench.listener.measure import DELAY
from bench.reports import Made, pairs_of_cores
from bench.settings import Settings
from bench.tools import Tool

INTRODUCTION = """# Pressrun beside what you would pick instead

Made by `make bench`; the figures are in [bench.json](bench.json). All are from one run on one machine, so read ratios: the
times themselves will be others on yours.

![Time and peak memory of a ledger against its rows, for Pressrun and its peers](bench.svg)
"""

QUICK = "**A quick run**, with few repetitions: it shows that all of it works, and little more."

HOW_TOOLS = """Time is wall time from the start of the process to its end, without anything looking on; the best of three where it is
under five seconds. Memory is the sum over all processes of a tool, pages they share counted once, at its highest in a run of
its own. A tool has {bound:g} seconds for a report; one that will not make it, going by the time it took for fewer rows, is not
tried. Every PDF is searched for its last row.

The ledger has five columns, and its header on every page. Pressrun's has page numbers of so many, and subtotals carried from page
to page; its peers' have neither, but the totals at the end, so that they do less. Descriptions may wrap, but in ReportLab's.
Each tool is left as it comes: typst-py's and Chromium's reports are tagged for accessibility, and so are Pressrun's that are
not typeset in sections. Debian's wkhtmltopdf is built with a Qt without patches. *Two cores to one* is the median of pairs of runs
({pairs}), each on one core and then on two.

The invoice is the template's sample, each time with another number and quantity. *Cold* is a process for each. *Warm* is, for
Pressrun, the whole pipeline of `pressrun serve` (POST, queue, claim, typesetting, PDF stored, job completed, told by a long
poll), and for its peers nothing but a loop in one process; typst-py compiles Pressrun's own template. wkhtmltopdf has no warm
mode. {alone}Invoices a second and core: the server with its queue, records and one worker on one core, the callers on
another{all_cores}; for its peers, the loop on one core.
"""

HOW_LISTENERS = """Each listener runs as a Lambda function would, under one runtime API, with the memory and processor time of this machine.
It answers a POST of the sample invoice with 202 once a message is in SQS and a record in DynamoDB. Both services are stand-ins
that speak TLS; both calls are made at the same time. Ours checks the data against the template's schema besides; the other two
check nothing. *Added* is the time from handing over the event to the answer's last byte, less the median of a bare SendMessage
of the same size over a connection that is kept ({bare}). The services answer at once, so that little but the listener's work is
left. *Where calls take time*, as at the start, they answer after {delay:g} ms ({slow} bare), about as long as AWS takes. After such
a pause caches are cold, and every program is slower, the more so the busier a virtual machine's neighbours are.
Python runs under AWS's own runtime client, Node under a loop of a few lines. Their SDK is built into Lambda's runtimes; zipped
it is as large as shown.
"""

HOW_DOLLARS = """Dollars are those of Lambda ({region}, list prices of {as_of}, in [`bench/prices.json`](../bench/prices.json)) for the measured
time on a function with the memory of our processor, {memory} MB, or as much as the tool needs; warm where there is a warm
mode. A core of Lambda is taken to be as fast as one of this machine. What else Pressrun's pipeline costs (the listener, queue,
record, object and announcement) is ${pipeline:.4f} for a thousand reports.
"""


def write(settings: Settings, figures: dict, tools: list[Tool], reports: list[Made], promises: list) -> str:
    """The page as Markdown."""
    machine, invoices, listeners = figures["machine"], figures["invoices"], figures["listeners"]
    names = [tool.name for tool in tools]
    parts = [
        INTRODUCTION, QUICK if settings.quick else "", machine_line(machine), "## Promises", table.of_promises(promises),
        "## Tools", table.of_tools(names, reports, invoices), how_tools(settings, invoices), remarks(reports, invoices),
        "## Listeners", table.of_listeners(listeners), how_listeners(listeners) if listeners else "",
        "## Dollars", how_dollars(listeners), "## Versions", versions(tools, listeners),
    ]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def machine_line(machine: dict) -> str:
    return (
        f"Machine: {machine['cores']} cores of {machine['processor']} ({machine['architecture']}), {machine['memory_gb']} GB, "
        f"{machine['system']}, Linux {machine['kernel']}. Commit {machine['commit'] or 'unknown'}, {machine['day']}."
    )


def how_tools(settings: Settings, invoices: list[dict]) -> str:
    ours = next((row for row in invoices if row["name"] == "Pressrun"), {})
    alone = f"Our typesetter alone takes {ours['alone'] * 1000:.1f} ms. " if "alone" in ours else ""
    all_cores = f" (all cores, shared with the callers: {ours['all_cores']:.0f} a second)" if "all_cores" in ours else ""
    return HOW_TOOLS.format(bound=settings.bound, pairs=pairs_of_cores(settings), alone=alone, all_cores=all_cores)


def remarks(reports: list[Made], invoices: list[dict]) -> str:
    """Why there is no figure where there is none."""
    lines = [f"- {made.tool}, {made.rows:,} rows: {made.status}, {made.note}" for made in reports if made.note]
    return "\n".join(lines + [f"- {row['name']}, invoice: {row['note']}" for row in invoices if row.get("note")])


def how_listeners(listeners: list[dict]) -> str:
    bare, slow = (f"{min(row['bare'] for row in rows) * 1000:.1f} ms" for rows in (listeners, [row["slow"] for row in listeners]))
    return HOW_LISTENERS.format(delay=DELAY * 1000, bare=bare, slow=slow)


def how_dollars(listeners: list[dict]) -> str:
    ours = next((row["slow"] for row in listeners if row["name"] == "Pressrun"), {"bare": 0, "added": 0})
    return HOW_DOLLARS.format(
        region=dollars.PRICES["region"], as_of=dollars.PRICES["as_of"], memory=dollars.terraform_default("processor_memory_mb"),
        pipeline=dollars.pipeline(ours["bare"], ours["added"]),
    )


def versions(tools: list[Tool], listeners: list[dict]) -> str:
    lines = [f"- {tool.name}: {tool.version or '**missing on this machine**'}" for tool in tools]
    return "\n".join(lines + [f"- listener in {row['name']}: {row['version']}" for row in listeners if row["name"] != "Pressrun"])
