"""TLS: connections that are encrypted from the start, and the upgrade of open ones."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from hocket.core import asyncio_private
from hocket.net.stream import StreamTransport


class Tls:
    """To be combined with `asyncio.SelectorEventLoop`, in front of it."""

    def _make_ssl_transport(
        self: Any,
        rawsock: Any,
        protocol: Any,
        sslcontext: ssl.SSLContext | None,
        waiter: Any = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: dict[str, Any] | None = None,
        server: Any = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> Any:
        self._ensure_fd_no_transport(rawsock)
        tls = _transport_class()(
            self,
            protocol,
            sslcontext or _default_context(server_side, server_hostname),
            waiter,
            server_side,
            _name_to_check(server_side, server_hostname),
            *_timeouts(ssl_handshake_timeout, ssl_shutdown_timeout),
        )
        StreamTransport(self, rawsock, tls, None, extra, server)
        return tls

    async def start_tls(
        self: Any,
        transport: Any,
        protocol: Any,
        sslcontext: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> Any:
        """Upgrade the open *transport* to TLS; returns the transport that *protocol* is to use from now on.

        As `asyncio.loop.start_tls`.  What was written before leaves before; a protocol that was told to stop writing
        is told to go on when it may.  On a server, what an `asyncio.StreamReader` has received and nobody has read
        belongs to the session.  Raises `TypeError` for a transport or context that will not do, and what the handshake
        failed with; then, and when cancelled, *transport* is closed.  Returns None if *transport* was closing already::

            transport = await loop.start_tls(transport, protocol, context, server_hostname="example.org")
        """
        if not isinstance(sslcontext, ssl.SSLContext):
            raise TypeError(f"sslcontext is expected to be an instance of ssl.SSLContext, got {sslcontext!r}")
        if not getattr(transport, "_start_tls_compatible", False):
            raise TypeError(f"transport {transport!r} is not supported by start_tls()")
        waiter = self.create_future()
        tls = _transport_class()(
            self,
            protocol,
            sslcontext,
            waiter,
            server_side,
            _name_to_check(server_side, server_hostname),
            *_timeouts(ssl_handshake_timeout, ssl_shutdown_timeout),
            call_connection_made=False,
        )
        # Nothing of the session may arrive before connection_made() has been called.
        transport.pause_reading()
        tls.upgrade(transport, _unread(protocol) if server_side else b"")
        made = self.call_soon(tls.connection_made, transport)
        resumed = self.call_soon(transport.resume_reading)
        try:
            await waiter
        except BaseException:
            transport.close()
            made.cancel()
            resumed.cancel()
            raise
        # As with asyncio, None tells of a transport that was closing before: nothing has failed.
        return tls if tls._transport is not None else None


def _transport_class() -> Any:
    """Imported when the first connection needs it: to look OpenSSL over takes time that a program without TLS saves."""
    from hocket.net.tls_transport import TlsTransport

    return TlsTransport


def _unread(protocol: Any) -> bytes:
    """What a client sent behind its request to upgrade, without waiting for the answer."""
    if not isinstance(protocol, asyncio.StreamReaderProtocol):
        return b""
    buffer = asyncio_private.stream_reader_buffer(protocol)
    received = bytes(buffer)
    del buffer[:]
    return received


def _name_to_check(server_side: bool, server_hostname: str | None) -> str | None:
    return server_hostname if server_hostname and not server_side else None


def _default_context(server_side: bool, server_hostname: str | None) -> ssl.SSLContext:
    if server_side:
        raise ValueError("Server side SSL needs a valid SSLContext")
    context = ssl.create_default_context()
    if not server_hostname:
        context.check_hostname = False
    return context


def _timeouts(handshake: float | None, shutdown: float | None) -> tuple[float, float]:
    return (
        _timeout("ssl_handshake_timeout", handshake, asyncio_private.SSL_HANDSHAKE_TIMEOUT),
        _timeout("ssl_shutdown_timeout", shutdown, asyncio_private.SSL_SHUTDOWN_TIMEOUT),
    )


def _timeout(name: str, seconds: float | None, default: float) -> float:
    if seconds is None:
        return default
    if seconds <= 0:
        raise ValueError(f"{name} should be a positive number, got {seconds}")
    return seconds
