"""nginx as the TLS peer: of an aiohttp client on hocket, and, as a reverse proxy, of a TLS server on hocket."""

from __future__ import annotations

import asyncio
import contextlib
import io
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from . import installed
from .certificates import Authority, Files, RememberingContext
from .daemons import HOST, Nginx
from .running import run

aiohttp = installed.package("aiohttp")
web = installed.package("aiohttp.web", "aiohttp")

BODY = bytes(range(256)) * 40_000

#: An ordinary server, and one (with a configuration of its own) that wants the client's certificate.
SERVER = """
    server {{
        listen 127.0.0.1:PORT ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:sessions:1m;
        client_max_body_size 0;
        keepalive_requests 100000;
        {more}
        location /told {{
            return 200 "$ssl_protocol $ssl_session_reused $connection_requests $ssl_client_s_dn";
        }}
        location /files/ {{ root .; dav_methods PUT DELETE; }}
    }}
"""


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[[str], Nginx]]:
    """Starts an nginx with the given configuration; all are stopped after the last test of this file."""
    started: list[Nginx] = []

    def start_one(servers: str) -> Nginx:
        started.append(Nginx(servers))
        started[-1].start()
        return started[-1]

    yield start_one
    for nginx in started:
        nginx.close()


@pytest.fixture(scope="module")
def nginx(start: Callable[[str], Nginx], localhost: Files) -> Nginx:
    return start(SERVER.format(certificate=localhost.certificate, key=localhost.key, more=""))


@pytest.fixture(scope="module")
def strict_nginx(start: Callable[[str], Nginx], localhost: Files, authority: Authority) -> Nginx:
    """One that wants certificates of its clients."""
    more = f"ssl_verify_client on; ssl_client_certificate {authority.file};"
    return start(SERVER.format(certificate=localhost.certificate, key=localhost.key, more=more))


@pytest.fixture(params=["1.2", "1.3"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextlib.asynccontextmanager
async def client(nginx: Nginx, context: ssl.SSLContext, **options: Any) -> AsyncIterator[Any]:
    connector = aiohttp.TCPConnector(ssl=context, **options)
    async with aiohttp.ClientSession(f"https://127.0.0.1:{nginx.port}", connector=connector) as session:
        yield session


async def told(session: Any) -> list[str]:
    async with session.get("/told") as response:
        assert response.status == 200
        return str(await response.text()).split(" ", 3)


def test_keep_alive(nginx: Nginx, authority: Authority, version: str) -> None:
    """500 requests go through one connection."""

    async def main() -> None:
        async with client(nginx, authority.client(version=version), limit=1) as session:
            for number in range(1, 501):
                protocol, _, requests, _ = await told(session)
                assert (protocol, requests) == (f"TLSv{version}", str(number))

    run(main)


def test_many_connections(nginx: Nginx, authority: Authority, version: str) -> None:
    """100 connections at once, each with ten requests."""

    async def main() -> None:
        async with client(nginx, authority.client(version=version), limit=100) as session:

            async def ask() -> None:
                for _ in range(10):
                    await told(session)

            await asyncio.gather(*(ask() for _ in range(100)))

    run(main)


def test_bodies_up_and_down(nginx: Nginx, authority: Authority, version: str) -> None:
    """10 MB are stored by PUT and fetched again unchanged, eight at once."""

    async def main() -> None:
        async with client(nginx, authority.client(version=version)) as session:

            async def store_and_fetch(number: int) -> bool:
                path = f"/files/{version}-{number}"
                async with session.put(path, data=io.BytesIO(BODY)) as response:
                    assert response.status == 201
                async with session.get(path) as response:
                    received = await response.read()
                async with session.delete(path) as response:
                    assert response.status == 204
                return bool(received == BODY)

            assert await asyncio.gather(*(store_and_fetch(number) for number in range(8))) == [True] * 8

    run(main)


def test_streamed_upload_and_slow_reader(nginx: Nginx, authority: Authority, version: str) -> None:
    """A body whose length nobody knows before goes up in chunks, and comes down to a reader that takes its time."""

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(BODY), 100_000):
            yield BODY[start : start + 100_000]

    async def main() -> None:
        async with client(nginx, authority.client(version=version), limit=1) as session:
            async with session.put(f"/files/streamed-{version}", data=chunks()) as response:
                assert response.status == 201
            received = bytearray()
            async with session.get(f"/files/streamed-{version}") as response:
                async for chunk in response.content.iter_chunked(500_000):
                    received += chunk
                    await asyncio.sleep(0.01)
            assert received == BODY

    run(main)


def test_download_is_abandoned(nginx: Nginx, authority: Authority, version: str) -> None:
    """A response that is not read to its end costs its connection, and no other."""
    (nginx.directory / "files" / "abandoned").write_bytes(BODY)

    async def main() -> None:
        async with client(nginx, authority.client(version=version)) as session:
            for _ in range(20):
                async with session.get("/files/abandoned") as response:
                    assert await response.content.readexactly(1000) == BODY[:1000]
            assert (await told(session))[0] == f"TLSv{version}"

    run(main)


def test_close_amid_a_download(nginx: Nginx, authority: Authority, version: str) -> None:
    """A client that closes in the middle of a body of 300 MB does not read the rest of it."""
    with (nginx.directory / "files" / "large").open("wb") as body:
        body.truncate(300_000_000)

    async def main() -> int:
        passed, ended = 0, asyncio.Event()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal passed
            further_reader, further_writer = await asyncio.open_connection(HOST, nginx.port)

            async def up() -> None:
                with contextlib.suppress(ConnectionError):
                    while data := await reader.read(65536):
                        further_writer.write(data)

            asking = asyncio.create_task(up())
            with contextlib.suppress(ConnectionError):
                while data := await further_reader.read(65536):
                    writer.write(data)
                    await writer.drain()
                    passed += len(data)
            await asyncio.wait([asking], timeout=1)
            asking.cancel()
            writer.close()
            further_writer.close()
            ended.set()

        async with await asyncio.start_server(relay, HOST, 0) as server:
            port = server.sockets[0].getsockname()[1]
            context = authority.client(version=version)
            reader, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname="localhost")
            writer.write(b"GET /files/large HTTP/1.0\r\n\r\n")
            await reader.readexactly(1000)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
            await ended.wait()
        return passed

    assert run(main) < 50_000_000


def test_client_certificate(strict_nginx: Nginx, authority: Authority, version: str) -> None:
    """nginx is shown the client's certificate."""
    files = authority.issue("client.example", common_name="a client")

    async def main() -> None:
        async with client(strict_nginx, authority.client(files, version)) as session:
            assert "CN=a client" in (await told(session))[3]

    run(main)


def test_client_certificate_is_missing(strict_nginx: Nginx, authority: Authority, version: str) -> None:
    """nginx finishes the handshake and says in HTTP that the certificate is missing."""

    async def main() -> None:
        async with client(strict_nginx, authority.client(version=version)) as session:
            async with session.get("/told") as response:
                assert response.status == 400
                assert "No required SSL certificate was sent" in await response.text()

    run(main)


def test_unknown_authority(nginx: Nginx, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A client that does not trust nginx's certificate fails before it has sent a request."""
    stranger = Authority(tmp_path_factory.mktemp("stranger"))

    async def main() -> None:
        async with client(nginx, stranger.client()) as session:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await told(session)

    run(main)


def test_session_is_resumed(nginx: Nginx, authority: Authority, version: str) -> None:
    """nginx resumes the session that the client's context kept."""
    context = authority.client(version=version, of=RememberingContext)
    assert isinstance(context, RememberingContext)

    async def main() -> None:
        for reused in (".", "r", "r"):
            reader, writer = await asyncio.open_connection(HOST, nginx.port, ssl=context, server_hostname="localhost")
            writer.write(b"GET /told HTTP/1.0\r\n\r\n")
            assert (await reader.read()).split(b"\r\n\r\n")[1].decode().split()[:2] == [f"TLSv{version}", reused]
            context.kept = writer.get_extra_info("ssl_object").session
            writer.close()
            await writer.wait_closed()

    run(main)


def test_nginx_is_stopped(start: Callable[[str], Nginx], localhost: Files, authority: Authority) -> None:
    """Connections that wait in the pool when nginx stops are replaced when it is back."""
    nginx = start(SERVER.format(certificate=localhost.certificate, key=localhost.key, more=""))

    async def main() -> None:
        async with client(nginx, authority.client()) as session:
            assert (await told(session))[2] == "1"
            await asyncio.to_thread(nginx.stop)
            with pytest.raises(aiohttp.ClientConnectionError):
                await told(session)
            await asyncio.to_thread(nginx.start)
            assert (await told(session))[2] == "1"

    run(main)


PROXY = """
    upstream hocket {{ server 127.0.0.1:{upstream}; keepalive 8; }}
    server {{
        listen 127.0.0.1:PORT;
        client_max_body_size 0;
        location / {{
            proxy_pass https://hocket;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering {buffering};
            proxy_buffering {buffering};
            proxy_ssl_protocols TLSv{version};
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {authority};
            proxy_ssl_name localhost;
            proxy_ssl_server_name on;
            proxy_ssl_session_reuse on;
            proxy_ssl_certificate {certificate};
            proxy_ssl_certificate_key {key};
        }}
    }}
"""


@pytest.mark.parametrize("buffering", ["on", "off"])
def test_proxy(authority: Authority, localhost: Files, version: str, buffering: str) -> None:
    """A TLS server on hocket behind nginx: its connections are kept, sessions resumed, bodies pass both ways."""
    proxy_files = authority.issue("proxy.example", common_name="a proxy")
    sessions: dict[Any, bool] = {}

    async def echo(request: Any) -> Any:
        session = request.transport.get_extra_info("ssl_object")
        sessions[request.transport.get_extra_info("peername")] = session.session_reused
        assert session.version() == f"TLSv{version}"
        assert (("commonName", "a proxy"),) in session.getpeercert()["subject"]
        return web.Response(body=await request.read())

    async def main() -> None:
        application = web.Application(client_max_size=2**30)
        application.router.add_route("*", "/", echo)
        runner = web.AppRunner(application)
        await runner.setup()
        context = authority.server(localhost, version, wants_client=True)
        await web.TCPSite(runner, HOST, 0, ssl_context=context).start()
        nginx = Nginx(
            PROXY.format(
                upstream=runner.addresses[0][1],
                buffering=buffering,
                version=version,
                authority=authority.file,
                certificate=proxy_files.certificate,
                key=proxy_files.key,
            )
        )
        try:
            await asyncio.to_thread(nginx.start)
            async with aiohttp.ClientSession(f"http://127.0.0.1:{nginx.port}") as session:

                async def ask(data: bytes) -> bool:
                    async with session.post("/", data=io.BytesIO(data)) as response:
                        assert response.status == 200
                        return bool(await response.read() == data)

                assert all(await asyncio.gather(*(ask(b"%d" % number) for number in range(200))))
                assert all(await asyncio.gather(*(ask(BODY) for _ in range(4))))
                connections = len(sessions)
                for number in range(100):
                    assert await ask(b"%d" % number)
                assert len(sessions) - connections <= 16  # two workers with eight idle connections each
            assert any(sessions.values())
        finally:
            await asyncio.to_thread(nginx.close)
            await runner.cleanup()

    run(main)
