"""What the terminal can show, and the progress line.

On a terminal one line is rewritten ten times a second; anywhere else plain lines appear about once a second.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TextIO

from .fetching import Run


@dataclass(frozen=True)
class Glyphs:
    """The characters that drawings are made of; one cell each."""

    ok: str
    bad: str
    cross: str
    backoff: str
    queued: str
    more: str
    rule: str
    tick: str
    levels: str
    none: str


BLOCKS = Glyphs("█", "▒", "✗", "╌", "·", "▶", "─", "╷", "▁▂▃▄▅▆▇█", "-")
ASCII = Glyphs("#", "=", "x", "-", ".", ">", "-", "|", ".:-=+*#@", "-")

COLOURS = {"green": "32", "red": "31", "yellow": "33", "dim": "2", "bold": "1"}


@dataclass(frozen=True)
class Screen:
    """One output stream: how wide it is, what it can encode, whether it is a terminal."""

    out: TextIO
    width: int
    glyphs: Glyphs
    live: bool
    colour: bool

    def say(self, line: str = "") -> None:
        print(line, file=self.out, flush=True)

    def prose(self, text: str) -> None:
        """Say sentences, broken into lines that fit."""
        self.say(textwrap.fill(text, min(self.width, 110)))

    def paint(self, text: str, colour: str) -> str:
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if self.colour and text else text


def screen_for(out: TextIO | None = None, *, width: int | None = None, ascii_only: bool = False) -> Screen:
    """Look at the stream once: is it a terminal, how wide (``COLUMNS`` counts), does it take block characters?"""
    out = out or sys.stdout
    if width is None:
        width = min(shutil.get_terminal_size((100, 24)).columns, 160)
    if not ascii_only:
        try:
            "".join(vars(BLOCKS).values()).encode(out.encoding or "ascii")
        except (UnicodeError, LookupError):
            ascii_only = True
    live = out.isatty() and os.environ.get("TERM") != "dumb"
    return Screen(out, max(width, 60), ASCII if ascii_only else BLOCKS, live, live and "NO_COLOR" not in os.environ)


def progress_line(run: Run, elapsed: float) -> str:
    done, failed = len(run.finished()), len(run.failed())
    return (
        f"{done:>4} of {run.wanted} done, {failed:>3} failed, {run.in_flight:>3} in flight, "
        f"{run.retries():>3} retries, {elapsed:>4.1f} s"
    )


@asynccontextmanager
async def progress(screen: Screen, run: Run) -> AsyncIterator[None]:
    """Show how ``run`` comes along while the block runs."""
    try:
        async with asyncio.TaskGroup() as group:  # if nobody reads any more, the work ends too
            watcher = group.create_task(_watch(screen, run), name="progress")
            yield
            watcher.cancel()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        if screen.live:
            screen.out.write("\r\x1b[2K")


async def _watch(screen: Screen, run: Run) -> None:
    clock = asyncio.get_running_loop().time
    started = clock()
    while True:
        await asyncio.sleep(0.1 if screen.live else 1.0)
        line = progress_line(run, clock() - started)
        if not screen.live:
            screen.say(f"   {line}")
            continue
        bar = max(min(screen.width - len(line) - 6, 40), 0)
        filled = bar * len(run.finished()) // max(run.wanted, 1)
        gauge = screen.paint(screen.glyphs.ok * filled, "green") + screen.paint(
            screen.glyphs.queued * (bar - filled), "dim"
        )
        # Cut to the width: a wrapped line could not be rewritten.
        screen.out.write(f"\r\x1b[2K   {gauge} {line[: screen.width - bar - 5]}")
        screen.out.flush()
