"""Accepting: servers of every kind of stream socket, one protocol and one context a connection, fair and tidy."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import socket
import sys
import warnings
from typing import Any

import pytest

from hocket.net.accept import BATCH

from .loops import EVERY, OURS, Reports, run
from .peers import Recorder, until

every_loop = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
our_loops = pytest.mark.parametrize("factory", OURS, ids=lambda factory: factory.__name__)

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def clients(stack: contextlib.ExitStack, address: Any, count: int, family: int = socket.AF_INET) -> list[socket.socket]:
    """Connected, blocking sockets; the kernel queues them whether somebody accepts or not."""
    made = []
    for _ in range(count):
        client = stack.enter_context(socket.socket(family))
        client.connect(address)
        made.append(client)
    return made


@every_loop
def test_order_of_a_connections_beginning(factory: Any) -> None:
    """Factory, connection_made() in a later turn, what that has scheduled, and only then data that was there before."""
    log: list[str] = []

    class Server(asyncio.Protocol):
        def __init__(self) -> None:
            log.append("factory")
            asyncio.get_running_loop().call_soon(log.append, "after factory")

        def connection_made(self, transport: Any) -> None:
            log.append("made")
            asyncio.get_running_loop().call_soon(log.append, "after made")

        def data_received(self, data: bytes) -> None:
            log.append(data.decode())

        def connection_lost(self, exc: Exception | None) -> None:
            log.append("lost")

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
        async with server:
            with socket.create_connection(server.sockets[0].getsockname()) as client:
                client.send(b"data")
            await until(lambda: "lost" in log)
        assert log == ["factory", "after factory", "made", "after made", "data", "lost"]

    run(factory, main())


@every_loop
def test_every_connection_has_a_context_of_its_own(factory: Any) -> None:
    """What the factory sets is seen by its own connection's protocol alone; each begins with the server's context."""
    seen: list[tuple[str, str]] = []
    number = 0

    class Server(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.in_made = variable.get()
            variable.set("made")

        def data_received(self, data: bytes) -> None:
            seen.append((self.in_made, variable.get()))

    def protocol() -> Server:
        nonlocal number
        assert variable.get() == "server"
        number += 1
        variable.set(f"connection {number}")
        return Server()

    async def main() -> None:
        variable.set("server")
        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        variable.set("later")
        async with server:
            with contextlib.ExitStack() as stack:
                for client in clients(stack, server.sockets[0].getsockname(), 3):
                    client.send(b"x")
                await until(lambda: len(seen) == 3)
        assert sorted(seen) == [(f"connection {n}", f"connection {n}") for n in (1, 2, 3)]

    run(factory, main())


@our_loops  # asyncio leaves the socket to the garbage collector
@pytest.mark.parametrize("debug", [False, True])
def test_a_failing_factory(factory: Any, debug: bool) -> None:
    """The connection is closed, the server goes on; reported in debug mode alone."""
    fail = True

    def protocol() -> asyncio.Protocol:
        if fail:
            raise ZeroDivisionError
        return Recorder()

    async def main() -> None:
        nonlocal fail
        loop = asyncio.get_running_loop()
        loop.set_debug(debug)
        reports = Reports(loop)
        server = await loop.create_server(protocol, "127.0.0.1", 0)
        async with server:
            address = server.sockets[0].getsockname()
            with socket.create_connection(address) as refused:
                refused.setblocking(False)
                assert await loop.sock_recv(refused, 1) == b""
            assert reports.messages == (["Error on transport creation for incoming connection"] if debug else [])
            if debug:
                assert isinstance(reports.contexts[0]["exception"], ZeroDivisionError)
                assert "protocol" not in reports.contexts[0]
            fail = False
            with socket.create_connection(address) as accepted:
                accepted.setblocking(False)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(loop.sock_recv(accepted, 1), 0.05)

    run(factory, main())


@our_loops
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_factory_that_ends_the_program(factory: Any, error: type[BaseException]) -> None:
    """These come out of run_forever(), and the connection is closed."""

    def protocol() -> asyncio.Protocol:
        raise error

    loop = factory()
    try:
        server = loop.run_until_complete(loop.create_server(protocol, "127.0.0.1", 0))
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            with pytest.raises(error):
                loop.run_forever()
            assert client.recv(1) == b""
        server.close()
        loop.run_until_complete(server.wait_closed())
    finally:
        loop.close()


@our_loops
def test_a_connection_takes_no_task(factory: Any) -> None:
    """all_tasks() shows the program's own tasks, and the factory runs outside of any."""
    current: list[Any] = []

    def protocol() -> asyncio.Protocol:
        current.append((asyncio.current_task(), len(asyncio.all_tasks())))
        return Recorder()

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        before = len(asyncio.all_tasks())
        async with server:
            with socket.create_connection(server.sockets[0].getsockname()):
                await until(lambda: current)
        assert current == [(None, before)]

    run(factory, main())


@our_loops
def test_many_clients_do_not_hold_up_the_others(factory: Any) -> None:
    """Of a long queue so many are accepted in a turn, and then it is everybody's turn."""
    turns: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepted = 0

        def protocol() -> asyncio.Protocol:
            nonlocal accepted
            accepted += 1
            return asyncio.Protocol()

        server = await loop.create_server(protocol, "127.0.0.1", 0, backlog=1000)
        async with server:
            with contextlib.ExitStack() as stack:
                clients(stack, server.sockets[0].getsockname(), 3 * BATCH + 1)
                while accepted < 3 * BATCH + 1:
                    await asyncio.sleep(0)
                    turns.append(accepted)
        assert max(after - before for before, after in zip([0, *turns], turns, strict=False)) == BATCH

    run(factory, main())


@every_loop
def test_a_small_backlog_still_accepts(factory: Any) -> None:
    """backlog=1 is a short queue, not a short life."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        made: list[Any] = []

        def protocol() -> asyncio.Protocol:
            made.append(Recorder())
            return made[-1]  # type: ignore[no-any-return]

        server = await loop.create_server(protocol, "127.0.0.1", 0, backlog=1)
        async with server:
            for count in (1, 2, 3):
                with socket.create_connection(server.sockets[0].getsockname()):
                    await until(lambda count=count: len(made) == count)  # type: ignore[misc]

    run(factory, main())


# -- Addresses


@every_loop
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_addresses_of_tcp(factory: Any, host: str) -> None:
    """peername and sockname are those that the socket itself tells."""

    async def main() -> None:
        made = asyncio.get_running_loop().create_future()
        try:
            server = await asyncio.get_running_loop().create_server(
                lambda: Recorder(connection_made=lambda it: made.set_result(it)), host, 0
            )
        except OSError:
            pytest.skip(f"this machine has no {host}")
        async with server:
            with socket.create_connection(server.sockets[0].getsockname()[:2]) as client:
                transport = (await made).transport
                assert transport.get_extra_info("peername") == client.getsockname()
                assert transport.get_extra_info("sockname") == client.getpeername()
                sock = transport.get_extra_info("socket")
                assert sock.getpeername() == client.getsockname()
                assert (sock.family, sock.type, sock.proto) == (server.sockets[0].family, 1, server.sockets[0].proto)
                assert sock.gettimeout() == 0
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    run(factory, main())


@every_loop
@pytest.mark.parametrize("bound", ["unbound", "path", "abstract"])
@pytest.mark.parametrize("server_at", ["path", "abstract"])
def test_addresses_of_unix_sockets(factory: Any, server_at: str, bound: str, tmp_path: Any) -> None:
    """A path is text, an abstract name bytes, and no name the empty text."""

    def name(kind: str, of: str) -> Any:
        return str(tmp_path / of) if kind == "path" else f"\0hocket-{of}-{os.getpid()}"

    async def main() -> None:
        made = asyncio.get_running_loop().create_future()
        server = await asyncio.get_running_loop().create_unix_server(
            lambda: Recorder(connection_made=lambda it: made.set_result(it)), name(server_at, "server")
        )
        async with server:
            with socket.socket(socket.AF_UNIX) as client:
                if bound != "unbound":
                    client.bind(name(bound, "client"))
                client.connect(name(server_at, "server"))
                transport = (await made).transport
                assert transport.get_extra_info("peername") == client.getsockname()
                assert transport.get_extra_info("sockname") == client.getpeername()
                assert type(transport.get_extra_info("peername")) is (bytes if bound == "abstract" else str)
                transport.abort()
                await (await made).lost

    run(factory, main())


# -- Servers that close


@our_loops
@pytest.mark.parametrize("debug", [False, True])
def test_a_factory_that_closes_its_server(factory: Any, debug: bool) -> None:
    """The connection that was being made is closed, the next are not accepted, and nothing is left behind."""
    calls = 0

    async def main() -> None:
        nonlocal calls
        loop = asyncio.get_running_loop()
        loop.set_debug(debug)
        reports = Reports(loop)

        def protocol() -> asyncio.Protocol:
            nonlocal calls
            calls += 1
            server.close()
            return asyncio.Protocol()

        server = await loop.create_server(protocol, "127.0.0.1", 0)
        with contextlib.ExitStack() as stack:
            one, *_ = clients(stack, server.sockets[0].getsockname(), 3)
            one.setblocking(False)
            assert await loop.sock_recv(one, 1) == b""
            await asyncio.wait_for(server.wait_closed(), 5)
            assert calls == 1
            assert len(reports.messages) == (1 if debug else 0)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(factory, main())


@every_loop
def test_wait_closed_is_asyncios(factory: Any) -> None:
    """From Python 3.12 on it waits for the connections, before that only for the listening sockets."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        protocols: list[Recorder] = []

        def protocol() -> Recorder:
            protocols.append(Recorder())
            return protocols[-1]

        server = await loop.create_server(protocol, "127.0.0.1", 0)
        with contextlib.ExitStack() as stack:
            clients(stack, server.sockets[0].getsockname(), 3)
            await until(lambda: len(protocols) == 3 and all(it.transport for it in protocols))
            server.close()
            waiting = asyncio.create_task(server.wait_closed())
            await asyncio.sleep(0.01)
            assert waiting.done() == (sys.version_info < (3, 12))
            for it in protocols:
                it.transport.close()
            await waiting
            for it in protocols:
                assert await it.lost is None

    run(factory, main())


@every_loop
@pytest.mark.skipif(sys.version_info < (3, 13), reason="asyncio has these methods from Python 3.13 on")
@pytest.mark.parametrize("method", ["close_clients", "abort_clients"])
def test_clients_are_closed_with_the_server(factory: Any, method: str) -> None:
    """close_clients() and abort_clients() reach every connection there is."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        protocols: list[Recorder] = []

        def protocol() -> Recorder:
            protocols.append(Recorder())
            return protocols[-1]

        server = await loop.create_server(protocol, "127.0.0.1", 0)
        with contextlib.ExitStack() as stack:
            clients(stack, server.sockets[0].getsockname(), 3)
            await until(lambda: len(protocols) == 3)
            server.close()
            getattr(server, method)()
            await asyncio.wait_for(server.wait_closed(), 5)
            for it in protocols:
                assert await it.lost is None

    run(factory, main())


@every_loop
def test_an_accepted_socket_is_handed_over(factory: Any) -> None:
    """connect_accepted_socket() makes a connection of what another has accepted."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            accepted, _ = listener.accept()
        accepted.setblocking(False)
        with client:
            transport, protocol = await loop.connect_accepted_socket(Recorder, accepted)
            assert protocol.names == ["connection_made"]
            client.send(b"data")
            await until(lambda: protocol.data == b"data")
            transport.close()
            await protocol.lost

    run(factory, main())
