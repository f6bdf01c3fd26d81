"""Servers and clients with nothing to do: everybody waits for somebody else who may come, and nobody is stuck."""

import asyncio
import contextlib
import socket

from results import show


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    finally:
        writer.close()


class Datagrams(asyncio.DatagramProtocol):
    pass


class Pool:
    """Connections for those who ask, and a task that looks after them."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self.wanted = asyncio.Event()
        self.keeper: asyncio.Task[None] | None = None

    async def keep(self) -> None:
        while True:
            await self.wanted.wait()
            self.wanted.clear()
            self.free.put_nowait(await asyncio.open_connection("127.0.0.1", self.port))

    async def __aenter__(self) -> "Pool":
        self.keeper = asyncio.create_task(self.keep(), name="keeper of the pool")
        return self

    async def __aexit__(self, *exception: object) -> None:
        assert self.keeper is not None
        self.keeper.cancel()
        while not self.free.empty():
            _, writer = self.free.get_nowait()
            writer.close()
            await writer.wait_closed()

    async def ask(self, text: bytes) -> bytes:
        if self.free.empty():
            self.wanted.set()
        reader, writer = await self.free.get()
        writer.write(text)
        answer = await reader.readline()
        self.free.put_nowait((reader, writer))
        return answer


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    serving = asyncio.create_task(server.serve_forever(), name="server")
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    accepting = asyncio.create_task(loop.sock_accept(listener), name="bare accept")
    endpoint, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0))
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
    reading = [asyncio.create_task(reader.readline(), name=f"idle {n}") for n, (reader, _) in enumerate(idle)]
    ticket = asyncio.Semaphore(0)
    waiting = asyncio.create_task(ticket.acquire(), name="has no ticket yet")
    async with Pool(port) as pool:
        first = await pool.ask(b"first\n")
        await asyncio.sleep(2.5)  # Longer than any warning needs.
        second = await pool.ask(b"second\n")
    ticket.release()
    await waiting
    for number, (_, writer) in enumerate(idle):
        writer.write(b"%d\n" % number)
    lines = await asyncio.gather(*reading)
    for _, writer in idle:
        writer.close()
    endpoint.close()
    for task in (accepting, serving):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    listener.close()
    show(answers=[first.decode(), second.decode()], lines=[int(line) for line in lines] == list(range(20)))


if __name__ == "__main__":
    asyncio.run(main())
