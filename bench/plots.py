"""Plots of results as SVG, written by hand: bars for one case, lines for how a cost grows with the number of units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from bench.case import FLOOR
from bench.results import Result

COLOURS = {"hocket": "#2563eb", "hocket-own": "#0891b2", FLOOR: "#9ca3af"}
OTHER_COLOUR = "#d97706"
LINE_COLOURS = ("#d97706", "#16a34a", "#9333ea", "#dc2626", "#0d9488", "#78350f", "#be185d", "#4d7c0f")
ROW, LEFT, WIDTH, HEIGHT = 22, 150, 640, 320  # pixels


def bar_chart(result: Result) -> str:
    """Horizontal bars of the medians, with a line from the smallest to the largest round."""
    shown = [c for c in result.in_order() if not c.failures and c.samples]
    longest = max((c.spread(result.headline)[1] for c in shown), default=1.0) or 1.0
    scale = (WIDTH - LEFT - 110) / longest
    case = result.selected.case
    title = f"{result.selected.title}: {case.headline.heading} a {case.operation}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{ROW * len(shown) + 30}"'
        f' font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#ffffff"/>'
        f'<text x="4" y="16" font-weight="bold">{escape(title)}</text>'
    ]
    for index, contender in enumerate(shown):
        top, value = 26 + ROW * index, contender.median(result.headline) or 0.0
        low, high = (LEFT + edge * scale for edge in contender.spread(result.headline))
        colour = COLOURS.get(contender.loop, OTHER_COLOUR)
        parts.append(
            f'<text x="{LEFT - 6}" y="{top + 13}" text-anchor="end">{escape(contender.loop)}</text>'
            f'<rect x="{LEFT}" y="{top}" width="{max(value, 0) * scale:.1f}" height="16" fill="{colour}"/>'
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{top + 8}" y2="{top + 8}" stroke="#111827" stroke-width="2"/>'
            f'<text x="{max(high, LEFT) + 6:.1f}" y="{top + 13}">{value:,.{case.headline.decimals}f}</text>'
        )
    return "".join([*parts, "</svg>\n"])


def units(variant: str) -> int:
    """How many of them: `10k` are 10,000."""
    return int(variant.removesuffix("k")) * (1_000 if variant.endswith("k") else 1)


def growth_chart(results: Sequence[Result]) -> str:
    """The medians over the number of units, on logarithmic axes: a cost that does not grow is a flat line."""
    case = results[0].selected.case
    names = [c.loop for c in results[-1].in_order()]
    curves = {
        name: [
            (units(r.selected.variant), value) for r in results if (value := r.median(name)) is not None and value > 0
        ]
        for name in names
    }
    values = [value for curve in curves.values() for _, value in curve] or [1.0]
    low, high = math.log10(min(values)) - 0.1, math.log10(max(values)) + 0.1
    first, last = (math.log10(units(results[edge].selected.variant)) for edge in (0, -1))
    across = (WIDTH - LEFT - 60) / ((last - first) or 1.0)

    def point(count: int, value: float) -> tuple[float, float]:
        return 60 + (math.log10(count) - first) * across, 30 + (high - math.log10(value)) / (high - low) * (HEIGHT - 60)

    title = f"{case.name}: {case.headline.heading} a {case.operation}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif"'
        f' font-size="12"><rect width="100%" height="100%" fill="#ffffff"/>'
        f'<text x="4" y="16" font-weight="bold">{escape(title)}</text>'
    ]
    for result in results:
        x, _ = point(units(result.selected.variant), values[0])
        parts.append(f'<text x="{x:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{result.selected.variant}</text>')
    for edge in (min(values), max(values)):
        _, y = point(units(results[0].selected.variant), edge)
        parts.append(f'<text x="52" y="{y + 4:.0f}" text-anchor="end">{edge:,.{case.headline.decimals}f}</text>')
    for index, (name, curve) in enumerate(curves.items()):
        colour = COLOURS.get(name, LINE_COLOURS[index % len(LINE_COLOURS)])
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (point(*pair) for pair in curve))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{WIDTH - LEFT + 10}" y="{40 + 16 * index}" fill="{colour}">{escape(name)}</text>')
    return "".join([*parts, "</svg>\n"])
