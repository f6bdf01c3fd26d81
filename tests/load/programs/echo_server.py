"""An echo server, by protocol or by streams: prints its port and, when stdin ends, how many were connected at most."""

import asyncio
import contextlib
import json
import sys

import hocket

connected = 0
most = 0


def count(change: int) -> None:
    global connected, most
    connected += change
    most = max(most, connected)


class Echo(asyncio.Protocol):
    def connection_made(self, transport) -> None:
        self.transport = transport
        count(1)

    def data_received(self, data) -> None:
        self.transport.write(data)

    def connection_lost(self, error) -> None:
        count(-1)


async def echo(reader, writer) -> None:
    count(1)
    with contextlib.suppress(ConnectionResetError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
    count(-1)


async def main() -> None:
    if sys.argv[1] == "protocol":
        server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, backlog=2048)
    else:
        server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=2048)
    print(json.dumps(server.sockets[0].getsockname()[1]), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    left = connected
    server.close()
    print(json.dumps({"most": most, "left": left, "loop": type(asyncio.get_running_loop()).__module__}))


if __name__ == "__main__":
    hocket.run(main())
