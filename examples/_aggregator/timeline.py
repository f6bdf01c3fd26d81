"""Draws a run as bars over time: one row a resource, so that one sees which waits overlap.

A cell is a stretch of time.  A row says for each cell whether the resource waited for its turn, had a request in
flight (one that will succeed, or one that will not), or paused before a retry.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from .fetching import OK, Fetch, Run
from .screen import Screen

RESULT = 20  # room for "connection, 3 tries", right of the bars


def choose(run: Run, rows: int) -> list[Fetch]:
    """A sample that shows the run: some of the eventful fetches, the rest evenly spaced, in order of starting."""
    fetches = run.finished()
    if len(fetches) <= rows:
        return fetches
    order = range(len(fetches))
    eventful = sorted(order, key=lambda i: (-len(fetches[i].attempts), fetches[i].outcome == OK, -fetches[i].latency))
    kinds: dict[tuple[str, int], int] = {}
    for i in eventful:
        if fetches[i].outcome != OK or len(fetches[i].attempts) > 1:
            kinds.setdefault((fetches[i].outcome, len(fetches[i].attempts)), i)
    chosen = set(list(kinds.values())[: rows // 3])
    missing = rows - len(chosen)
    rest = [i for i in order if i not in chosen]
    chosen.update(rest[j * len(rest) // missing] for j in range(missing))
    return [fetches[i] for i in sorted(chosen)]


def bar(screen: Screen, fetch: Fetch, cells: int, span: float) -> str:
    """One row: ``cells`` characters for ``span`` seconds."""
    glyphs = screen.glyphs
    row = [" "] * cells
    colours = [""] * cells

    def cell(when: float) -> int:
        return int(when / span * cells)

    def fill(start: float, end: float, glyph: str, colour: str) -> None:
        for i in range(cell(start), min(max(cell(end), cell(start) + 1), cells)):
            if glyph not in (glyphs.backoff, glyphs.queued) or row[i] == " ":  # waits never hide a request
                row[i], colours[i] = glyph, colour

    previous: float | None = None
    for attempt in fetch.attempts:
        end = attempt.end if attempt.end is not None else attempt.start
        if previous is not None and cell(attempt.asked) > cell(previous):
            fill(previous, attempt.asked, glyphs.backoff, "yellow")
        if cell(attempt.start) > cell(attempt.asked):
            fill(attempt.asked, attempt.start, glyphs.queued, "dim")
        if attempt.outcome == OK:
            fill(attempt.start, end, glyphs.ok, "green")
        else:
            fill(attempt.start, end, glyphs.bad, "red")
            last = max(cell(end) - 1, cell(attempt.start))
            if last < cells:
                row[last], colours[last] = glyphs.cross, "red"
        previous = end
    if previous is not None and cell(previous) > cells:
        row[-1], colours[-1] = glyphs.more, "dim"
    return painted(screen, row, colours)


def painted(screen: Screen, row: list[str], colours: list[str]) -> str:
    """Join cells, one colour sequence for each stretch of one colour."""
    parts: list[str] = []
    start = 0
    for i in range(1, len(row) + 1):
        if i == len(row) or colours[i] != colours[start]:
            text = "".join(row[start:i])
            parts.append(screen.paint(text, colours[start]) if colours[start] else text)
            start = i
    return "".join(parts)


def crowd(screen: Screen, run: Run, cells: int, span: float) -> str:
    """How many requests were in flight in each cell, as one row of levels."""
    starts = [0.0] * (cells + 1)
    for fetch in run.fetches:
        for attempt in fetch.attempts:
            first = int(attempt.start / span * cells)
            last = int((attempt.end or attempt.start) / span * cells)
            if first < cells:
                starts[first] += 1
                starts[min(last, cells - 1) + 1] -= 1
    levels = screen.glyphs.levels
    now, most, row = 0.0, max(run.most_in_flight, 1), []
    for change in starts[:cells]:
        now += change
        row.append(levels[min(int(now / most * len(levels)), len(levels) - 1)] if now else " ")
    return "".join(row)


def axis(screen: Screen, cells: int, span: float) -> tuple[str, str]:
    """Two rows: times, and ticks under them."""
    step = next(s for s in (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600, span) if span / s <= max(cells // 8, 1))
    names, ticks = [" "] * (cells + 8), [screen.glyphs.rule] * cells
    when = 0.0
    while when < span:
        at = int(when / span * cells)
        if at + 6 <= cells:
            name = f"{when:g} s"
            names[at : at + len(name)] = name
            ticks[at] = screen.glyphs.tick
        when += step
    return "".join(names).rstrip(), "".join(ticks)


def full_name(url: str) -> str:
    """What a row is called when many hosts are asked: host, path and query."""
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path.rstrip('/')}" + (f"?{parts.query}" if parts.query else "")


def last_part(url: str) -> str:
    """What a row is called when there is one host: the end of the path."""
    return "/" + urlsplit(url).path.rpartition("/")[2]


def shorten(text: str, width: int) -> str:
    """``text`` in ``width`` characters: the beginning and the end, which tell rows apart."""
    return text if len(text) <= width else f"{text[: width - 9]}..{text[-7:]}"


def timeline(
    screen: Screen,
    run: Run,
    *,
    rows: int,
    span: float,
    name: Callable[[str], str] = full_name,
    label: int = 24,
    first: bool = False,
) -> list[str]:
    """Draw ``run`` on a time axis of ``span`` seconds; ``first`` takes the first rows instead of a sample.

    ``name`` makes a row's name from its URL, ``label`` is the room for it in characters.
    """
    cells = screen.width - label - RESULT - 4
    span = max(span, 0.001)
    if first:
        fetches = [fetch for fetch in run.finished() if fetch.attempts[0].start < span][:rows]
    else:
        fetches = choose(run, rows)
    names, ticks = axis(screen, cells, span)
    if run.total > span * 1.01:
        more = f", which goes on until {run.total:.1f} s"
    else:
        more = f", {len(fetches)} of {run.wanted}" if len(fetches) < run.wanted else ""
    lines = [f"  {screen.paint(run.name, 'bold')}{more}", f"  {'':{label}} {names}", f"  {'':{label}} {ticks}"]
    for fetch in fetches:
        tries = len(fetch.attempts)
        result = fetch.outcome if tries == 1 else f"{fetch.outcome}, {tries} tries"
        lines.append(
            f"  {shorten(name(fetch.url), label):{label}} {bar(screen, fetch, cells, span)} "
            + screen.paint(result, "green" if fetch.outcome == OK else "red")
        )
    lines.append(f"  {'in flight':{label}} {crowd(screen, run, cells, span)} at most {run.most_in_flight}")
    return lines


def legend(screen: Screen) -> list[str]:
    """What the glyphs mean, on one line or, on a narrow screen, on two."""
    g = screen.glyphs
    meanings = (
        (screen.paint(g.queued, "dim"), "waits for its turn"),
        (screen.paint(g.ok, "green"), "request in flight"),
        (screen.paint(g.bad + g.cross, "red"), "request that fails"),
        (screen.paint(g.backoff, "yellow"), "pause before a retry"),
    )
    entries = [f"{glyph} {meaning}" for glyph, meaning in meanings]
    per_line = len(entries) if screen.width >= 96 else 2
    return ["  " + "   ".join(entries[i : i + per_line]) for i in range(0, len(entries), per_line)]
