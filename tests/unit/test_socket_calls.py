"""`loop.sock_*`: calls on the user's own sockets, on every loop with the same outcome unless a test says otherwise."""

from __future__ import annotations

import array
import asyncio
import contextlib
import gc
import inspect
import os
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from .loops import EVERY, OURS, run
from .peers import Recorder, connection, until

every_loop = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
our_loops = pytest.mark.parametrize("factory", OURS, ids=lambda factory: factory.__name__)

BIG = os.urandom(4 << 20)


@contextlib.contextmanager
def pair(kind: int = socket.SOCK_STREAM) -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair(socket.AF_UNIX, kind)
    with one, other:
        one.setblocking(False)
        other.setblocking(False)
        yield one, other


@contextlib.contextmanager
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        yield sock


@contextlib.contextmanager
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        yield sock


def calls(loop: Any, sock: socket.socket) -> dict[str, Any]:
    """Each method with harmless arguments."""
    return {
        "sock_recv": lambda: loop.sock_recv(sock, 10),
        "sock_recv_into": lambda: loop.sock_recv_into(sock, bytearray(10)),
        "sock_recvfrom": lambda: loop.sock_recvfrom(sock, 10),
        "sock_recvfrom_into": lambda: loop.sock_recvfrom_into(sock, bytearray(10)),
        "sock_sendall": lambda: loop.sock_sendall(sock, b"x"),
        "sock_sendto": lambda: loop.sock_sendto(sock, b"x", ("127.0.0.1", 9)),
        "sock_connect": lambda: loop.sock_connect(sock, ("127.0.0.1", 9)),
        "sock_accept": lambda: loop.sock_accept(sock),
    }


NAMES = list(calls(None, None))  # type: ignore[arg-type]
READING = [name for name in NAMES if "recv" in name or "accept" in name]


# -- What they do


@every_loop
@pytest.mark.parametrize("name", NAMES)
def test_every_call_is_a_coroutine_function(factory: Any, name: str) -> None:
    """So that asyncio.create_task() takes what it returns."""
    loop = factory()
    try:
        assert inspect.iscoroutinefunction(getattr(loop, name))
    finally:
        loop.close()


@every_loop
def test_receiving_what_is_there_and_what_comes_later(factory: Any) -> None:
    """What is there comes at once, what is not is waited for, and the end of the stream is empty."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pair() as (one, other):
            other.send(b"now")
            assert await loop.sock_recv(one, 10) == b"now"
            waiting = asyncio.create_task(loop.sock_recv(one, 3))
            await asyncio.sleep(0)
            other.send(b"later")
            assert await waiting == b"lat"
            buffer = bytearray(10)
            assert await loop.sock_recv_into(one, buffer) == 2
            assert buffer[:2] == b"er"
            into = asyncio.create_task(loop.sock_recv_into(one, memoryview(buffer)[4:]))
            await asyncio.sleep(0)
            other.send(b"too")
            assert await into == 3
            assert buffer[4:7] == b"too"
            other.close()
            assert await loop.sock_recv(one, 10) == b""
            assert await loop.sock_recv_into(one, buffer) == 0

    run(factory, main())


@every_loop
def test_receiving_nothing_is_not_waiting(factory: Any) -> None:
    """A size of 0, or an empty buffer, is answered at once."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pair() as (one, _):
            assert await loop.sock_recv(one, 0) == b""
            assert await loop.sock_recv_into(one, bytearray()) == 0

    run(factory, main())


@every_loop
def test_much_is_received_at_once_if_it_is_there(factory: Any) -> None:
    """No hidden limit: as much as the socket holds and the caller asks for."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pair() as (one, other):
            other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            sent = 0
            with contextlib.suppress(BlockingIOError):
                while True:
                    sent += other.send(b"x" * 4096)
            received = 0
            while received < sent:
                received += len(await loop.sock_recv(one, 1 << 24))
            assert received == sent

    run(factory, main())


@every_loop
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: array.array("b", data)])
def test_sending_more_than_the_socket_takes(factory: Any, kind: Any) -> None:
    """All of it arrives, whatever kind of buffer it is."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pair() as (one, other):
            sending = asyncio.create_task(loop.sock_sendall(one, kind(BIG)))
            received = bytearray()
            while len(received) < len(BIG):
                received += await loop.sock_recv(other, 1 << 16)
            assert await sending is None  # type: ignore[func-returns-value]
            assert received == BIG
            await loop.sock_sendall(one, b"")

    run(factory, main())


@our_loops
def test_numbers_are_sent_as_bytes(factory: Any) -> None:
    """An array's length counts in bytes, also when it goes out in several pieces; asyncio counts items."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        numbers = array.array("i", range(1 << 18))
        with pair() as (one, other):
            sending = asyncio.create_task(loop.sock_sendall(one, numbers))
            received = bytearray()
            while len(received) < numbers.itemsize * len(numbers):
                received += await loop.sock_recv(other, 1 << 16)
            await sending
            assert received == numbers.tobytes()

    run(factory, main())


@every_loop
def test_datagrams(factory: Any) -> None:
    """Sent and received with addresses, at once and later, whole and cut."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with udp() as one, udp() as other:
            assert await loop.sock_sendto(one, b"first", other.getsockname()) == 5
            assert await loop.sock_recvfrom(other, 100) == (b"first", one.getsockname())
            waiting = asyncio.create_task(loop.sock_recvfrom(other, 3))
            await asyncio.sleep(0)
            await loop.sock_sendto(one, b"second", other.getsockname())
            assert await waiting == (b"sec", one.getsockname())
            buffer = bytearray(10)
            into = asyncio.create_task(loop.sock_recvfrom_into(other, buffer))
            await asyncio.sleep(0)
            await loop.sock_sendto(one, b"third", other.getsockname())
            assert await into == (5, one.getsockname())
            assert buffer[:5] == b"third"
            await loop.sock_sendto(one, b"fourth", other.getsockname())
            assert await loop.sock_recvfrom_into(other, buffer, 2) == (2, one.getsockname())

    run(factory, main())


@every_loop
def test_a_datagram_waits_for_room(factory: Any) -> None:
    """sock_sendto() on a full socket sends when the peer has read."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pair(socket.SOCK_DGRAM) as (one, _), contextlib.ExitStack() as cleanup:
            name = f"\0hocket-test-{os.getpid()}-{id(one)}"
            target = cleanup.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            target.bind(name)
            target.setblocking(False)
            sent = 0
            with contextlib.suppress(BlockingIOError):
                while True:
                    one.sendto(b"%d" % sent, name)
                    sent += 1
            waiting = asyncio.create_task(loop.sock_sendto(one, b"last", name))
            await asyncio.sleep(0.01)
            assert not waiting.done()
            for number in range(sent):
                assert target.recv(100) == b"%d" % number
            assert await waiting == 4
            assert target.recv(100) == b"last"

    run(factory, main())


@every_loop
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_connecting_and_accepting(factory: Any, host: str) -> None:
    """Names are resolved; the accepted socket does not block and comes with the peer's address."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listener() as server, socket.socket() as client:
            client.setblocking(False)
            accepting = asyncio.create_task(loop.sock_accept(server))
            await asyncio.sleep(0)
            await loop.sock_connect(client, (host, server.getsockname()[1]))
            accepted, address = await accepting
            with accepted:
                assert address == client.getsockname() == accepted.getpeername()
                assert accepted.gettimeout() == 0
                assert not os.get_blocking(accepted.fileno())
                assert not accepted.get_inheritable()
                assert (accepted.family, accepted.type) == (server.family, socket.SOCK_STREAM)
                await loop.sock_sendall(client, b"hello")
                assert await loop.sock_recv(accepted, 10) == b"hello"

    run(factory, main())


@every_loop
def test_nobody_listens(factory: Any) -> None:
    """A refused connection is a ConnectionRefusedError, as the kernel or asyncio words it."""

    async def main() -> None:
        with socket.socket() as silent, socket.socket() as client:
            silent.bind(("127.0.0.1", 0))  # It does not listen, and nobody else can.
            client.setblocking(False)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.get_running_loop().sock_connect(client, silent.getsockname())

    run(factory, main())


@our_loops
def test_connecting_to_a_unix_listener_with_a_full_queue_waits(factory: Any) -> None:
    """The kernel offers no way to wait for it; asyncio takes the socket for connected, which it is not."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        name = f"\0hocket-queue-{os.getpid()}-{id(loop)}"
        with socket.socket(socket.AF_UNIX) as server, contextlib.ExitStack() as cleanup:
            server.bind(name)
            server.listen(0)
            server.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    early = cleanup.enter_context(socket.socket(socket.AF_UNIX))
                    early.setblocking(False)
                    early.connect(name)
            late = cleanup.enter_context(socket.socket(socket.AF_UNIX))
            late.setblocking(False)
            connecting = asyncio.create_task(loop.sock_connect(late, name))
            await asyncio.sleep(0.01)
            assert not connecting.done()
            with contextlib.suppress(BlockingIOError):
                while True:
                    cleanup.enter_context(server.accept()[0])
            await connecting
            assert late.getpeername() == name.encode()

    run(factory, main())


# -- What they refuse


@every_loop
@pytest.mark.parametrize("name", NAMES)
def test_a_blocking_socket_is_refused_in_debug_mode(factory: Any, name: str) -> None:
    """It would stop the whole loop."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        with pair() as (one, _):
            one.setblocking(True)
            with pytest.raises(ValueError, match="the socket must be non-blocking"):
                await calls(loop, one)[name]()

    run(factory, main())


@every_loop
@pytest.mark.parametrize("name", NAMES)
def test_a_tls_socket_is_refused(factory: Any, name: str) -> None:
    """Its bytes would not be the ones that the session is about."""

    async def main() -> None:
        context = ssl.create_default_context()
        with pair() as (one, _), context.wrap_socket(one, server_hostname="x", do_handshake_on_connect=False) as tls:
            with pytest.raises(TypeError, match="Socket cannot be of type SSLSocket"):
                await calls(asyncio.get_running_loop(), tls)[name]()

    run(factory, main())


@every_loop
@pytest.mark.parametrize("wrong", ["10", 1.5, None, -1], ids=repr)
def test_wrong_size(factory: Any, wrong: Any) -> None:
    """What is no size is refused before anything is received."""

    async def main() -> None:
        with pair() as (one, other):
            other.send(b"data")
            with pytest.raises((TypeError, ValueError)):
                await asyncio.get_running_loop().sock_recv(one, wrong)
            assert one.recv(10) == b"data"

    run(factory, main())


@every_loop
@pytest.mark.parametrize("wrong", ["text", b"read-only", None, 5], ids=repr)
def test_wrong_buffer(factory: Any, wrong: Any) -> None:
    """What cannot be written to cannot be received into."""

    async def main() -> None:
        with pair() as (one, other):
            other.send(b"data")
            with pytest.raises((TypeError, BufferError)):
                await asyncio.get_running_loop().sock_recv_into(one, wrong)
            assert one.recv(10) == b"data"

    run(factory, main())


@every_loop
def test_wrong_data(factory: Any) -> None:
    """Text cannot be sent."""

    async def main() -> None:
        with pair() as (one, _):
            with pytest.raises(TypeError, match="bytes-like object"):
                await asyncio.get_running_loop().sock_sendall(one, "text")  # type: ignore[arg-type]

    run(factory, main())


@every_loop
@pytest.mark.parametrize("name", NAMES)
def test_a_closed_socket_is_an_error(factory: Any, name: str) -> None:
    """The kernel's, at once."""

    async def main() -> None:
        sock = socket.socket()
        sock.setblocking(False)
        sock.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            await calls(asyncio.get_running_loop(), sock)[name]()

    run(factory, main())


@every_loop
def test_a_transports_socket_cannot_be_waited_for(factory: Any) -> None:
    """The transport is the one who reads it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection() as it:
            sock = it.transport.get_extra_info("socket")._sock
            with pytest.raises(RuntimeError, match="is used by transport"):
                await loop.sock_recv(sock, 10)

    run(factory, main())


@every_loop
def test_errors_of_a_wait_are_raised(factory: Any) -> None:
    """A connection that is reset while it is waited for raises in the waiting task."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listener() as server, socket.create_connection(server.getsockname()) as client:
            client.setblocking(False)
            accepted, _ = await loop.sock_accept(server)
            receiving = asyncio.create_task(loop.sock_recv(client, 10))
            await asyncio.sleep(0)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            accepted.close()
            with pytest.raises(ConnectionResetError):
                await receiving
            with pytest.raises(OSError):
                await loop.sock_sendall(client, BIG)

    run(factory, main())


@every_loop
def test_peer_that_goes_while_much_is_sent(factory: Any) -> None:
    """The waiting sender is told."""

    async def main() -> None:
        with pair() as (one, other):
            sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(one, BIG))
            await asyncio.sleep(0.01)
            other.close()
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                await sending

    run(factory, main())


# -- Cancellation, and several on one socket


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@every_loop
@pytest.mark.parametrize("name", READING)
def test_a_cancelled_wait_leaves_nothing_watched(factory: Any, name: str) -> None:
    """The descriptor is nobody's any more, and nothing was taken from it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listener() as server, pair() as (one, other):
            sock = server if name == "sock_accept" else one
            waiting = asyncio.create_task(calls(loop, sock)[name]())
            await asyncio.sleep(0)
            await _cancelled(waiting)
            await asyncio.sleep(0)
            assert not loop.remove_reader(sock.fileno())
            if sock is one:
                other.send(b"data")
                assert await loop.sock_recv(one, 10) == b"data"

    run(factory, main())


@every_loop
def test_a_cancelled_sender_leaves_nothing_watched(factory: Any) -> None:
    """The descriptor is nobody's any more."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pair() as (one, _):
            waiting = asyncio.create_task(loop.sock_sendall(one, BIG))
            await asyncio.sleep(0)
            await _cancelled(waiting)
            await asyncio.sleep(0)
            assert not loop.remove_writer(one.fileno())

    run(factory, main())


@our_loops
@pytest.mark.parametrize("name", ["sock_recv", "sock_recv_into", "sock_recvfrom", "sock_recvfrom_into"])
def test_data_that_comes_in_the_turn_of_the_cancellation_is_not_lost(factory: Any, name: str) -> None:
    """The next call gets it; asyncio has taken it from the socket already, and drops it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pair() as (one, other):
            for turns in range(6):
                waiting = asyncio.create_task(calls(loop, one)[name]())
                await asyncio.sleep(0)
                other.send(b"data")
                for _ in range(turns):
                    await asyncio.sleep(0)
                waiting.cancel()
                received = await asyncio.gather(waiting, return_exceptions=True)
                if isinstance(received[0], asyncio.CancelledError):
                    assert one.recv(10) == b"data"

    run(factory, main())


@our_loops
def test_a_connection_that_comes_in_the_turn_of_the_cancellation_is_not_lost(factory: Any) -> None:
    """The next sock_accept() gets it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with listener() as server:
            for turns in range(5):
                waiting = asyncio.create_task(loop.sock_accept(server))
                await asyncio.sleep(0)
                with socket.create_connection(server.getsockname()) as client:
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    waiting.cancel()
                    (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
                    if isinstance(outcome, asyncio.CancelledError):
                        outcome = await loop.sock_accept(server)
                    assert not isinstance(outcome, BaseException)
                    accepted, address = outcome
                    accepted.close()
                    assert address == client.getsockname()

    run(factory, main())


@every_loop
def test_the_second_reader_takes_the_place_of_the_first(factory: Any) -> None:
    """asyncio's rule: one reader a socket.  The first waits until it is cancelled, which does not harm the second."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pair() as (one, other):
            first = asyncio.create_task(loop.sock_recv(one, 10))
            await asyncio.sleep(0)
            second = asyncio.create_task(loop.sock_recv(one, 10))
            await asyncio.sleep(0)
            await _cancelled(first)
            await asyncio.sleep(0)
            other.send(b"data")
            assert await second == b"data"

    run(factory, main())


@every_loop
def test_a_descriptor_that_was_handed_out_again(factory: Any) -> None:
    """A socket that got the number of one that was closed behind the loop's back is waited for as any other."""

    async def main() -> None:
        gc.collect()  # What earlier tests have dropped is not to make lower numbers free meanwhile.
        loop = asyncio.get_running_loop()
        numbers = set()
        for message in (b"one", b"two", b"three"):
            with pair() as (one, other):
                numbers.add(one.fileno())
                for _ in range(3):
                    receiving = asyncio.create_task(loop.sock_recv(one, 10))
                    await asyncio.sleep(0)
                    other.send(message)
                    assert await asyncio.wait_for(receiving, 10) == message
        assert len(numbers) == 1

    run(factory, main())


@every_loop
def test_what_comes_while_nobody_waits_is_not_lost(factory: Any) -> None:
    """Nor does it keep the loop busy: whoever asks next gets it, at once and in pieces."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pair() as (one, other):
            receiving = asyncio.create_task(loop.sock_recv(one, 10))
            await asyncio.sleep(0)
            other.send(b"first")
            assert await receiving == b"first"
            other.send(b"second")
            for _ in range(5):
                await asyncio.sleep(0.001)
            assert await loop.sock_recv(one, 3) == b"sec"
            assert await loop.sock_recv(one, 10) == b"ond"
            receiving = asyncio.create_task(loop.sock_recv(one, 10))
            await asyncio.sleep(0.001)
            assert not receiving.done()
            other.close()
            assert await asyncio.wait_for(receiving, 10) == b""

    run(factory, main())


@every_loop
def test_a_reader_and_a_writer_wait_side_by_side(factory: Any) -> None:
    """Each for its own."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pair() as (one, other):
            receiving = asyncio.create_task(loop.sock_recv(one, 10))
            sending = asyncio.create_task(loop.sock_sendall(one, BIG))
            await asyncio.sleep(0)
            other.send(b"data")
            assert await receiving == b"data"
            assert not sending.done()
            count = 0
            while count < len(BIG):
                count += len(await loop.sock_recv(other, 1 << 18))
            await sending

    run(factory, main())


@our_loops
def test_a_socket_that_is_closed_while_waited_for(factory: Any) -> None:
    """The wait goes on, as with asyncio, and its cancellation leaves alone who has got the number since."""

    async def main() -> None:
        gc.collect()  # What earlier tests have dropped is not to make lower numbers free meanwhile.
        loop = asyncio.get_running_loop()
        with pair() as (one, _):
            number = one.fileno()
            waiting = asyncio.create_task(loop.sock_recv(one, 10))
            await asyncio.sleep(0)
            one.close()
            await asyncio.sleep(0.01)
            assert not waiting.done()
            with pair() as (successor, other):
                if successor.fileno() != number:
                    successor, other = other, successor
                assert successor.fileno() == number
                reader = asyncio.create_task(loop.sock_recv(successor, 10))
                await asyncio.sleep(0)
                await _cancelled(waiting)
                await asyncio.sleep(0)
                other.send(b"data")
                assert await reader == b"data"

    run(factory, main())


@every_loop
def test_a_socket_can_be_handed_to_a_transport_afterwards(factory: Any) -> None:
    """What sock_recv() has not taken, the protocol gets."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pair() as (one, other):
            other.send(b"header;rest")
            assert await loop.sock_recv(one, 7) == b"header;"
            transport, protocol = await loop.create_connection(Recorder, sock=one)
            await until(lambda: protocol.data == b"rest")
            transport.close()
            await protocol.lost

    run(factory, main())


@every_loop
def test_timeouts_work(factory: Any) -> None:
    """asyncio.timeout() ends a wait."""

    async def main() -> None:
        with pair() as (one, _):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await asyncio.get_running_loop().sock_recv(one, 10)

    run(factory, main())
