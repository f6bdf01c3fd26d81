"""The adaptive limit: it finds what there is, follows it, and keeps a service alive where a fixed limit does not."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import runpy
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from hocket.resilience import AdaptiveLimit, Bulkhead, Overloaded
from tests.resilience.brown_out import FEWER, SLOW, Scene, simulate
from tests.virtual import run

#: A quarter of the callers, a quarter of the workers, and half the time.
SMALL = {"offered": 100.0, "begins": 10.0, "ends": 35.0, "length": 45.0}
SMALL_SLOW = Scene(**SMALL, workers=13, left=13)
SMALL_FEWER = Scene(**SMALL, workers=13, slower=1.0, left=3)


@pytest.mark.parametrize("scene", [SMALL_SLOW, SMALL_FEWER], ids=["slower", "fewer"])
def test_goodput_in_a_brown_out(scene: Scene) -> None:
    """Above 80 % of what is left, and back to all of it afterwards; a fixed limit serves nearly nobody in time."""
    adaptive = simulate(AdaptiveLimit(), scene)
    assert adaptive.goodput(10, 35) > 0.8
    assert adaptive.goodput(38, 45) > 0.9
    fixed = simulate(Bulkhead(100), scene)
    assert fixed.goodput(12, 35) < 0.2


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 9))
@pytest.mark.parametrize("scene", [SLOW, FEWER], ids=["slower", "fewer"])
def test_goodput_in_many_brown_outs(scene: Scene, seed: int) -> None:
    """The same with four times as many callers, whatever the dice say."""
    record = simulate(AdaptiveLimit(), dataclasses.replace(scene, seed=seed))
    assert record.goodput(5, 20) > 0.9
    assert record.goodput(20, 60) > 0.8
    assert record.goodput(65, 80) > 0.9


async def saturate(limit: AdaptiveLimit, workers: int, takes: float, seconds: float) -> None:
    """Callers that come back at once, more than there is room for, to *workers* that need *takes* seconds each."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    generator = random.Random(1)
    busy = 0
    line: deque[Any] = deque()

    async def work() -> None:
        nonlocal busy
        if busy >= workers:
            turn = loop.create_future()
            line.append(turn)
            await turn
        else:
            busy += 1
        await asyncio.sleep(takes * generator.uniform(0.8, 1.2))
        if line:
            line.popleft().set_result(None)
        else:
            busy -= 1

    async def call() -> None:
        while loop.time() < until:
            try:
                await limit.call(work)
            except Overloaded:
                await asyncio.sleep(takes / 4)

    await asyncio.gather(*(call() for _ in range(3 * workers + 5)))


@pytest.mark.parametrize(
    ("workers", "takes", "seconds"), [(3, 0.1, 100), (10, 0.02, 20), (10, 2.0, 300), (40, 0.1, 20)]
)
def test_it_finds_how_many_there_are(workers: int, takes: float, seconds: float) -> None:
    """By Little's law: not fewer than what keeps all busy, and not many more."""

    async def main() -> int:
        limit = AdaptiveLimit(initial=5)
        await saturate(limit, workers, takes, seconds)
        return limit.limit

    assert 0.8 * workers <= run(main()) <= 1.7 * workers + 2


def test_a_limit_that_is_not_reached_does_not_grow() -> None:
    """What nobody needs, nobody has tried."""

    async def main() -> int:
        limit = AdaptiveLimit(initial=20)
        for _ in range(2000):
            await asyncio.gather(*(limit.call(asyncio.sleep, 0.02) for _ in range(5)))
        return limit.limit

    assert run(main()) == 20


def test_calls_that_time_out_lower_it() -> None:
    """A tenth for each window that saw many."""

    async def time_out() -> None:
        await asyncio.sleep(0.1)
        raise TimeoutError

    async def main() -> int:
        limit = AdaptiveLimit(initial=50, least=4)
        for _ in range(200):
            await asyncio.gather(*(limit.call(time_out) for _ in range(4)), return_exceptions=True)
        assert limit.statistics().dropped == 800
        return limit.limit

    assert run(main()) < 15


def test_a_loop_that_is_late_lowers_it() -> None:
    """However fast the calls themselves are."""
    late = 0.2

    async def main() -> tuple[int, int]:
        nonlocal late
        limit = AdaptiveLimit(initial=50, delay=lambda: late)

        async def serve(rounds: int) -> int:
            for _ in range(rounds):
                await asyncio.gather(*(limit.call(asyncio.sleep, 0.02) for _ in range(limit.limit)))
            return limit.limit

        low = await serve(400)
        late = 0.0
        return low, await serve(400)

    low, high = run(main())
    assert low < 25
    assert high > low


def test_it_stays_within_its_bounds() -> None:
    """Whatever happens."""

    async def main() -> set[int]:
        seen = set()
        limit = AdaptiveLimit(initial=10, least=8, most=12)
        limit.listen(lambda decision: seen.add(limit.limit))
        await saturate(limit, 30, 0.1, 10)
        await saturate(limit, 2, 0.1, 30)
        return seen

    seen = run(main())
    assert seen
    assert all(8 <= limit <= 12 for limit in seen)


def test_more_than_the_limit_are_refused_at_once() -> None:
    """With a hint when it may be worth another try."""

    async def main() -> None:
        limit = AdaptiveLimit(initial=1, most=1)
        for _ in range(60):
            await limit.call(asyncio.sleep, 0.25)
        async with limit:
            with pytest.raises(Overloaded, match="1 calls are under way") as refused:
                await limit.call(asyncio.sleep, 1)
            assert refused.value.retry_after == pytest.approx(0.25, rel=0.1)
        statistics = limit.statistics()
        assert (statistics.inside, statistics.refused) == (0, 1)

    run(main())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"initial": 0}, ValueError),
        ({"least": 0}, ValueError),
        ({"initial": 5, "least": 6}, ValueError),
        ({"initial": 5, "most": 4}, ValueError),
        ({"window": 0}, ValueError),
        ({"tolerance": 1.0}, ValueError),
        ({"target_delay": -1}, ValueError),
        ({"delay": 3}, TypeError),
        ({"overload": asyncio.CancelledError}, TypeError),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], error: type[Exception]) -> None:
    """Where it is written."""
    with pytest.raises(error):
        AdaptiveLimit(**options)


@pytest.mark.slow
@pytest.mark.long
def test_the_picture_in_the_documentation_is_what_the_script_makes() -> None:
    """Anybody can make it again."""
    docs = Path(__file__).resolve().parents[2] / "docs"
    script = runpy.run_path(str(docs / "picture_of_brown_out.py"))
    assert script["picture"]() == (docs / "brown-out.svg").read_text(encoding="utf-8")
