"""Datagram endpoints and pipes of a loop: their transports are imported when the first one is made.

Most programs have neither, and every process that imports hocket would wait for them.
"""

from __future__ import annotations

from typing import Any


class Endpoints:
    """To be combined with `asyncio.SelectorEventLoop`, in front of it."""

    #: What all datagram endpoints of a loop receive into.
    _datagram_buffer: Any = None

    def _make_datagram_transport(
        self: Any,
        sock: Any,
        protocol: Any,
        address: Any = None,
        waiter: Any = None,
        extra: dict[str, Any] | None = None,
    ) -> Any:
        from hocket.native.datagrams import DatagramBuffer
        from hocket.net.datagram import DatagramTransport

        self._ensure_fd_no_transport(sock)
        if self._datagram_buffer is None:
            self._datagram_buffer = DatagramBuffer()
        return DatagramTransport(self, sock, protocol, address, waiter, extra, buffer=self._datagram_buffer)

    def _make_read_pipe_transport(
        self: Any, pipe: Any, protocol: Any, waiter: Any = None, extra: dict[str, Any] | None = None
    ) -> Any:
        from hocket.net.pipes import ReadPipeTransport

        return ReadPipeTransport(self, pipe, protocol, waiter, extra)

    def _make_write_pipe_transport(
        self: Any, pipe: Any, protocol: Any, waiter: Any = None, extra: dict[str, Any] | None = None
    ) -> Any:
        from hocket.net.pipes import WritePipeTransport

        return WritePipeTransport(self, pipe, protocol, waiter, extra)
