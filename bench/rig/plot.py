"""Lines over a logarithmic axis of sizes, as SVG: small, without a library, readable on a light and on a dark page.

Every line carries its name at its end instead of in a legend; names that would touch are moved apart. Text is text, so
it can be searched and read aloud: a title and a description go with each picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

WIDTH, HEIGHT = 430, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 112, 46, 46
GAP = 14
"""Between the names of two lines, at least."""
STYLE = """<style>
text{font:12px system-ui,sans-serif;fill:#24332b}.t{font-weight:600;font-size:13px}.s{fill:#5c6b62}
.b{fill:#fbfaf5}.g{stroke:#dfe5dc}.a{stroke:#5c6b62}path,line{fill:none;stroke-width:1}path{stroke-width:2}
.c0{stroke:#2f7a52;fill:#2f7a52}.c1{stroke:#b3641a;fill:#b3641a}.c2{stroke:#3a62a8;fill:#3a62a8}.c3{stroke:#8a3f7d;fill:#8a3f7d}
path.c0,path.c1,path.c2,path.c3{fill:none}text.c0,text.c1,text.c2,text.c3{stroke:none}.d{stroke-dasharray:5 4}
@media(prefers-color-scheme:dark){text{fill:#e4ebe5}.s{fill:#a3b0a7}.b{fill:#161b18}.g{stroke:#2c342f}.a{stroke:#a3b0a7}
.c0{stroke:#6cc396;fill:#6cc396}.c1{stroke:#e8a25e;fill:#e8a25e}.c2{stroke:#8fb0ee;fill:#8fb0ee}.c3{stroke:#d28bc6;fill:#d28bc6}
path.c0,path.c1,path.c2,path.c3{fill:none}}
</style>"""


class Line(NamedTuple):
    """`points`: (size, cost), ascending. `dashed`: not measured here."""

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


class Panel(NamedTuple):
    """One pair of axes. `log`: whether the costs have a logarithmic axis too; else it begins at 0."""

    title: str
    sizes: str
    costs: str
    lines: Sequence[Line]
    log: bool = False


def picture(title: str, description: str, panels: Sequence[Panel], columns: int = 2) -> str:
    """The panels side by side, `columns` a row."""
    rows = -(-len(panels) // columns)
    width, height = WIDTH * min(columns, len(panels)), HEIGHT * rows
    drawn = "\n".join(
        f'<g transform="translate({WIDTH * (n % columns)} {HEIGHT * (n // columns)})">\n{_panel(p)}\n</g>'
        for n, p in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="t d">\n'
        f'<title id="t">{escape(title)}</title>\n<desc id="d">{escape(description)}</desc>\n{STYLE}\n'
        f'<rect class="b" width="{width}" height="{height}" rx="10"/>\n{drawn}\n</svg>\n'
    )


def _panel(panel: Panel) -> str:
    xs = [x for line in panel.lines for x, _ in line.points]
    ys = [y for line in panel.lines for _, y in line.points]
    left, right = math.log10(min(xs)), math.log10(max(xs))
    steps = _decades(min(ys), max(ys)) if panel.log else _steps(max(ys))
    low, high = (math.log10(steps[0]), math.log10(steps[-1])) if panel.log else (0.0, steps[-1])

    def x_of(size: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(size) - left) / ((right - left) or 1.0)

    def y_of(cost: float) -> float:
        at = math.log10(cost) if panel.log else cost
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (at - low) / ((high - low) or 1.0)

    out = [f'<text class="t" x="{LEFT}" y="20">{escape(panel.title)}</text>']
    out.append(f'<text class="s" x="{LEFT}" y="36">{escape(panel.costs)}</text>')
    for step in steps:
        y = y_of(step)
        out.append(f'<line class="g" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>')
        out.append(f'<text class="s" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(step)}</text>')
    base = HEIGHT - BOTTOM
    out.append(f'<line class="a" x1="{LEFT}" y1="{base}" x2="{WIDTH - RIGHT}" y2="{base}"/>')
    for size in sorted(set(xs)):
        x = x_of(size)
        out.append(f'<line class="a" x1="{x:.1f}" y1="{base}" x2="{x:.1f}" y2="{base + 4}"/>')
        out.append(f'<text class="s" x="{x:.1f}" y="{base + 17}" text-anchor="middle">{_short(size)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    out.append(f'<text class="s" x="{middle:.0f}" y="{HEIGHT - 10}" text-anchor="middle">{escape(panel.sizes)}</text>')
    ends = _apart([y_of(line.points[-1][1]) for line in panel.lines])
    for n, (line, end) in enumerate(zip(panel.lines, ends, strict=True)):
        dots = [(x_of(x), y_of(y)) for x, y in line.points]
        way = "L".join(f"{x:.1f} {y:.1f}" for x, y in dots)
        kind = f"c{n % 4}"
        out.append(f'<path class="{kind}{" d" if line.dashed else ""}" d="M{way}"/>')
        out.extend(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in dots)
        out.append(f'<text class="{kind}" x="{dots[-1][0] + 7:.1f}" y="{end + 4:.1f}">{escape(line.name)}</text>')
    return "\n".join(out)


def _apart(places: Sequence[float]) -> list[float]:
    """The places, moved down where two are closer than GAP, and up again together where that left the panel."""
    order = sorted(range(len(places)), key=lambda n: places[n])
    out = list(places)
    for before, n in pairwise(order):
        out[n] = max(out[n], out[before] + GAP)
    most = float(HEIGHT - BOTTOM)
    for n in reversed(order):
        out[n] = min(out[n], most)
        most = out[n] - GAP
    return out


def _steps(most: float) -> list[float]:
    """About five round steps from 0 to beyond `most`."""
    rough = most / 4 or 1.0
    unit = 10.0 ** math.floor(math.log10(rough))
    step = unit * next(k for k in (1, 2, 2.5, 5, 10) if k * unit >= rough)
    return [step * k for k in range(math.ceil(most / step) + 1)]


def _decades(least: float, most: float) -> list[float]:
    """Powers of ten from below `least` to above `most`."""
    first, last = math.floor(math.log10(least)), math.ceil(math.log10(most))
    return [10.0**k for k in range(first, max(last, first + 1) + 1)]


def _short(value: float) -> str:
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"
