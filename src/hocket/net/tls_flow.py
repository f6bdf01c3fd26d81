"""Flow control of a TLS transport, in both directions.

Reading, what counts is encrypted: what has come from the transport beneath and has not been wanted yet.  Writing, it is
what the transport beneath has not been given: encrypted already, or waiting because OpenSSL waits for the peer.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from hocket.core import asyncio_private
from hocket.net.layer import Layer
from hocket.net.limits import watermarks
from hocket.net.stream import StreamTransport
from hocket.net.tls_session import TlsSession


class TlsFlow(Layer):
    """The part of a `TlsTransport` that pauses and resumes: the transport beneath, and the application's protocol."""

    _loop: Any
    _protocol: Any
    _raw: Any
    # The same, if it is a socket's.
    _stream: StreamTransport | None
    _session: TlsSession

    def _init_flow(self) -> None:
        # Reading: by the application, and by the transport beneath.
        self._reading_paused = False
        self._raw_reading_paused = False
        self._read_high, self._read_low = watermarks(None, None, asyncio_private.SSL_READ_HIGH_WATER)
        # Writing: what OpenSSL has not taken yet, because it waits for the peer.
        self._backlog: deque[Any] = deque()
        self._backlog_size = 0
        self._raw_writing_paused = False
        self._protocol_paused = False
        self._write_high, self._write_low = watermarks(None, None, asyncio_private.SSL_WRITE_HIGH_WATER)

    # -- Reading

    def get_read_buffer_size(self) -> int:
        """How many bytes have come, still encrypted, that the application has not been given."""
        return self._session.fed()

    def get_read_buffer_limits(self) -> tuple[int, int]:
        """The low and the high-water mark of the read buffer, in bytes."""
        return (self._read_low, self._read_high)

    def set_read_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """While reading is paused, stop reading from the peer above *high* bytes, and go on below *low*.

        By default *high* is 256 KiB and *low* a quarter of it.  Raises `ValueError` unless high >= low >= 0.
        """
        self._read_high, self._read_low = watermarks(high, low, asyncio_private.SSL_READ_HIGH_WATER)
        self._control_reading()

    def _control_reading(self) -> None:
        raw = self._raw
        if raw is None:
            return
        size = self._session.fed()
        if self._raw_reading_paused:
            if size <= self._read_low:
                self._raw_reading_paused = False
                raw.resume_reading()
        elif size > self._read_high:
            self._raw_reading_paused = True
            raw.pause_reading()

    # -- Writing

    def pause_writing(self) -> None:
        """The transport beneath has enough: keep back what is encrypted."""
        self._raw_writing_paused = True

    def resume_writing(self) -> None:
        """The transport beneath takes more."""
        self._raw_writing_paused = False
        self._send()

    def _append(self, data: bytes) -> None:
        if data:
            self._backlog.append(data)
            self._backlog_size += len(data)

    def _write(self) -> None:
        """Have OpenSSL take what it has not taken yet, and send."""
        backlog = self._backlog
        while backlog:
            data = backlog[0]
            taken = self._session.encrypt(data)
            self._backlog_size -= taken
            if taken < len(data):
                backlog[0] = data[taken:]
                break
            backlog.popleft()
        self._send()

    def _send(self) -> None:
        raw = self._raw
        if raw is None:
            return
        if not self._raw_writing_paused and self._session.outgoing():
            if self._stream is not None:
                self._stream.write_bytes(self._session.take())
            else:
                raw.write(self._session.take())
        self._control_writing()

    def get_write_buffer_size(self) -> int:
        """How many bytes the transport beneath has not been given yet."""
        return self._session.outgoing() + self._backlog_size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high-water mark of the write buffer, in bytes."""
        return (self._write_low, self._write_high)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Call the protocol's `pause_writing` above *high* bytes and `resume_writing` below *low*.

        By default *high* is 512 KiB and *low* a quarter of it.  Raises `ValueError` unless high >= low >= 0.
        """
        self._write_high, self._write_low = watermarks(high, low, asyncio_private.SSL_WRITE_HIGH_WATER)
        self._control_writing()

    def _control_writing(self) -> None:
        if self._protocol is None:
            return
        size = self._session.outgoing() + self._backlog_size
        if self._protocol_paused:
            if size <= self._write_low and not self._raw_writing_paused:
                self._protocol_paused = False
                self._tell_protocol("resume_writing")
        elif size > self._write_high:
            self._protocol_paused = True
            self._tell_protocol("pause_writing")

    def _tell_protocol(self, what: str) -> None:
        try:
            getattr(self._protocol, what)()
        except (KeyboardInterrupt, SystemExit):
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
