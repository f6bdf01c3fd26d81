"""Which transport uses which descriptor, so that nobody else may watch it meanwhile.

A table of weak references by descriptor number: a transport that is forgotten is not kept alive by it.  It stands where
asyncio's loop has a `weakref.WeakValueDictionary`, which takes 2 µs for each transport.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

_reference = weakref.ref


def fileno(fd: Any) -> int:
    """The number of *fd*, which is one or has a `fileno`.  Raises `ValueError` for anything else."""
    if isinstance(fd, int):
        return fd
    try:
        return int(fd.fileno())
    except (AttributeError, TypeError, ValueError):
        raise ValueError(f"Invalid file object: {fd!r}") from None


class TransportTable:
    """A mapping from descriptor to transport.  What is no descriptor (closed: -1, or a test's mock) is not kept."""

    __slots__ = ("_references",)

    def __init__(self) -> None:
        self._references: list[Any] = []

    def __setitem__(self, fd: Any, transport: Any) -> None:
        if not isinstance(fd, int) or fd < 0:
            return
        self.put(fd, transport)

    def put(self, fd: int, transport: Any) -> None:
        """Note that *transport* uses *fd*, which is not negative."""
        if fd >= len(self._references):
            self._references.extend([None] * (fd + 1 - len(self._references)))
        self._references[fd] = _reference(transport)

    def __getitem__(self, fd: int) -> Any:
        transport = self._transport(fd)
        if transport is None:
            raise KeyError(fd)
        return transport

    def __delitem__(self, fd: int) -> None:
        if self._transport(fd) is None:
            raise KeyError(fd)
        self._references[fd] = None

    def __contains__(self, fd: Any) -> bool:
        return self._transport(fd) is not None

    def __iter__(self) -> Iterator[int]:
        return iter([fd for fd in range(len(self._references)) if self._transport(fd) is not None])

    def __len__(self) -> int:
        return len(self.values())

    def get(self, fd: int, default: Any = None) -> Any:
        """The transport that uses *fd*, or *default*."""
        transport = self._transport(fd)
        return default if transport is None else transport

    def check(self, fd: Any) -> None:
        """Raise `RuntimeError` if *fd*, a number or an object with a `fileno`, is used by a transport that is open."""
        transport = self._transport(fileno(fd))
        if transport is not None and not transport.is_closing():
            raise RuntimeError(f"File descriptor {fd!r} is used by transport {transport!r}")

    def values(self) -> list[Any]:
        """Every transport there is."""
        transports = [self._transport(fd) for fd in range(len(self._references))]
        return [transport for transport in transports if transport is not None]

    def _transport(self, fd: Any) -> Any:
        if not isinstance(fd, int):
            return None
        number = fd
        if number < 0 or number >= len(self._references):
            return None
        reference = self._references[number]
        return None if reference is None else reference()
