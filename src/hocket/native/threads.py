"""What a thread is doing, seen from another one, without its help.

The compiled twin does not even need the interpreter: it reads what the interpreter goes by, so it can tell what a
thread does that holds the interpreter's lock and lets nobody else run.  What it reads may change or be freed meanwhile.
It therefore has the kernel copy it (``process_vm_readv``), which refuses a bad address instead of ending the process.

Uncompiled, `sys._current_frames` says where a thread is, to who has the lock.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from types import FrameType

#: How many places of a stack are read, the innermost first.
DEPTH = 16


def stack_of_thread(thread: int) -> list[tuple[str, int, str]]:
    """File, line and function of the places where *thread* (as of `threading.get_ident`) is, the innermost first."""
    frame = _frame(thread, 2)
    spots: list[tuple[str, int, str]] = []
    while frame is not None and len(spots) < DEPTH:
        code = frame.f_code
        spots.append((code.co_filename, frame.f_lineno or code.co_firstlineno, code.co_qualname))
        frame = frame.f_back
    return spots


def position_of_thread(thread: int) -> int:
    """A number that changes while *thread* executes Python code, and stays while it is inside of one call; or 0."""
    frame = _frame(thread, 2)
    return 0 if frame is None else id(frame) ^ frame.f_lasti


def thread_with_lock() -> int:
    """The thread that has the interpreter's lock, or had it last; 0: none is known, or there is no lock."""
    return threading.get_ident()


def thread_names() -> dict[int, str]:
    """The names of threads by their numbers, also of those that have just ended."""
    # A number is given anew when its thread has ended; the kernel's goes up.
    ended = sorted(_dangling(), key=_native_id)
    return {thread.ident: thread.name for thread in [*ended, *threading.enumerate()] if thread.ident is not None}


def _dangling() -> list[threading.Thread]:
    while True:
        try:
            return list(getattr(threading, "_dangling", ()))
        except RuntimeError:
            # Another thread has made one in the middle of it.
            continue


def _native_id(thread: threading.Thread) -> int:
    return thread.native_id or 0


class ThreadMeter:
    """How much processor time a thread has had, and how long it has been without; for any thread of this process.

    *thread* is its number as of `threading.get_ident`.  Raises `LookupError` if there is no such thread.
    """

    def __init__(self, thread: int) -> None:
        self._stat = self._schedstat = -1
        known = [one for one in threading.enumerate() if one.ident == thread]
        if not known:
            raise LookupError(f"there is no thread {thread}")
        native = known[0].native_id
        try:
            self._clock: int | None = time.pthread_getcpuclockid(thread)
        except (AttributeError, OSError):
            self._clock = None
        self._stat = _open(f"/proc/self/task/{native}/stat")
        self._schedstat = _open(f"/proc/self/task/{native}/schedstat")

    def read(self) -> tuple[int, int, int, str]:
        """Nanoseconds on a processor, nanoseconds ready without one, how often it got one, and its state.

        The state is the kernel's letter: ``R`` runs or is ready, ``S`` and ``D`` sleep.  What this system does not tell
        is 0, and ``?``.
        """
        cpu = delay = slices = 0
        state = "?"
        if self._clock is not None:
            try:
                cpu = int(time.clock_gettime(self._clock) * 1e9)
            except OSError:  # the thread has ended
                pass
        words = _read(self._schedstat).split()
        if len(words) == 3:
            delay, slices = int(words[1]), int(words[2])
        _, parenthesis, rest = _read(self._stat).rpartition(b") ")
        if parenthesis:
            state = chr(rest[0])
        return cpu, delay, slices, state

    def close(self) -> None:
        """Give back what it holds."""
        for descriptor in (self._stat, self._schedstat):
            if descriptor >= 0:
                os.close(descriptor)
        self._stat = self._schedstat = -1

    def __del__(self) -> None:
        self.close()


def _frame(thread: int, depth: int) -> FrameType | None:
    """Where *thread* is; this thread, without the *depth* innermost frames."""
    return sys._getframe(depth) if thread == threading.get_ident() else sys._current_frames().get(thread)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _read(descriptor: int) -> bytes:
    if descriptor < 0:
        return b""
    try:
        return os.pread(descriptor, 512, 0)
    except OSError:
        return b""
