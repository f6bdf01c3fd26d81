"""TLS echo by ``asyncio.Protocol``: what encryption costs on top of the socket, without the handshakes."""

from __future__ import annotations

import asyncio
import ssl

from bench.case import Echo, Load, loads
from bench.cases.tcp_protocol import EchoProtocol


async def serve(size: int) -> asyncio.Server:
    import trustme  # Here, so that the other cases do without.

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA(key_type=trustme.KeyType.ECDSA).issue_cert("localhost", key_type=trustme.KeyType.ECDSA).configure_cert(
        context
    )
    return await asyncio.get_running_loop().create_server(EchoProtocol, "127.0.0.1", 0, backlog=1024, ssl=context)


CASE = Echo(
    "tls_protocol",
    "TLS echo by asyncio.Protocol",
    serve,
    loads(Load(10, 1024), Load(200, 1024), Load(10, 65536)),
    generator="echo_load_tls",
    floor=False,
)
