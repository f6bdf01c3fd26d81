"""Datagram endpoints: what is received and sent, and their lives, on real sockets, with asyncio's as the reference."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import re
import socket
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hocket.native.datagrams import BATCH

from .datagram_peers import Receiver, endpoint, fill, unix_pair
from .loops import EVERY, OURS, Reports, run
from .peers import until

every_loop = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
our_loops = pytest.mark.parametrize("factory", OURS, ids=lambda factory: factory.__name__)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this system has no IPv6")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="abstract Unix addresses are Linux's")


# -- Receiving


@every_loop
@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=ipv6)])
def test_datagrams_arrive_in_order_with_their_address(factory: Any, host: str) -> None:
    """Every datagram is handed over once, in order, with the address as the socket module tells it."""

    async def main() -> None:
        async with endpoint(host=host) as it:
            sent = [b"%d" % number for number in range(100)]
            it.send(*sent)
            await until(lambda: len(it.protocol.received) == 100)
            assert it.protocol.received == [(data, it.peer.getsockname()) for data in sent]

    run(factory, main())


@every_loop
def test_largest_and_empty_datagrams(factory: Any) -> None:
    """Nothing is cut off: the largest UDP datagram arrives whole, between empty ones."""

    async def main() -> None:
        largest = os.urandom(65507)
        async with endpoint() as it:
            it.send(b"", largest, b"", largest, b"end")
            await until(lambda: len(it.protocol.received) == 5)
            assert it.protocol.data == [b"", largest, b"", largest, b"end"]

    run(factory, main())


@every_loop
def test_unix_datagrams_larger_than_udp_allows(factory: Any) -> None:
    """A Unix datagram of 150 KB arrives whole."""

    async def main() -> None:
        large = os.urandom(150_000)
        async with unix_pair() as it:
            it.peer.sendall(large)
            await until(lambda: len(it.protocol.received) == 1)
            it.peer.sendall(b"small")
            await until(lambda: len(it.protocol.received) == 2)
            assert it.protocol.data == [large, b"small"]

    run(factory, main())


@every_loop
@pytest.mark.parametrize("name", ["path", "unnamed", pytest.param("abstract", marks=linux), "not utf-8"])
def test_unix_addresses(factory: Any, name: str, tmp_path: Path) -> None:
    """The sender's Unix address is what socket.recvfrom() tells: a str, abstract as bytes, or None without a name."""
    ours = str(tmp_path / "ours")
    theirs: Any = {
        "path": str(tmp_path / "theirs"),
        "abstract": b"\0hocket-test-%d" % os.getpid(),
        "not utf-8": os.fsencode(tmp_path) + b"/\xff",
    }.get(name)

    async def main() -> None:
        async with endpoint(local_addr=ours, family=socket.AF_UNIX) as it:
            if theirs is not None:
                it.peer.bind(theirs)
            it.send(b"hello")
            await until(lambda: it.protocol.received)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as plain:
                plain.bind(str(tmp_path / "plain"))
                it.peer.sendto(b"hello", str(tmp_path / "plain"))
                assert it.protocol.received == [plain.recvfrom(10)]
            if theirs is not None:
                it.transport.sendto(b"answer", it.protocol.received[0][1])
                assert it.peer.recvfrom(10) == (b"answer", ours)

    run(factory, main())


@our_loops
def test_socket_of_another_class_is_asked_by_its_methods(factory: Any) -> None:
    """A subclass of socket that sends and receives in its own way is not passed by."""

    class Shouting(socket.socket):
        def recvfrom(self, *arguments: Any) -> Any:
            data, address = super().recvfrom(*arguments)
            return data.upper(), address

        def sendto(self, data: Any, *arguments: Any) -> int:
            return super().sendto(bytes(data) + b"!", *arguments)

    async def main() -> None:
        sock = Shouting(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        async with endpoint(sock=sock) as it:
            it.send(b"one", b"two")
            await until(lambda: len(it.protocol.received) == 2)
            assert it.protocol.data == [b"ONE", b"TWO"]
            it.transport.sendto(b"hey", it.peer.getsockname())
            assert it.peer.recv(10) == b"hey!"

    run(factory, main())


@every_loop
def test_task_woken_by_a_datagram_runs_before_the_next(factory: Any) -> None:
    """A protocol may set a future that its task renews: no datagram comes before the task has had its turn."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        waiting: list[asyncio.Future[bytes]] = [loop.create_future()]
        async with endpoint(Receiver(datagram_received=lambda it: waiting[0].set_result(it.data[-1]))) as it:
            reports = Reports(loop)
            it.send(*(b"%d" % number for number in range(40)))
            for number in range(40):
                async with asyncio.timeout(10):
                    assert await waiting[0] == b"%d" % number
                waiting[0] = loop.create_future()
            assert reports.messages == []

    run(factory, main())


@every_loop
def test_callbacks_between_datagrams(factory: Any) -> None:
    """What a datagram makes ready runs before the next datagram, also what others made ready in the same turn."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        log: list[Any] = []

        def react(it: Receiver) -> None:
            log.append(it.data[-1])
            if it.data[-1] != b"quiet":
                loop.call_soon(log.append, "ready")

        async with endpoint(Receiver(datagram_received=react)) as it:
            it.send(b"quiet", b"1", b"2", b"quiet", b"3")
            await until(lambda: len(log) == 8)
        assert log == [b"quiet", b"1", "ready", b"2", "ready", b"quiet", b"3", "ready"]

    run(factory, main())


@every_loop
def test_stop_in_the_middle(factory: Any) -> None:
    """After loop.stop() no datagram is handed over until the loop runs again, and then all are."""
    loop = factory()

    def react(it: Receiver) -> None:
        if it.data[-1] == b"2":
            loop.stop()

    async def make() -> Any:
        return await loop.create_datagram_endpoint(
            lambda: Receiver(datagram_received=react), local_addr=("127.0.0.1", 0)
        )

    try:
        transport, protocol = loop.run_until_complete(make())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            for data in (b"1", b"2", b"3", b"4"):
                peer.sendto(data, transport.get_extra_info("sockname"))
        loop.run_forever()
        assert protocol.data == [b"1", b"2"]
        loop.run_until_complete(until(lambda: len(protocol.received) == 4))
        assert protocol.data == [b"1", b"2", b"3", b"4"]
        transport.close()
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()


@every_loop
@pytest.mark.parametrize("how", ["close", "abort"])
def test_nothing_is_received_after_closing(factory: Any, how: str) -> None:
    """A protocol that closes in datagram_received() gets connection_lost(None) next, whatever else has arrived."""

    async def main() -> None:
        async with endpoint(Receiver(datagram_received=lambda it: getattr(it.transport, how)())) as it:
            it.send(b"1", b"2", b"3")
            assert await it.protocol.lost is None
            await asyncio.sleep(0.01)
            assert it.protocol.calls == [
                ("connection_made",),
                ("datagram_received", b"1"),
                ("connection_lost", type(None)),
            ]
            assert it.transport.is_closing()

    run(factory, main())


@every_loop
def test_pausing_in_the_middle(factory: Any) -> None:
    """A protocol that pauses gets nothing until reading is resumed, and then everything in order."""

    def react(it: Receiver) -> None:
        if it.data[-1] in (b"2", b"4"):
            it.transport.pause_reading()

    async def main() -> None:
        async with endpoint(Receiver(datagram_received=react)) as it:
            it.send(*(b"%d" % number for number in range(7)))
            for expected in (3, 5, 7):
                await until(lambda expected=expected: len(it.protocol.received) == expected)
                await asyncio.sleep(0.01)
                assert it.protocol.data == [b"%d" % number for number in range(expected)]
                assert it.transport.is_reading() is (expected == 7)
                it.transport.resume_reading()
                it.transport.resume_reading()

    run(factory, main())


@our_loops
def test_closed_while_paused_in_the_middle(factory: Any) -> None:
    """What is kept while reading is paused is not handed over after close()."""

    async def main() -> None:
        async with endpoint(Receiver(datagram_received=lambda it: it.transport.pause_reading())) as it:
            it.send(b"1", b"2", b"3")
            await until(lambda: it.protocol.received)
            it.transport.resume_reading()
            it.transport.close()
            await it.protocol.lost
            await asyncio.sleep(0.01)
            assert it.protocol.data == [b"1"]

    run(factory, main())


@every_loop
def test_busy_sender_keeps_nobody_waiting(factory: Any) -> None:
    """An endpoint that answers itself for ever leaves the others their turns."""

    async def main() -> None:
        def answer(it: Receiver) -> None:
            it.transport.sendto(b"again", it.transport.get_extra_info("sockname"))

        async with endpoint(Receiver(datagram_received=answer)) as busy, endpoint() as quiet:
            for _ in range(50):
                busy.send(b"start")
            for number in range(20):
                quiet.send(b"%d" % number)
                await until(lambda number=number: len(quiet.protocol.received) == number + 1)
            assert len(busy.protocol.received) >= 20

    run(factory, main())


@our_loops
def test_what_comes_in_meanwhile_is_taken_in_the_same_turn(factory: Any) -> None:
    """While nobody else has anything to do, and no more than a batch."""

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        turns: list[int] = []

        def answer(it: Receiver) -> None:
            turns.append(loop.turns)
            it.transport.sendto(b"again", it.transport.get_extra_info("sockname"))

        async with endpoint(Receiver(datagram_received=answer)) as it:
            it.send(b"start")
            await until(lambda: len(turns) > 10 * BATCH)
        taken = Counter(turns)
        assert max(taken.values()) == BATCH

    run(factory, main())


@every_loop
def test_receives_in_the_context_in_which_it_was_made(factory: Any) -> None:
    """Context variables are those of whoever made the endpoint."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def main() -> None:
        seen: list[str] = []
        variable.set("maker's")
        async with endpoint(Receiver(datagram_received=lambda it: seen.append(variable.get()))) as it:
            variable.set("later")
            it.send(b"1")
            await until(lambda: seen)
            assert seen == ["maker's"]

    run(factory, main())


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(["nothing", "call_soon", "pause", "raise", "task"]), st.integers(0, 3)),
        max_size=45,
    )
)
@our_loops
def test_any_reactions_leave_order_and_number(factory: Any, reactions: list[tuple[str, int]]) -> None:
    """Whatever the protocol does with each datagram, all come, each once, in order, and never while paused."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)
        paused = False
        wrong: list[int] = []

        def resume() -> None:
            nonlocal paused
            paused = False
            it.transport.resume_reading()

        def react(protocol: Receiver) -> None:
            nonlocal paused
            what, delay = reactions[int(protocol.data[-1])]
            if paused:
                wrong.append(len(protocol.data))
            if what == "call_soon":
                loop.call_soon(int)
            elif what == "task":
                loop.create_task(asyncio.sleep(0))
            elif what == "raise":
                raise ZeroDivisionError
            elif what == "pause":
                paused = True
                protocol.transport.pause_reading()
                loop.call_later(delay / 5000, resume)

        async with endpoint(Receiver(datagram_received=react)) as it:
            it.send(*(b"%d" % number for number in range(len(reactions))))
            await until(lambda: len(it.protocol.received) >= len(reactions))
            assert it.protocol.data == [b"%d" % number for number in range(len(reactions))]
            assert wrong == []

    run(factory, main())


# -- Sending


@every_loop
@pytest.mark.parametrize("data", [b"data", bytearray(b"data"), memoryview(b"data")])
def test_sends_at_once_what_is_like_bytes(factory: Any, data: Any) -> None:
    """sendto() has sent when it returns: bytes, a bytearray, or a memoryview."""

    async def main() -> None:
        async with endpoint() as it:
            it.transport.sendto(data, it.peer.getsockname())
            assert it.peer.recvfrom(100) == (b"data", it.address)

    run(factory, main())


@our_loops
def test_sends_memory_with_gaps(factory: Any) -> None:
    """A memoryview of every second byte is sent as the bytes that it shows."""

    async def main() -> None:
        async with endpoint() as it:
            it.transport.sendto(memoryview(b"xdxaxtxa")[1::2], it.peer.getsockname())
            assert it.peer.recv(100) == b"data"

    run(factory, main())


@every_loop
@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", pytest.param("::1", marks=ipv6)], ids=["numeric", "name", "ipv6"]
)
def test_addresses_that_sendto_takes(factory: Any, host: str) -> None:
    """Numeric addresses and names, as socket.sendto() takes them; IPv6 with and without its two further parts."""

    async def main() -> None:
        async with endpoint(host="::1" if ":" in host else "127.0.0.1") as it:
            port = it.peer.getsockname()[1]
            targets = [(host, port), (host, port, 0), (host, port, 0, 0)] if ":" in host else [(host, port)]
            for target in targets:
                it.transport.sendto(b"data", target)
                assert it.peer.recv(10) == b"data"
            assert it.protocol.calls == [("connection_made",)]

    run(factory, main())


@every_loop
def test_connected_endpoint_sends_to_its_peer(factory: Any) -> None:
    """With remote_addr, sendto() needs no address, and takes the peer's."""

    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(10)
            async with endpoint(remote_addr=peer.getsockname()) as it:
                it.transport.sendto(b"one")
                it.transport.sendto(b"two", peer.getsockname())
                assert [peer.recv(10), peer.recv(10)] == [b"one", b"two"]
                assert it.transport.get_extra_info("peername") == peer.getsockname()

    run(factory, main())


@our_loops
def test_socketpair_of_datagrams(factory: Any) -> None:
    """One end of socket.socketpair() sends to the other, although neither has a name."""

    async def main() -> None:
        ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with peer:
            async with endpoint(sock=ours) as it:
                it.transport.sendto(b"there")
                assert peer.recv(10) == b"there"
                peer.sendall(b"back")
                await until(lambda: it.protocol.received == [(b"back", None)])

    run(factory, main())


@every_loop
def test_empty_datagram(factory: Any) -> None:
    """From Python 3.13 on a datagram without content is sent; before, it is ignored."""

    async def main() -> None:
        async with endpoint() as it:
            it.transport.sendto(b"", it.peer.getsockname())
            it.transport.sendto(b"end", it.peer.getsockname())
            expected = [b"", b"end"] if sys.version_info >= (3, 13) else [b"end"]
            assert [it.peer.recv(10) for _ in expected] == expected

    run(factory, main())


@every_loop
def test_waits_while_the_socket_takes_nothing(factory: Any) -> None:
    """What the socket does not take is buffered, in order, with pause_writing() and resume_writing() at the marks."""

    async def main() -> None:
        async with unix_pair() as it:
            it.transport.set_write_buffer_limits(high=3000)
            taken = fill(it.transport)
            assert it.protocol.calls == [("connection_made",)]
            for number in range(4):
                it.transport.sendto(b"%06d" % (taken + 1 + number) + bytes(994))
            assert it.protocol.calls == [("connection_made",), ("pause_writing",)]
            it.peer.setblocking(False)
            received: list[bytes] = []
            while len(received) < taken + 5:
                received.append(await asyncio.get_running_loop().sock_recv(it.peer, 2000))
            assert received == [b"%06d" % number + bytes(994) for number in range(taken + 5)]
            await until(lambda: it.protocol.calls[2:] == [("resume_writing",)])

    run(factory, main())


@our_loops
def test_buffer_size_counts_as_this_python_does(factory: Any) -> None:
    """From Python 3.13 on each buffered datagram counts 8 bytes more, and leaves as much as it came with."""

    async def main() -> None:
        header = 8 if sys.version_info >= (3, 13) else 0
        async with unix_pair() as it:
            taken = fill(it.transport)
            it.transport.sendto(bytes(10))
            assert it.transport.get_write_buffer_size() == 1010 + 2 * header
            it.peer.setblocking(False)
            for _ in range(taken + 2):
                await asyncio.get_running_loop().sock_recv(it.peer, 2000)
            await until(lambda: it.transport.get_write_buffer_size() == 0)

    run(factory, main())


@every_loop
def test_buffered_data_may_change_afterwards(factory: Any) -> None:
    """What was passed to sendto() may be changed at once, also if it has to wait."""

    async def main() -> None:
        async with unix_pair() as it:
            taken = fill(it.transport)
            data = bytearray(b"as it was")
            it.transport.sendto(data)
            data[:] = b"different"
            it.peer.setblocking(False)
            received = [await asyncio.get_running_loop().sock_recv(it.peer, 2000) for _ in range(taken + 2)]
            assert received[-1] == b"as it was"

    run(factory, main())


# -- The end


@every_loop
def test_close_sends_what_is_buffered(factory: Any) -> None:
    """close() lets everything go out before connection_lost(None), also what is sent after it."""

    async def main() -> None:
        async with unix_pair() as it:
            taken = fill(it.transport)
            it.transport.close()
            it.transport.sendto(b"last")
            await asyncio.sleep(0.01)
            assert not it.protocol.lost.done()
            it.peer.setblocking(False)
            received = [await asyncio.get_running_loop().sock_recv(it.peer, 2000) for _ in range(taken + 2)]
            assert received[-1] == b"last"
            assert await it.protocol.lost is None

    run(factory, main())


@every_loop
def test_abort_drops_what_is_buffered(factory: Any) -> None:
    """abort() closes at once; connection_lost(None) comes in the next turn."""

    async def main() -> None:
        async with unix_pair() as it:
            taken = fill(it.transport)
            it.transport.abort()
            assert not it.protocol.lost.done()
            assert await it.protocol.lost is None
            assert len([it.peer.recv(2000) for _ in range(taken)]) == taken
            it.peer.setblocking(False)
            with pytest.raises(BlockingIOError):
                it.peer.recv(2000)

    run(factory, main())


@every_loop
def test_closing_twice(factory: Any) -> None:
    """connection_lost() is called once, however often and in whichever way the endpoint is closed."""

    async def main() -> None:
        async with endpoint() as it:
            it.transport.close()
            it.transport.close()
            it.transport.abort()
            await it.protocol.lost
            it.transport.close()
            assert it.protocol.calls == [("connection_made",), ("connection_lost", type(None))]

    run(factory, main())


@every_loop
def test_closed_in_connection_made(factory: Any) -> None:
    """A protocol that closes at once receives nothing, and the descriptor is not watched."""

    async def main() -> None:
        async with endpoint(Receiver(connection_made=lambda it: it.transport.close())) as it:
            assert await it.protocol.lost is None
            assert it.protocol.calls == [("connection_made",), ("connection_lost", type(None))]

    run(factory, main())


@our_loops
def test_is_what_programs_ask_for(factory: Any) -> None:
    """isinstance() holds for asyncio.DatagramTransport and asyncio.Transport, on every Python."""

    async def main() -> None:
        async with endpoint() as it:
            assert isinstance(it.transport, asyncio.DatagramTransport)
            assert isinstance(it.transport, asyncio.Transport)
            assert it.transport.get_protocol() is it.protocol
            other = Receiver()
            it.transport.set_protocol(other)
            it.send(b"to the other")
            await until(lambda: other.received)

    run(factory, main())


@every_loop
def test_extra_info(factory: Any) -> None:
    """socket, sockname and peername are told; anything else is the default."""

    async def main() -> None:
        async with endpoint() as it:
            assert it.transport.get_extra_info("socket").getsockname() == it.address
            assert it.transport.get_extra_info("peername") is None
            assert it.transport.get_extra_info("nonsense", 5) == 5

    run(factory, main())


@every_loop
def test_repr(factory: Any) -> None:
    """The repr tells descriptor and state in asyncio's words."""

    async def main() -> None:
        async with unix_pair() as it:
            fd = it.transport.get_extra_info("socket").fileno()
            await asyncio.sleep(0)
            name = "_SelectorDatagramTransport" if factory not in OURS else "DatagramTransport"
            assert repr(it.transport) == f"<{name} fd={fd} read=polling write=<idle, bufsize=0>>"
            fill(it.transport)
            it.transport.close()
            assert re.fullmatch(rf"<{name} closing fd={fd} read=idle write=<polling, bufsize=\d+>>", repr(it.transport))
            it.transport.abort()
            await it.protocol.lost
            assert repr(it.transport) == f"<{name} closed fd={fd}>"

    run(factory, main())


@every_loop
def test_forgotten_endpoint_warns_and_closes(factory: Any) -> None:
    """An endpoint that nobody closed warns when it is collected with its loop."""

    async def main() -> None:
        await asyncio.get_running_loop().create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(factory, main())
        gc.collect()
    assert [str(w.message)[:20] for w in caught if "transport" in str(w.message)] == ["unclosed transport <"]


@our_loops
def test_endpoint_can_be_faked_by_tests(factory: Any) -> None:
    """Attributes can be set on a transport, as tests with mocks do."""

    async def main() -> None:
        async with endpoint() as it:
            it.transport.sendto = lambda *arguments: arguments
            assert it.transport.sendto(b"x") == (b"x",)

    run(factory, main())


@our_loops
def test_descriptor_of_an_endpoint_cannot_be_watched_by_others(factory: Any) -> None:
    """loop.add_reader() on it raises, as with asyncio."""

    async def main() -> None:
        async with endpoint() as it:
            fd = it.transport.get_extra_info("socket").fileno()
            with pytest.raises(RuntimeError, match="is used by transport"):
                asyncio.get_running_loop().add_reader(fd, print)

    run(factory, main())
