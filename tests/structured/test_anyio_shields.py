"""Clean-up that is written for anyio, inside of a cancelled scope of hocket's."""

from __future__ import annotations

import asyncio

import anyio
import pytest

import hocket
from tests.virtual import run


def test_clean_up_in_a_shield_of_anyio_goes_on_to_its_end() -> None:
    """Whatever it waits for; behind the shield the next wait is cancelled again."""
    log = []

    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            with anyio.CancelScope(shield=True):
                await asyncio.sleep(0)
                await asyncio.sleep(1)
                await asyncio.get_running_loop().create_task(asyncio.sleep(1))
                log.append("closed")
            try:
                await asyncio.sleep(1)
            finally:
                log.append("and cancelled again")

    async def main() -> tuple[bool, float]:
        began = asyncio.get_running_loop().time()
        with hocket.move_on_after(1) as scope:
            await work()
        return scope.cancelled_caught, asyncio.get_running_loop().time() - began

    assert run(main()) == (True, pytest.approx(3))
    assert log == ["closed", "and cancelled again"]


def test_a_shield_of_anyio_around_is_none() -> None:
    """A scope inside of it is cancelled as ever."""

    async def main() -> bool:
        with anyio.CancelScope(shield=True):
            with hocket.move_on_after(1) as scope:
                await asyncio.sleep(3600)
        return scope.cancelled_caught

    assert run(main())


def test_a_shield_of_anyio_that_was_there_before_the_deadline() -> None:
    """What waits in it is not disturbed; the next wait behind it is."""
    log = []

    async def main() -> tuple[bool, float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with hocket.move_on_after(1) as scope:
            with anyio.CancelScope(shield=True):
                await asyncio.sleep(3)
                log.append("done")
            await asyncio.sleep(3600)
        return scope.cancelled_caught, loop.time() - began

    assert run(main()) == (True, pytest.approx(3))
    assert log == ["done"]


def test_only_the_scope_inside_of_the_shield_is_felt() -> None:
    """It catches, although one outside of the shield is cancelled as well, which then catches behind the shield."""

    async def main() -> tuple[list[bool], float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with hocket.move_on_after(1) as outer:
            with anyio.CancelScope(shield=True):
                with hocket.move_on_after(2) as inner:
                    await asyncio.sleep(3600)
                await asyncio.sleep(3)
            await asyncio.sleep(3600)
        return [inner.cancelled_caught, outer.cancelled_caught], loop.time() - began

    assert run(main()) == ([True, True], pytest.approx(5))


def test_a_task_of_a_group_in_a_shield_of_its_own() -> None:
    """Each task has its own scopes of anyio's: one that is shielded goes on, its sister is cancelled."""
    log = []

    async def shielded() -> None:
        with anyio.CancelScope(shield=True):
            await asyncio.sleep(3)
            log.append("done")

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with hocket.move_on_after(1):
            async with hocket.TaskGroup() as group:
                group.start_soon(shielded)
                group.start_soon(asyncio.sleep, 3600)
        return loop.time() - began

    assert run(main()) == pytest.approx(3)
    assert log == ["done"]


def test_other_scopes_of_anyio_shield_nothing() -> None:
    """Only a shield is one."""
    log = []

    async def main() -> bool:
        with hocket.move_on_after(1) as scope:
            try:
                await asyncio.sleep(3600)
            finally:
                with anyio.CancelScope():
                    log.append("begun")
                    await asyncio.sleep(1)
                    log.append("not reached")
        return scope.cancelled_caught

    assert run(main()) and log == ["begun"]
