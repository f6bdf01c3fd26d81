"""The resource pool: nothing is lost, nothing stays open, and first come is first served."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from hocket.resilience import Pipeline, Pool, PoolClosed, PoolExhausted
from tests.resilience.world import World
from tests.virtual import run


class Thing:
    """A resource, and whether it is open; in use by one at a time."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.open = True
        self.used = False
        self.well = True

    def __repr__(self) -> str:
        return f"<thing {self.number}>"


class Maker:
    """Makes things, and keeps all of them; making and closing take *takes* seconds."""

    def __init__(self, takes: float = 0.0) -> None:
        self.takes = takes
        self.things: list[Thing] = []
        self.failures: list[Exception] = []

    async def make(self) -> Thing:
        await asyncio.sleep(self.takes)
        if self.failures:
            raise self.failures.pop(0)
        self.things.append(Thing(len(self.things)))
        return self.things[-1]

    async def close(self, thing: Thing) -> None:
        assert thing.open, "closed twice"
        thing.open = False
        await asyncio.sleep(self.takes)

    async def check(self, thing: Thing) -> bool:
        assert thing.open
        await asyncio.sleep(self.takes)
        return thing.well

    @property
    def open(self) -> int:
        return sum(thing.open for thing in self.things)

    def pool(self, size: int = 2, **options: Any) -> Pool[Thing]:
        return Pool(self.make, size=size, close=self.close, **options)


class Machine(RuleBasedStateMachine):
    """Users come, are cancelled at any moment, fail in several ways, and resources fall ill."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.maker = Maker(0.25)
        self.users: list[Any] = []
        self.order: list[int] = []
        self.came = 0

    @initialize(size=st.integers(1, 3), waiting=st.integers(0, 4))
    def build(self, size: int, waiting: int) -> None:
        self.pool = self.maker.pool(
            size,
            check=self.maker.check,
            check_after=2.0,
            max_age=20.0,
            max_idle=5.0,
            waiting=waiting,
            random=random.Random(1),
        )

    @rule()
    def come(self) -> None:
        end = self.world.loop.create_future()
        number = self.came
        self.came += 1

        async def use() -> None:
            async with self.pool.lease() as thing:
                assert thing.open
                assert not thing.used
                thing.used = True
                self.order.append(number)
                try:
                    await end
                finally:
                    thing.used = False

        self.users.append((self.world.spawn(use()), end))

    @rule(data=st.data(), how=st.sampled_from(["ends", "breaks", "fails", "is cancelled"]))
    def go(self, data: Any, how: str) -> None:
        if not self.users:
            return
        task, end = self.users.pop(data.draw(st.integers(0, len(self.users) - 1)))
        if how == "ends" and not end.done():
            end.set_result(None)
        elif how in ("breaks", "fails") and not end.done():
            end.set_exception(ConnectionError() if how == "breaks" else LookupError())
            end.exception()
        else:
            task.cancel()
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
        self.world.settle()

    @rule(data=st.data())
    def fall_ill(self, data: Any) -> None:
        if self.maker.things:
            data.draw(st.sampled_from(self.maker.things)).well = False

    @rule()
    def cannot_be_made(self) -> None:
        self.maker.failures.append(ConnectionRefusedError())

    @rule(eighths=st.integers(1, 64))
    def pass_time(self, eighths: int) -> None:
        self.world.pass_time(eighths / 8)

    @invariant()
    def nothing_is_lost(self) -> None:
        if not hasattr(self, "pool"):
            return
        statistics = self.pool.statistics()
        assert statistics.idle + statistics.out + statistics.making <= statistics.size
        assert statistics.made == len(self.maker.things)
        # A resource that is being checked stands among those being made.
        open_ones = statistics.made - statistics.closed
        assert statistics.idle + statistics.out <= open_ones <= statistics.idle + statistics.out + statistics.making
        # Nobody waits while there is room.
        full = statistics.idle == 0 and statistics.out + statistics.making == statistics.size
        assert full or statistics.waiting == 0
        for task, _ in self.users:
            if task.done() and not task.cancelled():
                assert isinstance(task.exception(), (PoolExhausted, ConnectionRefusedError))

    def teardown(self) -> None:
        if hasattr(self, "pool"):
            for task, _ in self.users:
                task.cancel()
            self.world.settle()
            self.world.run(self.pool.aclose())
            assert self.maker.open == 0
            assert self.pool.statistics().closed == len(self.maker.things)
            for task, _ in self.users:
                assert task.done()
                if not task.cancelled():
                    task.exception()
        self.world.close()


def test_nothing_is_lost_whatever_happens() -> None:
    """Over any sequence of users, failures, cancellations and pauses, and everything is closed in the end."""
    run_state_machine_as_test(Machine, settings=settings(max_examples=30, stateful_step_count=30, deadline=None))


@pytest.mark.slow
@pytest.mark.long
def test_nothing_is_lost_whatever_happens_for_long() -> None:
    """The same, with many more of them."""
    run_state_machine_as_test(Machine, settings=settings(max_examples=1500, stateful_step_count=60, deadline=None))


def test_a_resource_is_used_again() -> None:
    """One is made when it is needed and there is none; whoever was out last goes out first."""

    async def main() -> None:
        maker = Maker()
        async with maker.pool(3) as pool:
            async with pool.lease() as one, pool.lease() as two:
                assert one is not two
            async with pool.lease() as again:
                assert again is one
            assert len(maker.things) == 2
            assert pool.statistics().leases == 3
        assert maker.open == 0

    run(main())


def test_waiters_are_served_in_the_order_in_which_they_came() -> None:
    """Nobody overtakes them, also when a place becomes free instead of a resource."""

    async def main() -> list[int]:
        maker = Maker()
        order: list[int] = []
        async with maker.pool(1) as pool:

            async def use(number: int) -> None:
                try:
                    async with pool.lease():
                        order.append(number)
                        await asyncio.sleep(1)
                        if number % 2:
                            raise ConnectionError
                except ConnectionError:
                    pass

            async with asyncio.TaskGroup() as group:
                for number in range(6):
                    group.create_task(use(number))
        assert len(maker.things) == 3
        return order

    assert run(main()) == list(range(6))


def test_whoever_comes_when_too_many_wait_is_refused() -> None:
    """At once."""

    async def main() -> None:
        async with Maker().pool(1, waiting=1) as pool:
            async with pool.lease():
                waits = asyncio.ensure_future(pool.acquire())
                await asyncio.sleep(1)
                with pytest.raises(PoolExhausted, match="all 1 are out, and 1 wait"):
                    await pool.acquire()
            pool.release(await waits)
        assert pool.statistics().refused == 1

    run(main())


def test_a_check_comes_before_the_use_of_what_has_been_idle() -> None:
    """What does not pass is closed, and another one is made in its place; what was used just now is not checked."""

    async def main() -> list[int]:
        maker = Maker()
        checked: list[int] = []

        def check(thing: Thing) -> bool:
            checked.append(thing.number)
            return thing.well

        seen: list[int] = []
        async with maker.pool(1, check=check, check_after=10) as pool:
            for pause in (0, 5, 15, 15):
                await asyncio.sleep(pause)
                async with pool.lease() as thing:
                    seen.append(thing.number)
                    if len(seen) == 3:
                        thing.well = False
            assert pool.statistics().unhealthy == 1
        assert checked == [0, 0]
        return seen

    assert run(main()) == [0, 0, 0, 1]


@pytest.mark.parametrize("trouble", [ConnectionError("gone"), 60])
def test_a_check_that_fails_or_hangs_is_a_no(trouble: Any) -> None:
    """It has so many seconds."""

    async def check(thing: Thing) -> bool:
        if isinstance(trouble, Exception):
            raise trouble
        await asyncio.sleep(trouble)
        return True

    async def main() -> float:
        maker = Maker()
        async with maker.pool(1, check=check, check_after=0, check_within=2) as pool:
            async with pool.lease():
                pass
            began = asyncio.get_running_loop().time()
            async with pool.lease() as thing:
                assert thing.number == 1
            return asyncio.get_running_loop().time() - began

    assert run(main()) == (0.0 if isinstance(trouble, Exception) else 2.0)


def test_resources_do_not_grow_old() -> None:
    """They are closed after max_age, a little earlier at random, and after max_idle without use."""

    async def main() -> None:
        maker = Maker()
        async with maker.pool(2, max_age=100, max_idle=50) as pool:
            async with pool.lease(), pool.lease():
                pass
            await asyncio.sleep(49)
            async with pool.lease():
                assert maker.open == 2
            await asyncio.sleep(2)
            assert maker.open == 1
            for _ in range(5):
                await asyncio.sleep(10)
                async with pool.lease():
                    pass
            assert len(maker.things) == 3
            await asyncio.sleep(60)
            assert maker.open == 0
        assert pool.statistics().expired == 3

    run(main())


@pytest.mark.parametrize(
    ("error", "kept"), [(ConnectionError(), False), (TimeoutError(), False), (EOFError(), False), (KeyError(), True)]
)
def test_what_comes_out_of_a_lease_says_whether_it_is_broken(error: Exception, kept: bool) -> None:
    """A connection that failed is not handed to the next one."""

    async def main() -> bool:
        maker = Maker()
        async with maker.pool(1) as pool:
            with pytest.raises(type(error)):
                async with pool.lease():
                    raise error
            await asyncio.sleep(1)
            return maker.open == 1

    assert run(main()) is kept


def test_a_cancelled_user_leaves_nothing_half_done_behind() -> None:
    """His resource is closed: it may be in the middle of something."""

    async def main() -> int:
        maker = Maker()
        async with maker.pool(1) as pool:

            async def use() -> None:
                async with pool.lease():
                    await asyncio.sleep(60)

            task = asyncio.ensure_future(use())
            await asyncio.sleep(1)
            task.cancel()
            await asyncio.wait([task])
            await asyncio.sleep(1)
            return maker.open

    assert run(main()) == 0


def test_closing_waits_for_what_is_out_and_closes_everything() -> None:
    """After a time of grace also what is still out; whoever waits is told."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        maker = Maker(1)
        pool = maker.pool(2)
        held = await pool.acquire()
        other = await pool.acquire()
        waits = asyncio.ensure_future(pool.acquire())
        await asyncio.sleep(1)
        loop.call_later(3, pool.release, other)
        began = loop.time()
        await pool.aclose(grace=5)
        with pytest.raises(PoolClosed):
            await waits
        with pytest.raises(PoolClosed, match="has been closed"):
            await pool.acquire()
        assert not held.open
        assert not other.open
        pool.release(held)
        await pool.aclose()
        return loop.time() - began

    assert run(main()) == 6.0


def test_a_cancellation_does_not_keep_it_from_closing() -> None:
    """What was made is closed first."""

    async def main() -> None:
        maker = Maker(1)
        pool = maker.pool(1)
        held = await pool.acquire()
        closing = asyncio.ensure_future(pool.aclose())
        await asyncio.sleep(2)
        closing.cancel()
        await asyncio.wait([closing])
        assert closing.cancelled()
        assert not held.open

    run(main())


def test_what_cannot_be_closed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """And keeps nobody waiting for longer than it may."""

    async def main() -> float:
        async def make() -> int:
            return 1

        async def close(thing: int) -> None:
            await asyncio.sleep(60)

        async with Pool(make, size=1, close=close, close_within=2) as pool:
            async with pool.lease():
                pass
        return asyncio.get_running_loop().time() - 1000.0

    with caplog.at_level(logging.ERROR, logger="asyncio"):
        assert run(main()) == 2.0
    assert "could not close 1" in caplog.text


def test_it_hands_a_resource_in_as_the_first_argument() -> None:
    """As a decorator, and for one call; it is no stage of a pipeline."""

    async def main() -> None:
        async with Maker().pool() as pool:

            @pool
            async def look(thing: Thing, key: str) -> tuple[int, str]:
                return thing.number, key

            assert await look("key") == (0, "key")
            assert await pool.call(look.__wrapped__, key="other") == (0, "other")
            with pytest.raises(TypeError, match="a stage is a policy"):
                Pipeline(pool)

    run(main())


def test_one_that_was_not_closed_is_told() -> None:
    """As files do it."""

    async def main() -> None:
        pool = Maker().pool(max_idle=None)
        async with pool.lease():
            pass

    with pytest.warns(ResourceWarning, match="unclosed <Pool"):
        run(main())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"size": 0}, ValueError),
        ({"size": 1, "waiting": -1}, ValueError),
        ({"size": 1, "max_age": 0}, ValueError),
        ({"size": 1, "check": 3}, TypeError),
        ({"size": 1, "close_within": 0}, ValueError),
        ({}, TypeError),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], error: type[Exception]) -> None:
    """Where it is written; most of all a pool without a bound."""
    with pytest.raises(error):
        Pool(Maker().make, **options)
    with pytest.raises(TypeError):
        Pool(None, size=1)  # type: ignore[arg-type]


def test_only_what_is_out_can_be_given_back() -> None:
    """Once."""

    async def main() -> None:
        async with Maker().pool() as pool:
            thing = await pool.acquire()
            pool.release(thing)
            with pytest.raises(ValueError, match="is not out"):
                pool.release(thing)

    run(main())
