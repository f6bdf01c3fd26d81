"""curl as the client of an aiohttp server with TLS on hocket."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from . import installed
from .certificates import Authority, Files
from .daemons import HOST
from .running import run

web = installed.package("aiohttp.web", "aiohttp")

BODY = bytes(range(256)) * 20_000


@pytest.fixture(scope="module")
def curl() -> str:
    return installed.program("curl")


class Site:
    """The server: a body to fetch, one without end, and a place for uploads."""

    def __init__(self) -> None:
        self.port = 0
        self.uploaded: list[bytes] = []
        self.asked = asyncio.Event()
        self.aborted = asyncio.Event()
        self.peers: set[Any] = set()

    async def body(self, request: Any) -> Any:
        self.peers.add(request.transport.get_extra_info("peername"))
        return web.Response(body=BODY)

    async def endless(self, request: Any) -> Any:
        response = web.StreamResponse()
        await response.prepare(request)
        self.asked.set()
        try:
            while True:
                await response.write(BODY)
        except (ConnectionError, asyncio.CancelledError):
            self.aborted.set()
            raise

    async def upload(self, request: Any) -> Any:
        received = await request.read()
        self.uploaded.append(received)
        return web.Response(text=str(len(received)))

    @contextlib.asynccontextmanager
    async def serving(self, context: Any) -> AsyncIterator[Site]:
        application = web.Application(client_max_size=2**30)
        application.router.add_get("/body", self.body)
        application.router.add_get("/endless", self.endless)
        application.router.add_put("/upload", self.upload)
        runner = web.AppRunner(application, shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, HOST, 0, ssl_context=context)
            await site.start()
            self.port = runner.addresses[0][1]
            yield self
        finally:
            await runner.cleanup()

    def url(self, path: str) -> str:
        return f"https://localhost:{self.port}/{path}"


@contextlib.asynccontextmanager
async def curling(curl: str, authority: Authority, *arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """A curl that runs; by force no longer than the block."""
    process = await asyncio.create_subprocess_exec(
        curl, "-sS", "--ipv4", "--http1.1", "--cacert", str(authority.file), *map(str, arguments),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def output(curl: str, authority: Authority, *arguments: object) -> str:
    """What a curl prints, which must succeed."""
    async with curling(curl, authority, *arguments) as process:
        printed, errors = await process.communicate()
        assert process.returncode == 0, errors
        return printed.decode()


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_download(curl: str, authority: Authority, localhost: Files, version: str, tmp_path: Path) -> None:
    """Two files come through one connection, unchanged."""

    async def main() -> None:
        async with Site().serving(authority.server(localhost, version)) as site:
            paths = [tmp_path / "first", tmp_path / "second"]
            options = [word for path in paths for word in ("-o", path, site.url("body"))]
            assert await output(curl, authority, "-w", "%{http_code} %{ssl_verify_result} ", *options) == "200 0 200 0 "
            assert all(path.read_bytes() == BODY for path in paths)
            assert len(site.peers) == 1

    run(main)


def test_plain_and_head(curl: str, authority: Authority) -> None:
    """Without TLS; HEAD gives headers and no body."""

    async def main() -> None:
        async with Site().serving(None) as site:
            url = f"http://{HOST}:{site.port}/body"
            assert f"Content-Length: {len(BODY)}" in await output(curl, authority, "-I", url)
            told = await output(curl, authority, "-o", "/dev/null", "-w", "%{size_download}", url)
            assert told == str(len(BODY))

    run(main)


def test_slow_download(curl: str, authority: Authority, localhost: Files, tmp_path: Path) -> None:
    """With --limit-rate curl reads slowly; nothing is lost, and others are served meanwhile."""

    async def main() -> None:
        async with Site().serving(authority.server(localhost)) as site:
            path = tmp_path / "slow"
            started = time.monotonic()
            async with curling(curl, authority, "--limit-rate", "4M", "-o", path, site.url("body")) as slow:
                await output(curl, authority, "-o", "/dev/null", site.url("body"))
                await slow.communicate()
                assert slow.returncode == 0
            assert time.monotonic() - started > 0.5
            assert path.read_bytes() == BODY

    run(main)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, "--max-time"])
def test_aborted_download(curl: str, authority: Authority, localhost: Files, how: Any) -> None:
    """A response without end is ended for the server when curl is ended, however that happens."""

    async def main() -> None:
        async with Site().serving(authority.server(localhost)) as site:
            options = ("--max-time", 5) if how == "--max-time" else ()
            async with curling(curl, authority, *options, "-o", "/dev/null", site.url("endless")) as process:
                if how != "--max-time":
                    await site.asked.wait()
                    process.send_signal(how)
                await site.aborted.wait()
            assert process.returncode != 0
            assert await output(curl, authority, "-o", "/dev/null", "-w", "%{http_code}", site.url("body")) == "200"

    run(main)


@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
def test_upload(curl: str, authority: Authority, localhost: Files, tmp_path: Path, expect: str) -> None:
    """-T uploads 20 MB, with "100 Continue" and without."""
    source = tmp_path / "source"
    source.write_bytes(BODY * 4)

    async def main() -> None:
        async with Site().serving(authority.server(localhost)) as site:
            told = await output(curl, authority, "-H", expect, "-T", source, site.url("upload"))
            assert told == str(len(BODY) * 4)
            assert site.uploaded == [BODY * 4]

    run(main)


def test_many_at_once(curl: str, authority: Authority, localhost: Files) -> None:
    """Twenty transfers in parallel, each with a connection of its own."""

    async def main() -> None:
        async with Site().serving(authority.server(localhost)) as site:
            transfers = [word for _ in range(20) for word in ("-o", "/dev/null", site.url("body"))]
            told = await output(
                curl, authority, "--parallel", "--parallel-max", 20, "-w", "%{size_download} ", *transfers
            )
            assert told == f"{len(BODY)} " * 20

    run(main)
