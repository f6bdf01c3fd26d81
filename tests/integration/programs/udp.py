"""Datagrams: an echo endpoint, many clients, the largest datagram, and a port where nobody listens."""

import asyncio

from results import show


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data, address) -> None:
        self.transport.sendto(data, address)


class Client(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()
        self.error = asyncio.get_running_loop().create_future()
        self.lost = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, address) -> None:
        self.received.put_nowait(data)

    def error_received(self, error) -> None:
        if not self.error.done():
            self.error.set_result(type(error).__name__)

    def connection_lost(self, error) -> None:
        self.lost.set_result(error)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    address = server.get_extra_info("sockname")

    async def talk(number: int) -> bool:
        transport, client = await loop.create_datagram_endpoint(Client, remote_addr=address)
        answers = []
        for round_ in range(10):
            transport.sendto(f"{number} {round_}".encode())
            answers.append((await asyncio.wait_for(client.received.get(), 10)).decode())
        transport.close()
        await client.lost
        return answers == [f"{number} {round_}" for round_ in range(10)]

    talks = await asyncio.gather(*map(talk, range(50)))

    transport, client = await loop.create_datagram_endpoint(Client, local_addr=("127.0.0.1", 0))
    largest = bytes(65507)
    transport.sendto(largest, address)
    large = await asyncio.wait_for(client.received.get(), 10) == largest
    transport.close()
    server.close()
    await asyncio.sleep(0.05)

    transport, client = await loop.create_datagram_endpoint(Client, remote_addr=address)
    transport.sendto(b"anybody?")
    error = await asyncio.wait_for(client.error, 10)
    transport.abort()
    show(talks=all(talks), large=large, nobody_listens=error)


if __name__ == "__main__":
    asyncio.run(main())
