"""grpc.aio: its core has threads and sockets of its own; a socket that the loop reads tells of what they finished."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from .certificates import Authority, Files
from .daemons import HOST
from .installed import package
from .running import run

grpc = package("grpc", "grpcio")
aio = package("grpc.aio", "grpcio")

SERVICE = "hocket.Echo"


class Service:
    """Methods on bytes, so that nothing has to be generated; `cancelled` is set when a call was called off."""

    def __init__(self) -> None:
        self.hanging = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def upper(self, request: bytes, context: Any) -> bytes:
        return request.upper()

    async def count(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for number in range(int(request)):
            yield b"%d" % number

    async def total(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b"%d" % sum([int(request) async for request in requests])

    async def echo(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    async def hang(self, request: bytes, context: Any) -> bytes:
        try:
            self.hanging.set()
            await asyncio.sleep(60)
        finally:
            self.cancelled.set()
        return b""

    async def fail(self, request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.NOT_FOUND, "not here")
        return b""

    def handlers(self) -> Any:
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "upper": grpc.unary_unary_rpc_method_handler(self.upper),
                "count": grpc.unary_stream_rpc_method_handler(self.count),
                "total": grpc.stream_unary_rpc_method_handler(self.total),
                "echo": grpc.stream_stream_rpc_method_handler(self.echo),
                "hang": grpc.unary_unary_rpc_method_handler(self.hang),
                "fail": grpc.unary_unary_rpc_method_handler(self.fail),
            },
        )


@contextlib.asynccontextmanager
async def connected(credentials: tuple[Any, Any] | None = None) -> AsyncIterator[tuple[Service, Any]]:
    """A server and a channel to it, both on the running loop."""
    service = Service()
    server = aio.server()
    server.add_generic_rpc_handlers((service.handlers(),))
    if credentials is None:
        port = server.add_insecure_port(f"{HOST}:0")
        channel = aio.insecure_channel(f"{HOST}:{port}")
    else:
        port = server.add_secure_port(f"{HOST}:0", credentials[0])
        channel = aio.secure_channel(f"localhost:{port}", credentials[1])
    await server.start()
    try:
        async with channel:
            yield service, channel
    finally:
        await server.stop(grace=None)


def path(method: str) -> str:
    return f"/{SERVICE}/{method}"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_unary(authority: Authority, localhost: Files, tls: bool) -> None:
    """200 calls at once are answered, each with its own answer."""
    credentials = (
        grpc.ssl_server_credentials([(localhost.key.read_bytes(), localhost.certificate.read_bytes())]),
        grpc.ssl_channel_credentials(authority.file.read_bytes()),
    )

    async def main() -> None:
        async with connected(credentials if tls else None) as (_, channel):
            upper = channel.unary_unary(path("upper"))
            answers = await asyncio.gather(*(upper(b"call %d" % number) for number in range(200)))
            assert answers == [b"CALL %d" % number for number in range(200)]

    run(main)


def test_streams() -> None:
    """Streams of a thousand messages: of the server, of the client, and of both at once."""
    numbers = [b"%d" % number for number in range(1000)]

    async def requests() -> AsyncIterator[bytes]:
        for number in numbers:
            yield number

    async def main() -> None:
        async with connected() as (_, channel):
            assert [answer async for answer in channel.unary_stream(path("count"))(b"1000")] == numbers
            assert await channel.stream_unary(path("total"))(requests()) == b"499500"
            assert [answer async for answer in channel.stream_stream(path("echo"))(requests())] == numbers

    run(main)


def test_conversation() -> None:
    """A stream in both directions where each message waits for the answer to the one before."""

    async def main() -> None:
        async with connected() as (_, channel):
            call = channel.stream_stream(path("echo"))()
            for number in range(200):
                await call.write(b"%d" % number)
                assert await call.read() == b"%d" % number
            await call.done_writing()
            assert await call.read() is aio.EOF

    run(main)


def test_cancelled_call() -> None:
    """Cancelling the task that waits for an answer cancels the server's handler."""

    async def main() -> None:
        async with connected() as (service, channel):
            call = channel.unary_unary(path("hang"))(b"")

            async def waiting() -> None:
                await call

            task = asyncio.create_task(waiting())
            await service.hanging.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await service.cancelled.wait()

    run(main)


def test_deadline() -> None:
    """A call that takes longer than its timeout ends with DEADLINE_EXCEEDED, on the server too."""

    async def main() -> None:
        async with connected() as (service, channel):
            await channel.channel_ready()
            while not service.hanging.is_set():  # On a busy machine the time may be over before the server is asked.
                started = time.monotonic()
                with pytest.raises(aio.AioRpcError) as caught:
                    await channel.unary_unary(path("hang"))(b"", timeout=0.3)
                assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
                assert 0.2 < time.monotonic() - started < 30
            await service.cancelled.wait()

    run(main)


def test_error() -> None:
    """A handler's abort is the caller's exception."""

    async def main() -> None:
        async with connected() as (_, channel):
            with pytest.raises(aio.AioRpcError) as caught:
                await channel.unary_unary(path("fail"))(b"")
            assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.NOT_FOUND, "not here")

    run(main)


def test_loops_one_after_another() -> None:
    """A second loop in the same thread has gRPC too, after the first is closed."""

    async def main() -> None:
        async with connected() as (_, channel):
            assert await channel.unary_unary(path("upper"))(b"again") == b"AGAIN"

    for _ in range(3):
        run(main)
