"""`serve`: a whole program as a service, from its first loop to its exit code.

`run_until_signal` sees to everything that a loop can see to.  What is left is what only the process can do: to end
although a task refuses, a thread hangs, or the loop itself is stuck in a call and never hears of the signal.  A thread
of its own waits for that, and ends the process when all budgets together are over.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from hocket.loop import Runner
from hocket.structured.shutdown import DEFAULT_SIGNALS, Budgets, Ending, Service, _run

#: Beyond the budgets, for what the interpreter does at the end of a loop.
MARGIN = 1.0
#: So many signals and nobody waits any longer.
PATIENCE = 4

_exit = os._exit


def serve(
    main: Callable[..., Coroutine[Any, Any, Any]],
    /,
    *args: Any,
    signals: Iterable[int] = DEFAULT_SIGNALS,
    stop: float = 2.0,
    drain: float = 20.0,
    cancel: float = 5.0,
    force: float = 1.0,
    linger: float = 0.5,
    debug: bool | None = None,
    loop_factory: Callable[[], Any] | None = None,
) -> int:
    """Run ``main(*args)`` on a new loop until it ends or SIGTERM or SIGINT comes, shut down in order, and return the
    exit code: 0 if all work came to its end (or the int that main returned), 143 or 130 (128 and the signal's number)
    if some had to be cancelled.

    Budgets are in seconds: *stop* to close listening sockets and call what `Service.on_stop` was told; *drain* for what
    is under way; *cancel* for what has to be cancelled to clean up; *force* for what does not end.  Connections that
    are idle (`Service.idle`) may still bring a request for *linger* of them.  The second signal cuts stop and drain
    short, the third all phases, the fourth ends the process on the spot.  If it is not over by the end of all budgets,
    because tasks refuse to end, a thread hangs or the loop is blocked, the process ends with a summary on standard
    error and without any clean-up.  What was still running, and where, is logged at the end of each phase.

    Raises what main raises, after the phases; `RuntimeError` outside of the main thread unless *signals* is empty::

        async def main():
            async with await asyncio.start_server(handle, port=8080):
                await hocket.service().wait_stopping()

        sys.exit(hocket.serve(main, drain=10))
    """
    budgets = Budgets(stop, drain, cancel, force, linger)
    numbers = tuple(signals)
    guard = _Guard(budgets.total + MARGIN)

    async def run() -> Ending:
        return await _run(main, args, numbers, Service(budgets), guard.alarm)

    try:
        with Runner(debug=debug, loop_factory=loop_factory) as runner:
            ending = runner.run(run())
            if ending.stuck:
                # The runner would wait for them.
                guard.leave(ending.exit_code, f"hocket.serve: {ending}")
    finally:
        guard.disarm()
    if ending.error is not None:
        raise ending.error
    return ending.exit_code


class _Guard:
    """Ends the process if it does not do so itself in time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._signals = 0
        self._main = threading.get_ident()
        self._code = 1
        # Locks, because a signal handler may release them whatever it interrupts.
        self._alarmed = threading.Lock()
        self._alarmed.acquire()
        self._over = threading.Lock()
        self._over.acquire()
        self._disarmed = False
        threading.Thread(target=self._watch, name="hocket-serve", daemon=True).start()

    def alarm(self, number: int) -> None:
        """A signal has come.  Called in its handler."""
        self._signals += 1
        if self._signals == 1:
            self._code = 128 + number
            self._alarmed.release()
        elif self._signals >= PATIENCE:
            self.leave(self._code, f"hocket.serve: ended by signal {number}, the {self._signals}th")

    def disarm(self) -> None:
        self._disarmed = True
        self._over.release()
        if self._signals == 0:
            self._alarmed.release()

    def leave(self, code: int, message: str) -> None:
        """End the process here and now, with a last word."""
        # Not by the logging: who is stuck may hold its lock.
        try:
            os.write(2, (message + "\n").encode(errors="backslashreplace"))
        except OSError:
            pass
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass
        _exit(code)

    def _watch(self) -> None:
        self._alarmed.acquire()
        if self._disarmed or self._over.acquire(timeout=self._seconds):
            return
        frame = sys._current_frames().get(self._main)
        where = "nowhere"
        if frame is not None:
            where = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
        self.leave(
            self._code, f"hocket.serve: not over {self._seconds:.1f} s after the signal; the main thread is at {where}"
        )
