"""TLS sessions by OpenSSL directly and by the `ssl` module: two ways to the same bytes and the same errors."""

from __future__ import annotations

import contextlib
import random
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hocket
from hocket.native import openssl
from hocket.native.sockets import ReadBuffer
from hocket.net import tls_session
from hocket.net.tls_session import TlsSession

from .tls_peers import client_context, server_context

DATA = random.Random(7).randbytes(200_000)
#: Which of the two sessions, client and server, are without direct access.
WAYS = [(), ("client",), ("server",), ("client", "server")]

every_way = pytest.mark.parametrize("plainly", WAYS, ids=lambda ways: "+".join(ways) or "directly")
versions = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])


class Pair:
    """A client and a server, with what one sends carried to the other by hand."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch | None,
        plainly: tuple[str, ...] = (),
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> None:
        context = client_context()
        context.minimum_version = context.maximum_version = version
        self.client = self._make(monkeypatch, "client" in plainly, context, False)
        self.server = self._make(monkeypatch, "server" in plainly, server_context(), True)
        done = [False, False]
        while not all(done):
            done = [self.client.handshake(), self.server.handshake()]
            self.carry()

    @staticmethod
    def _make(monkeypatch: Any, plainly: bool, context: ssl.SSLContext, server_side: bool) -> TlsSession:
        if not plainly:
            return TlsSession(context, server_side, None if server_side else "localhost")
        with monkeypatch.context() as patch:
            patch.setattr(tls_session.openssl, "attach", lambda session: None)
            return TlsSession(context, server_side, None if server_side else "localhost")

    def carry(self) -> None:
        for here, there in ((self.client, self.server), (self.server, self.client)):
            data = here.take()
            there.feed(data, len(data))

    def send(self, data: Any) -> bytes:
        """From the client to the server: what arrives."""
        assert self.client.encrypt(data) == len(data)
        self.carry()
        return decrypted(self.server)


def decrypted(session: TlsSession, room: int = 10_000) -> bytes:
    buffer, received = bytearray(room), bytearray()
    while session.has_pending():
        received += buffer[: session.decrypt(buffer)]
        if session.error is not None or session.at_end:
            break
    return bytes(received)


def test_it_says_which_way_is_in_use() -> None:
    """Compiled, the session's place in the interpreter's object is known on every supported Python."""
    if hocket.is_compiled():
        assert openssl.describe() == f"{ssl.OPENSSL_VERSION}, directly"
        assert Pair(None).client.object.version() == "TLSv1.3"
    else:
        assert openssl.describe() == "the interpreter's ssl module: hocket is not compiled"


@versions
@every_way
def test_data_arrives_as_it_was_sent(
    plainly: tuple[str, ...], version: ssl.TLSVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = Pair(monkeypatch, plainly, version)
    for size in (0, 1, 16_384, 16_385, 100_000):
        for kind in (bytes, bytearray, memoryview):
            assert pair.send(kind(DATA[:size])) == DATA[:size]


@settings(max_examples=60)
@given(sizes=st.lists(st.integers(0, 40_000), max_size=6), room=st.integers(1, 20_000), step=st.integers(1, 9_000))
def test_it_may_come_in_any_pieces(sizes: list[int], room: int, step: int) -> None:
    pair = Pair(None)
    for size in sizes:
        assert pair.client.encrypt(DATA[:size]) == size
    encrypted = pair.client.take()
    received = bytearray()
    for start in range(0, len(encrypted), step):
        piece = encrypted[start : start + step]
        pair.server.feed(piece, len(piece))
        received += decrypted(pair.server, room)
    assert received == b"".join(DATA[:size] for size in sizes)


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 40_000), max_size=6),
    steps=st.lists(st.tuples(st.integers(1, 30_000), st.booleans(), st.integers(1, 70_000)), min_size=1, max_size=8),
)
def test_it_may_be_lent_in_any_pieces(sizes: list[int], steps: list[tuple[int, bool, int]]) -> None:
    """What is lent is used or kept before anybody else may write over it, also behind what was fed."""
    pair, buffer = Pair(None), ReadBuffer(30_000)
    encrypted = bytearray()
    for size in sizes:
        assert pair.client.encrypt(DATA[:size]) == size
        encrypted += pair.client.take()
    received = bytearray()
    number = 0
    while encrypted:
        size, lent, most = steps[number % len(steps)]
        number += 1
        piece = bytes(encrypted[:size])
        del encrypted[:size]
        if lent:
            buffer.view[: len(piece)] = piece
            pair.server.lend(buffer, len(piece))
        else:
            pair.server.feed(piece, len(piece))
        received += pair.server.decrypt_all(most)
        buffer.view[:] = bytes(30_000)
        assert (pair.server.error, pair.server.at_end) == (None, False)
    while pair.server.has_pending():
        received += pair.server.decrypt_all(1 << 20)
    assert received == b"".join(DATA[:size] for size in sizes)


@every_way
def test_what_is_taken_is_all_of_it(plainly: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Several messages before one `take`, and one after a message that was longer than expected."""
    pair = Pair(monkeypatch, plainly, ssl.TLSVersion.TLSv1_2)
    for sizes in ((1,), (10, 20, 30), (40_000,), (1, 40_000, 16_384), (40_000, 1)):
        for size in sizes:
            assert pair.client.encrypt(DATA[:size]) == size
        assert pair.client.outgoing() > sum(sizes)
        pair.carry()
        assert pair.client.outgoing() == 0 and pair.client.take() == b""
        assert decrypted(pair.server) == b"".join(DATA[:size] for size in sizes)


@every_way
def test_a_damaged_record_is_an_error_after_what_came_before(
    plainly: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has the class, the number, the library, the reason and the text that `ssl` gives on this Python."""
    pair = Pair(monkeypatch, plainly)
    pair.client.encrypt(b"whole")
    whole = pair.client.take()
    pair.client.encrypt(b"damaged")
    damaged = bytearray(pair.client.take())
    damaged[-1] ^= 1
    pair.server.feed(whole + damaged, len(whole + damaged))
    assert decrypted(pair.server) == b"whole"
    error: Any = pair.server.error
    expected = error_by_ssl_alone()
    assert type(error) is type(expected) is ssl.SSLError
    assert (error.errno, error.library, error.reason) == (expected.errno, expected.library, expected.reason)
    # Behind the text is the place in the interpreter's source where it was made.
    assert str(error).partition(" (_ssl.c")[0] == str(expected).partition(" (_ssl.c")[0]
    assert pair.server.take() != b"", "the peer is told by an alert"


def error_by_ssl_alone() -> ssl.SSLError:
    """What a damaged record leads to without any code of hocket's."""
    client_in, client_out, server_in, server_out = (ssl.MemoryBIO() for _ in range(4))
    client = client_context().wrap_bio(client_in, client_out, server_hostname="localhost")
    server = server_context().wrap_bio(server_in, server_out, server_side=True)
    for side in (client, server, client, server):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
        server_in.write(client_out.read())
        client_in.write(server_out.read())
    client.write(b"damaged")
    damaged = bytearray(client_out.read())
    damaged[-1] ^= 1
    server_in.write(damaged)
    with pytest.raises(ssl.SSLError) as caught:
        server.read()
    return caught.value


@every_way
def test_an_alert_of_the_peer_has_its_name(plainly: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(monkeypatch, plainly)
    pair.client.encrypt(b"damaged")
    damaged = bytearray(pair.client.take())
    damaged[-1] ^= 1
    pair.server.feed(damaged, len(damaged))
    assert decrypted(pair.server) == b"" and pair.server.error is not None
    pair.carry()
    assert decrypted(pair.client) == b""
    assert getattr(pair.client.error, "reason", None) == "SSLV3_ALERT_BAD_RECORD_MAC"


@every_way
def test_the_end_is_told_after_the_data(plainly: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(monkeypatch, plainly)
    pair.client.encrypt(b"last")
    assert not pair.client.goodbye()
    pair.carry()
    assert decrypted(pair.server) == b"last"
    assert pair.server.at_end and pair.server.error is None
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol is shutdown"):
        pair.client.encrypt(b"more")


@every_way
def test_half_a_record_is_waited_for(plainly: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(monkeypatch, plainly)
    pair.client.encrypt(b"data")
    record = pair.client.take()
    pair.server.feed(record, 7)
    assert (decrypted(pair.server), pair.server.error, pair.server.at_end) == (b"", None, False)
    rest = record[7:]
    pair.server.feed(rest, len(rest))
    assert decrypted(pair.server) == b"data"


@every_way
def test_an_error_of_somebody_else_is_not_taken_for_its_own(
    plainly: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL keeps errors in a queue of the thread."""
    pair = Pair(monkeypatch, plainly)
    with pytest.raises(ssl.SSLError):
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata="nonsense")
    assert pair.send(b"data") == b"data"
    pair.client.encrypt(b"data")
    pair.server.feed(pair.client.take(), 7)
    assert (decrypted(pair.server), pair.server.error) == (b"", None)


def test_a_session_of_another_class_is_left_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever overrides `read` and `write` means it."""

    class Counting(ssl.SSLObject):
        reads = 0

        def read(self, len: int = 1024, buffer: Any = None) -> Any:
            Counting.reads += 1
            return super().read(len, buffer)

    context = server_context()
    context.sslobject_class = Counting
    monkeypatch.setitem(globals(), "server_context", lambda: context)
    assert Pair(None).send(b"data") == b"data"
    assert Counting.reads == 1


refused: list[tuple[Callable[[TlsSession], Any], type[Exception]]] = [
    (lambda session: session.encrypt("text"), TypeError),
    (lambda session: session.decrypt(b"read-only"), (BufferError, TypeError, ValueError)),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("call", "error"), refused, ids=["text", "read-only"])
def test_wrong_types_are_refused(call: Callable[[TlsSession], Any], error: type[Exception]) -> None:
    pair = Pair(None)
    pair.server.encrypt(b"data")
    pair.carry()
    with pytest.raises(error):
        call(pair.client)
    assert decrypted(pair.client) == b"data"


@pytest.mark.skipif(not hocket.is_compiled(), reason="uncompiled there are no direct records")
@pytest.mark.parametrize("size", [-1, 5])
def test_sizes_are_checked(size: int) -> None:
    """What is read from memory is there."""
    records: Any = openssl.attach(Pair(None).client.object)
    with pytest.raises(ValueError, match=f"expected up to 4 bytes, got {size}"):
        records.feed(b"four", size)
    with pytest.raises(ValueError, match=f"expected up to 4 bytes, got {size}"):
        records.lend(ReadBuffer(4), size)
