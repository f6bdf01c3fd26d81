"""How a signal ends the loop's wait, whenever it arrives.

Python runs a signal's handler between two steps of the interpreter, and a loop that waits takes none.  A signal that
arrives during the wait interrupts it; but one that arrives just before, or in another thread, does not, and its handler
(Ctrl-C's, for one) would have to wait for whatever happens next.  So a loop that runs in the main thread has the
interpreter write each signal's number into its self-pipe, and reads it like everything else.  asyncio does so only for
`add_signal_handler`.

A program that has set a wake-up descriptor of its own keeps it.
"""

from __future__ import annotations

import signal
import threading
from typing import Any


class Signals:
    """The part of an event loop that is woken by signals; to be combined with `asyncio.SelectorEventLoop`."""

    #: While the loop runs: that signals are written to its self-pipe because it runs.
    _woken_by_signals = False

    def _claim_wakeup(self: Any) -> None:
        if threading.get_ident() != threading.main_thread().ident:
            return
        try:
            fd = self._csock.fileno()
            # A pipe that is full wakes as well as one with room.
            before = signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
            if before not in (-1, fd):
                signal.set_wakeup_fd(before)
                return
        except (ValueError, OSError):
            # Not the main interpreter; or a descriptor that somebody has closed, which nobody will miss.
            return
        self._woken_by_signals = True

    def _release_wakeup(self: Any) -> None:
        if not self._woken_by_signals:
            return
        self._woken_by_signals = False
        if self._signal_handlers or self._owner:
            # asyncio leaves it in place while there are handlers.  (A forked child has given it back already.)
            return
        try:
            current = signal.set_wakeup_fd(-1)
            if current not in (-1, self._csock.fileno()):
                # The program has set its own meanwhile.
                signal.set_wakeup_fd(current)
        except (ValueError, OSError):
            pass

    def remove_signal_handler(self: Any, sig: int) -> bool:
        """Stop handling the signal *sig*, which then does what it does by default.  False if it was not handled."""
        removed: bool = super().remove_signal_handler(sig)  # type: ignore[misc]
        if removed and self._woken_by_signals and not self._signal_handlers:
            # With its last handler asyncio also takes back the descriptor.
            self._claim_wakeup()
        return removed
