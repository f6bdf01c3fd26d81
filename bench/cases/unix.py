"""Unix socket echo by ``asyncio.Protocol``."""

from __future__ import annotations

import asyncio
import os
import tempfile
from typing import Any

from bench.case import Echo, Load, loads
from bench.cases.tcp_protocol import EchoProtocol


async def serve(size: int, api: Any) -> asyncio.Server:
    path = os.path.join(tempfile.gettempdir(), f"bench-{os.getpid()}.sock")
    return await asyncio.get_running_loop().create_unix_server(EchoProtocol, path, backlog=1024)


CASE = Echo(
    "unix",
    "Unix socket echo by asyncio.Protocol; floor: C epoll server",
    serve,
    loads(Load(10, 1024), Load(200, 1024)),
    long=("10x1k",),
    floor_program="echo_server_unix",
)
