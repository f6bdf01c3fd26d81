"""Servers that stop accepting: who is on the way gets in, and who comes later finds nobody there."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest

import hocket


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    writer.close()
    await writer.wait_closed()


def begin_to_connect(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    try:
        sock.connect(("127.0.0.1", port))
    except BlockingIOError:
        pass
    return sock


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be told to drop packets")
def test_newcomers_are_turned_away_and_nobody_else() -> None:
    """Who has connected is accepted and answered; who begins afterwards is not connected, nor reset."""

    async def main() -> tuple[int, bytes, str, int]:
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        early = socket.create_connection(("127.0.0.1", port))
        early.setblocking(False)
        turned = loop.turn_newcomers_away()  # type: ignore[attr-defined]
        late = begin_to_connect(port)
        with early, late:
            received = await loop.sock_recv(early, 100)
            try:
                late.getpeername()
                state = "connected"
            except OSError:
                state = "not connected" if not late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) else "refused"
            return turned, received, state, loop.stop_accepting()  # type: ignore[attr-defined]

    assert hocket.run(main()) == (1, b"hello", "not connected", 1)


def test_nothing_listens_any_more() -> None:
    """Neither servers of several sockets nor those that were closed before; and then there is nothing to stop."""

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        closed = await asyncio.start_server(answer, "127.0.0.1", 0)
        closed.close()
        servers = [await asyncio.start_server(answer, "127.0.0.1", 0) for _ in range(2)]
        ports = [server.sockets[0].getsockname()[1] for server in servers]
        found = [loop.stop_accepting(), loop.stop_accepting()]  # type: ignore[attr-defined]
        for port in ports:
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
        return found

    assert hocket.run(main()) == [2, 0]


def test_unix_servers_stop_too(tmp_path: object) -> None:
    """They have no newcomers to turn away: whoever waits is accepted."""

    async def main() -> tuple[int, int, bytes]:
        loop = asyncio.get_running_loop()
        path = f"{tmp_path}/socket"
        await asyncio.start_unix_server(answer, path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.setblocking(False)
            turned, stopped = loop.turn_newcomers_away(), loop.stop_accepting()  # type: ignore[attr-defined]
            return turned, stopped, await loop.sock_recv(client, 100)

    assert hocket.run(main()) == (0, 1, b"hello")
