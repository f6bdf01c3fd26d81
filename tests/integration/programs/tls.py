"""TLS with a certificate authority made on the spot: streams, ALPN, an upgrade, and peers that must be refused."""

import asyncio
import ssl

import trustme
from results import show

MEGABYTE = bytes(range(256)) * 4096


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    server.set_alpn_protocols(["hocket/1", "http/1.1"])
    client = ssl.create_default_context()
    client.set_alpn_protocols(["hocket/1"])
    authority.configure_trust(client)
    return server, client


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
    writer.write(b"plain " + await reader.readline())
    await writer.start_tls(context)
    writer.write(b"secret " + await reader.readline())
    await writer.drain()
    writer.close()


async def exchange(port: int, context: ssl.SSLContext, data: bytes) -> tuple[bytes, ssl.SSLObject]:
    reader, writer = await asyncio.open_connection("localhost", port, ssl=context)

    async def send() -> None:
        writer.write(data)
        await writer.drain()

    sending = asyncio.create_task(send())
    received = await reader.readexactly(len(data))
    await sending
    secured = writer.get_extra_info("ssl_object")
    writer.close()
    await writer.wait_closed()
    return received, secured


async def refused(port: int, context: ssl.SSLContext, name: str) -> bool:
    try:
        await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    except ssl.SSLCertVerificationError:
        return True
    return False


async def main() -> None:
    server_context, client_context = contexts()
    # A peer that refuses us is the server's everyday life, not something for this program's stderr.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
    port = server.sockets[0].getsockname()[1]
    received, secured = await exchange(port, client_context, MEGABYTE)
    many = await asyncio.gather(*(exchange(port, client_context, bytes([n]) * 5000) for n in range(30)))
    stranger = await refused(port, ssl.create_default_context(), "localhost")
    other_name = await refused(port, client_context, "example.org")
    server.close()
    await server.wait_closed()

    server = await asyncio.start_server(lambda r, w: upgrade(r, w, server_context), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"one\n")
    upgraded = [(await reader.readline()).decode()]
    await writer.start_tls(client_context, server_hostname="localhost")
    writer.write(b"two\n")
    upgraded.append((await reader.readline()).decode())
    writer.close()
    server.close()
    await server.wait_closed()
    show(
        echoed=received == MEGABYTE,
        protocol=secured.selected_alpn_protocol(),
        certificate=secured.getpeercert()["subjectAltName"],
        many=[data for data, _ in many] == [bytes([n]) * 5000 for n in range(30)],
        stranger_refused=stranger,
        other_name_refused=other_name,
        upgraded=upgraded,
    )


if __name__ == "__main__":
    asyncio.run(main())
