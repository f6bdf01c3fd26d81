"""Deadlines for ASGI applications: FastAPI, Starlette and all others.

app = FastAPI()
app.add_middleware(hocket.propagate.asgi.Deadlines, budget=0.5)
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from hocket.propagate.header import HEADER, LEFT_HEADER, milliseconds_left, parsed
from hocket.structured.budgets import BudgetExceeded
from hocket.structured.budgets import budget as budget_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: For how many seconds an application that is cancelled may clean up before it is answered in its place.
GRACE = 0.01


@dataclass(frozen=True, slots=True)
class DeadlinesStatistics:
    """What a `Deadlines` has seen: all requests, those without a limit, those that came too late and were refused,
    those whose time was over before the answer had begun, those after that, and messages of applications that went on
    after they had been answered for."""

    requests: int
    unlimited: int
    refused: int
    expired: int
    cut: int
    dropped: int


class Deadlines:
    """An ASGI middleware that gives each HTTP request a budget.

    *budget* is for requests that do not say how long their caller waits, and the most for those that do, in seconds;
    None: as long as the caller waits.  *header* is where they say so.  A request that has less left than *needs*
    seconds is refused before anything else sees it, with *status* and how much it had left
    (``X-Request-Time-Left-Ms``).

    When the time is over the application is cancelled and *fallback*, an ASGI application, answers in its place, for
    which *reserve* seconds are kept back; without one the answer is *status*, 504 by default.  An application that has
    begun to answer is cut off, so that the client sees that something is missing.  One that refuses to end, or cleans
    up for long, is answered for in the meantime, and what it still sends is dropped and counted.

    WebSockets and lifespan events pass.  Raises `TypeError` and `ValueError` for seconds that are none, before the
    first request.
    """

    def __init__(
        self,
        app: App,
        budget: float | None = None,
        *,
        header: str = HEADER,
        needs: float = 0.0,
        reserve: float = 0.0,
        status: int = 504,
        fallback: App | None = None,
    ) -> None:
        # They are checked where every budget is.
        budget_of(math.inf if budget is None else budget, reserve=reserve)
        budget_of(needs)
        if budget is not None and reserve >= budget:
            raise ValueError(f"reserve expected fewer seconds than the budget of {budget!r}, got {reserve!r}")
        self.app = app
        self._most = math.inf if budget is None else float(budget)
        self._header = header
        self._name = header.lower().encode("latin-1")
        self._needs = needs
        self._reserve = reserve
        self._status = status
        self._fallback = fallback
        self._requests = self._unlimited = self._refused = self._expired = self._cut = self._dropped = 0

    def statistics(self) -> DeadlinesStatistics:
        """What it has seen so far."""
        return DeadlinesStatistics(
            self._requests, self._unlimited, self._refused, self._expired, self._cut, self._dropped
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what ASGI calls."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self._requests += 1
        seconds = min(self._asked(scope), self._most)
        if seconds == math.inf:
            self._unlimited += 1
            await self.app(scope, receive, send)
            return
        if seconds <= self._needs:
            self._refused += 1
            await self._answer(send, seconds, f"this request has less than {self._needs * 1000:g} ms left")
            return
        await _Request(self, scope, receive, send, seconds).serve()

    def _asked(self, scope: Scope) -> float:
        for name, value in scope["headers"]:
            if name == self._name:
                return parsed(value, self._header)
        return math.inf

    async def _answer(self, send: Send, left: float, detail: str) -> None:
        body = json.dumps({"detail": detail, "time_left_ms": int(milliseconds_left(left))}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (LEFT_HEADER.lower().encode(), milliseconds_left(left).encode()),
        ]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class _Request:
    """One request that has a budget."""

    def __init__(self, deadlines: Deadlines, scope: Scope, receive: Receive, send: Send, seconds: float) -> None:
        self._deadlines = deadlines
        self._scope = scope
        self._receive = receive
        self._send = send
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + seconds
        # Whether the application has begun to answer, and has answered; and whether it need not any more.
        self._begun = False
        self._complete = False
        self._over = False
        self._instead: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Have the application answer, or answer in its place."""
        deadlines = self._deadlines
        name = f"{self._scope.get('method', 'GET')} {self._scope.get('path', '/')}"
        timer = self._loop.call_at(self._deadline - deadlines._reserve + GRACE, self._start_instead)
        try:
            with budget_of(max(self._seconds - deadlines._reserve, 0.0), name=name):
                await deadlines.app(self._scope, self._receive, self._pass)
        except BudgetExceeded:
            # This one, or one inside that nobody has seen to.
            if not self._over and not self._complete:
                self._over = True
                if self._begun:
                    deadlines._cut += 1
                    raise
                await self._answer()
        finally:
            timer.cancel()
            if self._instead is not None:
                await asyncio.shield(self._instead)

    async def _pass(self, message: Message) -> None:
        """``send`` for the application."""
        if self._over:
            self._deadlines._dropped += 1
            return
        if message["type"] == "http.response.start":
            self._begun = True
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._complete = True

    def _start_instead(self) -> None:
        if not self._over and not self._begun:
            self._over = True
            self._instead = self._loop.create_task(self._answer(), name="hocket.propagate: answer in time")

    async def _answer(self) -> None:
        deadlines = self._deadlines
        deadlines._expired += 1
        left = self._deadline - self._loop.time()
        if deadlines._fallback is not None and left > 0.0:
            answer = _Noting(self._send)
            try:
                with budget_of(left, name="the fallback", inherit=False):
                    await deadlines._fallback(self._scope, self._receive, answer)
                return
            except BudgetExceeded:
                if answer.begun:
                    deadlines._cut += 1
                    raise
        await deadlines._answer(self._send, 0.0, f"not done within {self._seconds * 1000:g} ms")


class _Noting:
    """``send`` that notes whether an answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def __call__(self, message: Message) -> None:
        self.begun = True
        await self._send(message)
