"""TLS echo by ``asyncio.Protocol``: what encryption costs on top of the socket, without the handshakes."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from bench.case import Echo, Load, loads
from bench.cases.tcp_protocol import EchoProtocol


def server_context() -> ssl.SSLContext:
    import trustme  # Here, so that the other cases do without.

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA(key_type=trustme.KeyType.ECDSA).issue_cert("localhost", key_type=trustme.KeyType.ECDSA).configure_cert(
        context
    )
    return context


async def serve(size: int, api: Any) -> asyncio.Server:
    context = server_context()
    return await asyncio.get_running_loop().create_server(EchoProtocol, "127.0.0.1", 0, backlog=1024, ssl=context)


CASE = Echo(
    "tls_protocol",
    "TLS echo by asyncio.Protocol",
    serve,
    loads(Load(10, 1024), Load(50, 1024), Load(50, 65536)),
    generator="echo_load_tls",
    floor_program=None,
    long=("10x1k",),
    packages=("trustme",),
)
