"""Datagram endpoints when something is wrong: what the caller is told, what the protocol, and what the loop reports."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import sys
from typing import Any

import pytest

from tests.leftovers import no_new_descriptors

from .datagram_peers import Receiver, endpoint, fill, unix_pair
from .loops import EVERY, OURS, Reports, run
from .peers import until

every_loop = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
our_loops = pytest.mark.parametrize("factory", OURS, ids=lambda factory: factory.__name__)


class Failing(socket.socket):
    """A socket that fails in the ways that a test sets."""

    receiving: BaseException | None = None
    sending: BaseException | None = None

    def recvfrom(self, *arguments: Any) -> Any:
        failure, self.receiving = self.receiving, None
        if failure is not None:
            raise failure
        return super().recvfrom(*arguments)

    def sendto(self, *arguments: Any) -> Any:
        failure, self.sending = self.sending, None
        if failure is not None:
            raise failure
        return super().sendto(*arguments)

    def send(self, *arguments: Any) -> Any:
        failure, self.sending = self.sending, None
        if failure is not None:
            raise failure
        return super().send(*arguments)


def failing() -> Failing:
    sock = Failing(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return sock


@every_loop
@pytest.mark.parametrize("data", ["text", 5, None, [b"list"]])
def test_wrong_type(factory: Any, data: Any) -> None:
    """sendto() raises TypeError for what is not like bytes, naming what came."""

    async def main() -> None:
        async with endpoint() as it:
            with pytest.raises(
                TypeError, match=f"data argument must be a bytes-like object, not '{type(data).__name__}'"
            ):
                it.transport.sendto(data, it.peer.getsockname())
            assert not it.transport.is_closing()

    run(factory, main())


@every_loop
def test_another_address_than_the_peers(factory: Any) -> None:
    """sendto() of an endpoint with a remote address raises ValueError for any other."""

    async def main() -> None:
        async with endpoint(remote_addr=("127.0.0.1", 9)) as it:
            with pytest.raises(ValueError, match=r"Invalid address: must be None or \('127.0.0.1', 9\)"):
                it.transport.sendto(b"data", ("127.0.0.1", 10))

    run(factory, main())


@every_loop
@pytest.mark.parametrize(
    "address",
    [None, "127.0.0.1", ("127.0.0.1",), ("127.0.0.1", "port"), ("127.0.0.1", 65536), (5, 5), ("127.0.0.1", 5, 0)],
    ids=str,
)
def test_wrong_address_closes_as_with_asyncio(factory: Any, address: Any) -> None:
    """An address that the socket module refuses is reported, and the endpoint closes with the error."""

    async def main() -> None:
        async with endpoint() as it:
            reports = Reports(asyncio.get_running_loop())
            it.transport.sendto(b"data", address)
            assert type(await it.protocol.lost) in (TypeError, OverflowError)
            assert reports.messages == ["Fatal write error on datagram transport"]

    run(factory, main())


@every_loop
@pytest.mark.parametrize("address", [("::1", 5), ("127.0.0.1\0x", 5), ("ä" * 70, 5)], ids=["ipv6", "nul", "name"])
def test_addresses_only_nearly_right(factory: Any, address: Any) -> None:
    """What the kernel or the resolver refuses reaches the protocol, as asyncio has it, and never another host."""

    async def outcome() -> Any:
        async with endpoint() as it:
            Reports(asyncio.get_running_loop())
            it.transport.sendto(b"data", address)
            await asyncio.sleep(0)
            return it.protocol.calls

    assert run(factory, outcome()) == run(EVERY[-1], outcome())


@every_loop
def test_nobody_listens(factory: Any) -> None:
    """ECONNREFUSED reaches error_received(), and the endpoint goes on."""

    async def main() -> None:
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.bind(("127.0.0.1", 0))
        async with endpoint(remote_addr=peer.getsockname()) as it:
            peer.close()  # Not before: the endpoint might get its port.
            it.transport.sendto(b"data")
            await until(lambda: len(it.protocol.calls) > 1)
            assert it.protocol.calls[1:] == [("error_received", ConnectionRefusedError)]
            assert not it.transport.is_closing()

    run(factory, main())


@every_loop
def test_refusal_among_datagrams(factory: Any) -> None:
    """A refusal comes in its place; what arrived is not lost by it."""

    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            async with endpoint(remote_addr=peer.getsockname()) as it:
                for number in range(3):
                    peer.sendto(b"%d" % number, it.address)
                peer.close()
                it.transport.sendto(b"data")
                await until(lambda: len(it.protocol.calls) == 5)
                assert sorted(map(str, it.protocol.calls[1:])) == [
                    "('datagram_received', b'0')",
                    "('datagram_received', b'1')",
                    "('datagram_received', b'2')",
                    "('error_received', <class 'ConnectionRefusedError'>)",
                ]
                assert it.protocol.data == [b"0", b"1", b"2"]

    run(factory, main())


@every_loop
def test_too_large(factory: Any) -> None:
    """EMSGSIZE reaches error_received() before sendto() returns."""

    async def main() -> None:
        async with endpoint() as it:
            it.transport.sendto(bytes(70_000), it.peer.getsockname())
            assert it.protocol.calls == [("connection_made",), ("error_received", OSError)]
            it.transport.sendto(b"small", it.peer.getsockname())
            assert it.peer.recv(10) == b"small"

    run(factory, main())


@every_loop
@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.EPERM, errno.ENETUNREACH], ids=errno.errorcode.get)
def test_errors_of_the_kernel_reach_the_protocol(factory: Any, number: int) -> None:
    """Whatever the kernel says of sending or receiving, error_received() gets it and the endpoint goes on."""

    async def main() -> None:
        sock = failing()
        async with endpoint(sock=sock) as it:
            sock.sending = OSError(number, os.strerror(number))
            it.transport.sendto(b"lost", it.peer.getsockname())
            expected = ("error_received", type(OSError(number, "")))
            assert it.protocol.calls[1:] == [expected]
            sock.receiving = OSError(number, os.strerror(number))
            it.send(b"arrives later")
            await until(lambda: it.protocol.received)
            assert it.protocol.calls[1:] == [expected, expected, ("datagram_received", b"arrives later")]

    run(factory, main())


@every_loop
def test_interrupted(factory: Any) -> None:
    """EINTR is no error: what was to be sent or received comes a little later."""

    async def main() -> None:
        sock = failing()
        async with endpoint(sock=sock) as it:
            sock.sending = InterruptedError(errno.EINTR, "")
            it.transport.sendto(b"sent", it.peer.getsockname())
            sock.receiving = InterruptedError(errno.EINTR, "")
            it.send(b"received")
            await until(lambda: it.protocol.received)
            assert await asyncio.get_running_loop().run_in_executor(None, it.peer.recv, 10) == b"sent"
            assert it.protocol.calls == [("connection_made",), ("datagram_received", b"received")]

    run(factory, main())


@every_loop
def test_receiving_fails_otherwise(factory: Any) -> None:
    """What is no OSError is reported, and closes the endpoint."""

    async def main() -> None:
        sock = failing()
        async with endpoint(sock=sock) as it:
            reports = Reports(asyncio.get_running_loop())
            sock.receiving = ZeroDivisionError()
            it.send(b"data")
            assert type(await it.protocol.lost) is ZeroDivisionError
            assert reports.messages == ["Fatal read error on datagram transport"]

    run(factory, main())


@every_loop
def test_error_while_sending_what_was_buffered(factory: Any) -> None:
    """A datagram of the buffer that the kernel refuses is told of and dropped; the others follow."""

    async def main() -> None:
        sock = failing()
        async with endpoint(sock=sock) as it:
            sock.sending = BlockingIOError(errno.EAGAIN, "")
            for data in (b"1", b"2", b"3"):
                it.transport.sendto(data, it.peer.getsockname())
            assert it.transport.get_write_buffer_size()
            sock.sending = OSError(errno.ENOBUFS, "")
            it.transport.close()
            await it.protocol.lost
            assert [it.peer.recv(10), it.peer.recv(10)] == [b"2", b"3"]
            assert it.protocol.calls[1:] == [("error_received", OSError), ("connection_lost", type(None))]

    run(factory, main())


@our_loops
def test_sending_what_was_buffered_fails_otherwise(factory: Any) -> None:
    """What is no OSError is reported, once (asyncio stumbles over its own report), and closes the endpoint."""

    async def main() -> None:
        sock = failing()
        async with endpoint(sock=sock) as it:
            reports = Reports(asyncio.get_running_loop())
            sock.sending = BlockingIOError(errno.EAGAIN, "")
            it.transport.sendto(b"1", it.peer.getsockname())
            sock.sending = ZeroDivisionError()
            assert type(await it.protocol.lost) is ZeroDivisionError
            assert reports.messages == ["Fatal write error on datagram transport"]

    run(factory, main())


# -- Protocols that fail


@every_loop
@pytest.mark.parametrize("method", ["connection_made", "connection_lost"])
def test_failing_protocol_is_reported(factory: Any, method: str) -> None:
    """What connection_made() or connection_lost() raises is reported; the endpoint is closed all the same."""

    async def main() -> None:
        reports = Reports(asyncio.get_running_loop())
        async with endpoint(Receiver(**{method: ZeroDivisionError()})) as it:
            it.transport.close()
            await it.protocol.lost
            await asyncio.sleep(0)
            assert it.transport.get_extra_info("socket").fileno() == -1
            assert [type(context["exception"]) for context in reports.contexts] == [ZeroDivisionError]

    run(factory, main())


@every_loop
def test_failing_datagram_received_goes_on(factory: Any) -> None:
    """What datagram_received() raises is reported each time, and nothing is lost."""

    async def main() -> None:
        reports = Reports(asyncio.get_running_loop())
        async with endpoint(Receiver(datagram_received=ZeroDivisionError())) as it:
            it.send(b"1", b"2", b"3")
            await until(lambda: len(it.protocol.received) == 3)
            assert [type(context["exception"]) for context in reports.contexts] == [ZeroDivisionError] * 3
            assert all(message.startswith("Exception in callback") for message in reports.messages)
            assert not it.transport.is_closing()

    run(factory, main())


@every_loop
def test_failing_error_received_is_the_callers(factory: Any) -> None:
    """What error_received() raises comes out of the sendto() that called it."""

    async def main() -> None:
        async with endpoint(Receiver(error_received=ZeroDivisionError())) as it:
            with pytest.raises(ZeroDivisionError):
                it.transport.sendto(bytes(70_000), it.peer.getsockname())

    run(factory, main())


@every_loop
@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_interrupted_in_the_middle(factory: Any, interruption: Any) -> None:
    """Ctrl-C in datagram_received() ends the run; the datagrams after it are handed over when the loop runs again."""
    loop = factory()

    def react(it: Receiver) -> None:
        if it.data[-1] == b"2":
            raise interruption

    async def make() -> Any:
        return await loop.create_datagram_endpoint(
            lambda: Receiver(datagram_received=react), local_addr=("127.0.0.1", 0)
        )

    try:
        transport, protocol = loop.run_until_complete(make())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            for number in range(1, 6):
                peer.sendto(b"%d" % number, transport.get_extra_info("sockname"))
        with pytest.raises(interruption):
            loop.run_forever()
        assert protocol.data == [b"1", b"2"]
        loop.run_until_complete(until(lambda: len(protocol.received) == 5))
        assert protocol.data == [b"1", b"2", b"3", b"4", b"5"]
        transport.close()
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()


@our_loops  # asyncio of Python 3.13.0 counts up for each buffered datagram, never down, and does not resume
@pytest.mark.parametrize("method", ["pause_writing", "resume_writing"])
def test_failing_flow_control_is_reported(factory: Any, method: str) -> None:
    """What pause_writing() or resume_writing() raises is reported; sending goes on."""

    async def main() -> None:
        reports = Reports(asyncio.get_running_loop())
        async with unix_pair(Receiver(**{method: ZeroDivisionError()})) as it:
            it.transport.set_write_buffer_limits(high=0)
            taken = fill(it.transport)
            it.peer.setblocking(False)
            for _ in range(taken + 1):
                await asyncio.get_running_loop().sock_recv(it.peer, 2000)
            await until(lambda: ("resume_writing",) in it.protocol.calls)
            await asyncio.sleep(0)
            assert reports.messages == [f"protocol.{method}() failed"]

    run(factory, main())


# -- After the end


@every_loop
def test_sending_after_the_end_warns_from_the_fifth_time_on(factory: Any, caplog: pytest.LogCaptureFixture) -> None:
    """An endpoint with a remote address drops what is sent after its end, and logs a warning when that goes on."""

    async def main() -> None:
        async with endpoint(remote_addr=("127.0.0.1", 9)) as it:
            it.transport.close()
            await it.protocol.lost
            for _ in range(7):
                it.transport.sendto(b"data")

    run(factory, main())
    warnings = [it.message for it in caplog.records if it.name == "asyncio" and it.levelname == "WARNING"]
    assert warnings == ["socket.send() raised exception."] * 3


@our_loops
def test_unconnected_endpoint_drops_what_is_sent_after_its_end(factory: Any) -> None:
    """No error comes of it, as little as of a connected one."""

    async def main() -> None:
        async with endpoint() as it:
            it.transport.close()
            await it.protocol.lost
            for _ in range(3):
                it.transport.sendto(b"data", it.peer.getsockname())

    run(factory, main())


@our_loops
def test_aborted_while_buffered_sends_wait(factory: Any) -> None:
    """error_received() may abort: nothing of the buffer is sent then."""

    async def main() -> None:
        sock = failing()
        async with endpoint(Receiver(error_received=lambda it: it.transport.abort()), sock=sock) as it:
            sock.sending = BlockingIOError(errno.EAGAIN, "")
            for data in (b"1", b"2"):
                it.transport.sendto(data, it.peer.getsockname())
            sock.sending = OSError(errno.ENOBUFS, "")
            assert await it.protocol.lost is None
            it.peer.setblocking(False)
            with pytest.raises(BlockingIOError):
                it.peer.recv(10)

    run(factory, main())


@our_loops
def test_nothing_waits_on_an_endpoint_about_to_close(factory: Any) -> None:
    """What an unconnected endpoint can't send between close() and connection_lost() is dropped."""

    async def main() -> None:
        sock = failing()
        async with endpoint(sock=sock) as it:
            it.transport.close()
            it.transport.sendto(b"still sent", it.peer.getsockname())
            assert it.peer.recv(20) == b"still sent"
            sock.sending = BlockingIOError(errno.EAGAIN, "")
            it.transport.sendto(b"dropped", it.peer.getsockname())
            assert it.transport.get_write_buffer_size() == 0
            assert await it.protocol.lost is None

    run(factory, main())


# -- Leaks


@pytest.mark.slow
@our_loops
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts descriptors in /proc, which only Linux has")
def test_ten_thousand_endpoints_leave_nothing(factory: Any) -> None:
    """Neither descriptors nor objects are left of endpoints that were opened, used and closed."""

    async def once(count: int) -> None:
        for number in range(count):
            protocol = Receiver(
                datagram_received=lambda it: it.transport.pause_reading() if len(it.data) == 1 else None
            )
            async with endpoint(protocol) as it:
                it.send(b"1", b"2", b"3")
                it.transport.sendto(b"data", it.peer.getsockname())
                if number % 2:
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)

    def counted() -> int:
        gc.collect()
        return len(gc.get_objects())

    async def main() -> None:
        await once(100)
        before = counted()
        with no_new_descriptors():
            await once(10_000)
        assert counted() - before < 200

    run(factory, main(), 120)
