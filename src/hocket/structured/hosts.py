"""The task for which a thread works, as the thread sees it: whether it is cancelled, how long it may take, its loop.

`to_thread.run_sync` makes a `Host` for each call, and `from_thread` asks it.  What the thread reads of the loop's is
one attribute at a time, so it needs no lock; what it wants done there goes through `call_soon_threadsafe`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
import weakref
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any

from hocket.core import scheduler
from hocket.core.scope import CancelScope
from hocket.structured.scopes import current_effective_deadline

#: By loop, what threads wait for: a loop that closes never gets to it.
_awaited: weakref.WeakKeyDictionary[Any, set[concurrent.futures.Future[Any]]] = weakref.WeakKeyDictionary()


class Reply(concurrent.futures.Future[Any]):
    """What a thread waits for that has asked *loop* for something.  It fails if the loop closes before."""

    def __init__(self, loop: Any) -> None:
        super().__init__()
        waiting = _awaited.setdefault(loop, set())
        waiting.add(self)
        self.add_done_callback(waiting.discard)

    def finish(self, value: Any) -> None:
        """Have the result, unless nobody waits any more."""
        try:
            self.set_result(value)
        except concurrent.futures.InvalidStateError:
            pass

    def fail(self, error: BaseException) -> None:
        """Have *error* raised, unless nobody waits any more."""
        try:
            self.set_exception(error)
        except concurrent.futures.InvalidStateError:
            pass


def _fail_all(loop: Any) -> None:
    for reply in list(_awaited.pop(loop, ())):
        if isinstance(reply, Reply):
            reply.fail(RuntimeError("the event loop was closed before it had done what a thread waits for"))


scheduler.on_close.append(_fail_all)


class ThreadCancelled(asyncio.CancelledError):
    """Raised in a thread whose task is cancelled."""


class Host:
    """The task that has called `to_thread.run_sync`.

    Whether it is cancelled, and by what, is for it to know: what it waits for (`hocket.primitives.threads.held`) passes
    on every attempt to cancel it, and that is what reaches the thread.
    """

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self._deadline = current_effective_deadline()
        self._cancelled = False
        self._message: Any = None
        self._asked: set[CancelScope] = set()

    # -- In the thread

    def time_left(self) -> float:
        """How many seconds are left until the deadline; infinity if there is none."""
        return math.inf if self._deadline == math.inf else max(self._deadline - self.loop.time(), 0.0)

    def check(self) -> None:
        """Raise `ThreadCancelled` if the task is to be cancelled."""
        if self._cancelled:
            raise ThreadCancelled() if self._message is None else ThreadCancelled(self._message)

    def run(self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> Any:
        """Have the loop run ``await function(*args)`` in a task that is cancelled with the host; wait for the
        outcome."""
        self.check()
        return self._ask(self._start, function, args)

    def run_sync(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Have the loop call ``function(*args)``; wait for the outcome."""
        return self._ask(self._call, function, args)

    def _ask(self, what: Callable[..., object], function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        reply = Reply(self.loop)
        try:
            self.loop.call_soon_threadsafe(what, function, args, reply, context=copy_context())
        except RuntimeError as error:
            reply.fail(error)
        try:
            return reply.result()
        finally:
            # The traceback of an exception holds this frame, which would hold the exception: a cycle.
            del reply

    # -- In the loop

    def interrupt(self, message: Any = None) -> None:
        """The task is to be cancelled: let the thread know, and cancel what it waits for."""
        self._cancelled = True
        self._message = message
        for scope in list(self._asked):
            scope.cancel(message)

    def _call(self, function: Callable[..., Any], args: tuple[Any, ...], reply: Reply) -> None:
        try:
            reply.finish(function(*args))
        except BaseException as error:
            reply.fail(error)
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise

    def _start(self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], reply: Reply) -> None:
        task = self.loop.create_task(self._answer(function, args, reply), name=name_of(function))
        task.add_done_callback(reply_if_never_begun(reply))

    async def _answer(self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], reply: Reply) -> None:
        try:
            with CancelScope(deadline=self._deadline) as scope:
                self._asked.add(scope)
                try:
                    self.check()
                    reply.finish(await function(*args))
                finally:
                    self._asked.discard(scope)
            if scope.cancelled_caught:
                reply.fail(ThreadCancelled() if scope.reason is None else ThreadCancelled(scope.reason))
        except BaseException as error:
            reply.fail(error)
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise


def name_of(function: Any) -> str:
    """What a task is called that runs *function* for a thread."""
    return f"from_thread.{getattr(function, '__qualname__', type(function).__qualname__)}"


def reply_if_never_begun(reply: Reply) -> Callable[[Any], None]:
    """A callback for the task of an `answer`: one that is cancelled before its first step has not said so."""

    def done(task: Any) -> None:
        if task.cancelled():
            reply.fail(asyncio.CancelledError())

    return done
