"""Holds many connections to an echo server at once and checks every answer.  Knows nothing of hocket: plain asyncio."""

import asyncio
import json
import socket
import struct
import sys


async def main(port: int, count: int) -> None:
    opening = asyncio.Semaphore(500)
    all_served = asyncio.Event()
    served = 0

    async def client(number: int) -> bool:
        nonlocal served
        async with opening:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        # What is open on this side may still wait to be accepted on the other: an answer says that it was.
        writer.write(b"here")
        correct = await reader.readexactly(4) == b"here"
        served += 1
        if served == count:
            all_served.set()
        await all_served.wait()
        for round_ in range(3):
            message = f"{number}/{round_}:".encode() * (1 + (number + round_) % 150)
            writer.write(message)
            correct = correct and await reader.readexactly(len(message)) == message
        # Reset, or the kernel would keep the port for a minute, and the tests beside this could find none.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()
        await writer.wait_closed()
        return correct

    answers = await asyncio.gather(*map(client, range(count)))
    print(json.dumps({"correct": sum(answers)}))


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
