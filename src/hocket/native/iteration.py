"""What ``await`` drives: an object that is resumed until it has a result.

The compiled twin (``iteration.pyx``/``iteration.pxd``) says the same with a slot that ends without raising
``StopIteration`` through Cython, which would build a traceback for it.
"""

from __future__ import annotations

from typing import Any


class Iteration:
    """Base of an iterator for ``await``.  A subclass defines `advance`."""

    __slots__ = ("_result",)

    #: What ``await`` gives.
    _result: Any

    def __new__(cls) -> Any:
        self = object.__new__(cls)
        self._result = None
        return self

    def advance(self) -> Any:
        """What the task is to wait for next; None when all is over and ``_result`` is what ``await`` gives."""
        raise NotImplementedError(f"{type(self).__name__} must define advance()")

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


def iterate_itself(cls: type, begin: Any, resume: Any) -> None:
    """Compiled, let ``await`` drive an object of *cls* itself, instead of the iterator that its ``__await__`` gives.

    *begin* takes the object and gives it back, or another iterator if this one is in use.  *resume* gives it back while
    there is something to wait for, and in the end the result.  Uncompiled, and in Python subclasses, ``await`` asks
    ``__await__`` as ever.
    """
