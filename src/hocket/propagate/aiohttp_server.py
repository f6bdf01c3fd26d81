"""Deadlines for servers of aiohttp.

app = web.Application(middlewares=[hocket.propagate.aiohttp_server.deadlines(0.5)])
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

from aiohttp import web

from hocket.core.task import Task
from hocket.propagate.header import HEADER, LEFT_HEADER, milliseconds_left, read
from hocket.structured.budgets import BudgetExceeded
from hocket.structured.budgets import budget as budget_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware  # type: ignore[untyped-decorator]
async def own_tasks(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A server middleware that runs each handler in a task of hocket's, in which there can be scopes.

    On Python 3.12 and 3.13 aiohttp makes a task of asyncio's own class for a connection, whatever the loop makes; on
    the others this does nothing.  `deadlines` does so itself.
    """
    if isinstance(asyncio.current_task(), Task):
        return await handler(request)
    # Who cancels the one that waits cancels the one that is waited for.
    return await asyncio.get_running_loop().create_task(_awaiting(handler(request)))


async def _awaiting(answer: Awaitable[web.StreamResponse]) -> web.StreamResponse:
    return await answer


def deadlines(
    budget: float | None = None,
    *,
    header: str = HEADER,
    needs: float = 0.0,
    reserve: float = 0.0,
    status: int = 504,
    fallback: Handler | None = None,
) -> Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]:
    """A server middleware that gives each request a budget.

    *budget* is for requests that do not say how long their caller waits, and the most for those that do, in seconds;
    None: as long as the caller waits.  A request that has less left than *needs* seconds is refused before its handler
    runs, with *status* and how much it had left (``X-Request-Time-Left-Ms``).  When the time is over the handler is
    cancelled and *fallback* answers in its place, for which *reserve* seconds are kept back; without one the answer is
    *status*.  An answer that has begun is cut off.

    Raises `TypeError` and `ValueError` for seconds that are none.
    """
    # They are checked where every budget is.
    budget_of(math.inf if budget is None else budget, reserve=reserve)
    budget_of(needs)
    if budget is not None and reserve >= budget:
        raise ValueError(f"reserve expected fewer seconds than the budget of {budget!r}, got {reserve!r}")
    most = math.inf if budget is None else budget

    def refusal(left: float, detail: str) -> web.Response:
        text = milliseconds_left(left)
        return web.json_response(
            {"detail": detail, "time_left_ms": int(text)}, status=status, headers={LEFT_HEADER: text}
        )

    async def limited(request: web.Request, handler: Handler) -> web.StreamResponse:
        seconds = min(read(request.headers, header=header), most)
        if seconds == math.inf:
            return await handler(request)
        if seconds <= needs:
            return refusal(seconds, f"this request has less than {needs * 1000:g} ms left")
        whole = budget_of(max(seconds - reserve, 0.0), name=f"{request.method} {request.path}")
        try:
            with whole:
                return await handler(request)
        except BudgetExceeded:
            # This one, or one inside that nobody has seen to.
            if request.writer.output_size:
                raise
        left = seconds - whole.spent()
        if fallback is not None and left > 0.0:
            try:
                with budget_of(left, name="the fallback"):
                    return await fallback(request)
            except BudgetExceeded:
                pass
        return refusal(0.0, f"not done within {seconds * 1000:g} ms")

    @web.middleware  # type: ignore[untyped-decorator]
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await own_tasks(request, lambda request: limited(request, handler))

    return middleware  # type: ignore[no-any-return]
