"""Makes docs/brown-out.svg, the plot in docs/resilience.md: ``PYTHONPATH=. python docs/picture_of_brown_out.py``.

The simulation is that of the tests (``tests/resilience/brown_out.py``): virtual time and a seed, so that the same plot
comes out wherever it is made.
"""

from __future__ import annotations

from pathlib import Path

from bench.plots import COLOURS, HEIGHT, OTHER_COLOUR, WIDTH
from hocket.resilience import AdaptiveLimit, Bulkhead
from tests.resilience.brown_out import SLOW, Record, Scene, simulate

FIXED_LIMIT = 400
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 48, 36


def chart(scene: Scene, curves: dict[str, tuple[str, Record]]) -> str:
    """Answers in time for each second, beside what there was to be had."""
    highest = 1.15 * scene.offered
    across = (WIDTH - LEFT - RIGHT) / scene.length
    up = (HEIGHT - TOP - BOTTOM) / highest

    def x(second: float) -> float:
        return LEFT + second * across

    def y(rate: float) -> float:
        return HEIGHT - BOTTOM - rate * up

    def line(points: list[tuple[float, float]], colour: str, width: float, dashes: str = "") -> str:
        path = " ".join(f"{x(second):.1f},{y(rate):.1f}" for second, rate in points)
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>'

    possible = [
        (second / 10, min(scene.capacity(second / 10), scene.offered)) for second in range(int(scene.length * 10))
    ]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif"'
        f' font-size="12"><rect width="100%" height="100%" fill="#ffffff"/>'
        f'<rect x="{x(scene.begins):.1f}" y="{TOP}" width="{(scene.ends - scene.begins) * across:.1f}"'
        f' height="{HEIGHT - TOP - BOTTOM}" fill="#fef3c7"/>'
        f'<text x="4" y="16" font-weight="bold">Answers within a second, of {scene.offered:.0f} calls a second</text>'
        f'<text x="{x((scene.begins + scene.ends) / 2):.1f}" y="{TOP + 14}" text-anchor="middle" fill="#92400e">'
        f"everything takes {scene.slower:.0f} times as long</text>"
    ]
    for rate in range(0, int(highest), 100):
        parts.append(f'<text x="{LEFT - 6}" y="{y(rate) + 4:.1f}" text-anchor="end">{rate}</text>')
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(rate):.1f}" y2="{y(rate):.1f}" stroke="#e5e7eb"/>')
    for second in range(0, int(scene.length) + 1, 10):
        parts.append(f'<text x="{x(second):.1f}" y="{HEIGHT - 18}" text-anchor="middle">{second} s</text>')
    parts.append(line(possible, "#6b7280", 1.5, "5 3"))
    left = LEFT
    for name, (colour, record) in curves.items():
        parts.append(line([(second + 0.5, good) for second, good in enumerate(record.good)], colour, 2))
        share = f"{name}: {record.goodput(scene.begins, scene.ends):.0%} of capacity in the brown-out"
        parts.append(f'<text x="{left}" y="34" fill="{colour}">{share}</text>')
        left += 290
    parts.append(
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end" fill="#6b7280">dashed: what can be had</text>'
    )
    return "".join([*parts, "</svg>\n"])


def picture() -> str:
    """The plot in the documentation."""
    return chart(
        SLOW,
        {
            "AdaptiveLimit()": (COLOURS["hocket"], simulate(AdaptiveLimit(), SLOW)),
            f"Bulkhead({FIXED_LIMIT})": (OTHER_COLOUR, simulate(Bulkhead(FIXED_LIMIT), SLOW)),
        },
    )


if __name__ == "__main__":
    Path(__file__).with_name("brown-out.svg").write_text(picture(), encoding="utf-8")
