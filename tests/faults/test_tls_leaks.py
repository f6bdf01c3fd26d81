"""Memory: TLS sessions, their buffers, and OpenSSL's own objects go when a session goes, however it ended."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import ssl
from collections.abc import Callable

import pytest

from hocket.native.sockets import ReadBuffer
from hocket.net.tls_session import TlsSession

from .certificates import contexts
from .test_refcounts import keeps_nothing

DATA = random.Random(4).randbytes(40_000)
BUFFER = ReadBuffer(1 << 16)
ROOM = bytearray(100_000)


def carry(here: TlsSession, there: TlsSession) -> None:
    data = here.take()
    there.feed(data, len(data))


def pair(version: str = "1.3") -> tuple[TlsSession, TlsSession]:
    """A client and a server that have shaken hands."""
    ours, theirs = contexts(version)
    client, server = TlsSession(ours, False, "localhost"), TlsSession(theirs, True, None)
    done = [False, False]
    while not all(done):
        done = [client.handshake(), server.handshake()]
        carry(client, server)
        carry(server, client)
    return client, server


def lent(session: TlsSession, data: bytes) -> bytes:
    """What *session* makes of *data*, which it is only lent."""
    BUFFER.view[: len(data)] = data
    session.lend(BUFFER, len(data))
    return session.decrypt_all(len(ROOM))


def goodbye() -> None:
    client, server = pair()
    client.encrypt(DATA)
    assert lent(server, client.take()) == DATA
    server.encrypt(DATA)
    carry(server, client)
    assert client.decrypt(ROOM) == len(DATA)
    client.goodbye()
    carry(client, server)
    server.decrypt(ROOM)
    assert server.at_end


def never_shaken() -> None:
    ours, _ = contexts("1.3")
    session = TlsSession(ours, False, "localhost")
    session.handshake()


def not_taken() -> None:
    """The end comes while bytes wait in every buffer."""
    client, server = pair("1.2")
    for size in (10, 20_000, 10):
        client.encrypt(DATA[:size])
    data = client.take()
    client.encrypt(DATA)
    lent(server, data[: len(data) - 5])
    server.feed(data[-5:], 5)
    server.encrypt(DATA)


def damaged() -> None:
    client, server = pair()
    client.encrypt(DATA[:100])
    record = bytearray(client.take())
    record[-1] ^= 1
    assert lent(server, bytes(record)) == b""
    assert isinstance(server.error, ssl.SSLError)


def outlived() -> None:
    """The session that users have goes after ours: with OpenSSL driven directly, there is nowhere left to read."""
    client, server = pair()
    server.encrypt(b"data")
    kept = client.object
    del client, server
    for use in (lambda: kept.read(10), lambda: kept.write(b"more")):
        with contextlib.suppress(ssl.SSLError):
            use()


ends = pytest.mark.parametrize("end", [goodbye, never_shaken, not_taken, damaged, outlived])


@ends
def test_nothing_of_a_session_is_kept(end: Callable[[], None]) -> None:
    """No block of Python's memory, and no reference to the context."""
    keeps_nothing(end, *contexts("1.3"), BUFFER)


def resident() -> int:
    """The resident memory of this process in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
def test_ten_thousand_handshakes() -> None:
    """OpenSSL's own objects go too: a kilobyte kept of each session would be ten megabytes."""
    for _ in range(1000):
        goodbye()
    gc.collect()
    before = resident()
    for _ in range(2000):
        for end in (goodbye, never_shaken, not_taken, damaged, outlived):
            end()
    gc.collect()
    assert resident() - before < 4 << 20
