"""What the agent of an observed process and those who ask it say to each other: lines of JSON over a Unix socket.

The agent speaks first, and says who it is:

    {"hocket": "0.1.0", "protocol": 1, "process": 4711, "program": "app.py", "control": false, ...}

Every request is one line that names what is asked for.  The answer is any number of rows and then one end, or an error,
in which case nothing follows:

    {"do": "tasks", "sort": "run_time", "descending": true, "limit": 2}
    {"row": {"number": 7, "name": "fetch", "state": "waiting", ...}}
    {"row": {"number": 3, "name": "Task-3", "state": "ready", ...}}
    {"end": {"total": 10000, "matching": 10000}}

Requests may be sent before the last is answered; they are answered in turn.  A row has the fields of the frozen object
of `hocket.observe` that it stands for.  ``protocol`` is counted up when something that was there before changes; who
reads must put up with fields that it does not know.
"""

from __future__ import annotations

import functools
import json
import operator
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

PROTOCOL = 1

#: The longest request, in bytes.
LONGEST_REQUEST = 65536


class Refusal(Exception):
    """What the client asked for cannot be had, and why: an error that is answered, and says all there is to say."""


def encode(message: dict[str, Any]) -> bytes:
    """*message* as a line.  Frozen objects in it become objects with the same fields."""
    return _encoder.encode(message).encode() + b"\n"


def decode(line: bytes | bytearray) -> dict[str, Any]:
    """What a line says; `ValueError` if it is none of ours."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError(f"expected a line of JSON, got {bytes(line[:80])!r}") from None
    if not isinstance(message, dict):
        raise ValueError(f"expected a JSON object, got {bytes(line[:80])!r}")
    return message


def _fields(facts: Any) -> dict[str, Any] | str:
    kind: Any = type(facts)
    reader = _reader_of(kind)
    # Better a word for what nobody thought of than no answer.
    return repr(facts) if reader is None else dict(zip(reader[0], reader[1](facts), strict=True))


@functools.lru_cache
def _reader_of(kind: Any) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]] | None:
    """The names of the fields of a frozen class, and what gets them all at once; None: it is none."""
    names = tuple(getattr(kind, "__dataclass_fields__", ()))
    if len(names) > 1:
        return names, operator.attrgetter(*names)
    # Asked for one name alone, a getter gives no tuple.
    return (names, lambda facts: (getattr(facts, names[0]),)) if names else None


_encoder = json.JSONEncoder(default=_fields, separators=(",", ":"))


def revive(kind: type[T], fields: dict[str, Any]) -> T:
    """The frozen object of class *kind* that became *fields* on its way.  What *kind* does not have is left out."""
    hashable: Any = kind
    known = _types_of(hashable)
    return kind(**{name: _revived(known[name], value) for name, value in fields.items() if name in known})


@functools.lru_cache
def _types_of(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _revived(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, types.UnionType):
        kind = next(one for one in kind.__args__ if one is not types.NoneType)
    if typing.get_origin(kind) is tuple:
        return tuple(_revived(kind.__args__[0], one) for one in value)
    return revive(kind, value) if hasattr(kind, "__dataclass_fields__") else value
