"""What stays on the machine: Unix sockets, pipes, a file sent by the kernel, and sockets used without a transport."""

import asyncio
import os
import socket
import tempfile

from results import show


async def unix(directory: str) -> bool:
    async def handle(reader, writer) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()

    path = os.path.join(directory, "socket")
    async with await asyncio.start_unix_server(handle, path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"hello\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    return answer == b"HELLO\n"


async def pipe() -> bool:
    loop = asyncio.get_running_loop()
    read_end, write_end = os.pipe()
    reader = asyncio.StreamReader()
    source, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb"))
    sink, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(write_end, "wb"))
    writer = asyncio.StreamWriter(sink, protocol, None, loop)
    data = bytes(300_000)

    async def send() -> None:
        writer.write(data)
        await writer.drain()
        sink.close()

    sending = asyncio.create_task(send())
    received = await reader.read()
    await sending
    source.close()
    return received == data


async def send_file(directory: str) -> bool:
    loop = asyncio.get_running_loop()
    path = os.path.join(directory, "file")
    data = bytes(range(256)) * 4096
    with open(path, "wb") as file:
        file.write(data)

    async def handle(reader, writer) -> None:
        with open(path, "rb") as file:
            await loop.sendfile(writer.transport, file)
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
    return received == data


async def bare_sockets() -> bool:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        listener.setblocking(False)
        client.setblocking(False)
        accepting = asyncio.create_task(loop.sock_accept(listener))
        await loop.sock_connect(client, listener.getsockname())
        peer, _ = await accepting
        data = bytes(2_000_000)
        sending = asyncio.create_task(loop.sock_sendall(client, data))
        received = bytearray()
        with peer:
            while len(received) < len(data):
                received += await loop.sock_recv(peer, 65536)
        await sending
    return received == data


async def readers_and_writers() -> list[bytes]:
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        received = loop.create_future()
        loop.add_reader(right, lambda: received.done() or received.set_result(right.recv(100)))
        loop.add_writer(left, lambda: (left.send(b"written"), loop.remove_writer(left)))
        data = await received
        return [data, loop.remove_reader(right), loop.remove_reader(right)]


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        data, removed, removed_twice = await readers_and_writers()
        show(
            unix=await unix(directory),
            pipe=await pipe(),
            send_file=await send_file(directory),
            bare_sockets=await bare_sockets(),
            readers_and_writers=[data.decode(), removed, removed_twice],
        )


if __name__ == "__main__":
    asyncio.run(main())
