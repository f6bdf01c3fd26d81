"""TCP echo by the loop's socket methods: ``sock_accept``, ``sock_recv``, ``sock_sendall``, a task a connection."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

from bench.case import Echo, Load, loads


async def answer(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with connection:
        try:
            while data := await loop.sock_recv(connection, 65536):
                await loop.sock_sendall(connection, data)
        except ConnectionError:
            pass  # the client has finished


async def accept(listener: socket.socket, tasks: set[asyncio.Task[None]]) -> None:
    while True:
        connection, _ = await asyncio.get_running_loop().sock_accept(listener)
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.ensure_future(answer(connection))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def serve(size: int, api: Any) -> SimpleNamespace:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setblocking(False)
    tasks: set[asyncio.Task[None]] = set()
    return SimpleNamespace(sockets=[listener], tasks=tasks, accepting=asyncio.ensure_future(accept(listener, tasks)))


CASE = Echo(
    "tcp_sock",
    "TCP echo by sock_accept, sock_recv, sock_sendall; floor: C epoll server",
    serve,
    loads(Load(10, 1024), Load(200, 1024)),
    long=("10x1k",),
)
