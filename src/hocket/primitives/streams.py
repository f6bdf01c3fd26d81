"""Byte streams for tasks, as in `asyncio.streams`: `open_connection`, `start_server` and their kin."""

from __future__ import annotations

import asyncio
from typing import Any

from hocket.primitives.stream_reader import DEFAULT_LIMIT, StreamReader
from hocket.primitives.stream_writer import StreamReaderProtocol, StreamWriter


async def open_connection(
    host: Any = None, port: Any = None, *, limit: Any = DEFAULT_LIMIT, **options: Any
) -> tuple[StreamReader, StreamWriter]:
    """Connect to *host* and *port*; gives a reader and a writer.  As `asyncio.open_connection`.

    *limit* is that of the reader, in bytes; *options* are those of `asyncio.loop.create_connection` (``ssl``, ``sock``,
    ``happy_eyeballs_delay``, …), which also says what is raised.  Cancelled, it leaves nothing open::

        reader, writer = await hocket.open_connection("example.org", 443, ssl=True)
    """
    loop = asyncio.get_running_loop()
    reader = StreamReader(limit, loop)
    protocol = StreamReaderProtocol(reader, None, loop)
    transport, _ = await loop.create_connection(lambda: protocol, host, port, **options)  # type: ignore[type-var]
    return reader, StreamWriter(transport, protocol, reader, loop)


async def open_unix_connection(
    path: Any = None, *, limit: Any = DEFAULT_LIMIT, **options: Any
) -> tuple[StreamReader, StreamWriter]:
    """As `open_connection`, to the Unix socket at *path*."""
    loop = asyncio.get_running_loop()
    reader = StreamReader(limit, loop)
    protocol = StreamReaderProtocol(reader, None, loop)
    transport, _ = await loop.create_unix_connection(lambda: protocol, path, **options)  # type: ignore[type-var]
    return reader, StreamWriter(transport, protocol, reader, loop)


async def start_server(
    client_connected_cb: Any, host: Any = None, port: Any = None, *, limit: Any = DEFAULT_LIMIT, **options: Any
) -> asyncio.Server:
    """Listen on *host* and *port*, and call *client_connected_cb* for each client.  As `asyncio.start_server`.

    It is called with a `StreamReader` and a `StreamWriter`, in a task if it is a coroutine function.  One that fails is
    reported, and its connection closed.  *limit* is that of each reader, in bytes; *options* are those of
    `asyncio.loop.create_server`.  Returns an `asyncio.Server`::

        async def echo(reader, writer):
            async for line in reader:
                writer.write(line)
                await writer.drain()
            writer.close()

        server = await hocket.start_server(echo, "127.0.0.1", 8080)
    """
    loop = asyncio.get_running_loop()

    def factory() -> Any:
        return StreamReaderProtocol(StreamReader(limit, loop), client_connected_cb, loop)

    return await loop.create_server(factory, host, port, **options)


async def start_unix_server(
    client_connected_cb: Any, path: Any = None, *, limit: Any = DEFAULT_LIMIT, **options: Any
) -> asyncio.Server:
    """As `start_server`, on a Unix socket at *path*."""
    loop = asyncio.get_running_loop()

    def factory() -> Any:
        return StreamReaderProtocol(StreamReader(limit, loop), client_connected_cb, loop)

    return await loop.create_unix_server(factory, path, **options)
