"""openssl's ``s_client`` against TLS servers on hocket, and ``s_server`` against clients."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import ssl
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port

from .certificates import Authority, Files, RememberingContext
from .daemons import HOST
from .running import run

#: Of openssl; from 3.0 on, a server takes part in a renegotiation that the client asks for only with it.
ALLOW_CLIENT_RENEGOTIATION = 1 << 8
#: How the end of a peer that does not say goodbye is seen.
LOST = (ConnectionError, ssl.SSLError)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Conversation:
    """A process of openssl: what is typed, and what it has printed so far."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None and process.stdout is not None
        self.process, self._input, self._output = process, process.stdin, process.stdout
        self.printed = ""
        self.started_with = 0

    async def type(self, text: str) -> None:
        """Type *text*, which openssl reads at one go: a letter alone is a command."""
        self._input.write(text.encode())
        await self._input.drain()

    async def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until *pattern* was printed, after what was waited for last."""
        while (found := re.compile(pattern).search(self.printed, self.started_with)) is None:
            more = await self._output.read(65536)
            assert more, f"{pattern!r} is not in: {self.printed}"
            self.printed += more.decode(errors="replace")
        self.started_with = found.end()
        return found

    async def end(self) -> int:
        """Let it see the end of its input, and wait for its own."""
        self._input.close()
        self.printed += (await self._output.read()).decode(errors="replace")
        return await self.process.wait()


@contextlib.asynccontextmanager
async def speaking(openssl: str, *arguments: object) -> AsyncIterator[Conversation]:
    # stdbuf (coreutils): what it prints in answer to commands would stay in its buffer.
    process = await asyncio.create_subprocess_exec(
        "stdbuf", "-oL", openssl, *map(str, arguments), stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )
    conversation = Conversation(process)
    try:
        yield conversation
    finally:
        if process.returncode is None:
            process.kill()
        await conversation.end()


@contextlib.asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """A server on hocket; gives its port."""
    server = await asyncio.start_server(handler, HOST, 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def s_server(openssl: str, files: Files, *arguments: object) -> AsyncIterator[tuple[Conversation, int]]:
    """An ``s_server`` that listens; gives it and its port."""
    port = free_port()
    options = ("-accept", f"{HOST}:{port}", "-cert_chain", files.certificate)
    async with speaking(
        openssl, "s_server", "-cert", files.certificate, "-key", files.key, *options, *arguments
    ) as conversation:
        await conversation.wait_for("ACCEPT")
        yield conversation, port


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer lines in capitals, after one line that says what was agreed on."""
    session = writer.get_extra_info("ssl_object")
    await tell(writer, f"{session.version()} ALPN={session.selected_alpn_protocol()} reused={session.session_reused}")
    with contextlib.suppress(*LOST):
        while line := await reader.readline():
            await tell(writer, line.decode().upper().rstrip())
    writer.close()


async def tell(writer: asyncio.StreamWriter, line: str) -> None:
    writer.write(f"{line}\n".encode())
    await writer.drain()


@pytest.fixture(params=["1.2", "1.3"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def to(port: int) -> tuple[str, str]:
    return "-connect", f"{HOST}:{port}"


# --- s_client against a server on hocket ----------------------------------------------------------------------------


def test_client_and_alpn(openssl: str, authority: Authority, localhost: Files, version: str) -> None:
    """s_client verifies the server, agrees on a protocol by ALPN, has its lines answered and says goodbye."""
    context = authority.server(localhost, version)
    context.set_alpn_protocols(["h2", "http/1.1"])

    async def main() -> None:
        options = ("-CAfile", authority.file, "-verify_return_error", "-alpn", "spdy,http/1.1")
        async with serving(echo, context) as port, speaking(openssl, "s_client", *to(port), *options) as client:
            await client.wait_for(f"TLSv{re.escape(version)} ALPN=http/1.1")
            for word in ("first", "second"):
                await client.type(f"{word}\n")
                await client.wait_for(word.upper())
            assert await client.end() == 0
            assert "Verify return code: 0 (ok)" in client.printed

    run(main)


def test_sni(openssl: str, authority: Authority, localhost: Files, version: str) -> None:
    """The server's callback chooses between two certificates by the name that the client asks for."""
    first, second = authority.server(localhost, version), authority.server(authority.issue("other.example"), version)

    def choose(session: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        if name == "other.example":
            session.context = second

    first.sni_callback = choose  # type: ignore[assignment]

    async def main() -> None:
        async with serving(echo, first) as port:
            for name in ("localhost", "other.example"):
                verify = ("-CAfile", authority.file, "-verify_return_error", "-verify_hostname", name)
                options = (*to(port), "-servername", name, *verify)
                async with speaking(openssl, "s_client", *options) as client:
                    await client.wait_for("ALPN=")
                    assert await client.end() == 0
                    assert f"Verified peername: {name}" in client.printed

    run(main)


def test_client_certificate(openssl: str, authority: Authority, localhost: Files, version: str) -> None:
    """A server that requires a client's certificate has it."""
    context = authority.server(localhost, version, wants_client=True)
    client_files = authority.issue("client.example", common_name="a client")
    peers: list[Any] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peercert")["subject"])
        await echo(reader, writer)

    async def main() -> None:
        options = ("-cert", client_files.certificate, "-key", client_files.key)
        async with serving(handler, context) as port, speaking(openssl, "s_client", *to(port), *options) as client:
            await client.wait_for("ALPN=")
            assert await client.end() == 0

    run(main)
    assert (("commonName", "a client"),) in peers[0]


@pytest.mark.parametrize("given", ["none", "a stranger's"])
def test_client_certificate_refused(
    openssl: str, authority: Authority, localhost: Files, version: str, given: str, tmp_path: Path
) -> None:
    """A client without a certificate, or with one of another authority, is told by an alert and never served."""
    context = authority.server(localhost, version, wants_client=True)
    stranger = Authority(tmp_path).issue("client.example")
    options = () if given == "none" else ("-cert", stranger.certificate, "-key", stranger.key)
    served: list[bool] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(True)

    async def main() -> None:
        async with serving(handler, context) as port, speaking(openssl, "s_client", *to(port), *options) as client:
            # TLS 1.2's alert for a missing certificate is the general one.
            missing = {"1.2": "handshake failure", "1.3": "certificate required"}[version]
            await client.wait_for(missing if given == "none" else "alert unknown ca")
            assert await client.end() != 0

    run(main)
    assert served == []


@pytest.mark.parametrize("allowed", [True, False])
def test_client_renegotiates(openssl: str, authority: Authority, localhost: Files, allowed: bool) -> None:
    """TLS 1.2: a renegotiation in the middle of a session goes on where the context allows it, and is refused else."""
    context = authority.server(localhost, "1.2")
    if allowed:
        context.options |= ALLOW_CLIENT_RENEGOTIATION

    async def main() -> None:
        async with serving(echo, context) as port, speaking(openssl, "s_client", *to(port)) as client:
            await client.wait_for("ALPN=")
            await client.type("before\n")
            await client.wait_for("BEFORE")
            await client.type("R\n")
            await client.wait_for("RENEGOTIATING")
            if not allowed:
                await client.wait_for("no renegotiation")
                return
            await client.wait_for("verify return:1|verify error")
            await client.type("after\n")
            await client.wait_for("AFTER")
            assert await client.end() == 0

    run(main)


@pytest.mark.parametrize("command", ["K", "k"])
def test_client_updates_its_key(openssl: str, authority: Authority, localhost: Files, command: str) -> None:
    """TLS 1.3: the client changes its key, and asks the server for the same (K) or not (k), again and again."""
    context = authority.server(localhost, "1.3")

    async def main() -> None:
        async with serving(echo, context) as port, speaking(openssl, "s_client", *to(port)) as client:
            await client.wait_for("ALPN=")
            for word in ("one", "two", "three"):
                await client.type(f"{command}\n")
                await client.wait_for("KEYUPDATE")
                await client.type(f"{word}\n")
                await client.wait_for(word.upper())
            assert await client.end() == 0

    run(main)


def test_client_is_killed(openssl: str, authority: Authority, localhost: Files, version: str) -> None:
    """A client that is killed is an end of file or a reset for the server, which serves the next one."""
    context = authority.server(localhost, version)

    async def main() -> None:
        ended: asyncio.Queue[str] = asyncio.Queue()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await tell(writer, "hello")
            try:
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()
            except LOST as error:
                ended.put_nowait(type(error).__name__)
            finally:
                writer.close()

        async with serving(handler, context) as port:
            for _ in range(3):
                async with speaking(openssl, "s_client", *to(port)) as client:
                    await client.wait_for("hello")
                    client.process.send_signal(signal.SIGKILL)
                    assert await ended.get()

    run(main)


def test_session_is_resumed(openssl: str, authority: Authority, localhost: Files, version: str, tmp_path: Path) -> None:
    """A session that s_client stored is resumed in its next connection."""
    context = authority.server(localhost, version)
    stored = tmp_path / "session"

    async def main() -> None:
        async with serving(echo, context) as port:
            for option, reused in (("-sess_out", False), ("-sess_in", True)):
                async with speaking(openssl, "s_client", *to(port), option, stored) as client:
                    await client.wait_for(f"reused={reused}")
                    await client.type("line\n")
                    await client.wait_for("LINE")
                    assert await client.end() == 0
                    assert client.printed.count("\nReused, ") == reused

    run(main)


def test_client_upgrades_by_starttls(openssl: str, authority: Authority, localhost: Files, version: str) -> None:
    """``s_client -starttls smtp`` speaks SMTP in plain text, then TLS by ``StreamWriter.start_tls``."""
    context = authority.server(localhost, version)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await tell(writer, "220 here\r")
        assert (await reader.readline()).startswith(b"EHLO")
        await tell(writer, "250-here\r\n250 STARTTLS\r")
        assert (await reader.readline()).rstrip() == b"STARTTLS"
        await tell(writer, "220 go ahead\r")
        await writer.start_tls(context)
        await echo(reader, writer)

    async def main() -> None:
        options = (*to(0), "-starttls", "smtp", "-CAfile", authority.file, "-verify_return_error")
        async with serving(handler, None) as port:
            async with speaking(openssl, "s_client", *options[2:], *to(port)) as client:
                await client.wait_for(f"TLSv{re.escape(version)} ALPN=None")
                await client.type("over smtp\n")
                await client.wait_for("OVER SMTP")
                assert await client.end() == 0

    run(main)


def test_damaged_handshake(openssl: str, authority: Authority, localhost: Files) -> None:
    """Clients with no version or cipher in common with the server are told so, and the server goes on."""
    context = authority.server(localhost, "1.3")

    async def main() -> None:
        async with serving(echo, context) as port:
            for options, alert in (
                (("-tls1_2",), "protocol version"),
                (("-ciphersuites", "TLS_AES_128_CCM_8_SHA256"), "handshake failure"),
            ):
                async with speaking(openssl, "s_client", *to(port), *options) as client:
                    await client.wait_for(f"alert {alert}")
                    assert await client.end() != 0
            async with speaking(openssl, "s_client", *to(port)) as client:
                await client.wait_for("ALPN=")

    run(main)


# --- a client on hocket against s_server ----------------------------------------------------------------------------


def test_server_and_alpn(openssl: str, authority: Authority, localhost: Files, version: str) -> None:
    """A client on hocket verifies s_server, agrees on a protocol by ALPN and exchanges lines with it."""
    context = authority.client(version=version)
    context.set_alpn_protocols(["http/1.1"])

    async def main() -> None:
        async with s_server(openssl, localhost, "-alpn", "h2,http/1.1", "-rev") as (_, port):
            reader, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname="localhost")
            session = writer.get_extra_info("ssl_object")
            assert (session.version(), session.selected_alpn_protocol()) == (f"TLSv{version}", "http/1.1")
            for number in range(100):
                await tell(writer, f"line {number}")
                assert (await reader.readline()).decode().rstrip() == f"line {number}"[::-1]
            writer.close()
            await writer.wait_closed()

    run(main)


def test_server_asks_for_certificate(openssl: str, authority: Authority, localhost: Files, version: str) -> None:
    """s_server gets the certificate of a client on hocket, and refuses one without."""
    client_files = authority.issue("client.example", common_name="a client")

    async def main() -> None:
        async with s_server(openssl, localhost, "-Verify", 1, "-verify_return_error", "-CAfile", authority.file) as (
            server,
            port,
        ):
            good, bad = authority.client(client_files, version), authority.client(version=version)
            reader, writer = await asyncio.open_connection(HOST, port, ssl=good, server_hostname="localhost")
            await server.wait_for("CN = a client")
            await server.type("welcome\n")
            assert await reader.readline() == b"welcome\n"
            writer.close()
            await writer.wait_closed()
            with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
                reader, writer = await asyncio.open_connection(HOST, port, ssl=bad, server_hostname="localhost")
                try:
                    await reader.read()  # TLS 1.3 tells of it after the client's handshake
                finally:
                    writer.close()

    run(main)


@pytest.mark.parametrize(("version", "command"), [("1.2", "r"), ("1.2", "R"), ("1.3", "K"), ("1.3", "k")])
def test_server_changes_keys(openssl: str, authority: Authority, localhost: Files, version: str, command: str) -> None:
    """s_server renegotiates (TLS 1.2, R with the client's certificate) or updates keys (1.3) amid the exchange."""
    context = authority.client(authority.issue("client.example"), version)

    async def main() -> None:
        async with s_server(openssl, localhost) as (server, port):
            reader, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname="localhost")
            for word in ("one", "two", "three"):
                await server.type(f"{command}\n")
                await server.wait_for("SSL_do_handshake -> ")
                await server.type(f"{word}\n")
                assert await reader.readline() == f"{word}\n".encode()
                await tell(writer, f"answer {word}")
                await server.wait_for(f"answer {word}")
            writer.close()
            await writer.wait_closed()

    run(main)


def test_server_is_killed(openssl: str, authority: Authority, localhost: Files, version: str) -> None:
    """A client sees the end of a server that is killed."""
    context = authority.client(version=version)

    async def main() -> None:
        async with s_server(openssl, localhost) as (server, port):
            reader, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname="localhost")
            await server.type("hello\n")
            assert await reader.readline() == b"hello\n"
            server.process.kill()
            with contextlib.suppress(*LOST):
                assert await reader.read() == b""
            writer.close()
            with contextlib.suppress(*LOST):
                await writer.wait_closed()

    run(main)


def test_server_resumes_session(openssl: str, authority: Authority, localhost: Files, version: str) -> None:
    """A client's context that gives its last session to the next connection resumes it with s_server."""
    context = authority.client(version=version, of=RememberingContext)
    assert isinstance(context, RememberingContext)

    async def main() -> None:
        async with s_server(openssl, localhost, "-rev") as (_, port):
            for reused in (False, True, True):
                reader, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname="localhost")
                await tell(writer, "abc")
                assert await reader.readline() == b"cba\n"
                session = writer.get_extra_info("ssl_object")
                assert session.session_reused is reused
                context.kept = session.session
                writer.close()
                await writer.wait_closed()

    run(main)


def test_upgrade_to_s_server(openssl: str, authority: Authority, localhost: Files, version: str) -> None:
    """A client on hocket speaks a protocol of its own in plain text through a relay, then TLS by start_tls."""
    context = authority.client(version=version)

    async def main() -> None:
        async with s_server(openssl, localhost, "-rev") as (_, tls_port):

            async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                assert await reader.readline() == b"UPGRADE\n"
                await tell(writer, "YES")
                further_reader, further_writer = await asyncio.open_connection(HOST, tls_port)
                await asyncio.gather(pump(reader, further_writer), pump(further_reader, writer))

            async with serving(relay, None) as port:
                reader, writer = await asyncio.open_connection(HOST, port)
                await tell(writer, "UPGRADE")
                assert await reader.readline() == b"YES\n"
                await writer.start_tls(context, server_hostname="localhost")
                await tell(writer, "abc")
                assert await reader.readline() == b"cba\n"
                writer.close()
                await writer.wait_closed()

    run(main)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def test_bulk(openssl: str, authority: Authority, localhost: Files, version: str, tmp_path: Path) -> None:
    """Megabytes from s_server, which serves a file by HTTP, arrive unchanged."""
    context = authority.client(version=version)
    body = bytes(range(256)) * 40_000
    (tmp_path / "body").write_bytes(body)

    async def main() -> None:
        port = free_port()
        async with speaking(
            openssl, "s_server", "-accept", f"{HOST}:{port}", "-cert", localhost.certificate, "-key", localhost.key,
            "-HTTP",
        ) as server:  # fmt: skip
            await server.wait_for("ACCEPT")
            reader, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname="localhost")
            writer.write(b"GET /body HTTP/1.0\r\n\r\n")
            assert await reader.read() == body
            writer.close()
            await writer.wait_closed()

    with contextlib.chdir(tmp_path):
        run(main)
