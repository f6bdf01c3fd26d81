"""`Supervisor`: Erlang's semantics, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import hocket
from tests.structured.test_scopes import now, takes
from tests.virtual import run


class House:
    """Children that write down what happens to them, with the time since the beginning."""

    def __init__(self) -> None:
        self.began = now()
        self.log: list[tuple[float, str]] = []
        self.failures: list[str] = []
        self.doors: dict[str, Any] = {}

    def note(self, what: str) -> None:
        self.log.append((round(now() - self.began, 3), what))

    def words(self) -> list[str]:
        return [what for _, what in self.log]

    def failed(self, child: Any, error: Exception) -> None:
        self.failures.append(child.name)

    async def child(
        self,
        name: str,
        goodbye: float = 0.0,
        ready_after: float = 0.0,
        *,
        task_status: Any = hocket.TASK_STATUS_IGNORED,
    ) -> None:
        """Runs until `fail` or `finish`; to say goodbye takes it some time."""
        door = self.doors[name] = asyncio.get_running_loop().create_future()
        self.note(f"{name} begins")
        try:
            await asyncio.sleep(ready_after)
            task_status.started(name.upper())
            await door
        finally:
            if goodbye:
                await asyncio.sleep(goodbye)
            self.note(f"{name} ends")

    def fail(self, name: str, error: BaseException | None = None) -> None:
        self.doors[name].set_exception(error or OSError(name))

    def finish(self, name: str) -> None:
        self.doors[name].set_result(None)


def supervised(body: Callable[[House, hocket.Supervisor], Any], **options: Any) -> House:
    """Run *body* in a supervisor that is stopped in the end."""

    async def main() -> House:
        house = House()
        async with hocket.Supervisor(on_failure=house.failed, **options) as supervisor:
            await body(house, supervisor)
            await supervisor.stop()
        return house

    return run(main())


class TestOrder:
    def test_started_in_order_and_stopped_in_reverse(self) -> None:
        """Each is ready before the next begins, and has ended before the one before it is asked."""

        async def body(house: House, supervisor: hocket.Supervisor) -> None:
            for name in ("a", "b", "c"):
                child = await supervisor.start(house.child, name, 1.0, 0.5, name=name)
                assert child.value == name.upper()
            assert [child.state for child in supervisor.statistics().children] == ["running"] * 3

        house = supervised(body)
        assert house.log == [
            (0.0, "a begins"),
            (0.5, "b begins"),
            (1.0, "c begins"),
            (2.5, "c ends"),
            (3.5, "b ends"),
            (4.5, "a ends"),
        ]

    def test_the_same_when_the_block_raises(self) -> None:
        """The error comes out as it does of a task group."""

        async def main() -> None:
            house = House()
            with pytest.raises(ExceptionGroup) as caught:
                async with hocket.Supervisor() as supervisor:
                    for name in ("a", "b"):
                        await supervisor.start(house.child, name, 1.0)
                    raise KeyError
            assert [type(error) for error in caught.value.exceptions] == [KeyError]
            assert house.log == [(0.0, "a begins"), (0.0, "b begins"), (1.0, "b ends"), (2.0, "a ends")]

        run(main())

    @pytest.mark.parametrize("inside", [True, False])
    def test_the_same_when_a_scope_around_it_is_cancelled(self, inside: bool) -> None:
        """Whether the block is running or over, the children end in their order, and in peace."""

        async def main() -> None:
            house = House()
            with hocket.move_on_after(3) as scope:
                async with hocket.Supervisor() as supervisor:
                    for name in ("a", "b"):
                        await supervisor.start(house.child, name, 1.0)
                    if inside:
                        await asyncio.sleep(50)
            assert scope.cancelled_caught
            assert house.log == [(0.0, "a begins"), (0.0, "b begins"), (4.0, "b ends"), (5.0, "a ends")]

        run(main())

    def test_the_same_when_the_task_is_cancelled(self) -> None:
        """By `Task.cancel`; a second time hurries those that take their time."""

        async def main() -> None:
            house = House()

            async def work() -> None:
                async with hocket.Supervisor(grace=50) as supervisor:
                    for name in ("a", "b"):
                        await supervisor.start(house.child, name, 10.0)
                    await asyncio.sleep(50)

            task = asyncio.create_task(work())
            await asyncio.sleep(1)
            task.cancel()
            await asyncio.sleep(1)
            assert house.log == [(0.0, "a begins"), (0.0, "b begins")]
            task.cancel()
            with takes(0), pytest.raises(asyncio.CancelledError):
                await task
            assert [child for child in house.words() if "ends" in child] == []

        run(main())

    def test_grace(self) -> None:
        """Who does not end in time is interrupted at every suspension."""

        async def main() -> None:
            ended = []

            async def stubborn() -> None:
                try:
                    await asyncio.sleep(500)
                finally:
                    ended.append(now())
                    try:
                        await asyncio.sleep(500)
                    finally:
                        ended.append(now())

            async with hocket.Supervisor(grace=3) as supervisor:
                supervisor.start_soon(stubborn)
                supervisor.start_soon(stubborn, grace=1)
                await asyncio.sleep(0)
                with takes(4):
                    await supervisor.stop()
            assert [round(when - ended[0], 3) for when in ended] == [0, 1, 1, 4]

        run(main())

    def test_without_children(self) -> None:
        """The block is all there is."""

        async def main() -> None:
            with takes(1):
                async with hocket.Supervisor():
                    await asyncio.sleep(1)

        run(main())


class TestRestarts:
    def test_one_for_one(self) -> None:
        """The one that has failed begins again, at once, and the others do not notice."""

        async def body(house: House, supervisor: hocket.Supervisor) -> None:
            for name in ("a", "b", "c"):
                await supervisor.start(house.child, name, name=name)
            house.fail("b")
            await asyncio.sleep(1)
            assert house.words() == ["a begins", "b begins", "c begins", "b ends", "b begins"]
            assert house.failures == ["b"]
            statistics = supervisor.statistics()
            assert statistics.restarts == 1
            assert [child.starts for child in statistics.children] == [1, 2, 1]
            assert isinstance(statistics.children[1].last_failure, OSError)

        house = supervised(body)
        assert house.words()[-3:] == ["c ends", "b ends", "a ends"]

    def test_one_for_all(self) -> None:
        """All others are stopped in reverse order, and all begin again in order."""

        async def body(house: House, supervisor: hocket.Supervisor) -> None:
            for name in ("a", "b", "c"):
                await supervisor.start(house.child, name)
            house.fail("b")
            await asyncio.sleep(1)
            assert house.words()[3:] == ["b ends", "c ends", "a ends", "a begins", "b begins", "c begins"]

        supervised(body, strategy="one_for_all")

    def test_rest_for_one(self) -> None:
        """Those that were started after it go down with it."""

        async def body(house: House, supervisor: hocket.Supervisor) -> None:
            for name in ("a", "b", "c", "d"):
                await supervisor.start(house.child, name)
            house.fail("b")
            await asyncio.sleep(1)
            assert house.words()[4:] == ["b ends", "d ends", "c ends", "b begins", "c begins", "d begins"]

        supervised(body, strategy="rest_for_one")

    @pytest.mark.parametrize(
        ("restart", "after_failure", "after_return"),
        [("permanent", True, True), ("transient", True, False), ("temporary", False, False)],
    )
    def test_who_is_started_again(self, restart: Any, after_failure: bool, after_return: bool) -> None:
        """Always, when it has failed, or never."""

        async def body(house: House, supervisor: hocket.Supervisor) -> None:
            for name in ("fails", "returns"):
                await supervisor.start(house.child, name, name=name, restart=restart)
            house.fail("fails")
            house.finish("returns")
            await asyncio.sleep(1)
            states = {child.name: child.starts == 2 for child in supervisor.statistics().children}
            assert states == {"fails": after_failure, "returns": after_return}

        supervised(body)

    def test_the_block_is_over_when_all_have_ended_for_good(self) -> None:
        """Then nobody has to stop the supervisor."""

        async def main() -> None:
            house = House()
            with takes(2):
                async with hocket.Supervisor() as supervisor:
                    await supervisor.start(house.child, "a", restart="transient")
                    asyncio.get_running_loop().call_later(2, house.finish, "a")

        run(main())

    def test_too_many(self) -> None:
        """One more than the intensity within the period: all are stopped, in reverse, and the supervisor gives up."""

        async def main() -> None:
            house = House()
            with pytest.raises(ExceptionGroup) as caught:
                async with hocket.Supervisor(intensity=2, period=10, on_failure=house.failed) as supervisor:
                    for name in ("a", "b", "c"):
                        await supervisor.start(house.child, name, 1.0, name=name)
                    for _ in range(3):
                        house.fail("b")
                        await asyncio.sleep(1.5)
                    raise AssertionError
            (error,) = caught.value.exceptions
            assert isinstance(error, hocket.RestartLimitExceeded)
            assert "more than 2 restarts within 10 seconds" in str(error)
            assert [type(failure) for failure in error.failures] == [OSError] * 3
            assert isinstance(error.__cause__, OSError)
            assert house.words()[-2:] == ["c ends", "a ends"]

        run(main())

    def test_rarely_enough(self) -> None:
        """What lies longer ago than the period does not count."""

        async def body(house: House, supervisor: hocket.Supervisor) -> None:
            await supervisor.start(house.child, "a")
            for _ in range(10):
                house.fail("a")
                await asyncio.sleep(6)
            assert supervisor.statistics().restarts == 10

        supervised(body, intensity=1, period=5)

    def test_no_restart_at_all(self) -> None:
        """An intensity of 0 means that the first failure is the last one."""

        async def main() -> None:
            house = House()
            with pytest.raises(ExceptionGroup):
                async with hocket.Supervisor(intensity=0, on_failure=house.failed) as supervisor:
                    await supervisor.start(house.child, "a")
                    house.fail("a")
                    await asyncio.sleep(50)

        run(main())

    def test_a_restart_that_fails(self) -> None:
        """It is a failure like any other: tried again until the limit is reached."""

        async def main() -> None:
            attempts = 0

            async def once(*, task_status: Any) -> None:
                nonlocal attempts
                attempts += 1
                if attempts in (2, 3):
                    raise OSError
                task_status.started()
                await asyncio.sleep(1 if attempts == 1 else 50)
                raise OSError

            async with hocket.Supervisor(on_failure=lambda child, error: None) as supervisor:
                await supervisor.start(once)
                await asyncio.sleep(10)
                assert attempts == 4
                await supervisor.stop()

        run(main())

    def test_a_first_start_that_fails(self) -> None:
        """It comes out of `start`, and there is no such child."""

        async def main() -> None:
            async def never(*, task_status: Any) -> None:
                raise OSError("in use")

            async def forgets(*, task_status: Any) -> None:
                pass

            async with hocket.Supervisor() as supervisor:
                with pytest.raises(OSError, match="in use"):
                    await supervisor.start(never)
                with pytest.raises(RuntimeError, match="without having called"):
                    await supervisor.start(forgets)
                with takes(1), hocket.move_on_after(1):
                    await supervisor.start(House().child, "slow", 0.0, 50.0)
                assert supervisor.statistics().children == ()

        run(main())

    def test_a_failure_is_reported(self) -> None:
        """To the loop's exception handler, if nobody else wants to know."""

        async def main() -> None:
            reported: list[Any] = []
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
            house = House()
            async with hocket.Supervisor() as supervisor:
                await supervisor.start(house.child, "a", name="a")
                house.fail("a")
                await asyncio.sleep(1)
                await supervisor.stop()
            assert [type(context["exception"]) for context in reported] == [OSError]
            assert "'a'" in reported[0]["message"]

        run(main())


class TestBackoff:
    def test_the_waits(self) -> None:
        """They grow up to the longest one, and begin anew when a child has run for a period."""

        async def body(house: House, supervisor: hocket.Supervisor) -> None:
            await supervisor.start(house.child, "a")
            for _ in range(5):
                house.fail("a")
                await asyncio.sleep(0)
                while supervisor.statistics().children[0].state != "running":
                    await asyncio.sleep(0.5)
            await asyncio.sleep(60)
            house.fail("a")
            await asyncio.sleep(10)

        house = supervised(body, backoff=hocket.Backoff(1, 5, jitter=False), intensity=100, period=50)
        begun = [when for when, what in house.log if what == "a begins"]
        ended = [when for when, what in house.log if what == "a ends"]
        waits = [round(begin - end, 3) for end, begin in zip(ended, begun[1:], strict=False)]
        assert waits == [1, 2, 4, 5, 5, 1]

    def test_one_that_waits_does_not_hold_up_another(self) -> None:
        """One-for-one: each has its own wait."""

        async def body(house: House, supervisor: hocket.Supervisor) -> None:
            await supervisor.start(house.child, "a")
            await supervisor.start(house.child, "b")
            house.fail("a")
            await asyncio.sleep(1)
            house.fail("b")
            await asyncio.sleep(20)

        house = supervised(body, backoff=hocket.Backoff(5, 5, jitter=False))
        assert (5.0, "a begins") in house.log
        assert (6.0, "b begins") in house.log

    def test_stopped_while_it_waits(self) -> None:
        """It does not begin again."""

        async def body(house: House, supervisor: hocket.Supervisor) -> None:
            await supervisor.start(house.child, "a")
            house.fail("a")
            await asyncio.sleep(1)
            assert supervisor.statistics().children[0].state == "waiting"

        assert supervised(body, backoff=hocket.Backoff(5, 5, jitter=False)).words() == ["a begins", "a ends"]


class TestMisuse:
    def test_wrong_options(self) -> None:
        """Refused early, with what came and what was expected."""
        for options, error, words in (
            ({"strategy": "all"}, ValueError, "strategy is one of"),
            ({"intensity": -1}, ValueError, "intensity is"),
            ({"intensity": 1.5}, TypeError, "intensity is"),
            ({"period": -1}, ValueError, "period is"),
            ({"period": "1"}, TypeError, "period is"),
            ({"grace": float("nan")}, ValueError, "grace is"),
            ({"backoff": 1.0}, TypeError, "backoff is"),
            ({"on_failure": 1}, TypeError, "on_failure is"),
        ):
            with pytest.raises(error, match=words):
                hocket.Supervisor(**options)  # type: ignore[arg-type]

    def test_wrong_children(self) -> None:
        """What is no function, an unknown way to restart, and a supervisor that has not begun or is over."""

        async def main() -> None:
            supervisor = hocket.Supervisor()
            with pytest.raises(RuntimeError, match="has not been entered"):
                supervisor.start_soon(House().child, "a")
            async with supervisor:
                with pytest.raises(TypeError, match="an async function"):
                    supervisor.start_soon(3)  # type: ignore[arg-type]
                with pytest.raises(ValueError, match="restart is one of"):
                    supervisor.start_soon(House().child, "a", restart="always")  # type: ignore[arg-type]
                with pytest.raises(ValueError, match="grace is"):
                    supervisor.start_soon(House().child, "a", grace=-1)
            with pytest.raises(RuntimeError, match="has stopped"):
                supervisor.start_soon(House().child, "a")

        run(main())

    def test_a_child_that_stops_its_supervisor(self) -> None:
        """It would wait for itself."""

        async def main() -> None:
            async def child() -> None:
                with pytest.raises(RuntimeError, match="wait for its own end"):
                    await supervisor.stop()

            async with hocket.Supervisor() as supervisor:
                supervisor.start_soon(child, restart="temporary")

        run(main())
