"""The field in which Python 3.14 and later keep the task that runs: found, written, and left as it was."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

import hocket
from hocket.core import asyncio_private
from hocket.native import running

written = sys.version_info >= (3, 14) and hocket.is_compiled()


def test_it_is_found_where_there_is_one() -> None:
    """Compiled, on every supported Python that has it."""
    assert asyncio_private.announces_natively == written


@pytest.mark.skipif(written, reason="there is a field to be written")
def test_without_a_field_nothing_is_written() -> None:
    with pytest.raises(RuntimeError, match="there is no field"):
        running.announce(None)


def test_nothing_is_looked_for_while_a_loop_runs() -> None:
    """The search announces a loop and a task that do not exist."""
    calls: list[Any] = []
    assert not running.find(lambda *pair: calls.append(pair), calls.append, lambda: "a loop")
    assert calls == []


def test_nobody_is_kept_alive_by_having_run() -> None:
    """The field owns what it points to, for no longer than the step."""

    async def main() -> list[int]:
        async def child() -> None:
            assert asyncio.current_task() is task
            await asyncio.sleep(0)
            assert asyncio.current_task() is task

        counts = []
        for _ in range(3):
            task = asyncio.create_task(child())
            await task
            await asyncio.sleep(0)
            counts.append(sys.getrefcount(task))
        assert asyncio.current_task() is not task
        return counts

    counts = hocket.run(main())
    assert counts == [counts[0]] * 3 and counts[0] <= 3
    assert asyncio_private.events._get_running_loop() is None
