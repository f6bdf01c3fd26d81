"""The work of a soak: what the measured process serves and does by itself, and what the clients in a second one do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import ssl
import struct
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

#: What has been done, by kind: a soak in which nothing happened proves nothing.
DONE: Counter[str] = Counter()
#: Not more than so many of a kind a second, so that no kind crowds out the others.
PAUSE = 0.01


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Echo until the end; ``STARTTLS`` as the first line upgrades."""
    try:
        while data := await reader.read(1 << 16):
            if data == b"STARTTLS\n":
                writer.write(b"go\n")
                await writer.start_tls(Service.context)
                continue
            writer.write(data)
            await writer.drain()
        DONE["served"] += 1
    except (OSError, asyncio.IncompleteReadError):
        DONE["served, lost"] += 1
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class Datagrams(asyncio.DatagramProtocol):
    """Echoes."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


class Service:
    """What the measured process offers to the clients."""

    context: ssl.SSLContext

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    async def start(self) -> dict[str, Any]:
        """Listen; returns where."""
        loop = asyncio.get_running_loop()
        Service.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        Service.context.load_cert_chain(self.directory / "certificate.pem")
        self.servers = [
            await asyncio.start_server(echo, "127.0.0.1", 0),
            await asyncio.start_server(echo, "127.0.0.1", 0, ssl=Service.context, ssl_shutdown_timeout=2.0),
            await asyncio.start_unix_server(echo, self.directory / "socket"),
        ]
        self.datagrams, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0))
        return {
            "tcp": self.servers[0].sockets[0].getsockname()[1],
            "tls": self.servers[1].sockets[0].getsockname()[1],
            "unix": str(self.directory / "socket"),
            "udp": self.datagrams.get_extra_info("sockname")[1],
            "authority": str(self.directory / "authority.pem"),
        }

    async def stop(self) -> None:
        for server in self.servers:
            server.close()
        for server in self.servers:
            await asyncio.wait_for(server.wait_closed(), 30)
        self.datagrams.close()
        await asyncio.sleep(0.05)
        with contextlib.suppress(FileNotFoundError):
            (self.directory / "socket").unlink()


# -- What the measured process does by itself


async def subprocesses() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-S", "-c", "print(input() * 3)", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate(b"abc\n")
    assert output == b"abcabcabc\n", output
    await asyncio.sleep(0.2)


async def lookups() -> None:
    """Literal addresses, and names whose lookup takes its time and is given up now and then."""
    loop = asyncio.get_running_loop()
    for number in range(50):
        await loop.getaddrinfo(f"127.0.0.{number + 1}", 80, type=socket.SOCK_STREAM)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(loop.getaddrinfo("slow.invalid", 80), random.choice([0.005, 1.0]))


async def threads() -> None:
    assert await asyncio.gather(*(asyncio.to_thread(pow, 3, number) for number in range(10)))


async def timers() -> None:
    loop = asyncio.get_running_loop()
    handles = [loop.call_later(random.uniform(0.001, 3600), DONE.__len__) for _ in range(2000)]
    await asyncio.sleep(0.002)
    random.shuffle(handles)
    for handle in handles:
        handle.cancel()


async def tasks() -> None:
    async def work(number: int) -> int:
        await asyncio.sleep(0)
        if number % 10 == 1:
            raise ValueError(number)
        await asyncio.sleep(random.choice([0, 0.001]))
        return number

    batch = [asyncio.create_task(work(number)) for number in range(300)]
    await asyncio.sleep(0)
    for task in batch[::7]:
        task.cancel()
    await asyncio.gather(*batch, return_exceptions=True)


async def cancelled_operations() -> None:
    """Every kind of waiting, given up in the middle."""
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=left)

    async def lock() -> None:
        taken = asyncio.Lock()
        await taken.acquire()
        await taken.acquire()

    async def drained() -> None:
        writer.write(bytes(1 << 20))
        await writer.drain()

    waits: list[Callable[[], Awaitable[Any]]] = [
        lambda: reader.readexactly(5),
        lambda: asyncio.Queue[int]().get(),
        lambda: asyncio.Event().wait(),
        lambda: loop.sock_accept(listener),
        lambda: asyncio.sleep(100),
        lock,
        drained,
    ]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        for wait in waits:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(wait(), 0.001)
    writer.transport.abort()
    right.close()
    await asyncio.sleep(0)


INSIDE: list[Callable[[], Awaitable[None]]] = [subprocesses, lookups, threads, timers, tasks, cancelled_operations]


# -- What the clients do


class Clients:
    """Talks to a `Service` in another process."""

    def __init__(self, where: dict[str, Any]) -> None:
        self.where = where
        self.context = ssl.create_default_context(cafile=where["authority"])

    async def _echoed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(random.randrange(1, 10)):
            data = random.randbytes(random.choice([1, 100, 1000, 100_000]))
            writer.write(data)
            received = await reader.readexactly(len(data))
            assert received == data, "the echo is another"

    async def _end(self, writer: asyncio.StreamWriter) -> None:
        """Most close; some go without a word, some reset the connection."""
        how = random.random()
        if how < 0.1:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        elif how < 0.2:
            writer.transport.abort()
        else:
            writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def tcp(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.where["tcp"])
        await self._echoed(reader, writer)
        await self._end(writer)

    async def half_closed(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.where["tcp"])
        writer.write(b"the end")
        writer.write_eof()
        assert await reader.read() == b"the end"
        await self._end(writer)

    async def gone_in_the_middle(self) -> None:
        """Much is sent, nothing is read, and then the connection goes."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.where["tcp"], limit=1024)
        writer.write(bytes(4_000_000))
        with contextlib.suppress(TimeoutError, OSError):
            await asyncio.wait_for(writer.drain(), random.uniform(0.001, 0.02))
        writer.transport.abort()

    async def unix(self) -> None:
        reader, writer = await asyncio.open_unix_connection(self.where["unix"])
        await self._echoed(reader, writer)
        await self._end(writer)

    async def tls(self) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.where["tls"], ssl=self.context, server_hostname="localhost", ssl_shutdown_timeout=2.0
        )
        await self._echoed(reader, writer)
        await self._end(writer)

    async def upgrade(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.where["tcp"])
        writer.write(b"STARTTLS\n")
        assert await reader.readline() == b"go\n"
        await writer.start_tls(self.context, server_hostname="localhost")
        await self._echoed(reader, writer)
        await self._end(writer)

    async def no_tls(self) -> None:
        """Something else than a handshake, or the beginning of one."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.where["tls"])
        writer.write(random.choice([b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", random.randbytes(300)]))
        writer.write_eof()
        with contextlib.suppress(OSError):
            await reader.read()
        await self._end(writer)

    async def udp(self) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            for _ in range(20):
                data = random.randbytes(random.choice([1, 100, 1400]))
                await loop.sock_sendto(sock, data, ("127.0.0.1", self.where["udp"]))
                received, _ = await asyncio.wait_for(loop.sock_recvfrom(sock, 2000), 10)
                assert received == data

    async def churn(self) -> None:
        async def once() -> None:
            _, writer = await asyncio.open_connection("127.0.0.1", self.where["tcp"])
            await self._end(writer)

        await asyncio.gather(*(once() for _ in range(20)))

    def all(self) -> list[Callable[[], Awaitable[None]]]:
        kinds = [self.tcp, self.half_closed, self.gone_in_the_middle, self.unix, self.tls, self.upgrade, self.no_tls]
        return [*kinds, self.udp, self.churn]


async def repeat(kind: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    """Do it again and again until *stop*."""
    while not stop.is_set():
        await kind()
        DONE[kind.__name__] += 1
        await asyncio.sleep(PAUSE)


def slow_getaddrinfo(original: Callable[..., Any]) -> Callable[..., Any]:
    """`socket.getaddrinfo` for which ``slow.invalid`` is a name that takes 20 ms to be found."""
    import time

    def getaddrinfo(host: Any, *arguments: Any, **more: Any) -> Any:
        if host == "slow.invalid":
            time.sleep(0.02)
            host = "127.0.0.1"
        return original(host, *arguments, **more)

    return getaddrinfo


def make_certificates(directory: Path) -> None:
    """``certificate.pem`` with its key, for localhost, and who signed it."""
    import trustme

    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    authority.cert_pem.write_to_path(os.fspath(directory / "authority.pem"))
    leaf = authority.issue_cert("localhost", key_type=trustme.KeyType.ECDSA)
    leaf.private_key_and_cert_chain_pem.write_to_path(os.fspath(directory / "certificate.pem"))
