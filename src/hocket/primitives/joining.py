"""When a `TaskGroup` has what it was made for: ``TaskGroup(join=...)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Join(Protocol):
    """What ``TaskGroup(join=)`` takes.  One object may serve any number of groups."""

    def succeeded(self, result: Any, count: int) -> bool:
        """A task has returned *result*, as the *count*-th one: True if the group needs no more."""

    def failed(self, error: Exception) -> bool:
        """A task has failed: True if that is to end the group, as it does in asyncio's."""


class _All:
    def succeeded(self, result: Any, count: int) -> bool:
        return False

    def failed(self, error: Exception) -> bool:
        return True

    def __repr__(self) -> str:
        return "join_all()"


class _First:
    def __init__(self, number: int) -> None:
        self._number = number

    def succeeded(self, result: Any, count: int) -> bool:
        return count >= self._number

    def failed(self, error: Exception) -> bool:
        return False

    def __repr__(self) -> str:
        return f"join_first({self._number})"


class _Until:
    def __init__(self, predicate: Callable[[Any], object]) -> None:
        self._predicate = predicate

    def succeeded(self, result: Any, count: int) -> bool:
        return bool(self._predicate(result))

    def failed(self, error: Exception) -> bool:
        return False

    def __repr__(self) -> str:
        return f"join_until({self._predicate!r})"


_ALL = _All()


def join_all() -> Join:
    """``TaskGroup(join=join_all())`` waits for all tasks, as ever, and keeps their results, in the order of arrival.

    When the group is cancelled, or the time of a scope around it is over, ``group.results`` has what there is by then::

        with hocket.move_on_after(0.5):
            async with hocket.TaskGroup(join=hocket.join_all()) as group:
                for mirror in mirrors:
                    group.start_soon(ask, mirror)
        answers = group.results
    """
    return _ALL


def join_first(number: int = 1) -> Join:
    """``TaskGroup(join=join_first(number))`` is over when *number* of its tasks have returned; the others end.

    A task that fails does not count, and does not end the group.  If too few return, what the others have raised comes
    out in an `ExceptionGroup`; unless the group was cancelled.  ``group.satisfied`` tells, ``group.results`` has what
    was returned and ``group.failures`` what was raised.  `TypeError` or `ValueError` unless *number* is an int of 1 or
    more::

        async with hocket.TaskGroup(join=hocket.join_first()) as group:
            for mirror in mirrors:
                group.start_soon(fetch, mirror)
        page = group.results[0]
    """
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"join_first() takes how many tasks are to return, an int of 1 or more; got {number!r}")
    if number < 1:
        raise ValueError(f"join_first() takes how many tasks are to return, an int of 1 or more; got {number!r}")
    return _First(number)


def join_until(predicate: Callable[[Any], object]) -> Join:
    """As `join_first`, until ``predicate(result)`` is true for what a task has returned.

    A predicate that raises ends the group with that exception.  `TypeError` if it cannot be called.
    """
    if not callable(predicate):
        raise TypeError(f"join_until() takes a function of a result; got {predicate!r}")
    return _Until(predicate)
