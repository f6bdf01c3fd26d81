"""Three ways to fetch many URLs, and a record of what happened when.

All three use the same :class:`Fetcher`; they differ in when a fetch starts (after the last one, at once, or when a
semaphore lets it) and in how often it tries.  Times are seconds since the run began, on the loop's clock.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

import aiohttp

OK = "ok"
KINDS = ("timeout", "5xx", "4xx", "connection", "other")
"""How a request can fail, in the order in which tables list them."""

WORTH_A_RETRY = frozenset({"timeout", "5xx", "connection"})
BACKOFF = 0.1  # seconds before the first retry at most, doubled for each further one
BACKOFF_LIMIT = 5.0


@dataclass
class Attempt:
    """One request: ``asked`` for its turn, then started.  ``end`` is None while it is in flight."""

    asked: float
    start: float
    end: float | None = None
    outcome: str = ""
    """OK or one of KINDS, empty while in flight."""


@dataclass
class Fetch:
    """One URL, and every attempt made."""

    url: str
    attempts: list[Attempt] = field(default_factory=list)
    detail: str = ""
    size: int = 0
    done: bool = False

    @property
    def outcome(self) -> str:
        return self.attempts[-1].outcome if self.done else ""

    @property
    def ended(self) -> float | None:
        return self.attempts[-1].end if self.done else None

    @property
    def latency(self) -> float:
        """Seconds from the first request to the final answer, waits before retries included."""
        return (self.ended or 0.0) - self.attempts[0].start if self.done else 0.0


@dataclass
class Run:
    """What one strategy did.  ``wanted`` is how many URLs it was given, ``of`` how many there are in all."""

    name: str
    wanted: int
    of: int
    fetches: list[Fetch] = field(default_factory=list)
    total: float = 0.0
    in_flight: int = 0
    most_in_flight: int = 0
    most_tasks: int = 0

    def finished(self) -> list[Fetch]:
        return [fetch for fetch in self.fetches if fetch.done]

    def succeeded(self) -> list[Fetch]:
        return [fetch for fetch in self.fetches if fetch.outcome == OK]

    def failed(self, kind: str | None = None) -> list[Fetch]:
        return [f for f in self.fetches if f.done and f.outcome != OK and kind in (None, f.outcome)]

    def retries(self) -> int:
        return sum(len(fetch.attempts) - 1 for fetch in self.fetches if fetch.attempts)


class Fetcher:
    """Fetches URLs into a :class:`Run`.

    ``timeout`` bounds each request in seconds; ``retries`` is how many more attempts follow a failure that may pass;
    ``limit`` is how many requests may be in flight at once (None: any number).
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        run: Run,
        *,
        timeout: float,
        retries: int = 0,
        limit: int | None = None,
        seed: int = 0,
    ) -> None:
        self.session = session
        self.run = run
        self.timeout = timeout
        self.retries = retries
        self.gate: AbstractAsyncContextManager[object] = asyncio.Semaphore(limit) if limit else nullcontext()
        self.jitter = random.Random(seed)
        self.clock = asyncio.get_running_loop().time
        self.started = self.clock()

    def now(self) -> float:
        return self.clock() - self.started

    async def fetch(self, url: str) -> None:
        run = self.run
        fetch = Fetch(url)
        if len(run.fetches) % 25 == 0:  # counting tasks is linear in them: now and then is enough
            run.most_tasks = max(run.most_tasks, len(asyncio.all_tasks()))
        run.fetches.append(fetch)
        for number in range(self.retries + 1):
            if number:
                # The place behind the semaphore is free for others while this one waits.
                await asyncio.sleep(self.jitter.uniform(0.5, 1.0) * min(BACKOFF * 2 ** (number - 1), BACKOFF_LIMIT))
            asked = self.now()
            async with self.gate:
                outcome = await self.attempt(fetch, asked)
            if outcome not in WORTH_A_RETRY:
                break
        fetch.done = True

    async def attempt(self, fetch: Fetch, asked: float) -> str:
        run = self.run
        attempt = Attempt(asked, self.now())
        fetch.attempts.append(attempt)
        run.in_flight += 1
        run.most_in_flight = max(run.most_in_flight, run.in_flight)
        try:
            attempt.outcome, fetch.detail, fetch.size = await self.request(fetch.url)
        finally:
            run.in_flight -= 1
            attempt.end = self.now()
        return attempt.outcome

    async def request(self, url: str) -> tuple[str, str, int]:
        """Get one URL; returns outcome, detail for people, and bytes.  Only cancellation leaves as an exception."""
        size = 0
        try:
            async with asyncio.timeout(self.timeout), self.session.get(url) as response:
                async for chunk in response.content.iter_chunked(1 << 16):
                    size += len(chunk)
        except TimeoutError:
            return "timeout", f"no answer within {self.timeout:g} s", size
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
            return "connection", str(error) or type(error).__name__, size
        except (aiohttp.ClientError, ValueError) as error:
            return "other", f"{type(error).__name__}: {error}", size
        detail = f"{response.status} {response.reason or ''}".strip()
        if response.status >= 500:
            return "5xx", detail, size
        return ("4xx" if response.status >= 400 else OK), detail, size


async def one_after_another(fetcher: Fetcher, urls: Iterable[str]) -> None:
    """The way synchronous code does it: each waits for the one before."""
    for url in urls:
        await fetcher.fetch(url)
    fetcher.run.total = fetcher.now()


async def together(fetcher: Fetcher, urls: Iterable[str]) -> None:
    """Every fetch is a task from the start; a limit in the fetcher decides how many of them may ask at once."""
    await asyncio.gather(*(fetcher.fetch(url) for url in urls))
    fetcher.run.total = fetcher.now()
