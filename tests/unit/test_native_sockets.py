"""`hocket.native.sockets` at its edges, asked through both twins: signals, limits, huge buffers, accepted sockets."""

from __future__ import annotations

import contextlib
import errno
import gc
import mmap
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from hocket.native import sockets

from .test_native_twins import by_path

TWINS = [by_path("sockets"), sockets]
either = pytest.mark.parametrize("native", TWINS, ids=["python", "package"])


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    with one, other:
        yield one, other


@contextlib.contextmanager
def connected(family: int, name: Any = "", client_name: Any = None) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A listening socket, which does not block, and a client that has connected to it."""
    with socket.socket(family) as listener, socket.socket(family) as client:
        listener.bind(name)
        listener.listen()
        listener.setblocking(False)
        if client_name is not None:
            client.bind(client_name)
        client.connect(listener.getsockname())
        yield listener, client


def accepted_address(native: Any, listener: socket.socket, client: socket.socket) -> Any:
    fd, address = native.accept(listener, listener.fileno())
    with socket.socket(fileno=fd) as accepted:
        assert not os.get_blocking(fd)
        assert not os.get_inheritable(fd)
        assert address == client.getsockname()
        assert native.local_address(accepted, fd) == accepted.getsockname() == client.getpeername()
        assert accepted.getpeername() == address
    return address


# -- Accepting


@either
def test_accepting_over_ipv4(native: Any) -> None:
    """Host and port; the descriptor does not block and is not inherited."""
    with connected(socket.AF_INET, ("127.0.0.1", 0)) as (listener, client):
        assert accepted_address(native, listener, client)[0] == "127.0.0.1"


@either
@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
def test_accepting_over_ipv6(native: Any) -> None:
    """Host, port, flow and scope."""
    try:
        pair = connected(socket.AF_INET6, ("::1", 0))
        with pair as (listener, client):
            host, port, flow, scope = accepted_address(native, listener, client)
            assert (host, flow, scope) == ("::1", 0, 0) and port > 0
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
        pytest.skip("this machine has no ::1")


@either
@pytest.mark.parametrize("kind", ["unnamed", "path", "longest path", "abstract", "long abstract"])
def test_accepting_over_unix_sockets(native: Any, kind: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is text in the file system's encoding, an abstract name bytes with all their zeros, no name is empty."""
    monkeypatch.chdir(tmp_path)
    unique = f"{os.getpid()}-{native.__name__}"
    names: dict[str, Any] = {
        "unnamed": None,
        "path": "café-\udcff.socket",
        "longest path": "x" * 107,
        "abstract": f"\0hocket {unique}\0middle\0",
        "long abstract": "\0" + unique.ljust(107, "y"),
    }
    with connected(socket.AF_UNIX, f"\0hocket server {unique}", names[kind]) as (listener, client):
        address = accepted_address(native, listener, client)
        assert type(address) is (bytes if "abstract" in kind else str)


@either
def test_nobody_to_accept_is_an_answer(native: Any) -> None:
    """None; and what is no listener is the kernel's error."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        assert native.accept(listener, listener.fileno()) is None
    with socket.socket() as plain, pytest.raises(OSError, match="Invalid argument"):
        plain.setblocking(False)
        native.accept(plain, plain.fileno())


@either
def test_no_descriptor_left_to_accept_with(native: Any) -> None:
    """The kernel's error, and the client still waits."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with connected(socket.AF_INET, ("127.0.0.1", 0)) as (listener, client):
        taken: list[int] = []
        gc.collect()
        gc.disable()  # What earlier tests have dropped is not to make room meanwhile.
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[0], 256), before[1]))
            with contextlib.suppress(OSError):
                while True:
                    taken.append(os.dup(listener.fileno()))
            with pytest.raises(OSError) as raised:
                native.accept(listener, listener.fileno())
            assert raised.value.errno == errno.EMFILE
        finally:
            gc.enable()
            for fd in taken:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        accepted_address(native, listener, client)


@either
def test_own_address_of_what_is_no_socket(native: Any) -> None:
    """A closed one is the kernel's error; another kind of object is asked itself."""
    closed = socket.socket()
    closed.close()
    with pytest.raises(OSError):
        native.local_address(closed, -1)

    class Odd:
        def getsockname(self) -> str:
            return "here"

    assert native.local_address(Odd(), -1) == "here"


# -- Reading


@either
def test_reading_no_more_than_asked(native: Any, pair: Any) -> None:
    """The limit, or the buffer if that is smaller."""
    one, other = pair
    buffer = native.ReadBuffer(100)
    assert buffer.size == 100
    other.send(b"x" * 250)
    assert buffer.receive(one.fileno(), 7) == b"x" * 7
    assert buffer.receive(one.fileno(), 1000) == b"x" * 100
    assert buffer.read(one.fileno()) == b"x" * 100
    assert buffer.receive(one.fileno(), 100) == b"x" * 43
    assert buffer.receive(one.fileno(), 100) is None
    with pytest.raises((ValueError, OSError)):
        buffer.receive(one.fileno(), -1)


@either
def test_reading_into_nothing(native: Any, pair: Any) -> None:
    """No room is not the same as no data: 0, whatever there is to read."""
    one, other = pair
    assert native.receive_into(one.fileno(), bytearray()) == 0
    other.send(b"x")
    assert native.receive_into(one.fileno(), bytearray()) == 0
    assert one.recv(10) == b"x"


# -- Writing


@either
def test_a_huge_buffer_is_taken_in_part(native: Any, pair: Any) -> None:
    """More than two gigabytes are no harm: as much leaves as the socket holds."""
    huge = memoryview(bytearray(1 << 20)).cast("B")
    one, other = pair
    mapped = mmap.mmap(-1, (2 << 30) + 4096)
    try:
        for send in (
            lambda: native.send_piece(one.fileno(), mapped),
            lambda: native.send_pieces(one.fileno(), [mapped]),
        ):
            count = send()
            assert 0 < count < len(mapped)
            received = 0
            while received < count:
                received += other.recv_into(huge)
            assert received == count
    finally:
        mapped.close()


@either
def test_more_pieces_than_the_kernel_takes_at_once(native: Any, pair: Any) -> None:
    """The first so many leave; none is skipped."""
    one, other = pair
    pieces: list[Any] = [b"%05d" % number for number in range(5000)]
    expected = b"".join(pieces)
    received = b""
    while pieces:
        count = native.send_pieces(one.fileno(), pieces)
        assert 0 < count <= 5 * native.MAX_PIECES and count % 5 == 0
        received += other.recv(count)
        del pieces[: count // 5]
    assert received == expected


@either
def test_pieces_of_every_kind(native: Any, pair: Any) -> None:
    """Empty ones, slices, bytearrays and views of other items go out byte by byte."""
    import array

    one, other = pair
    pieces = [b"", b"ab", bytearray(b"cd"), memoryview(b"xefx")[1:3], array.array("H", [0x3030]), b""]
    assert native.send_pieces(one.fileno(), pieces) == 8
    assert other.recv(100) == b"abcdef00"


@either
def test_a_peer_that_is_gone(native: Any, pair: Any) -> None:
    """The kernel's error."""
    one, other = pair
    other.close()
    with pytest.raises(BrokenPipeError):
        native.send_piece(one.fileno(), b"x")
    with pytest.raises(BrokenPipeError):
        native.send_pieces(one.fileno(), [b"x", b"y"])


# -- Signals


@either
def test_signals_in_the_middle_of_it_all(native: Any) -> None:
    """A signal every now and then loses and repeats nothing."""
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    signals = 0

    def count(*_: Any) -> None:
        nonlocal signals
        signals += 1

    data = os.urandom(4 << 20)
    before = signal.signal(signal.SIGALRM, count)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        with one, other:
            buffer = native.ReadBuffer(1 << 16)
            received = bytearray()
            sent = 0
            view = memoryview(data)
            while len(received) < len(data):
                if sent < len(data):
                    sent += max(native.send_piece(one.fileno(), view[sent : sent + 100_000]), 0)
                received += buffer.read(other.fileno()) or b""
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert received == data


@pytest.mark.skipif(
    TWINS[0].__file__ == sockets.__file__, reason="Python's own calls wait on a blocking socket; the compiled do not"
)
def test_a_blocking_socket_does_not_block() -> None:
    """The compiled twin never waits, whatever the socket's mode: it holds the interpreter's lock meanwhile."""
    one, other = socket.socketpair()
    with one, other:
        assert sockets.ReadBuffer(10).read(one.fileno()) is None
        assert sockets.receive_into(one.fileno(), bytearray(10)) == -1
        while sockets.send_piece(one.fileno(), b"x" * 65536) >= 0:
            pass
        assert sockets.send_pieces(one.fileno(), [b"x"]) == -1
