"""What passes for one of asyncio's transports has every method of that class, if only to say that it is not for it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from .loops import OURS, run
from .tls_peers import client_context, server_context

every_loop = pytest.mark.parametrize("factory", OURS, ids=lambda factory: factory.__name__)


async def _stream(loop: Any) -> Any:
    ours, peer = socket.socketpair()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    peer.close()
    return transport


async def _datagram(loop: Any) -> Any:
    return (await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)))[0]


async def _read_pipe(loop: Any) -> Any:
    reading, writing = os.pipe()
    os.close(writing)
    pipe = os.fdopen(reading, "rb", 0)
    return (await loop.connect_read_pipe(asyncio.Protocol, pipe))[0]


async def _write_pipe(loop: Any) -> Any:
    reading, writing = os.pipe()
    pipe = os.fdopen(writing, "wb", 0)
    transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, pipe)
    os.close(reading)
    return transport


@every_loop
@pytest.mark.parametrize("make", [_stream, _datagram, _read_pipe, _write_pipe], ids=lambda make: make.__name__[1:])
def test_it_has_every_method_of_what_it_passes_for(factory: Any, make: Callable[[Any], Any]) -> None:
    async def main() -> None:
        transport = await make(asyncio.get_running_loop())
        asked = [name for name in dir(transport.__class__) if not name.startswith("_")]
        assert "close" in asked
        missing = [name for name in asked if not hasattr(transport, name)]
        transport.close()
        await asyncio.sleep(0)
        assert missing == []

    run(factory, main())


@every_loop
def test_what_it_does_not_do_is_not_implemented(factory: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        pipe, datagrams = await _write_pipe(loop), await _datagram(loop)
        for method in (pipe.is_reading, pipe.pause_reading, pipe.resume_reading):
            with pytest.raises(NotImplementedError):
                method()
        for method, arguments in (
            (datagrams.can_write_eof, ()),
            (datagrams.write_eof, ()),
            (datagrams.write, (b"data",)),
            (datagrams.writelines, ([b"data"],)),
        ):
            with pytest.raises(NotImplementedError):
                method(*arguments)
        pipe.close()
        datagrams.close()
        await asyncio.sleep(0)

    run(factory, main())


@every_loop
def test_the_context_of_a_tls_session_where_tools_look_for_it(factory: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=server_context())
        context = client_context()
        transport, _ = await loop.create_connection(
            asyncio.Protocol, *server.sockets[0].getsockname(), ssl=context, server_hostname="localhost"
        )
        assert transport._ssl_protocol._sslcontext is context is transport.get_extra_info("sslcontext")
        transport.abort()
        server.close()
        await server.wait_closed()

    run(factory, main())
