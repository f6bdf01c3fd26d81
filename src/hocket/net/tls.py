"""TLS: a transport of its own over any other stream transport."""

from __future__ import annotations

from typing import Any

from hocket.core import asyncio_private
from hocket.net.stream import StreamTransport


class Tls:
    """To be combined with `asyncio.SelectorEventLoop`, in front of it."""

    def _make_ssl_transport(
        self: Any,
        rawsock: Any,
        protocol: Any,
        sslcontext: Any,
        waiter: Any = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: dict[str, Any] | None = None,
        server: Any = None,
        **timeouts: Any,
    ) -> Any:
        self._ensure_fd_no_transport(rawsock)
        tls = asyncio_private.SSLProtocol(self, protocol, sslcontext, waiter, server_side, server_hostname, **timeouts)
        StreamTransport(self, rawsock, tls, None, extra, server)
        return tls._app_transport
