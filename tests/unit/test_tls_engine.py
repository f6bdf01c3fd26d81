"""TLS data by OpenSSL directly: who is told, who can turn it off, and what a session may do after its handshake."""

from __future__ import annotations

import asyncio
import ctypes
import os
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hocket

from .loops import EVERY, OURS, run
from .peers import until
from .tls_peers import client_context, server_context, tls_connection

every_loop = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
our_loops = pytest.mark.parametrize("factory", OURS, ids=lambda factory: factory.__name__)
both_sides = pytest.mark.parametrize("server_side", [False, True], ids=["client", "server"])

DIRECTLY = "openssl" if hocket.is_compiled() else "ssl"


class Library:
    """The functions of the interpreter's own OpenSSL that Python has no name for."""

    def __init__(self) -> None:
        import _ssl

        self._library = ctypes.CDLL(_ssl.__file__)

    def call(self, name: str, session: ssl.SSLObject, *numbers: int) -> int:
        """Call that function with the ``SSL *`` of *session*."""
        inner: Any = session._sslobj  # type: ignore[attr-defined]
        pointer = ctypes.c_void_p.from_address(id(inner) + object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p))
        return int(getattr(self._library, name)(pointer, *(ctypes.c_int(number) for number in numbers)))

    def leave_error(self) -> None:
        """Put an error into this thread's queue, as a careless user of the library does."""
        self._library.ERR_new()
        self._library.ERR_set_error(20, 193, None)


@pytest.fixture
def library() -> Library:
    return Library()


def test_programs_can_ask_which_way_is_in_use() -> None:
    """tls_engine() names the library if it is used directly, or says why not."""
    if hocket.is_compiled():
        assert hocket.tls_engine() == f"{ssl.OPENSSL_VERSION}, directly"
    else:
        assert hocket.tls_engine() == "the interpreter's ssl module: hocket is not compiled"


@our_loops
@both_sides
def test_each_connection_tells(factory: Any, server_side: bool) -> None:
    async def main() -> None:
        async with tls_connection(server_side=server_side) as it:
            assert it.transport.get_extra_info("tls_engine") == DIRECTLY

    run(factory, main())


@our_loops
def test_a_session_of_another_class_keeps_its_methods(factory: Any) -> None:
    """Whoever overrides `read` means it: that connection goes through `ssl`, and says so."""

    class Counting(ssl.SSLObject):
        reads = 0

        def read(self, len: int = 1024, buffer: Any = None) -> Any:
            Counting.reads += 1
            return super().read(len, buffer)

    async def main() -> None:
        context = client_context()
        context.sslobject_class = Counting
        async with tls_connection(context=context) as it:
            assert it.transport.get_extra_info("tls_engine") == "ssl"
            await it.tls.send(b"data")
            await until(lambda: it.protocol.data == b"data")
            assert Counting.reads > 0

    run(factory, main())


@pytest.mark.parametrize("value", ["1", "0"])
def test_the_environment_turns_it_off(value: str) -> None:
    """HOCKET_NO_OPENSSL=1 sends all through `ssl`; 0 is as good as nothing."""
    result = subprocess.run(
        [sys.executable, "-c", "import hocket; print(hocket.tls_engine())"],
        env={**os.environ, "HOCKET_NO_OPENSSL": value},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    if value == "1" and hocket.is_compiled():
        assert result.stdout == "the interpreter's ssl module: HOCKET_NO_OPENSSL is set\n"
    else:
        assert result.stdout == f"{hocket.tls_engine()}\n"


@pytest.mark.skipif(not hocket.is_compiled(), reason="the ssl module takes such an error for the connection's own")
@our_loops
def test_somebody_elses_error_ends_nothing(factory: Any, library: Library) -> None:
    """OpenSSL keeps errors in a queue of the thread, and what others leave there is not the connection's."""

    async def main() -> None:
        async with tls_connection() as it:
            library.leave_error()
            first = it.tls.encrypted(b"data")
            await asyncio.get_running_loop().sock_sendall(it.tls.socket, first[:7])
            await asyncio.sleep(0.01)
            library.leave_error()
            await asyncio.get_running_loop().sock_sendall(it.tls.socket, first[7:])
            await until(lambda: it.protocol.data == b"data")
            it.transport.write(b"answer")
            library.leave_error()
            assert not it.transport.is_closing()
            library._library.ERR_clear_error()
            assert await it.tls.receive(6) == b"answer"

    run(factory, main())


@every_loop
@both_sides
@pytest.mark.parametrize("answered", [0, 1], ids=["one way", "both ways"])
def test_the_peer_changes_its_keys(factory: Any, server_side: bool, answered: int, library: Library) -> None:
    """TLS 1.3: a KeyUpdate between two messages is seen to, and answered if the peer asks for it."""

    async def main() -> None:
        async with tls_connection(server_side=server_side) as it:
            for number in range(3):
                await it.tls.send(b"before")
                assert library.call("SSL_key_update", it.tls.session, answered) == 1
                await it.tls.handshake()
                await it.tls.send(b"after")
                await until(lambda number=number: it.protocol.data == b"beforeafter" * (number + 1))  # type: ignore[misc]
                it.transport.write(b"answer")
                assert await it.tls.receive(6) == b"answer"

    run(factory, main())


def old_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A client's and a server's that speak TLS 1.2."""
    contexts = client_context(), server_context()
    for context in contexts:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return contexts


@every_loop
def test_the_server_shakes_hands_again(factory: Any, library: Library) -> None:
    """TLS 1.2: a renegotiation between two messages is gone along with, also while writing."""

    async def main() -> None:
        ours, theirs = old_contexts()
        async with tls_connection(context=ours, peer_context=theirs) as it:
            await it.tls.send(b"before")
            assert library.call("SSL_renegotiate", it.tls.session) == 1
            again = asyncio.create_task(it.tls.handshake())
            await asyncio.sleep(0)
            it.transport.write(b"between")
            await again
            await it.tls.send(b"after")
            await until(lambda: it.protocol.data == b"beforeafter")
            assert await it.tls.receive(7) == b"between"

    run(factory, main())


@every_loop
def test_a_client_is_asked_for_its_certificate_later(factory: Any) -> None:
    """TLS 1.3: post-handshake authentication, with the transport as the client."""

    async def main() -> None:
        ours, theirs = client_context("somebody"), server_context(trusting=True)
        ours.post_handshake_auth = theirs.post_handshake_auth = True
        theirs.verify_mode = ssl.CERT_OPTIONAL
        theirs.post_handshake_auth = True
        async with tls_connection(context=ours, peer_context=theirs) as it:
            assert it.tls.session.getpeercert() is None
            it.tls.session.verify_client_post_handshake()
            await it.tls.send(b"who are you?")
            await until(lambda: it.protocol.data == b"who are you?")
            it.transport.write(b"me")
            assert await it.tls.receive(2) == b"me"
            assert ("DNS", "somebody") in it.tls.session.getpeercert()["subjectAltName"]  # type: ignore[index]

    run(factory, main())


@every_loop
def test_a_server_asks_for_the_certificate_later(factory: Any) -> None:
    """TLS 1.3: post-handshake authentication, with the transport as the server."""

    async def main() -> None:
        ours, theirs = server_context(trusting=True), client_context("somebody")
        ours.post_handshake_auth = theirs.post_handshake_auth = True
        ours.verify_mode = ssl.CERT_OPTIONAL
        async with tls_connection(server_side=True, context=ours, peer_context=theirs) as it:
            session = it.transport.get_extra_info("ssl_object")
            session.verify_client_post_handshake()
            it.transport.write(b"who are you?")
            assert await it.tls.receive(12) == b"who are you?"
            await it.tls.send(b"me")
            await until(lambda: it.protocol.data == b"me")
            assert ("DNS", "somebody") in session.getpeercert()["subjectAltName"]

    run(factory, main())


@every_loop
def test_the_server_name_decides_on_the_context(factory: Any) -> None:
    """A callback may put another context into the session in the middle of the handshake."""
    chosen = server_context("localhost")

    def choose(session: Any, name: str | None, context: ssl.SSLContext) -> None:
        assert name == "localhost"
        session.context = chosen

    async def main() -> None:
        first = server_context("elsewhere")
        first.sni_callback = choose
        async with tls_connection(server_side=True, context=first) as it:
            session = it.transport.get_extra_info("ssl_object")
            assert session.context is chosen
            await it.tls.send(b"question")
            await until(lambda: it.protocol.data == b"question")
            it.transport.write(b"answer")
            assert await it.tls.receive(6) == b"answer"

    run(factory, main())


@every_loop
def test_the_session_tells_all_that_it_knows(factory: Any, tmp_path: Path) -> None:
    """Both ends agree on version, cipher, binding and protocol; keys are logged."""

    async def main(log: str) -> None:
        ours, theirs = client_context(), server_context()
        ours.keylog_filename = log
        for context in (ours, theirs):
            context.set_alpn_protocols(["h2", "http/1.1"])
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        async with tls_connection(context=ours, peer_context=theirs) as it:
            session, peer = it.transport.get_extra_info("ssl_object"), it.tls.session
            for name in ("version", "cipher", "get_channel_binding", "selected_alpn_protocol"):
                assert getattr(session, name)() == getattr(peer, name)() is not None, name
            assert peer.shared_ciphers()
            assert session.session_reused is False
            assert session.pending() == 0

    run(factory, main(str(tmp_path / "keys")))
    assert "CLIENT_RANDOM" in (tmp_path / "keys").read_text()
