"""The coroutines of the primitives that are coroutines: whole, uncompiled, for the cases that are not hot.

A compiled ``async def`` would be no `types.CoroutineType`; these are.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Generator
from typing import Any


async def enter(lock: Any) -> None:
    """``async with lock`` of a subclass that may have its own `acquire`."""
    await lock.acquire()


async def leave(lock: Any) -> None:
    """The end of ``async with lock`` of a subclass that may have its own `release`."""
    lock.release()


async def wait_notified(condition: Any) -> bool:
    """`Condition.wait` of a subclass, or over a lock that is not our own."""
    if not condition.locked():
        raise RuntimeError("cannot wait on un-acquired lock")
    condition._get_loop()  # which may refuse
    condition.release()
    try:
        try:
            await condition._notice()
            return True
        finally:
            cancelled: BaseException | None = None
            while True:
                try:
                    await condition.acquire()
                    break
                except asyncio.CancelledError as error:
                    cancelled = error
            if cancelled is not None:
                try:
                    raise cancelled
                finally:
                    cancelled = None  # the traceback holds this frame: a cycle
    except BaseException:
        # Somebody may have been notified in vain.
        condition._notify(1)
        raise


async def wait_until(condition: Any, predicate: Callable[[], Any]) -> Any:
    """`Condition.wait_for`."""
    result = predicate()
    while not result:
        await condition.wait()
        result = predicate()
    return result


@types.coroutine
def _bare_yield() -> Generator[None, None, None]:
    yield


async def pause(result: Any) -> Any:
    """``sleep(0, result)``."""
    await _bare_yield()
    return result


async def read_line(reader: Any) -> bytes:
    """`StreamReader.readline` of a subclass that may have its own `readuntil`."""
    separator = b"\n"
    try:
        return await reader.readuntil(separator)  # type: ignore[no-any-return]
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        buffer = reader._buffer
        if buffer.startswith(separator, error.consumed):
            del buffer[: error.consumed + len(separator)]
        else:
            buffer.clear()
        reader._maybe_resume_transport()
        raise ValueError(error.args[0]) from None


async def next_line(reader: Any) -> bytes:
    """The step of ``async for`` over a subclass that may have its own `readline`."""
    line = await reader.readline()
    if line == b"":
        raise StopAsyncIteration
    return line  # type: ignore[no-any-return]


async def read_all(reader: Any) -> bytes:
    """`StreamReader.read` until the end, of a subclass that may have its own `read`."""
    blocks = []
    while block := await reader.read(reader._limit):
        blocks.append(block)
    return b"".join(blocks)


async def drain(writer: Any) -> None:
    """`StreamWriter.drain` over a protocol that has its own flow control, such as that of a child process."""
    if writer._reader is not None:
        error = writer._reader.exception()
        if error is not None:
            raise error
    if writer._transport.is_closing():
        await _bare_yield()
    await writer._protocol._drain_helper()


async def wait_closed(writer: Any) -> None:
    """`StreamWriter.wait_closed` over a protocol that may have its own idea of the end."""
    await writer._protocol._get_close_waiter(writer)


async def start_tls(
    writer: Any,
    context: Any,
    server_hostname: str | None,
    handshake_timeout: float | None,
    shutdown_timeout: float | None,
) -> None:
    """`StreamWriter.start_tls`."""
    protocol = writer._protocol
    server_side = protocol._client_connected_cb is not None
    await writer.drain()
    transport = await writer._loop.start_tls(
        writer._transport,
        protocol,
        context,
        server_side=server_side,
        server_hostname=server_hostname,
        ssl_handshake_timeout=handshake_timeout,
        ssl_shutdown_timeout=shutdown_timeout,
    )
    writer._transport = transport
    protocol._replace_transport(transport)
