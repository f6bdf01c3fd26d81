"""Traffic of one kind while system calls fail; prints what came of it as JSON.  Both ends are on one loop.

faulty_traffic.py LOOP KIND SEED CALL:ERROR:PERMILLE... with the library of ``shim.c`` preloaded; ERROR is a name of
`errno`, or SHORT.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import gc
import json
import os
import random
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hocket

CONNECTIONS = 12
RESULT: dict[str, Any] = {"reports": [], "lost": [], "signals": 0}


class Shim:
    """The preloaded library."""

    def __init__(self, seed: int, rules: list[str]) -> None:
        self.library = ctypes.CDLL(os.environ["LD_PRELOAD"].split()[-1])
        self.library.faults_hits.restype = ctypes.c_long
        self.library.faults_seed(ctypes.c_ulong(seed))
        self.rules = rules

    def arm(self) -> None:
        for rule in self.rules:
            call, error, permille = rule.split(":")
            number = -1 if error == "SHORT" else getattr(errno, error)
            self.library.faults_rule(call.encode(), ctypes.c_int(number), ctypes.c_int(int(permille)))

    def disarm(self) -> None:
        RESULT["hits"] = {rule: int(self.library.faults_hits(n)) for n, rule in enumerate(self.rules)}
        self.library.faults_clear()


class Half(asyncio.Protocol):
    """Sends *outgoing*, then ends its half of the stream if it can; collects what comes."""

    def __init__(self, outgoing: bytes) -> None:
        self.outgoing = outgoing
        self.data = bytearray()
        self.lost = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        RESULT["made"] = RESULT.get("made", 0) + 1
        for start in range(0, len(self.outgoing), 7001):
            transport.write(self.outgoing[start : start + 7001])
        self.ending()

    def ending(self) -> None:
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def data_received(self, data: bytes) -> None:
        self.data += data
        if not self.transport.can_write_eof() and len(self.data) == SIZE:
            self.transport.close()

    def eof_received(self) -> bool:
        # What we have to say may not be said yet: close() has it written first.
        self.transport.close()
        return self.transport.can_write_eof()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost += 1
        RESULT["lost"].append(
            None if exc is None else errno.errorcode.get(getattr(exc, "errno", 0), type(exc).__name__)
        )


SIZE = 300_000


async def streams(kind: str) -> None:
    """Both ends send, and both must receive everything; or be told that the connection is lost."""
    loop = asyncio.get_running_loop()
    chance = random.Random(1)
    halves: list[Half] = []

    def half() -> Half:
        halves.append(Half(chance.randbytes(SIZE)))
        return halves[-1]

    options: dict[str, Any] = {}
    client_options: dict[str, Any] = {}
    if kind == "tls":
        from tests.faults.certificates import contexts

        client, server_context = contexts("1.3")
        options = {"ssl": server_context, "ssl_handshake_timeout": 20, "ssl_shutdown_timeout": 6}
        client_options = {
            "ssl": client,
            "server_hostname": "localhost",
            "ssl_handshake_timeout": 20,
            "ssl_shutdown_timeout": 6,
        }
    if kind == "unix":
        path = os.path.join(tempfile.mkdtemp(), "socket")
        server = await loop.create_unix_server(half, path)
    else:
        server = await loop.create_server(half, "127.0.0.1", 0, **options)
        port = server.sockets[0].getsockname()[1]
    SHIM.arm()

    async def connect() -> None:
        try:
            if kind == "unix":
                await loop.create_unix_connection(half, path)
            else:
                await loop.create_connection(half, "127.0.0.1", port, **client_options)
        except OSError as error:
            RESULT.setdefault("refused", []).append(type(error).__name__)

    await asyncio.gather(*(connect() for _ in range(CONNECTIONS)))
    # A server whose handshake has failed has made its protocol, which is never told anything.
    deadline = loop.time() + PATIENCE
    quiet = 0
    while quiet < 20 and loop.time() < deadline:
        await asyncio.sleep(0.01)
        quiet = quiet + 1 if all(half.lost or not hasattr(half, "transport") for half in halves) else 0
    RESULT["in time"] = quiet >= 20
    SHIM.disarm()
    RESULT["ended by themselves"] = sum(half.lost > 0 for half in halves)
    RESULT["whole"] = sum(len(half.data) == SIZE for half in halves)
    sent = {bytes(half.outgoing) for half in halves}
    RESULT["wrong"] = sum(not any(out.startswith(half.data) for out in sent) for half in halves)
    for half in halves:
        if not half.lost and hasattr(half, "transport"):
            half.transport.abort()
    await asyncio.sleep(0.05)
    RESULT["halves"] = sum(hasattr(half, "transport") for half in halves)
    RESULT["lost twice"] = sum(half.lost > 1 for half in halves)
    RESULT["never lost"] = sum(half.lost == 0 and hasattr(half, "transport") for half in halves)
    server.close()
    await asyncio.wait_for(server.wait_closed(), 10)
    if kind == "unix":
        os.path.exists(path) and os.unlink(path)
        os.rmdir(os.path.dirname(path))


async def sock_calls(kind: str) -> None:
    """The loop's own calls on sockets, and a file that is sent."""
    loop = asyncio.get_running_loop()
    data = random.Random(2).randbytes(SIZE)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    SHIM.arm()
    RESULT["whole"] = RESULT["failed"] = 0

    async def pair() -> None:
        sender = socket.socket()
        sender.setblocking(False)
        accepting = asyncio.ensure_future(loop.sock_accept(listener))
        try:
            await loop.sock_connect(sender, listener.getsockname())
            receiver, _ = await accepting
            receiver.setblocking(False)
            with receiver, tempfile.TemporaryFile() as file:
                file.write(data)
                file.seek(0)

                async def send() -> None:
                    if kind == "sendfile":
                        await loop.sock_sendfile(sender, file)
                    else:
                        await loop.sock_sendall(sender, data)
                    sender.shutdown(socket.SHUT_WR)

                async def receive() -> bytes:
                    received = bytearray()
                    while piece := await loop.sock_recv(receiver, 50_000):
                        received += piece
                    return bytes(received)

                _, received = await asyncio.wait_for(asyncio.gather(send(), receive()), PATIENCE)
                assert received == data
                RESULT["whole"] += 1
        except OSError as error:
            RESULT["failed"] += 1
            RESULT["lost"].append(errno.errorcode.get(error.errno or 0, type(error).__name__))
        finally:
            accepting.cancel()
            with contextlib.suppress(BaseException):
                (await accepting)[0].close()
            sender.close()

    for _ in range(CONNECTIONS):
        await pair()
    SHIM.disarm()
    listener.close()


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.errors: list[str] = []
        self.lost: list[str | None] = []

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.got.append(data)

    def error_received(self, exc: Exception) -> None:
        self.errors.append(errno.errorcode.get(getattr(exc, "errno", 0), type(exc).__name__))

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.append(None if exc is None else errno.errorcode.get(getattr(exc, "errno", 0), type(exc).__name__))


async def datagrams(kind: str) -> None:
    """What is received is what was sent, whole and in order; what is refused is reported."""
    loop = asyncio.get_running_loop()
    receiver, there = await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0))
    address = receiver.get_extra_info("sockname")
    sender, here = await loop.create_datagram_endpoint(
        Datagrams, **({"remote_addr": address} if kind == "connected" else {"local_addr": ("127.0.0.1", 0)})
    )
    SHIM.arm()
    sent = [b"%d " % number * (number % 50 + 1) for number in range(2000)]
    for number, datagram in enumerate(sent):
        sender.sendto(datagram, None if kind == "connected" else address)
        if number % 20 == 19:
            # No more than the socket's buffer holds; some may have been refused.
            quiet = 0
            while quiet < 30:
                before = len(there.got)
                await asyncio.sleep(0)
                quiet = quiet + 1 if len(there.got) == before else 0
    quiet, begun = 0, loop.time()
    while (quiet < 100 or loop.time() < begun + 1.0) and len(there.got) < len(sent):
        before = len(there.got)
        await asyncio.sleep(0.001)
        quiet, begun = (quiet + 1, begun) if len(there.got) == before else (0, loop.time())
    SHIM.disarm()
    numbers = [int(data.split()[0]) for data in there.got]
    RESULT["got"] = len(numbers)
    RESULT["sent"] = len(sent)
    RESULT["wrong"] = sum(data != sent[number] for number, data in zip(numbers, there.got, strict=True))
    RESULT["in order"] = numbers == sorted(set(numbers))
    RESULT["errors"] = here.errors + there.errors
    RESULT["buffered"] = sender.get_write_buffer_size()
    sender.abort()
    receiver.abort()
    await asyncio.sleep(0.01)
    RESULT["lost"] = here.lost + there.lost


class PipeReader(asyncio.Protocol):
    def __init__(self) -> None:
        self.data = bytearray()
        self.lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.set_result(exc)


async def pipes(kind: str) -> None:
    """Through a pipe comes what was written to it."""
    loop = asyncio.get_running_loop()
    data = random.Random(3).randbytes(SIZE)
    RESULT["whole"] = 0
    SHIM.arm()
    for _ in range(CONNECTIONS):
        read_end, write_end = os.pipe()
        reading, reader = await loop.connect_read_pipe(PipeReader, os.fdopen(read_end, "rb", 0))
        writing, writer = await loop.connect_write_pipe(PipeReader, os.fdopen(write_end, "wb", 0))
        for start in range(0, SIZE, 9001):
            writing.write(data[start : start + 9001])
        writing.close()
        done, _ = await asyncio.wait([reader.lost, writer.lost], timeout=PATIENCE)
        RESULT["lost"] += [
            None if exc is None else errno.errorcode.get(getattr(exc, "errno", 0), type(exc).__name__)
            for exc in (future.result() for future in done)
        ]
        RESULT["whole"] += reader.data == data
        RESULT["wrong"] = RESULT.get("wrong", 0) + (not data.startswith(reader.data))
        reading.close()
        if not writer.lost.done():
            writing.abort()
    SHIM.disarm()


KINDS: dict[str, Callable[[str], Any]] = {
    "tcp": streams,
    "unix": streams,
    "tls": streams,
    "sock": sock_calls,
    "sendfile": sock_calls,
    "udp": datagrams,
    "connected": datagrams,
    "pipes": pipes,
}


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def main(kind: str) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(
        lambda _, context: RESULT["reports"].append(
            [context["message"].partition("<")[0], str(context.get("exception"))]
        )
    )
    await loop.run_in_executor(None, gc.collect)
    if "alarm" in RULES:
        # Signals while it goes on: every blocking call is interrupted, again and again.
        def rang(*_: Any) -> None:
            RESULT["signals"] += 1

        signal.signal(signal.SIGALRM, rang)
        signal.setitimer(signal.ITIMER_REAL, 0.0007, 0.0007)
    before = open_descriptors()
    await KINDS[kind](kind)
    signal.setitimer(signal.ITIMER_REAL, 0)
    await asyncio.sleep(0.02)
    gc.collect()
    RESULT["descriptors left"] = open_descriptors() - before
    RESULT["tasks left"] = len(asyncio.all_tasks()) - 1


if __name__ == "__main__":
    LOOP, KIND, SEED, *RULES = sys.argv[1:]
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    PATIENCE = 30.0
    SHIM = Shim(int(SEED), [rule for rule in RULES if rule != "alarm"])
    with asyncio.Runner(
        loop_factory=hocket.new_event_loop if LOOP == "hocket" else asyncio.SelectorEventLoop
    ) as runner:
        runner.run(main(KIND))
    print(json.dumps(RESULT))
