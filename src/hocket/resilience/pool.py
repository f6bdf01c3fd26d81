"""`Pool`: resources that are dear to make, such as connections, shared by those who need one for a while.

What happens to a resource is decided in one place without waiting, and done elsewhere: so no cancellation, whenever it
comes, can lose one.  Every resource is idle, out, or being closed; and every place in the pool is one of those, is
being filled, or is free.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import random
import warnings
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hocket.core import asyncio_private
from hocket.core.scope import CancelScope
from hocket.resilience import calls
from hocket.resilience.errors import PoolClosed, PoolExhausted
from hocket.structured import checks
from hocket.structured.randomness import randomness
from hocket.structured.scopes import fail_after, move_on_after

if TYPE_CHECKING:
    from hocket.resilience.statistics import PoolStatistics

T = TypeVar("T")


class Entry(Generic[T]):
    """One resource, and since when there is one; and since when it is idle."""

    __slots__ = ("expires", "idle_since", "resource", "suspect")

    def __init__(self, resource: T, now: float, expires: float) -> None:
        self.resource = resource
        self.expires = expires
        self.idle_since = now
        self.suspect = False


class Pool(Generic[T]):
    """Up to *size* resources, made by awaiting ``make()`` when they are needed, and used again::

        async with Pool(connect, size=10, close=lambda c: c.aclose(), check=lambda c: c.ping()) as pool:
            async with pool.lease() as connection:
                await connection.execute(...)

    Whoever finds none waits, first come, first served, if fewer than *waiting* others do, and is refused with
    `hocket.resilience.PoolExhausted` otherwise.  Who has been out last goes out first, so that the others can grow old.

    - *close* is called with each resource in the end, and awaited if that gives something to await, for *close_within*
      seconds at most; what it raises is logged.  Nothing that was made is left open.
    - *check* is called, and awaited for *check_within* seconds at most, before a resource goes out that has been idle
      for *check_after* seconds, or whose last user failed.  If it gives False or raises, the resource is closed and
      another one made.
    - After *max_age* seconds (less a tenth at random, so that not all go at once) and after *max_idle* seconds without
      use a resource is closed.
    - If one of *breaks* comes out of a lease the resource is closed: by default `OSError` (`TimeoutError` is one),
      `EOFError` and a cancellation, which may have left it in the middle of something.

    As a decorator it hands a resource in as the first argument: ``@pool``; and ``await pool.call(function, *args)``
    does so once.  It is no stage of a `Pipeline`, whose stages do not change the arguments: decorate with both.

    Raises `hocket.resilience.PoolClosed` once it is being closed.  Not thread-safe; belongs to the loop on which it is
    used first.
    """

    def __init__(
        self,
        make: Callable[[], Awaitable[T]],
        *,
        size: int,
        close: Callable[[T], Any] | None = None,
        check: Callable[[T], Any] | None = None,
        check_after: float = 30.0,
        check_within: float = 5.0,
        max_age: float | None = 3600.0,
        max_idle: float | None = 300.0,
        waiting: int = 1000,
        close_within: float = 5.0,
        breaks: tuple[type[BaseException], ...] = (OSError, EOFError, asyncio.CancelledError),
        random: random.Random | None = None,
        name: str | None = None,
    ) -> None:
        for what, function in (("make", make), ("close", close), ("check", check)):
            if not callable(function) and (what == "make" or function is not None):
                raise TypeError(f"Pool: {what} is a function, got {function!r}")
        self.name = "Pool" if name is None else name
        self.size = checks.positive_int("Pool", "size", size)
        self.waiting = checks.positive_int("Pool", "waiting", waiting, 0)
        self.check_after = checks.seconds("Pool", "check_after", check_after)
        self.check_within = checks.seconds("Pool", "check_within", check_within, zero=False)
        self.close_within = checks.seconds("Pool", "close_within", close_within, zero=False)
        self.max_age = math.inf if max_age is None else checks.seconds("Pool", "max_age", max_age, zero=False)
        self.max_idle = math.inf if max_idle is None else checks.seconds("Pool", "max_idle", max_idle, zero=False)
        self.breaks = breaks
        self._make, self._close, self._check = make, close, check
        self._random = random
        self._idle: deque[Entry[T]] = deque()
        self._out: dict[int, Entry[T]] = {}
        self._making = 0
        self._line: deque[asyncio.Future[Entry[T] | None]] = deque()
        self._closers: set[asyncio.Task[None]] = set()
        self._closed = False
        self._all_back: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._most_waiting = self._made = self._ended = self._expired = self._unhealthy = self._broken = 0
        self._leases = self._refused = 0

    def __repr__(self) -> str:
        return f"<Pool {self.name!r}: {len(self._out)} out, {len(self._idle)} idle, {len(self._line)} waiting>"

    def __del__(self) -> None:
        if getattr(self, "_idle", None):
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)

    def statistics(self) -> PoolStatistics:
        """What it holds now, and has done so far."""
        from hocket.resilience import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.PoolStatistics(
            self.size,
            len(self._idle),
            len(self._out),
            self._making,
            sum(not turn.done() for turn in self._line),
            self._most_waiting,
            self._made,
            self._ended,
            self._expired,
            self._unhealthy,
            self._broken,
            self._leases,
            self._refused,
        )

    # -- Using it

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[T]:
        """``async with pool.lease() as resource``: have one for the length of the block."""
        resource = await self.acquire()
        try:
            yield resource
        except BaseException as error:
            self._give_back(resource, isinstance(error, self.breaks), True)
            raise
        self._give_back(resource, False, False)

    async def acquire(self) -> T:
        """Take a resource out; to be given back by `release`.  Cancelling this takes nothing."""
        entry = await self._place()
        while entry is not None and not await self._is_fit(entry):
            entry = None
        if entry is None:
            entry = await self._fill()
        if self._closed:
            self._drop(entry)
            self._look_whether_all_back()
            raise PoolClosed(f"{self!r} has been closed", policy=self)
        self._out[id(entry.resource)] = entry
        self._leases += 1
        return entry.resource

    def release(self, resource: T, *, broken: bool = False) -> None:
        """Give *resource* back; if it is *broken* it is closed, and never used again.

        Raises `ValueError` for what is not out.
        """
        self._give_back(resource, broken, False)

    async def call(self, function: Callable[..., Awaitable[Any]], /, *args: Any, **kwargs: Any) -> Any:
        """``await function(resource, *args, **kwargs)``."""
        async with self.lease() as resource:
            return await function(resource, *args, **kwargs)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Have *function* called with a resource as its first argument."""
        calls.check_function(self, function)  # type: ignore[arg-type]

        @wraps(function)
        async def with_resource(*args: Any, **kwargs: Any) -> Any:
            return await self.call(function, *args, **kwargs)

        return with_resource

    async def __aenter__(self) -> Pool[T]:
        return self

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        await self.aclose()

    async def aclose(self, *, grace: float = 10.0) -> None:
        """Refuse everybody from now on, close what is idle, and wait for what is out; after *grace* seconds close that,
        too.  May be called twice.

        A cancellation does not keep it from closing; it takes effect afterwards.
        """
        grace = checks.seconds("Pool", "grace", grace)
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for turn in self._line:
            if not turn.done():
                turn.set_exception(PoolClosed(f"{self!r} has been closed", policy=self))
        while self._idle:
            self._drop(self._idle.popleft())
        cancelled: asyncio.CancelledError | None = None
        try:
            if self._out or self._making:
                self._all_back = asyncio.get_running_loop().create_future()
                with move_on_after(grace):
                    await self._all_back
        except asyncio.CancelledError as error:
            cancelled = error
        for entry in list(self._out.values()):
            del self._out[id(entry.resource)]
            self._drop(entry)
        with CancelScope(shield=True):
            while self._closers:
                try:
                    await asyncio.wait(list(self._closers))
                except asyncio.CancelledError as error:
                    cancelled = error
        if cancelled is not None:
            try:
                raise cancelled
            finally:
                cancelled = None

    # -- Places

    async def _place(self) -> Entry[T] | None:
        """A resource that was idle, or None: a place, in which one is to be made."""
        if self._closed:
            raise PoolClosed(f"{self!r} has been closed", policy=self)
        if self._idle:
            return self._idle.pop()
        if self._taken() < self.size:
            self._making += 1
            return None
        if sum(not turn.done() for turn in self._line) >= self.waiting:
            self._refused += 1
            raise PoolExhausted(f"{self!r}: all {self.size} are out, and {self.waiting} wait", policy=self)
        turn: asyncio.Future[Entry[T] | None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        self._most_waiting = max(self._most_waiting, len(self._line))
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # It was its turn already, and it will not take it.
                entry = turn.result()
                if entry is None:
                    self._making -= 1
                    self._pass_place_on()
                else:
                    self._pass_on(entry)
            elif turn in self._line:
                self._line.remove(turn)
            raise

    def _taken(self) -> int:
        return len(self._idle) + len(self._out) + self._making

    def _next_in_line(self) -> asyncio.Future[Entry[T] | None] | None:
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                return turn
        return None

    def _pass_place_on(self) -> None:
        """A place has become free."""
        turn = None if self._closed else self._next_in_line()
        if turn is not None:
            self._making += 1
            turn.set_result(None)
        else:
            self._look_whether_all_back()

    def _pass_on(self, entry: Entry[T]) -> None:
        """Nobody has *entry*."""
        if self._closed:
            self._drop(entry)
            self._look_whether_all_back()
            return
        now = asyncio.get_running_loop().time()
        if now >= entry.expires:
            self._expired += 1
            self._drop(entry)
            self._pass_place_on()
            return
        entry.idle_since = now
        turn = self._next_in_line()
        if turn is not None:
            turn.set_result(entry)
            return
        self._idle.append(entry)
        if self._timer is None and self.max_idle < math.inf:
            self._timer = asyncio.get_running_loop().call_later(self.max_idle, self._close_idle)

    def _give_back(self, resource: T, broken: bool, suspect: bool) -> None:
        entry = self._out.pop(id(resource), None)
        if entry is None:
            if self._closed:
                return  # It was closed under its user's hands.
            raise ValueError(f"{self!r}: {resource!r} is not out")
        entry.suspect = suspect
        if broken:
            self._broken += 1
            self._drop(entry)
            self._pass_place_on()
        else:
            self._pass_on(entry)

    def _look_whether_all_back(self) -> None:
        if self._all_back is not None and not self._all_back.done() and not self._out and not self._making:
            self._all_back.set_result(None)

    # -- Resources

    async def _fill(self) -> Entry[T]:
        """Make a resource, in a place that is ours."""
        try:
            resource = await self._make()
        except BaseException:
            self._making -= 1
            self._pass_place_on()
            raise
        self._making -= 1
        self._made += 1
        now = asyncio.get_running_loop().time()
        generator = randomness() if self._random is None else self._random
        age = self.max_age * (1.0 - 0.1 * generator.random()) if self.max_age < math.inf else math.inf
        return Entry(resource, now, now + age)

    async def _is_fit(self, entry: Entry[T]) -> bool:
        """Whether *entry*, which nobody else has, can go out; if not it is closed, and its place ours."""
        now = asyncio.get_running_loop().time()
        if now >= entry.expires or now - entry.idle_since >= self.max_idle:
            self._expired += 1
            self._making += 1
            self._drop(entry)
            return False
        if self._check is None or not (entry.suspect or now - entry.idle_since >= self.check_after):
            return True
        self._making += 1
        try:
            with fail_after(self.check_within):
                healthy = self._check(entry.resource)
                if inspect.isawaitable(healthy):
                    healthy = await healthy
        except Exception:
            healthy = False
        except BaseException:
            # Cancelled in the middle of it: nobody knows what state it is in.
            self._making -= 1
            self._broken += 1
            self._drop(entry)
            self._pass_place_on()
            raise
        if healthy is False:
            self._unhealthy += 1
            self._drop(entry)
            return False
        self._making -= 1
        entry.suspect = False
        return True

    def _close_idle(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._idle and (
            now - self._idle[0].idle_since >= self.max_idle - 1e-9 or now >= self._idle[0].expires - 1e-9
        ):
            self._expired += 1
            self._drop(self._idle.popleft())
        if self._idle:
            first = min(self._idle[0].idle_since + self.max_idle, self._idle[0].expires)
            self._timer = loop.call_at(max(first, now), self._close_idle)

    def _drop(self, entry: Entry[T]) -> None:
        """Close a resource that is neither idle nor out any more."""
        self._ended += 1
        if self._close is None:
            return
        closer = asyncio.get_running_loop().create_task(self._close_one(entry.resource), name=f"{self.name}: close")
        self._closers.add(closer)
        closer.add_done_callback(self._closers.discard)

    async def _close_one(self, resource: T) -> None:
        assert self._close is not None
        try:
            with fail_after(self.close_within):
                closing = self._close(resource)
                if inspect.isawaitable(closing):
                    await closing
        except Exception:
            asyncio_private.logger.exception("%r could not close %r", self, resource)
