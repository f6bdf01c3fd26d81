"""A websockets server and its clients: echo, large messages, a broadcast to all, pings, closing with a code."""

import asyncio

from results import show
from websockets.asyncio.client import connect
from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosedError

everyone = set()


async def handle(connection) -> None:
    everyone.add(connection)
    try:
        async for message in connection:
            if message == "leave":
                await connection.close(4001, "as you wish")
                return
            elif message == "all":
                broadcast(everyone, "to all")
            else:
                await connection.send(message)
    finally:
        everyone.discard(connection)


async def main() -> None:
    async with serve(handle, "127.0.0.1", 0, max_size=2**23) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        large = "x" * 2**21

        async with connect(url, max_size=2**23) as socket:
            for number in range(100):
                await socket.send(str(number))
            echoed = [int(await socket.recv()) for _ in range(100)]
            await socket.send(large)
            large_came_back = await socket.recv() == large
            await socket.send(bytes(1000))
            binary = await socket.recv() == bytes(1000)
            latency = await (await socket.ping())

        clients = await asyncio.gather(*(connect(url) for _ in range(50)))
        await clients[0].send("all")
        received = await asyncio.gather(*(client.recv() for client in clients))
        await asyncio.gather(*(client.close() for client in clients))

        async with connect(url) as socket:
            await socket.send("leave")
            try:
                await socket.recv()
                closed = None
            except ConnectionClosedError as error:
                closed = [error.rcvd.code, error.rcvd.reason]
    show(
        echoed=echoed == list(range(100)),
        large_came_back=large_came_back,
        binary=binary,
        pinged=0 <= latency < 10,
        broadcast=received == ["to all"] * 50,
        closed=closed,
    )


if __name__ == "__main__":
    asyncio.run(main())
