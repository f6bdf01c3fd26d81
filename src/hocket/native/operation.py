"""What ``lock.acquire()`` and its like return: an object that behaves as a coroutine and costs less.

A coroutine is a frame that can stop anywhere.  Most of what the primitives do stops at one place at most, to wait for
one future, and very often at none: that is a few fields and a method for each thing that can happen.  An `Operation`
is accepted wherever a coroutine is: by ``await``, by tasks, by `asyncio.gather`.  As with a coroutine, nothing happens
before it is awaited, it can be awaited once, and one that never is warns when it goes.

The compiled twin (``operation.pyx``/``operation.pxd``) says the same with a slot that ends without raising
``StopIteration`` through Cython, which would build a traceback for it.
"""

from __future__ import annotations

import warnings
from types import TracebackType
from typing import Any, NoReturn, final

_NEW = 0
_WAITING = 1
_OVER = 2


class Operation:
    """Base of what can be awaited once.  A subclass says what happens, by three methods that return what to wait for (a
    future, or the operation itself if it can be woken: `hocket.core.wait.Wait`), or None when the operation is over
    and ``_result`` is what ``await`` gives:

    - ``_begin`` when it is first awaited,
    - ``_resume`` when the future has a result,
    - ``_interrupt`` when an exception is thrown in at the ``await``: a cancellation most of the time.  It cleans up
      and raises.

    The other fields are the subclasses', declared here because the free list of the compiled twin keeps objects of one
    size: ``_owner`` is what the operation belongs to, ``_item`` what it carries, and ``_quiet`` says that it gives
    None; for the rest see `hocket.core.wait.Wait`.
    """

    __slots__ = (
        "__weakref__",
        "_before",
        "_behind",
        "_blocking",
        "_cancelled",
        "_future",
        "_item",
        "_loop",
        "_owner",
        "_quiet",
        "_result",
        "_stage",
        "_waited",
        "_waker",
        "_woken",
    )

    _future: Any
    _result: Any
    _loop: Any
    _waker: Any
    _owner: Any
    _item: Any
    _before: Any
    _behind: Any
    _stage: int
    _woken: bool
    _cancelled: bool
    _blocking: bool
    _quiet: bool
    _waited: int

    #: What logs and warnings call it.
    _name = "operation"

    def __new__(cls) -> Any:
        self = object.__new__(cls)
        self._future = None
        self._result = None
        self._loop = None
        self._waker = None
        self._owner = None
        self._item = None
        self._before = None
        self._behind = None
        self._stage = _NEW
        self._woken = False
        self._cancelled = False
        self._blocking = False
        self._quiet = False
        self._waited = 0
        return self

    @property
    def __name__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"<coroutine {self.__name__} at {id(self):#x}>"

    def __del__(self) -> None:
        if self._stage == _NEW:
            warnings.warn(f"coroutine '{self.__name__}' was never awaited", RuntimeWarning, stacklevel=2)

    def _begin(self) -> Any:
        return None

    def _resume(self) -> Any:
        return None

    def _interrupt(self, error: BaseException) -> Any:
        raise error

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        awaited = self.advance()
        if awaited is not None:
            return awaited
        if self._result is None:
            raise StopIteration
        raise StopIteration(self._result)

    def send(self, value: object) -> Any:
        """Resume; the value is of no consequence."""
        return self.__next__()

    def throw(self, kind: Any, value: Any = None, traceback: TracebackType | None = None) -> Any:
        """Raise an exception where the operation waits."""
        error = thrown(kind, value, traceback)
        try:
            if self._stage == _OVER:
                reused()
            waiting = self._stage == _WAITING
            self._stage = _OVER
            if not waiting:
                raise error
            awaited = self._interrupt(error)
        finally:
            # The traceback holds this frame, and would hold the exception: a cycle.
            del error, kind, value
        if self.over(awaited):
            raise StopIteration(self._result)
        return awaited

    def close(self) -> None:
        """End the operation where it waits."""
        if self._stage != _WAITING:
            self._stage = _OVER
            return
        try:
            self.throw(GeneratorExit)
        except (GeneratorExit, StopIteration):
            return
        raise RuntimeError("coroutine ignored GeneratorExit")

    def advance(self) -> Any:
        stage = self._stage
        self._stage = _OVER
        if stage == _NEW:
            awaited = self._begin()
        elif stage == _WAITING:
            awaited = self._resume()
        else:
            reused()
        self.over(awaited)
        return awaited

    def over(self, awaited: Any) -> bool:
        """Note what the operation waits for now; True if for nothing."""
        if awaited is self:
            self._stage = _WAITING
            return False
        self._future = awaited
        if awaited is None:
            return True
        awaited._asyncio_future_blocking = True
        self._stage = _WAITING
        return False


@final
class Immediate(Operation):
    """Over as soon as it is awaited; made by `given`."""

    __slots__ = ()

    def advance(self) -> Any:
        return None


@final
class Pause:
    """``sleep(0)``: one turn of the loop, a bare yield and nothing else."""

    __slots__ = ("_stage",)

    def __init__(self) -> None:
        self._stage = _NEW

    @property
    def __name__(self) -> str:
        return "sleep"

    def __del__(self) -> None:
        if self._stage == _NEW:
            warnings.warn("coroutine 'sleep' was never awaited", RuntimeWarning, stacklevel=2)

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> None:
        stage = self._stage
        if stage == _NEW:
            self._stage = _WAITING
            return
        self._stage = _OVER
        if stage == _OVER:
            reused()
        raise StopIteration

    def send(self, value: object) -> Any:
        """Resume; the value is of no consequence."""
        return self.__next__()

    def throw(self, kind: Any, value: Any = None, traceback: TracebackType | None = None) -> Any:
        """Raise an exception where the operation waits."""
        if self._stage == _OVER:
            reused()
        self._stage = _OVER
        try:
            raise thrown(kind, value, traceback)
        finally:
            # The traceback holds this frame, and would hold the exception: a cycle.
            del kind, value

    def close(self) -> None:
        """End it."""
        self._stage = _OVER


def _immediate(value: Any) -> Immediate:
    operation: Immediate = Immediate()
    # What it stands for has been done already: nobody has to await it.
    operation._stage = _OVER
    operation._result = value
    return operation


_NOTHING = _immediate(None)


def given(value: Any) -> Any:
    """An operation that is over as soon as it is awaited, and gives *value*."""
    return _NOTHING if value is None else _immediate(value)


def thrown(kind: Any, value: Any, traceback: TracebackType | None) -> BaseException:
    """The exception that ``throw(kind, value, traceback)`` means."""
    if isinstance(kind, BaseException):
        error: BaseException = kind
    elif isinstance(value, BaseException):
        error = value
    else:
        error = kind() if value is None else kind(value)
    return error if traceback is None else error.with_traceback(traceback)


def reused() -> NoReturn:
    raise RuntimeError("cannot reuse already awaited coroutine")
