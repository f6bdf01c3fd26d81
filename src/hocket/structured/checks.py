"""Checks of what is given, so that a mistake shows where it is made."""

from __future__ import annotations

import math
from typing import Any


def positive_int(owner: str, name: str, value: Any, least: int = 1) -> int:
    """*value*, if it is a whole number and not less than *least*."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{owner}: {name} is a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{owner}: {name} is at least {least}, got {value}")
    return value


def seconds(owner: str, name: str, value: Any, *, zero: bool = True, endless: bool = False) -> float:
    """*value* as seconds: a number, not negative, not zero unless *zero*, and not infinite unless *endless*."""
    number = real(owner, name, value)
    if number < 0 or (number == 0 and not zero) or (math.isinf(number) and not endless):
        least = "not negative" if zero else "more than 0"
        raise ValueError(f"{owner}: {name} is {least}{'' if endless else ' and finite'}, got {value!r}")
    return number


def share(owner: str, name: str, value: Any, *, zero: bool = True) -> float:
    """*value* as a share: from 0 (or more, unless *zero*) to 1."""
    number = real(owner, name, value)
    if not 0 <= number <= 1 or (number == 0 and not zero):
        raise ValueError(f"{owner}: {name} is a share {'from' if zero else 'above'} 0 to 1, got {value!r}")
    return number


def real(owner: str, name: str, value: Any) -> float:
    """*value* as a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{owner}: {name} is a number, got {value!r}")
    if math.isnan(value):
        raise ValueError(f"{owner}: {name} is a number, got nan")
    return float(value)


def errors(owner: str, name: str, value: Any) -> tuple[type[Exception], ...]:
    """*value* as classes of exceptions, none of which is a cancellation or an order to exit."""
    classes = value if isinstance(value, tuple) else (value,)
    if not classes:
        raise ValueError(f"{owner}: {name} names no class of exceptions")
    for one in classes:
        if not isinstance(one, type) or not issubclass(one, BaseException):
            raise TypeError(f"{owner}: {name} is a class of exceptions or a tuple of them, got {one!r}")
        if not issubclass(one, Exception):
            raise TypeError(f"{owner}: {name} has {one.__name__}, which stops a program or a task and is no failure")
    return classes
