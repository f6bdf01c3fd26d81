"""What must not be left behind; what earlier tests have left may go meanwhile, and does not count."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections.abc import Iterator


def open_descriptors() -> set[tuple[int, str]]:
    """The descriptors of this process and what they are, but for the one that the look itself needs."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add((int(name), os.readlink(f"/proc/self/fd/{name}")))
    return {(fd, target) for fd, target in found if target != f"/proc/{os.getpid()}/fd"}


@contextlib.contextmanager
def no_new_descriptors() -> Iterator[None]:
    """Fail if what runs inside leaves a descriptor open."""
    gc.collect()
    before = open_descriptors()
    yield
    gc.collect()
    left = open_descriptors() - before
    assert not left, f"left open: {sorted(left)}"


@contextlib.contextmanager
def no_new_threads() -> Iterator[None]:
    """Fail if a thread that was started inside is still there."""
    before = set(threading.enumerate())
    yield
    left = set(threading.enumerate()) - before
    assert not left, f"still there: {left}"
