"""The two ends of a `collections.deque`, without looking up its methods.

The compiled twin takes the C functions behind ``deque.append`` and ``deque.popleft`` from their descriptors once, and
calls them.
"""

from __future__ import annotations

from collections import deque
from typing import Any


def is_deque(candidate: object) -> bool:
    """True if *candidate* is a deque, and of no subclass."""
    return type(candidate) is deque


def append(queue: Any, item: object) -> None:
    """``queue.append(item)`` of a deque."""
    queue.append(item)


def popleft(queue: Any) -> Any:
    """``queue.popleft()`` of a deque; `IndexError` if it is empty."""
    return queue.popleft()


def size(queue: Any) -> int:
    """``len(queue)`` of a deque."""
    return len(queue)
