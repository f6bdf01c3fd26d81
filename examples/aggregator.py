"""Fetch many resources concurrently, and see what that changes.

    hocket run --report examples/aggregator.py              the demonstration, about 12 s
    hocket run examples/aggregator.py urls.txt              fetch your own URLs
    python examples/aggregator.py                           the same on stock asyncio

The demonstration starts a small HTTP service in another process on this machine: mostly quick, sometimes slow,
sometimes failing, now and then silent.  It fetches 300 resources from it in three ways: one after another (a
sample), all at once with ``asyncio.gather``, and bounded by a semaphore with a timeout and retries for each.  Then it
compares them in a table and draws when each request was waiting.

With a file (one URL a line, empty lines and lines starting with # are skipped) it fetches those URLs the third way.
A URL that cannot be fetched is counted and listed; the exit code is 0 all the same.  Bad arguments end with one line
and exit code 2.  Needs aiohttp.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

try:
    import aiohttp
except ImportError:
    sys.exit("aggregator.py: needs aiohttp (pip install aiohttp)")

from _aggregator.fetching import Fetcher, Run, one_after_another, together
from _aggregator.report import failure_list, findings, table
from _aggregator.screen import Screen, progress, screen_for
from _aggregator.service import ServiceFailed, service
from _aggregator.timeline import last_part, legend, timeline

CAPACITY = 200  # requests that the demonstration's service takes at once
PATIENCE = 2.5  # seconds a request may take in the two runs that do not retry


class Parser(argparse.ArgumentParser):
    """An argument parser that complains in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"aggregator.py: {message} (--help lists the options)\n")


def at_least(smallest: int) -> Callable[[str], int]:
    def check(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None
        if number < smallest:
            raise argparse.ArgumentTypeError(f"must be at least {smallest}, got {number}")
        return number

    return check


def seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected seconds, got {text!r}") from None
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be more than 0 seconds, got {text}")
    return number


def read_urls(path: str) -> list[str]:
    """The URLs in a file; ValueError says what is wrong with it, in one line."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"cannot read {path}: not a text file in UTF-8") from None
    urls = []
    for number, line in enumerate(text.splitlines(), 1):
        url = line.strip()
        if not url or url.startswith("#"):
            continue
        try:
            good = urlsplit(url).scheme in ("http", "https") and bool(urlsplit(url).hostname)
        except ValueError:
            good = False
        if not good:
            raise ValueError(f"{path}, line {number}: expected an http:// or https:// URL, got {url[:80]!r}")
        urls.append(url)
    if not urls:
        raise ValueError(f"{path} holds no URLs")
    return urls


def parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(prog="aggregator.py", description="Fetch many resources concurrently and compare ways to do it.")
    parser.add_argument("file", nargs="?", help="URLs to fetch, one a line; without it, the demonstration runs")
    parser.add_argument("--limit", type=at_least(1), default=40, help="requests in flight at once (default 40)")
    parser.add_argument("--timeout", type=seconds, help="seconds for each request (default 1; 10 with a file)")
    parser.add_argument("--retries", type=at_least(0), default=2, help="further attempts after a failure (default 2)")
    demonstration = parser.add_argument_group("demonstration")
    demonstration.add_argument("--resources", type=at_least(1), default=300, help="how many (default 300)")
    demonstration.add_argument("--sample", type=at_least(1), default=40, help="how many one by one (40)")
    demonstration.add_argument("--seed", type=int, default=32, help="how the service behaves")
    drawing = parser.add_argument_group("drawing")
    drawing.add_argument("--rows", type=at_least(1), default=12, help="rows in a timeline (default 12)")
    drawing.add_argument("--width", type=at_least(60), help="columns to draw in (default: the terminal's)")
    drawing.add_argument("--ascii", action="store_true", help="draw with plain characters")
    options = parser.parse_args(argv)
    options.timeout = options.timeout or (10.0 if options.file else 1.0)
    try:
        options.urls = read_urls(options.file) if options.file else []
    except ValueError as error:
        parser.error(str(error))
    return options


def new_session() -> aiohttp.ClientSession:
    # aiohttp's own limit of 100 connections and its own timeouts would hide what the strategies do.
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None, sock_connect=None)
    )


def summary(run: Run) -> str:
    return f"   {len(run.succeeded())} of {run.wanted} arrived, {len(run.failed())} failed, {run.total:.2f} s"


async def demonstrate(screen: Screen, options: argparse.Namespace) -> None:
    """Fetch the same resources in three ways, and compare."""
    async with service(seed=options.seed, capacity=CAPACITY) as base:
        count, limit, timeout, retries = options.resources, options.limit, options.timeout, options.retries
        sample = min(options.sample, count)
        loop = type(asyncio.get_running_loop())
        screen.say(f"The loop is {loop.__module__}.{loop.__name__}.")
        screen.say(f"{count} resources to fetch from {base}, a service in another process.")
        screen.prose("It answers in 90 ms or so; some answers take a second, some are errors, a few never come.")

        runs = []
        for title, name, wanted in (
            (f"one after another, a sample of {sample}", "one after another", sample),
            ("all at once, with gather", "all at once", count),
            (f"at most {limit} in flight, {timeout:g} s for each request, up to {retries} retries", "bounded", count),
        ):
            run = Run(name, wanted, count)
            runs.append(run)
            screen.say()
            screen.say(screen.paint(f"{len(runs)}. {title}", "bold"))
            urls = [f"{base}/{name.replace(' ', '-')}/{number}" for number in range(wanted)]
            async with new_session() as session, progress(screen, run):
                if name == "one after another":
                    await one_after_another(Fetcher(session, run, timeout=PATIENCE), urls)
                elif name == "all at once":
                    await together(Fetcher(session, run, timeout=PATIENCE), urls)
                else:
                    bounded = Fetcher(session, run, timeout=timeout, retries=retries, limit=limit, seed=options.seed)
                    await together(bounded, urls)
            screen.say(summary(run))

    screen.say()
    for line in table(screen, runs):
        screen.say(line)
    screen.say("  Latency: from a resource's first request to its answer, if it arrived.")
    screen.say()
    # The concurrent runs in full; of the sequential one, its beginning.
    span = max(run.total for run in runs[1:])
    screen.prose(f"When was each request waiting?  The same {span:.1f} s for all three; a row is one resource.")
    for line in legend(screen):
        screen.say(line)
    for run in runs:
        screen.say()
        for line in timeline(screen, run, rows=options.rows, span=span, name=last_part, label=9, first=run is runs[0]):
            screen.say(line)
    screen.say()
    for paragraph in findings(*runs, capacity=CAPACITY, limit=limit):
        screen.prose(paragraph)


async def fetch_file(screen: Screen, options: argparse.Namespace) -> None:
    """Fetch the URLs of a file, bounded, and say how it went."""
    urls = options.urls
    run = Run("bounded", len(urls), len(urls))
    screen.prose(
        f"{len(urls)} URLs from {options.file}: at most {options.limit} in flight, "
        f"{options.timeout:g} s for each request, up to {options.retries} retries"
    )
    async with new_session() as session, progress(screen, run):
        fetcher = Fetcher(session, run, timeout=options.timeout, retries=options.retries, limit=options.limit)
        await together(fetcher, urls)
    screen.say(summary(run))
    screen.say()
    for line in table(screen, [run]):
        screen.say(line)
    screen.say(f"  {sum(fetch.size for fetch in run.succeeded()):,} bytes in all")
    screen.say()
    for line in legend(screen):
        screen.say(line)
    for line in timeline(screen, run, rows=max(options.rows, 20), span=run.total):
        screen.say(line)
    if run.failed():
        screen.say()
        screen.say(f"Failed: {len(run.failed())} of {run.wanted}")
        for line in failure_list(screen, run):
            screen.say(line)


def main(argv: list[str]) -> int:
    options = parse(argv)
    screen = screen_for(width=options.width, ascii_only=options.ascii)
    try:
        asyncio.run((fetch_file if options.file else demonstrate)(screen, options))
    except KeyboardInterrupt:
        print("aggregator.py: interrupted", file=sys.stderr)
        return 130
    except ServiceFailed as error:
        print(f"aggregator.py: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of our output left (as in `| head`); nothing is left to say, and Python's own flush must not try.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
