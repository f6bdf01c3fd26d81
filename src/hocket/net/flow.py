"""Flow control between a transport and its protocol: who writes faster than the peer reads is told to pause.

The marks, the two calls of the protocol, and what is reported when one fails are those of asyncio's transports.
"""

from __future__ import annotations

from typing import Any

from hocket.core.ready import Runnable
from hocket.net.limits import watermarks

HIGH_WATER = 64 * 1024


class FlowControl(Runnable):
    """The part of a writing transport that watches how much is buffered: ``_buffered`` bytes."""

    def _init_flow(self, loop: Any) -> None:
        self._loop: Any = loop
        self._protocol: Any = None
        self._buffered = 0
        self._high_water = HIGH_WATER
        self._low_water = HIGH_WATER // 4
        self._protocol_paused = False

    def get_write_buffer_size(self) -> int:
        """How many bytes the kernel has not taken yet."""
        self._flush_now()
        return self._buffered

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high-water mark of the write buffer, in bytes."""
        return (self._low_water, self._high_water)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Call the protocol's `pause_writing` above *high* bytes and `resume_writing` below *low*.

        By default *high* is 64 KiB and *low* a quarter of it.  Raises `ValueError` unless high >= low >= 0.
        """
        self._high_water, self._low_water = watermarks(high, low, HIGH_WATER)
        self._flush_now()
        self._maybe_pause_protocol()

    def _flush_now(self) -> None:
        """Have written what can be, so that what is buffered is what the kernel has refused."""

    def _maybe_pause_protocol(self) -> None:
        if self._buffered > self._high_water and not self._protocol_paused:
            self._protocol_paused = True
            self._tell_protocol("pause_writing")

    def _maybe_resume_protocol(self) -> None:
        if self._protocol_paused and self._buffered <= self._low_water:
            self._protocol_paused = False
            self._tell_protocol("resume_writing")

    def _tell_protocol(self, what: str) -> None:
        try:
            getattr(self._protocol, what)()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._loop.call_exception_handler(
                {
                    "message": f"protocol.{what}() failed",
                    "exception": error,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )
