"""How long the other side of a call asks to wait before another try."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any


def retry_after(error: BaseException) -> float | None:
    """How many seconds the other side has asked to wait for: by ``Retry-After`` (RFC 9110), or by an attribute.

    It looks for ``error.retry_after`` (seconds, or a `datetime.timedelta`), and for the header in ``error.headers``
    (aiohttp) and ``error.response.headers`` (httpx, requests).  A header with a date counts from the answer's own
    ``Date``, since clocks differ; without that it is not understood.  None: nothing was asked for.
    """
    given = _seconds_of(getattr(error, "retry_after", None))
    if given is not None:
        return given
    for owner in (error, getattr(error, "response", None)):
        headers = getattr(owner, "headers", None)
        if headers is None or not hasattr(headers, "get"):
            continue
        value = headers.get("Retry-After") or headers.get("retry-after")
        if value is not None:
            return _seconds_in_header(str(value), headers.get("Date") or headers.get("date"))
    return None


def _seconds_of(value: Any) -> float | None:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        return None
    return float(value)


def _seconds_in_header(value: str, date: Any) -> float | None:
    value = value.strip()
    if value.isascii() and value.isdigit():
        return _seconds_of(int(value[:12]))
    if date is None:
        return None
    try:
        until, now = parsedate_to_datetime(value), parsedate_to_datetime(str(date))
        return max((_aware(until, now) - now).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None


def _aware(one: datetime, other: datetime) -> datetime:
    return one.replace(tzinfo=other.tzinfo) if (one.tzinfo is None) != (other.tzinfo is None) else one
