"""What of asyncio uvloop lacks and hocket has, each feature tried on both.

A feature that uvloop gains makes its test fail here, so that the documentation does not go on denying it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

import hocket

from .packages import imported

uvloop = imported("uvloop")

TOOL = "uvloop, compared"
PACKAGES = ("uvloop", "trustme")

#: What asyncio of every version has, or of this version on.
EVERY_PYTHON = (3, 11)


@dataclass(frozen=True)
class Feature:
    """A feature and a coroutine that returns True if the running loop has it; an exception says that it has not."""

    name: str
    has: Callable[[], Awaitable[bool]]
    since: tuple[int, int] = EVERY_PYTHON


FEATURES: list[Feature] = []


def feature(name: str, since: tuple[int, int] = EVERY_PYTHON) -> Callable[[Any], Any]:
    def add(has: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
        FEATURES.append(Feature(name, has, since))
        return has

    return add


class Pair:
    """A transport, and the socket at its other end."""

    async def __aenter__(self) -> Pair:
        ours, self.peer = socket.socketpair()
        ours.setblocking(False)
        self.socket = ours
        self.transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.transport.abort()
        self.peer.close()
        await asyncio.sleep(0.01)


def content() -> Any:
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(b"x" * 1000)
    file.seek(0)
    return file


def datagram_sockets() -> tuple[socket.socket, socket.socket]:
    made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for each in made:
        each.setblocking(False)
        each.bind(("127.0.0.1", 0))
    return made[0], made[1]


@feature("`loop.sendfile`")
async def sendfile() -> bool:
    async with Pair() as pair:
        with content() as file:
            return await asyncio.get_running_loop().sendfile(pair.transport, file) == 1000


@feature("`loop.sock_sendfile`")
async def sock_sendfile() -> bool:
    first, second = socket.socketpair()
    first.setblocking(False)
    with first, second, content() as file:
        return await asyncio.get_running_loop().sock_sendfile(first, file) == 1000


@feature("`loop.sock_recvfrom`, `sock_recvfrom_into`, `sock_sendto`")
async def sock_datagrams() -> bool:
    loop = asyncio.get_running_loop()
    first, second = datagram_sockets()
    with first, second:
        await loop.sock_sendto(first, b"ping", second.getsockname())
        return await loop.sock_recvfrom(second, 10) == (b"ping", first.getsockname())


@feature("happy eyeballs: `create_connection(happy_eyeballs_delay=…, interleave=…)`")
async def happy_eyeballs() -> bool:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, "localhost", port, happy_eyeballs_delay=0.1, interleave=1
        )
        transport.abort()
        await asyncio.sleep(0.01)
    return True


@feature("`create_connection(all_errors=True)`", (3, 12))
async def all_errors() -> bool:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    try:
        await asyncio.get_running_loop().create_connection(asyncio.Protocol, "127.0.0.1", port, all_errors=True)
    except ExceptionGroup as errors:
        return isinstance(errors.exceptions[0], ConnectionRefusedError)
    return False


@feature("`create_server(keep_alive=True)`", (3, 13))
async def keep_alive() -> bool:
    loop: Any = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, keep_alive=True)
    server.close()
    return True


@feature("`Server.close_clients`, `abort_clients`", (3, 13))
async def close_clients() -> bool:
    server: Any = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    try:
        server.close_clients()
        server.abort_clients()
    finally:
        server.close()
    return True


@feature("subprocesses with every option of `Popen`: `umask`, `user`, `extra_groups`, `process_group`, `pipesize`")
async def popen_options() -> bool:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import os; raise SystemExit(os.umask(0) == 0o27)", umask=0o27, process_group=0
    )
    return await process.wait() == 1


@feature("`asyncio.eager_task_factory` starts tasks at once, also on Python 3.14", (3, 14))
async def eager_task_factory() -> bool:
    loop: Any = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    try:
        return asyncio.create_task(_nothing()).done()
    finally:
        loop.set_task_factory(None)


async def _nothing() -> None:
    pass


@feature("transports and handles are asyncio's: `isinstance(…, asyncio.Transport)`, `asyncio.Handle`")
async def real_classes() -> bool:
    loop = asyncio.get_running_loop()
    async with Pair() as pair:
        return (
            isinstance(pair.transport, asyncio.Transport)
            and isinstance(loop.call_soon(int), asyncio.Handle)
            and isinstance(loop.call_later(0, int), asyncio.TimerHandle)
        )


@feature("`isinstance(loop, asyncio.BaseEventLoop)`")
async def base_event_loop() -> bool:
    return isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop)


@feature("`start_tls` on a server whose client sent its hello at once: no byte is lost")
async def start_tls_with_data_buffered() -> bool:
    import trustme

    authority = trustme.CA()
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)
    greeted = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readline()
            await asyncio.sleep(0.05)  # the client's hello arrives, behind the line
            await writer.start_tls(server_side)
            greeted.set()
        finally:
            writer.close()

    def eager_client(port: int) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = client_side.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            first = b"STARTTLS\r\n"
            while True:
                try:
                    session.do_handshake()
                    connection.sendall(outgoing.read())
                    connection.recv(1)
                    return
                except ssl.SSLWantReadError:
                    connection.sendall(first + outgoing.read())
                    first = b""
                    received = connection.recv(65536)
                    if not received:
                        return
                    incoming.write(received)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        client = asyncio.create_task(asyncio.to_thread(eager_client, server.sockets[0].getsockname()[1]))
        try:
            await asyncio.wait_for(greeted.wait(), 6)
        finally:
            await asyncio.wait([client])
            client.cancelled() or client.exception()
    return True


def has(factory: Callable[[], asyncio.AbstractEventLoop], feature: Feature) -> bool:
    """Whether a loop of *factory* has the feature.  One that refuses an argument or raises has it not."""

    async def bounded() -> bool:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        return bool(await asyncio.wait_for(feature.has(), 10))

    with asyncio.Runner(loop_factory=factory) as runner:
        try:
            return runner.run(bounded())
        except (NotImplementedError, TypeError, ValueError, AttributeError, TimeoutError):
            return False


each_feature = pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.has.__name__)


@each_feature
def test_hocket_has_it(feature: Feature) -> None:
    """hocket's loop has the feature, on every Python whose asyncio has it."""
    if sys.version_info < feature.since:
        pytest.skip(f"it concerns Python {'.'.join(map(str, feature.since))} and later")
    assert has(hocket.new_event_loop, feature)


@each_feature
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_uvloop_lacks_it(feature: Feature) -> None:
    """uvloop's loop has it not."""
    if sys.version_info < feature.since:
        pytest.skip(f"it concerns Python {'.'.join(map(str, feature.since))} and later")
    assert not has(uvloop.new_event_loop, feature)
