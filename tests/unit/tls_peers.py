"""A TLS transport, and at its other end a session whose every byte the test holds in its hands."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import trustme

from .peers import Connection, Recorder


@functools.cache
def authority() -> trustme.CA:
    """Who signs the certificates of these tests."""
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@functools.cache
def _certificate(name: str) -> trustme.LeafCert:
    return authority().issue_cert(name, key_type=trustme.KeyType.ECDSA)


def server_context(name: str = "localhost", *, trusting: bool = False) -> ssl.SSLContext:
    """Serves as *name*; *trusting* clients means that it asks for their certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _certificate(name).configure_cert(context)
    if trusting:
        authority().configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(name: str | None = None, *, kind: type[ssl.SSLContext] = ssl.SSLContext) -> ssl.SSLContext:
    """Trusts the servers of these tests; with a certificate of its own if it has a *name*."""
    context = kind(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    if name is not None:
        _certificate(name).configure_cert(context)
    return context


class TlsPeer:
    """The other side of the session, on a plain socket."""

    def __init__(self, peer: socket.socket, context: ssl.SSLContext, *, server_side: bool) -> None:
        self.socket = peer
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.session = context.wrap_bio(
            self.incoming, self.outgoing, server_side=server_side, server_hostname=None if server_side else "localhost"
        )

    async def _do(self, operation: Callable[..., Any], *arguments: Any) -> Any:
        while True:
            try:
                return operation(*arguments)
            except ssl.SSLWantReadError:
                await self.flush()
                data = await asyncio.get_running_loop().sock_recv(self.socket, 1 << 16)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()
            finally:
                await self.flush()

    async def flush(self) -> None:
        """Send what the session has to say."""
        await asyncio.get_running_loop().sock_sendall(self.socket, self.outgoing.read())

    async def handshake(self) -> None:
        await self._do(self.session.do_handshake)

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, self.encrypted(data))

    def encrypted(self, data: bytes) -> bytes:
        """What `send` would send."""
        view = memoryview(data)
        while view:
            view = view[self.session.write(view) :]
        return self.outgoing.read()

    async def receive(self, count: int = 1 << 40) -> bytes:
        """*count* bytes, or fewer if the peer says goodbye; `ssl.SSLEOFError` if it goes without."""
        received = bytearray()
        while len(received) < count:
            data = await self._do(self.session.read, min(1 << 16, count - len(received)))
            if not data:
                break
            received += data
        return bytes(received)

    async def goodbye(self) -> None:
        """Say goodbye, and wait for the answer."""
        await self._do(self.session.unwrap)


class TlsConnection(Connection):
    """One end a TLS transport of the running loop, the other a `TlsPeer`."""

    def __init__(self, transport: Any, protocol: Any, tls: TlsPeer) -> None:
        super().__init__(transport, protocol, tls.socket)
        self.tls = tls


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected TCP sockets that do not block."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        peer, _ = server.accept()
    ours.setblocking(False)
    peer.setblocking(False)
    return ours, peer


async def connect(
    factory: Callable[[], Any], ours: socket.socket, context: ssl.SSLContext, server_side: bool, **options: Any
) -> tuple[Any, Any]:
    """The TLS transport of *ours*, and its protocol."""
    loop = asyncio.get_running_loop()
    if server_side:
        return await loop.connect_accepted_socket(factory, ours, ssl=context, **options)
    return await loop.create_connection(factory, sock=ours, ssl=context, server_hostname="localhost", **options)


@contextlib.asynccontextmanager
async def tls_connection(
    factory: Callable[[], Any] = Recorder,
    *,
    server_side: bool = False,
    context: ssl.SSLContext | None = None,
    peer_context: ssl.SSLContext | None = None,
    **options: Any,
) -> AsyncIterator[TlsConnection]:
    """A connected pair with the handshake done; everything is closed in the end."""
    ours, peer = socket_pair()
    context = context or (server_context() if server_side else client_context())
    tls = TlsPeer(
        peer, peer_context or (client_context() if server_side else server_context()), server_side=not server_side
    )
    with contextlib.ExitStack() as failing:
        failing.enter_context(peer)
        (transport, protocol), _ = await asyncio.gather(
            connect(factory, ours, context, server_side, **options), tls.handshake()
        )
        failing.pop_all()
    try:
        yield TlsConnection(transport, protocol, tls)
    finally:
        transport.abort()
        peer.close()
        for _ in range(4):
            await asyncio.sleep(0)
