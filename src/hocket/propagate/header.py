"""The header: how a duration is written, and read from who knows where."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, MutableMapping
from typing import Any

from hocket.structured.budgets import BudgetExceeded, current_budget, given

#: By what name the remaining milliseconds are sent, unless somebody says otherwise.
HEADER = "X-Request-Timeout-Ms"
#: In the answer to a request that is refused: how many milliseconds it had left.
LEFT_HEADER = "X-Request-Time-Left-Ms"

_GRPC = "grpc-timeout"
_MILLISECONDS = re.compile(r"[0-9]{1,12}\Z", re.ASCII)
_OF_GRPC = re.compile(r"([0-9]{1,8})([HMSmun])\Z", re.ASCII)
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
#: The most that eight digits of a unit of gRPC's say, from the finest on.
_STEPS = (("u", 1e-6), ("m", 1e-3), ("S", 1.0), ("M", 60.0), ("H", 3600.0))


def write(headers: MutableMapping[str, Any], *, header: str = HEADER, needs: float = 0.0) -> None:
    """Put into *headers* how much time a call below may take; nothing if there is no limit.

    What `hocket.budget` keeps back (``reserve``) is not given away, and fractions of a millisecond are dropped.  If
    there is less than one, or less than *needs* seconds, it raises `BudgetExceeded`: the request need not be sent.
    Raises `RuntimeError` without a running loop::

        headers = {}
        hocket.propagate.write(headers)
        await post(url, headers=headers)
    """
    left = given()
    if left == math.inf:
        return
    text = written(left, header) if left >= needs else None
    if text is None:
        raise BudgetExceeded(f"no request is sent: {max(left, 0.0) * 1000:.1f} ms are left", current_budget())
    headers[header] = text


def read(headers: Mapping[str, Any], *, header: str = HEADER) -> float:
    """How many seconds the request with these *headers* may take; infinity if it does not say, or nothing that can be
    understood.

    Names of headers are compared in lower case if *headers* does not find them as they are.
    """
    value = headers.get(header)
    if value is None:
        value = headers.get(header.lower())
    return math.inf if value is None else parsed(value, header)


def written(seconds: float, header: str) -> str | None:
    """*seconds* as the value of *header*; None if that is less than it can say."""
    if not seconds > 0.0:
        return None
    if header.lower() != _GRPC:
        milliseconds = math.floor(seconds * 1000)
        return str(milliseconds) if milliseconds > 0 else None
    for unit, size in _STEPS:
        count = math.floor(seconds / size)
        if count < 100_000_000:
            return f"{count}{unit}" if count > 0 else None
    return "99999999H"


def parsed(value: str | bytes, header: str) -> float:
    """Seconds; infinity if *value* makes no sense: who cannot say how long he waits is served as ever."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    text = text.strip()
    if header.lower() != _GRPC:
        return int(text) / 1000 if _MILLISECONDS.match(text) else math.inf
    match = _OF_GRPC.match(text)
    return math.inf if match is None else int(match[1]) * _UNITS[match[2]]


def milliseconds_left(seconds: float) -> str:
    """For the answer to who comes too late."""
    return str(math.floor(max(seconds, 0.0) * 1000))
