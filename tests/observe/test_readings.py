"""What loops have done, as sums that never go down."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import os
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import hocket
from hocket.core import scheduler
from hocket.observe.blockage import Blockage
from hocket.observe.readings import Reading, Readings
from hocket.observe.watchdog import Watchdog


@pytest.fixture
def readings() -> Iterator[Readings]:
    made = Readings()
    yield made
    made.close()


def only(readings: Readings) -> Reading:
    """What is told of the only place there is."""
    [found] = readings.read()
    return found


def test_a_loop_that_has_closed_is_not_forgotten(readings: Readings) -> None:
    """Its sums stay, and the next loop adds to them."""

    async def main() -> None:
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(10)))

    hocket.run(main())
    first = only(readings)
    assert (first.place, first.state) == (1, None)
    hocket.run(main())
    second = only(readings)
    assert first.done.tasks_started >= 11
    assert second.done.tasks_started == 2 * first.done.tasks_started
    assert second.step_times.count == 2 * first.step_times.count


def test_a_loop_that_is_open_when_another_has_closed(readings: Readings) -> None:
    """What is read of an open loop is on top of its predecessor's."""
    hocket.run(asyncio.sleep(0))
    loop = hocket.new_event_loop()
    before = only(readings).done.tasks_finished
    loop.run_until_complete(asyncio.sleep(0))
    assert only(readings).done.tasks_finished == before + 1
    loop.close()


def test_loops_side_by_side(readings: Readings) -> None:
    """Each has a place of its own; a new one takes the first that is free."""
    first, second = hocket.new_event_loop(), hocket.new_event_loop()
    second.run_until_complete(asyncio.sleep(0))
    assert [reading.done.tasks_finished for reading in readings.read()] == [0, 1]
    first.close()
    third = hocket.new_event_loop()
    third.run_until_complete(asyncio.sleep(0))
    third.run_until_complete(asyncio.sleep(0))
    assert [reading.done.tasks_finished for reading in readings.read()] == [2, 1]
    second.close()
    third.close()
    assert [reading.state for reading in readings.read()] == [None, None]


def test_a_loop_that_nobody_closed(readings: Readings) -> None:
    """One that is forgotten has its sums as well; they do not go down."""
    gc.collect()  # What earlier tests have dropped may be something unclosed, too.
    loop = hocket.new_event_loop()
    loop.run_until_complete(asyncio.sleep(0))
    reference = weakref.ref(loop)
    assert only(readings).done.tasks_finished == 1
    with pytest.warns(ResourceWarning, match="unclosed event loop"):  # noqa: PT031  # from here on it may be collected
        del loop
        gc.collect()
    assert reference() is None
    assert only(readings).done.tasks_finished == 1


def test_what_goes_on_is_part_of_it(readings: Readings) -> None:
    """A step that blocks counts while it lasts, and a wait while nothing happens."""
    loop = hocket.new_event_loop()
    seen: list[Reading] = []

    def block() -> None:
        before = only(readings)
        time.sleep(0.05)
        seen.extend([before, only(readings)])

    loop.call_soon(block)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen[1].done.busy - seen[0].done.busy >= 0.04
    assert seen[1].utilization > 0.99

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    while only(readings).state.waiting_for == 0.0:  # type: ignore[union-attr]
        time.sleep(0.001)
    before = only(readings).done.idle
    time.sleep(0.05)
    after = only(readings)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    assert after.done.idle - before >= 0.04
    assert after.utilization < 0.5
    loop.close()


def test_sums_do_not_go_down() -> None:
    """However often one asks, and in whatever moment."""
    readings = Readings()
    loop = hocket.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=[asyncio.sleep(0.2)])
    thread.start()
    busy, idle = 0.0, 0.0
    while thread.is_alive():
        done = only(readings).done
        assert done.busy >= busy and done.idle >= idle
        busy, idle = done.busy, done.idle
    loop.close()
    after = only(readings).done
    assert after.busy >= busy and after.idle >= idle
    readings.close()


def test_the_states_of_tasks(readings: Readings) -> None:
    """One runs, three are ready, two wait."""

    async def main() -> Reading:
        waiting = [asyncio.create_task(asyncio.sleep(10)) for _ in range(2)]
        await asyncio.sleep(0)
        ready = [asyncio.create_task(asyncio.sleep(0)) for _ in range(3)]
        reading = only(readings)
        for task in waiting:
            task.cancel()
        await asyncio.wait([*waiting, *ready])
        return reading

    reading = hocket.run(main())
    assert (reading.running, reading.ready, reading.waiting) == (1, 3, 2)


def test_bounds() -> None:
    """Histograms come with the bounds that were asked for; a value is in the bucket between those around it."""
    readings = Readings([0.001, 0.02, 1.0])

    async def main() -> Reading:
        before = only(readings).step_times.counts
        asyncio.get_running_loop().call_soon(time.sleep, 0.05)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        after = only(readings).step_times
        assert after.bounds == (0.001, 0.02, 1.0)
        assert len(after.counts) == 4
        return sum(after.counts[2:]) - sum(before[2:])

    assert hocket.run(main()) >= 1
    readings.close()


def blockage(loop: int, seconds: float, cause: str = "python", over: bool = True) -> Blockage:
    about: dict[str, Any] = dict.fromkeys((field.name for field in dataclasses.fields(Blockage)), None)
    return Blockage(**(about | {"loop": loop, "seconds": seconds, "cause": cause, "over": over}))


def test_what_the_watchdog_has_found() -> None:
    """Counted by cause when it is over; of a loop that has closed it stays."""
    watchdog = Watchdog(1.0)
    readings = Readings([0.2, 1.0], watchdog)
    [tell] = watchdog.listeners
    loop = hocket.new_event_loop()
    number = loop._number
    tell(blockage(number, 0.3, over=False))
    tell(blockage(number, 0.5))
    tell(blockage(number, 2.0))
    tell(blockage(number, 0.1, "starved-machine"))
    loop.close()
    tell(blockage(number, 0.7))
    found = only(readings).blocked
    assert {cause: (lengths.counts, lengths.sum) for cause, lengths in found.items()} == {
        "python": ((0, 2, 1), pytest.approx(3.2)),
        "starved-machine": ((1, 0, 0), pytest.approx(0.1)),
    }
    readings.close()
    readings.close()
    assert watchdog.listeners == []


@pytest.mark.parametrize("bounds", [(), (1.0, 1.0), (2.0, 1.0), (0.0, 1.0), (-1.0,)])
def test_bounds_that_do_not_rise(bounds: tuple[float, ...]) -> None:
    """They are refused, and nothing is left behind."""
    listeners = list(scheduler.on_close)
    with pytest.raises(ValueError, match="rising bounds above 0"):
        Readings(bounds)
    assert scheduler.on_close == listeners


def test_closed_readings_listen_no_more() -> None:
    """`close` may be called twice."""
    listeners = list(scheduler.on_close)
    readings = Readings()
    assert scheduler.on_close != listeners
    readings.close()
    readings.close()
    assert scheduler.on_close == listeners


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_the_child_of_a_fork_begins_anew(readings: Readings) -> None:
    """What the parent's loops did is not told by the child, even if another thread was reading at that moment."""
    hocket.run(asyncio.sleep(0))
    assert readings.read()
    with readings._lock:
        child = os.fork()
        if child == 0:
            forked = threading.Thread(target=lambda: os._exit(len(readings.read())))
            forked.start()
            forked.join()
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
