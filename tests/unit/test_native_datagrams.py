"""`hocket.native.datagrams` and `hocket.native.files` and their Python twins: one behaviour, whichever is asked."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hocket.native import datagrams, files, sockets

from .test_native_twins import by_path

TWINS = {
    "python": (by_path("datagrams"), by_path("files"), by_path("sockets")),
    "package": (datagrams, files, sockets),
}


@pytest.fixture(params=list(TWINS))
def twins(request: pytest.FixtureRequest) -> tuple[ModuleType, ModuleType, ModuleType]:
    return TWINS[request.param]


@pytest.fixture
def module(twins: tuple[ModuleType, ...]) -> ModuleType:
    return twins[0]


@pytest.fixture
def file_module(twins: tuple[ModuleType, ...]) -> ModuleType:
    return twins[1]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second,
    ):
        for sock in (first, second):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        yield first, second


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    for fd in ends:
        os.set_blocking(fd, False)
    yield ends
    for fd in ends:
        try:
            os.close(fd)
        except OSError:
            pass  # The test has closed it.


def receive(module: ModuleType, sock: Any) -> list[Any]:
    received: list[Any] = module.DatagramBuffer().receive(sock, sock.fileno(), module.known_family(sock))
    return received


def test_known_families(module: ModuleType) -> None:
    """Plain sockets of IP and Unix are known; any other, and those of another class, are not."""

    class Own(socket.socket):
        pass

    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                assert module.known_family(sock) == family
            with Own(family, socket.SOCK_DGRAM) as sock:
                assert module.known_family(sock) == 0
        except OSError:
            assert family == socket.AF_INET6, "this system lacks more than IPv6"
    assert module.known_family(object()) == 0


def test_nothing_there(module: ModuleType, pair: Any) -> None:
    """An empty list, whether the family is known or not."""
    assert receive(module, pair[0]) == []
    assert module.DatagramBuffer().receive(pair[0], pair[0].fileno(), 0) == []


def test_batch_is_bounded_and_in_order(module: ModuleType, pair: Any) -> None:
    """As many as BATCH at a time, the oldest first, with their addresses."""
    for number in range(module.BATCH + 3):
        pair[1].sendto(b"%d" % number, pair[0].getsockname())
    sender = pair[1].getsockname()
    assert receive(module, pair[0]) == [(b"%d" % number, sender) for number in range(module.BATCH)]
    assert len(receive(module, pair[0])) == 3
    assert receive(module, pair[0]) == []


def test_one_at_a_time_by_the_sockets_own_methods(module: ModuleType, pair: Any) -> None:
    """Of an unknown family one datagram is received a call."""
    pair[1].sendto(b"1", pair[0].getsockname())
    pair[1].sendto(b"2", pair[0].getsockname())
    assert module.DatagramBuffer().receive(pair[0], pair[0].fileno(), 0) == [(b"1", pair[1].getsockname())]


def test_one_buffer_serves_all_families(module: ModuleType, pair: Any) -> None:
    """The same buffer takes small and large datagrams of IP and Unix in turn, whole."""
    buffer = module.DatagramBuffer()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.setblocking(False)
        for _ in range(2):
            large, small = os.urandom(150_000), os.urandom(65_507)
            theirs.sendall(large)
            pair[1].sendto(small, pair[0].getsockname())
            assert buffer.receive(ours, ours.fileno(), socket.AF_UNIX) == [(large, None)]
            assert buffer.receive(pair[0], pair[0].fileno(), socket.AF_INET) == [(small, pair[1].getsockname())]


def test_report_of_the_kernel_is_an_item(module: ModuleType, pair: Any) -> None:
    """That nobody listened is told once, in the list."""
    address = pair[1].getsockname()
    pair[1].close()
    pair[0].connect(address)
    assert module.send_datagram(pair[0], pair[0].fileno(), socket.AF_INET, b"data") is True
    (error,) = receive(module, pair[0])
    assert isinstance(error, ConnectionRefusedError)
    assert receive(module, pair[0]) == []


@pytest.mark.skipif(not Path("/proc/sys/net/ipv6").exists(), reason="this system has no IPv6")
@pytest.mark.parametrize("parts", [(), (0,), (0, 0), (5, 0)], ids=str)
def test_ipv6_addresses(module: ModuleType, parts: tuple[int, ...]) -> None:
    """IPv6 addresses of two to four parts are sent to, and four parts come back."""
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as first,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as second,
    ):
        first.setblocking(False)
        first.bind(("::1", 0))
        second.bind(("::1", 0))
        target = ("::1", first.getsockname()[1], *parts)
        assert module.send_datagram_to(second, second.fileno(), socket.AF_INET6, b"data", target)
        assert receive(module, first) == [(b"data", second.getsockname())]


@pytest.mark.parametrize(
    "address",
    [
        None,
        "127.0.0.1",
        (),
        ("127.0.0.1",),
        ("127.0.0.1", "5"),
        ("127.0.0.1", -1),
        ("127.0.0.1", 65536),
        ("127.0.0.1", 5.0),
        ("127.0.0.1", 1 << 70),
        (b"\xff", 5),
        (5, 5),
        ("127.0.0.1", 5, 0),
        ("127.0.0.1\0", 5),
        ("::1", 5),
        ["127.0.0.1", 5],
    ],
    ids=repr,
)
def test_wrong_addresses_fail_as_with_the_socket(module: ModuleType, pair: Any, address: Any) -> None:
    """What `socket.socket.sendto` refuses is refused in its words."""
    with pytest.raises(Exception) as expected:
        pair[0].sendto(b"data", address)
    with pytest.raises(type(expected.value)) as raised:
        module.send_datagram_to(pair[0], pair[0].fileno(), socket.AF_INET, b"data", address)
    assert str(raised.value) == str(expected.value)


def test_sending_is_audited(module: ModuleType, pair: Any) -> None:
    """An audit hook sees the socket and the address of each sendto, as of `socket.socket.sendto`."""
    seen: list[Any] = []
    watching = True
    sys.addaudithook(lambda event, args: seen.append(args) if watching and event == "socket.sendto" else None)
    module.send_datagram_to(pair[0], pair[0].fileno(), socket.AF_INET, b"data", pair[1].getsockname())
    watching = False
    assert seen == [(pair[0], pair[1].getsockname())]


def test_refused_data(module: ModuleType, pair: Any) -> None:
    """Too large is EMSGSIZE; what has no bytes is a TypeError; nothing is sent."""
    for data, expected in ((bytes(70_000), OSError), ("text", TypeError)):
        with pytest.raises(expected) as raised:
            module.send_datagram_to(pair[0], pair[0].fileno(), socket.AF_INET, data, pair[1].getsockname())
        if expected is OSError:
            assert raised.value.errno == errno.EMSGSIZE
    assert receive(module, pair[1]) == []


def test_full_socket(module: ModuleType) -> None:
    """False once the peer's queue is full, by either way of sending."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.setblocking(False)
        count = 0
        while module.send_datagram(ours, ours.fileno(), socket.AF_UNIX, b"data"):
            count += 1
            assert count < 100_000
        assert module.send_datagram(ours, ours.fileno(), 0, b"data") is False
        theirs.setblocking(False)
        assert 0 < len(receive(module, theirs)) <= module.BATCH


def test_closed_descriptor(module: ModuleType, pair: Any) -> None:
    """EBADF: told in the list when receiving, raised when sending."""
    pair[0].close()
    for operation in (
        lambda: module.DatagramBuffer().receive(pair[0], -1, socket.AF_INET)[0].errno,
        lambda: module.send_datagram(pair[0], -1, socket.AF_INET, b"data"),
        lambda: module.send_datagram_to(pair[0], -1, socket.AF_INET, b"data", ("127.0.0.1", 5)),
    ):
        try:
            number = operation()
        except OSError as error:
            number = error.errno
        assert number == errno.EBADF


# -- Files


@pytest.mark.parametrize("data", [b"data", bytearray(b"data"), memoryview(b"data")])
def test_write_and_read(twins: tuple[Any, ...], pipe: tuple[int, int], data: Any) -> None:
    """What was written is read; then there is nothing, and at last the end."""
    _, files_twin, sockets_twin = twins
    buffer = sockets_twin.ReadBuffer(1000)
    assert buffer.read_file(pipe[0]) is None
    assert files_twin.write_file(pipe[1], data) == 4
    assert buffer.read_file(pipe[0]) == b"data"
    os.close(pipe[1])
    assert buffer.read_file(pipe[0]) == b""


def test_write_pieces(file_module: ModuleType, pipe: tuple[int, int]) -> None:
    """As many pieces as MAX_PIECES leave in one call."""
    pieces: list[Any] = [b"%03d" % number for number in range(file_module.MAX_PIECES + 5)]
    pieces[1] = memoryview(b"x001")[1:]
    assert file_module.write_file_pieces(pipe[1], pieces) == 3 * file_module.MAX_PIECES
    assert os.read(pipe[0], 10_000) == b"".join(map(bytes, pieces[: file_module.MAX_PIECES]))


def test_full_pipe(file_module: ModuleType, pipe: tuple[int, int]) -> None:
    """As much as it takes, then -1."""
    assert 0 < file_module.write_file(pipe[1], bytes(10_000_000)) < 10_000_000
    assert file_module.write_file(pipe[1], b"x") == -1
    assert file_module.write_file_pieces(pipe[1], [b"x", b"y"]) == -1


def test_no_reader(file_module: ModuleType, pipe: tuple[int, int]) -> None:
    """EPIPE, as an exception."""
    os.close(pipe[0])
    with pytest.raises(BrokenPipeError):
        file_module.write_file(pipe[1], b"x")
    with pytest.raises(BrokenPipeError):
        file_module.write_file_pieces(pipe[1], [b"x", b"y"])


def test_wrong_pieces(file_module: ModuleType, pipe: tuple[int, int]) -> None:
    """What has no bytes is a TypeError, and nothing is written."""
    with pytest.raises(TypeError):
        file_module.write_file(pipe[1], "text")
    with pytest.raises(TypeError):
        file_module.write_file_pieces(pipe[1], [b"x", "text"])
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 10)


# -- Addresses that are remembered


def test_many_senders_keep_their_addresses(module: ModuleType) -> None:
    """Each datagram has the address of its own sender, and what is sent there gets there, however many have sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)
        family = module.known_family(server)
        # More than are remembered, and from several addresses: some take the place of others.
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(200)]
        try:
            for number, client in enumerate(clients):
                client.bind((f"127.0.0.{1 + number % 3}", 0))
                client.settimeout(5)
            for _ in range(2):
                kept = []
                for number, client in enumerate(clients):
                    client.sendto(b"%d" % number, server.getsockname())
                    ((data, address),) = receive(module, server)
                    assert (data, address) == (b"%d" % number, client.getsockname())
                    assert module.send_datagram_to(server, server.fileno(), family, b"at once", address)
                    kept.append(address)
                for client, address in zip(clients, kept, strict=True):
                    assert module.send_datagram_to(server, server.fileno(), family, b"later", address)
                    assert module.send_datagram_to(server, server.fileno(), family, b"equal", (*address,))
                    assert [client.recv(100) for _ in range(3)] == [b"at once", b"later", b"equal"]
        finally:
            for client in clients:
                client.close()


def test_address_of_another_family(module: ModuleType, pair: tuple[socket.socket, socket.socket]) -> None:
    """An address of IPv4 that has just been received from is none for a socket of IPv6, and the other way round."""
    first, second = pair
    try:
        third = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        third.bind(("::1", 0))
    except OSError:
        pytest.skip("this system has no IPv6")
    with third:
        third.setblocking(False)
        first.sendto(b"x", second.getsockname())
        ((_, address),) = receive(module, second)
        with pytest.raises(OSError):
            module.send_datagram_to(third, third.fileno(), module.known_family(third), b"x", address)
        third.sendto(b"x", third.getsockname())
        ((_, address),) = receive(module, third)
        assert address == third.getsockname()
        with pytest.raises((OSError, TypeError)):
            module.send_datagram_to(second, second.fileno(), module.known_family(second), b"x", address)
        assert module.send_datagram_to(third, third.fileno(), module.known_family(third), b"back", address)
        assert receive(module, third) == [(b"back", address)]


def test_no_address_is_none_that_is_remembered(module: ModuleType, pair: tuple[socket.socket, socket.socket]) -> None:
    """What is no address is refused as the socket module does it, by a socket of any class."""

    class Own(socket.socket):
        pass

    with Own(socket.AF_INET, socket.SOCK_DGRAM) as own:
        for sock in (pair[0], own):
            with pytest.raises(TypeError):
                module.send_datagram_to(sock, sock.fileno(), module.known_family(sock), b"x", None)
