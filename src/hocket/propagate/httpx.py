"""Deadlines for `httpx.AsyncClient`.

client = httpx.AsyncClient(transport=hocket.propagate.httpx.DeadlineTransport())
"""

from __future__ import annotations

import math
from typing import Any

import httpx

from hocket.propagate.header import HEADER, write
from hocket.structured.budgets import budget


class DeadlineTransport(httpx.AsyncBaseTransport):  # type: ignore[misc]
    """A transport that tells with each request how long its caller waits, and stops waiting then.

    *inner* is the transport that sends; without one, an `httpx.AsyncHTTPTransport` with *options* (to which ``verify``,
    ``http2``, ``limits`` and so on have to be given, because a client with a transport does not make its own).
    *header* is the name of the header.

    Within a `hocket.budget`, or under any other deadline, a request ends with `hocket.BudgetExceeded` when its time is
    over, and is not sent at all if *needs* seconds are not left.  Where there is no deadline nothing changes.  Each
    attempt of a retry is told what is left then.  The body of a streamed answer is read under the deadline around.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport | None = None,
        *,
        header: str = HEADER,
        needs: float = 0.0,
        **options: Any,
    ) -> None:
        if inner is not None and options:
            raise TypeError(f"options are for a transport of its own making, not for {inner!r}: {', '.join(options)}")
        self._inner = httpx.AsyncHTTPTransport(**options) if inner is None else inner
        self._header = header
        self._needs = needs

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; what httpx calls."""
        with budget(math.inf, name=f"{request.method} {request.url.copy_with(query=None)}"):
            write(request.headers, header=self._header, needs=self._needs)
            return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()
