"""The service that the aggregator fetches from: slow, uneven and unreliable, the same way every time.

It runs in a process of its own, so that it never shares a loop with the program that is being watched.  How a
request goes depends only on the seed, on which resource it asks for and on how often that was asked for before;
never on a clock.  The one thing that depends on the caller is overload: with more requests in flight than
``capacity`` the service turns the next one away with 503, as a busy service does.

Protocol with the parent: prints its port on the first line, serves until its standard input closes.  The pipe
closes even if the parent is killed, so no service is ever left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections import Counter
from dataclasses import dataclass

from aiohttp import web

MEDIAN = 0.090  # seconds; the body of the latency distribution is log-normal around it
SPREAD = 0.45  # sigma of the logarithm: p95 is about twice the median
SLOW = (0.6, 1.2)  # seconds, the slow tail


@dataclass(frozen=True)
class Answer:
    """How one request will go: ``kind`` is ok, error, drop or hang; ``latency`` is in seconds."""

    kind: str
    latency: float
    size: int = 0


def answer_for(seed: int, resource: int, visit: int) -> Answer:
    """What the ``visit``-th request (from 1) for ``resource`` gets.  Pure: the same arguments, the same answer."""
    character = random.Random(f"{seed}:{resource}").random()
    dice = random.Random(f"{seed}:{resource}:{visit}")
    latency = dice.lognormvariate(0.0, SPREAD) * MEDIAN
    if character < 0.007:
        return Answer("error", latency)  # broken for good: no retry helps
    if character < 0.012:
        return Answer("hang", latency)  # never answers anybody
    if character < 0.022 and visit <= 2:
        return Answer("drop", latency / 2)  # closes the connection without an answer, recovers later
    luck = dice.random()
    if luck < 0.012:
        return Answer("hang", latency)
    if luck < 0.055:
        return Answer("error", latency)
    if luck < 0.10:
        latency = dice.uniform(*SLOW)
    return Answer("ok", latency, size=int(dice.lognormvariate(0.0, 0.8) * 4096))


class Upstream:
    """Serves ``/{run}/{resource}``; visits are counted per run, so each run meets the same service."""

    def __init__(self, seed: int, capacity: int) -> None:
        self.seed = seed
        self.capacity = capacity
        self.in_flight = 0
        self.visits: Counter[str] = Counter()

    async def handle(self, request: web.Request) -> web.Response:
        if self.in_flight >= self.capacity:
            return web.Response(status=503, text="too many requests in flight\n")
        self.in_flight += 1
        try:
            return await self.answer(request)
        finally:
            self.in_flight -= 1

    async def answer(self, request: web.Request) -> web.Response:
        self.visits[request.path] += 1
        answer = answer_for(self.seed, int(request.match_info["resource"]), self.visits[request.path])
        await asyncio.sleep(3600 if answer.kind == "hang" else answer.latency)
        if answer.kind == "error":
            return web.Response(status=500, text="something broke\n")
        if answer.kind == "drop" and request.transport is not None:
            request.transport.abort()
        return web.Response(body=b"x" * answer.size)


async def serve(seed: int, capacity: int) -> None:
    app = web.Application()
    app.router.add_get(r"/{run}/{resource:\d+}", Upstream(seed, capacity).handle)
    # Without handler_cancellation a hanging request would outlive its client.
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.2, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        print(runner.addresses[0][1], flush=True)
        closed = asyncio.Event()
        watch_stdin(asyncio.get_running_loop(), closed)
        await closed.wait()
    finally:
        await runner.cleanup()


def watch_stdin(loop: asyncio.AbstractEventLoop, closed: asyncio.Event) -> None:
    """Set ``closed`` once standard input is readable: nobody writes to it, so that means it was closed."""

    def on_readable() -> None:
        loop.remove_reader(0)
        closed.set()

    loop.add_reader(0, on_readable)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--capacity", type=int, default=200)
    options = parser.parse_args()
    asyncio.run(serve(options.seed, options.capacity))
