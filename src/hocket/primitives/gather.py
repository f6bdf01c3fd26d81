"""`gather` and `shield`, as in `asyncio.tasks`: a future that stands for others."""

from __future__ import annotations

import asyncio
from typing import Any

from hocket.core import asyncio_private
from hocket.core.engine import Engine
from hocket.core.future import Future, Watcher
from hocket.core.task import Task
from hocket.native.freelist import keep_spare
from hocket.native.operation import Operation

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.core.future import add_to_awaited_by, discard_from_awaited_by, watch
    from hocket.native.step import is_coroutine
    from hocket.primitives.bound import current_task, is_done, new_task, task_engine


class _GatheringFuture(Future):
    """What `gather` gives.  Cancelling it cancels the children, and it is done when they are."""

    def _init_gathering(self, loop: Any, children: list[Any], return_exceptions: bool, waiter: Any) -> None:
        self._init_future(loop)
        self._children = children
        self._return_exceptions = return_exceptions
        self._cancel_requested = False
        self._left = 0
        self._waiter = waiter

    def cancel(self, msg: Any = None) -> bool:
        """Cancel every child that is not done.  False if there is none."""
        if self._done:
            return False
        requested = False
        for child in self._children:
            if child.cancel(msg=msg):
                requested = True
        if requested:
            self._cancel_requested = True
        return requested

    def _child_done(self, child: Any) -> None:
        self._left -= 1
        if self._done:
            if not child.cancelled():
                child.exception()  # so that nobody reports it as never retrieved
            return
        if not self._return_exceptions:
            error: Any = child._make_cancelled_error() if child.cancelled() else child.exception()
            if error is not None:
                self._fail(error)
                return
        if self._left == 0:
            self._settle(child)

    def _settle(self, last: Any) -> None:
        results = [_outcome(child) for child in self._children]
        if self._cancel_requested:
            # Asked to cancel, gather() ends with that, whatever became of the children.
            self._fail(last._make_cancelled_error())
        else:
            self._finish(results)


class _Child(Watcher):
    """Tells a `_GatheringFuture` that one of its children is done."""

    __slots__ = ("_outer",)

    _outer: _GatheringFuture

    def run(self) -> None:
        outer = self._outer
        child = self._watched
        if type(child) is Task and not outer._done and outer._left > 1:
            task = child
            if not task._cancelled and task._exception is None:
                # The common case, and there are others to wait for.
                outer._left -= 1
                return
        outer._child_done(child)

    def waiting_task(self) -> Any:
        return None if self._outer._done else self._outer._waiter


def gather(*coros_or_futures: Any, return_exceptions: bool = False) -> Any:
    """A future of the list of results, in the order of the arguments; coroutines are run as tasks.

    The first exception is that of the future; the others go on.  With *return_exceptions* exceptions are results like
    others.  Cancelling the future cancels all that is not done.  As `asyncio.gather`::

        pages = await hocket.gather(*map(fetch, urls))
    """
    if not coros_or_futures:
        empty = asyncio_private.get_loop_for_future().create_future()
        empty.set_result([])
        return empty
    loop = asyncio_private.running_loop()
    waiter = None if loop is None else current_task(loop)
    engine = task_engine(loop)
    seen: dict[Any, Any] = {}
    children: list[Any] = []
    done: list[Any] = []
    pending: list[Any] = []
    for argument in coros_or_futures:
        child = seen.get(argument)
        if child is None and engine is not None and is_coroutine(argument):
            child = new_task(engine, argument)
            child._log_destroy_pending = False
            seen[argument] = child
            pending.append(child)
        elif child is None:
            child = _ensure(argument, loop)
            if loop is None:
                loop = asyncio_private.get_future_loop(child)
            if child is not argument:
                child._log_destroy_pending = False
            seen[argument] = child
            if is_done(child):
                done.append(child)
            else:
                pending.append(child)
        children.append(child)
    return _gathered(loop, children, bool(return_exceptions), waiter, pending, done)


def _gathered(
    loop: Any, children: list[Any], return_exceptions: bool, waiter: Any, pending: list[Any], done: list[Any]
) -> _GatheringFuture:
    outer = _GatheringFuture.__new__(_GatheringFuture)
    outer._init_gathering(loop, children, return_exceptions, waiter)
    outer._left = len(done) + len(pending)
    for child in pending:
        _attend(outer, child)
    for child in done:
        outer._child_done(child)
    return outer


def _attend(outer: _GatheringFuture, child: Any) -> None:
    if outer._scheduler is not None and (type(child) is Task or type(child) is Future):
        watcher = _Child.__new__(_Child)
        watcher._outer = outer
        watch(child, watcher)
    else:
        _follow(outer, child, outer._waiter)


def _ensure(argument: Any, loop: Any) -> Any:
    if isinstance(loop, Engine) and (is_coroutine(argument) or isinstance(argument, Operation)):
        try:
            return loop.create_task(argument)
        except RuntimeError:
            argument.close()
            raise
    return asyncio.ensure_future(argument, loop=loop)


def _outcome(child: Any) -> Any:
    if type(child) is Task:
        task = child
        if not task._cancelled and task._exception is None:
            return task._result
    if child.cancelled():
        message = child._cancel_message
        return asyncio.CancelledError("" if message is None else message)
    error = child.exception()
    return child.result() if error is None else error


def _follow(outer: _GatheringFuture, child: Any, waiter: Any) -> None:
    """Have a child that is not ours tell *outer* when it is done."""
    if waiter is None:
        child.add_done_callback(outer._child_done)
        return

    def tell(child: Any) -> None:
        discard_from_awaited_by(child, waiter)
        outer._child_done(child)

    def forget(outer: Any) -> None:
        discard_from_awaited_by(child, waiter)

    add_to_awaited_by(child, waiter)
    child.add_done_callback(tell)
    outer.add_done_callback(forget)


def shield(arg: Any) -> Any:
    """Wait for *arg* without cancelling it when the task that waits is cancelled.  As `asyncio.shield`.

    On hocket's loop the shielded task goes on even if nobody holds it; an exception that nobody is there to see any
    more is reported to the loop's exception handler::

        response = await hocket.shield(commit())
    """
    inner = asyncio.ensure_future(arg)
    if inner.done():
        return inner
    loop = asyncio_private.get_future_loop(inner)
    outer = loop.create_future()
    waiter = current_task(loop) if loop is not None and asyncio_private.running_loop() is loop else None
    return _Shield(inner, outer, waiter).start()


class _Shield:
    """What ties the two futures of `shield` together."""

    def __init__(self, inner: Any, outer: Any, waiter: Any) -> None:
        self._inner = inner
        self._outer = outer
        self._waiter = waiter

    def start(self) -> Any:
        if self._waiter is not None:
            add_to_awaited_by(self._inner, self._waiter)
        self._inner.add_done_callback(self._inner_done)
        self._outer.add_done_callback(self._outer_done)
        return self._outer

    def _inner_done(self, inner: Any) -> None:
        outer = self._outer
        if self._waiter is not None:
            discard_from_awaited_by(inner, self._waiter)
        if outer.cancelled():
            return
        if inner.cancelled():
            outer.cancel()
            return
        error = inner.exception()
        if error is not None:
            outer.set_exception(error)
        else:
            outer.set_result(inner.result())

    def _outer_done(self, outer: Any) -> None:
        inner = self._inner
        if not inner.done():
            inner.remove_done_callback(self._inner_done)
            # Once, however many shields there were.
            inner.remove_done_callback(asyncio_private.report_unseen)
            inner.add_done_callback(asyncio_private.report_unseen)
            if self._waiter is not None:
                discard_from_awaited_by(inner, self._waiter)


keep_spare(_Child, 1024)
