"""The chart: time and peak memory against rows, on logarithmic axes, as an SVG that suits light and dark pages."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from bench.process import OK
from bench.reports import Made

WIDTH, HEIGHT = 960, 430
TOP, BOTTOM, PANEL_WIDTH = 78, 372, 380
LEFT_EDGES = (64, 546)
# Ours is drawn last, over the others, and thicker.
COLOURS = {
    "WeasyPrint": "#be185d", "Chromium": "#15803d", "ReportLab": "#1d4ed8", "wkhtmltopdf": "#7e22ce", "typst-py": "#b45309",
    "Pressrun": "#0f4c5c",
}
LINE_OF_TEXT = 15

HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="Inter, Helvetica, Arial, sans-serif" \
font-size="12" role="img" aria-label="{label}">
  <rect width="{width}" height="{height}" rx="12" fill="#f8fafc"/>
"""


@dataclass(frozen=True)
class Scale:
    """A logarithmic axis from one value to another, and where on the picture both are."""

    least: float
    most: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        part = math.log(value / self.least) / math.log(self.most / self.least)
        return self.begin + part * (self.end - self.begin)

    def ticks(self) -> list[float]:
        """Powers of ten, or where there are few, what is between them too."""
        powers = range(math.floor(math.log10(self.least)), math.ceil(math.log10(self.most)) + 1)
        for steps in ((1,), (1, 3), (1, 2, 5)):
            ticks = [step * 10.0**power for power in powers for step in steps]
            ticks = [tick for tick in ticks if self.least <= tick <= self.most]
            if len(ticks) > 3:
                break
        return ticks


def draw(reports: list[Made], bound: float) -> str:
    """Both panels."""
    label = "Time and peak memory of a five-column ledger against its number of rows, for Pressrun and for its peers"
    panels = [
        panel(reports, LEFT_EDGES[0], "Time", lambda made: made.seconds, seconds, bound),
        panel(reports, LEFT_EDGES[1], "Peak memory of all processes", lambda made: made.peak_bytes and made.peak_bytes / 1e6, megabytes),
    ]
    head = HEAD.format(width=WIDTH, height=HEIGHT, label=label)
    title = text(LEFT_EDGES[0] - 40, 34, "A five-column ledger: time and memory against rows", 'font-size="16" font-weight="600" fill="#0f172a"')
    return head + title + "".join(panels) + "</svg>\n"


def panel(
    reports: list[Made], left: float, title: str, value: Callable[[Made], float | None], name: Callable[[float], str],
    bound: float | None = None,
) -> str:
    points = {tool: [(made.rows, value(made)) for made in reports if made.tool == tool and made.status == OK and value(made)]
              for tool in COLOURS}
    points = {tool: line for tool, line in points.items() if line}
    values = [y for line in points.values() for _, y in line]
    rows = sorted({made.rows for made in reports})
    if not values:
        return ""
    across = Scale(rows[0], max(rows[-1], rows[0] * 10), left, left + PANEL_WIDTH - 76)
    up = Scale(min(values) / 1.6, max([*values, *([bound] if bound else [])]) * 1.6, BOTTOM, TOP)
    parts = [text(left - 40, 62, title, 'font-weight="600" fill="#334155"'), grid(across, up, rows, name)]
    if bound:
        parts.append(time_bound(across, up, bound))
    parts += [curve(tool, [(across(x), up(y)) for x, y in line]) for tool, line in points.items()]
    return "".join(parts + labels({tool: (across(line[-1][0]), up(line[-1][1])) for tool, line in points.items()}))


def grid(across: Scale, up: Scale, rows: list[int], name: Callable[[float], str]) -> str:
    parts = []
    for value in up.ticks():
        y = up(value)
        parts.append(f'  <path d="M{across.begin:.1f} {y:.1f}H{across.end:.1f}" stroke="#e2e8f0"/>\n')
        parts.append(text(across.begin - 8, y + 4, name(value), 'text-anchor="end" fill="#64748b"'))
    for count in rows:
        parts.append(f'  <path d="M{across(count):.1f} {TOP}V{BOTTOM}" stroke="#e2e8f0"/>\n')
        parts.append(text(across(count), BOTTOM + 20, short(count), 'text-anchor="middle" fill="#64748b"'))
    parts.append(text((across.begin + across.end) / 2, BOTTOM + 40, "rows", 'text-anchor="middle" fill="#64748b"'))
    return "".join(parts)


def time_bound(across: Scale, up: Scale, bound: float) -> str:
    y = up(bound)
    line = f'  <path d="M{across.begin:.1f} {y:.1f}H{across.end:.1f}" stroke="#94a3b8" stroke-dasharray="4 4"/>\n'
    return line + text(across.begin + 4, y - 6, f"stopped after {bound:g} s", 'fill="#64748b" font-size="11"')


def curve(tool: str, points: list[tuple[float, float]]) -> str:
    ours, colour = tool == "Pressrun", COLOURS[tool]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{4.5 if ours else 3}"/>' for x, y in points)
    return f'  <path d="{path}" fill="none" stroke="{colour}" stroke-width="{3.5 if ours else 1.8}" stroke-linejoin="round"/>\n' \
        f'  <g fill="{colour}">{dots}</g>\n'


def labels(ends: dict[str, tuple[float, float]]) -> list[str]:
    """A name beside each curve's end, moved down where it would stand on another."""
    placed: list[tuple[float, float]] = []
    drawn = []
    for tool, (x, y) in sorted(ends.items(), key=lambda end: end[1][1]):
        while any(abs(y - other) < LINE_OF_TEXT and abs(x - beside) < 90 for beside, other in placed):
            y += 1
        placed.append((x, y))
        weight = 'font-weight="700"' if tool == "Pressrun" else 'font-weight="500"'
        halo = 'paint-order="stroke" stroke="#f8fafc" stroke-width="4" stroke-linejoin="round"'
        drawn.append(text(x + 9, y + 4, tool, f'{weight} fill="{COLOURS[tool]}" {halo}'))
    return drawn


def text(x: float, y: float, words: str, attributes: str) -> str:
    return f'  <text x="{x:.1f}" y="{y:.1f}" {attributes}>{words}</text>\n'


def seconds(value: float) -> str:
    return f"{value:g} s"


def megabytes(value: float) -> str:
    return f"{value:g} MB" if value < 1000 else f"{value / 1000:g} GB"


def short(count: int) -> str:
    if count >= 1_000_000:
        return f"{count / 1_000_000:g} M"
    return f"{count / 1000:g} k" if count >= 1000 else str(count)
