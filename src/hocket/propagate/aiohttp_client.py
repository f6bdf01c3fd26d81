"""Deadlines for `aiohttp.ClientSession`, of aiohttp 3.12 and later.

session = aiohttp.ClientSession(middlewares=[hocket.propagate.aiohttp_client.deadlines()])
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from aiohttp import ClientRequest, ClientResponse

from hocket.propagate.header import HEADER, write
from hocket.structured.budgets import budget

Handler = Callable[[ClientRequest], Awaitable[ClientResponse]]


def deadlines(
    *, header: str = HEADER, needs: float = 0.0
) -> Callable[[ClientRequest, Handler], Awaitable[ClientResponse]]:
    """A client middleware that tells with each request how long its caller waits, and stops waiting then.

    Within a `hocket.budget`, or under any other deadline, a request ends with `hocket.BudgetExceeded` when its time is
    over, and is not sent at all if *needs* seconds are not left.  Where there is no deadline nothing changes.  Each
    attempt of a retry is told what is left then.  The body of the answer is read under the deadline around.  *header*
    is the name of the header.
    """

    async def middleware(request: ClientRequest, handler: Handler) -> ClientResponse:
        with budget(math.inf, name=f"{request.method} {request.url.with_query(None)}"):
            write(request.headers, header=header, needs=needs)
            return await handler(request)

    return middleware
