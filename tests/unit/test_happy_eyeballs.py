"""Connecting to a host with several addresses: which are tried when, and what is raised if none answers."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .children import linux, nothing_left
from .loops import EVERY, OURS, run, stock

#: Much longer than any test takes: whoever waits for it fails.
NEVER = 300.0


@contextmanager
def listening(address: str = "127.0.0.1") -> Iterator[tuple[str, int]]:
    """The address of a server that accepts connections."""
    with socket.create_server((address, 0)) as sock:
        yield sock.getsockname()


@contextmanager
def dead() -> Iterator[tuple[str, int]]:
    """The address of a server that answers nothing at all: its queue is full, and the kernel drops what comes."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as sock:
        address = sock.getsockname()
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            assert filler.connect_ex(address) in (0, errno.EINPROGRESS)
            fillers.append(filler)
        try:
            yield address
        finally:
            for filler in fillers:
                filler.close()


@contextmanager
def refusing() -> Iterator[tuple[str, int]]:
    """An address at which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()


def resolves_to(loop: Any, *addresses: tuple[Any, ...]) -> None:
    """Have *loop* find these addresses for every name."""

    async def getaddrinfo(host: Any, port: Any, **options: Any) -> list[Any]:
        return [
            (socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
            for address in addresses
        ]

    loop.getaddrinfo = getaddrinfo


async def connect(*addresses: tuple[Any, ...], **options: Any) -> Any:
    """The address that a connection to a host with *addresses* reaches."""
    loop = asyncio.get_running_loop()
    resolves_to(loop, *addresses)
    transport, _ = await loop.create_connection(asyncio.Protocol, "name.test", 80, **options)
    peer = transport.get_extra_info("peername")
    transport.close()
    await asyncio.sleep(0)
    return peer


def record_attempts(loop: Any) -> list[str]:
    """Refuse every connection, and write down where to."""
    attempts: list[str] = []

    async def sock_connect(sock: socket.socket, address: Any) -> None:
        attempts.append(address[0])
        raise OSError(errno.ECONNREFUSED, f"refused by {address[0]}")

    loop.sock_connect = sock_connect
    return attempts


@linux
@pytest.mark.parametrize("factory", EVERY)
def test_second_address_answers_for_a_dead_first(factory: Any) -> None:
    """After ``happy_eyeballs_delay`` the next address is tried beside the first; the first to answer is taken."""

    async def main() -> None:
        with dead() as first, listening() as second:
            assert await connect(first, second, happy_eyeballs_delay=0.05) == second

    run(factory, main())


@linux
@pytest.mark.parametrize("factory", OURS)
def test_loser_is_closed(factory: Any) -> None:
    """Of the attempts that come too late no socket is left."""

    async def main() -> None:
        with dead() as first, listening() as second:
            async with nothing_left():
                await connect(first, second, happy_eyeballs_delay=0.01)

    run(factory, main())


@pytest.mark.parametrize("factory", EVERY)
def test_refused_address_is_left_at_once(factory: Any) -> None:
    """An attempt that fails starts the next one without waiting for the delay."""

    async def main() -> None:
        with refusing() as first, listening() as second:
            assert await connect(first, second, happy_eyeballs_delay=NEVER) == second

    run(factory, main())


@pytest.mark.parametrize("factory", EVERY)
def test_first_address_that_answers_is_the_only_one_tried(factory: Any) -> None:
    """As long as the first address answers in time, the others hear nothing."""

    async def main() -> None:
        with listening() as first, listening() as second:
            assert await connect(first, second, happy_eyeballs_delay=NEVER) == first

    run(factory, main())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["::1", "::2", "::3", "192.0.2.1", "192.0.2.2"]),
        ({"interleave": 1}, ["::1", "192.0.2.1", "::2", "192.0.2.2", "::3"]),
        ({"interleave": 2}, ["::1", "::2", "192.0.2.1", "::3", "192.0.2.2"]),
        ({"happy_eyeballs_delay": NEVER}, ["::1", "192.0.2.1", "::2", "192.0.2.2", "::3"]),
        ({"happy_eyeballs_delay": NEVER, "interleave": 0}, ["::1", "::2", "::3", "192.0.2.1", "192.0.2.2"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("factory", EVERY)
def test_order_in_which_addresses_are_tried(factory: Any, options: dict[str, Any], expected: list[str]) -> None:
    """``interleave`` mixes the families; happy eyeballs do so by themselves."""

    async def main() -> list[str]:
        attempts = record_attempts(asyncio.get_running_loop())
        hosts = ["::1", "::2", "::3", "192.0.2.1", "192.0.2.2"]
        with pytest.raises(OSError, match="refused by"):
            await connect(*((host, 80, 0, 0) if ":" in host else (host, 80) for host in hosts), **options)
        return attempts

    assert run(factory, main()) == expected


@pytest.mark.parametrize("delay", [None, 0.0, NEVER])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("all_errors", [False, True])
@pytest.mark.parametrize("factory", OURS)
def test_error_if_no_address_answers(factory: Any, delay: float | None, count: int, all_errors: bool) -> None:
    """What is raised is what this Python's asyncio raises: one error, several in one text, or a group of all."""
    options: dict[str, Any] = {"happy_eyeballs_delay": delay}
    if sys.version_info >= (3, 12):
        options["all_errors"] = all_errors

    async def main() -> Any:
        record_attempts(asyncio.get_running_loop())
        try:
            await connect(*((f"192.0.2.{number}", 80) for number in range(count)), **options)
        except (OSError, ExceptionGroup) as error:
            return type(error), str(error), [str(part) for part in getattr(error, "exceptions", [])]

    assert run(factory, main()) == run(stock, main())


@linux
@pytest.mark.parametrize("factory", OURS)
def test_cancelled_amid_the_race(factory: Any) -> None:
    """Giving up closes the sockets of all attempts."""

    async def main() -> None:
        with dead() as first, dead() as second:
            async with nothing_left():
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(connect(first, second, happy_eyeballs_delay=0.01), 0.1)

    run(factory, main())


@pytest.mark.parametrize("factory", EVERY)
def test_names_of_servers_and_clients_are_looked_up(factory: Any) -> None:
    """A server listens at, and a client connects to, what a name stands for."""

    async def main() -> bytes:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"here")
            writer.close()

        server = await asyncio.start_server(answer, "localhost", 0, family=socket.AF_INET)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("localhost", port, happy_eyeballs_delay=0.25)
        heard = await reader.read()
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return heard

    assert run(factory, main()) == b"here"


@pytest.mark.parametrize("factory", EVERY)
def test_name_that_does_not_exist(factory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver's error reaches whoever connects."""

    def unknown(*args: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, os.strerror(errno.ENOENT))

    async def main() -> None:
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(socket.gaierror):
            await asyncio.open_connection("name.test", 80)

    run(factory, main())
