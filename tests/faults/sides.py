"""One connection in one world, and everything that can be done to it, by name: what the state machines are made of."""

from __future__ import annotations

import contextlib
import random
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from .worlds import Buffered, Peer, Plain, Told, World, arrived, in_flight, socket_pair

#: Small: a few of them never fill the kernel's buffers.  Huge: more than the kernel takes, whatever was there before.
SMALL = [0, 1, 2, 100, 3000]
HUGE = 1_000_000


#: Bytes that differ from place to place, so that a piece that is lost, doubled or moved is seen.
_PATTERN = random.Random(1).randbytes(1_200_001)


def pattern(offset: int, size: int) -> bytes:
    """*size* bytes of a stream, from *offset* on."""
    start = offset % 200_001
    return _PATTERN[start : start + size]


Operation = tuple[Any, ...]


class Side:
    """A transport with its protocol, and the socket at the other end."""

    def __init__(self, world: World, family: str) -> None:
        self.world = world
        self.diary = world.diary
        ours, theirs = socket_pair(family)
        self.ours = ours
        self.peer = self.make_peer(theirs)
        self.protocol: Told = Plain(world.diary)
        self.sent = self.came = 0
        #: Aborted with data unsent: how much of it the kernel had taken before is its own affair.
        self.cut = False
        self.transport = self.connect(ours)

    def make_peer(self, theirs: socket.socket) -> Peer:
        return Peer(theirs)

    def connect(self, ours: socket.socket) -> Any:
        transport, _ = self.world.run(self.world.loop.create_connection(lambda: self.protocol, sock=ours))
        return transport

    # -- What the application does, in a turn of the loop

    def data(self, size: int, kind: str = "bytes") -> Any:
        data = pattern(self.sent, size)
        self.sent += size
        return {"bytes": bytes, "bytearray": bytearray, "memoryview": memoryview}[kind](data)

    def write(self, size: int, kind: str = "bytes") -> None:
        data = self.data(size, kind)
        try:
            self.transport.write(data)
        finally:
            if kind == "bytearray":
                data[:] = bytes(len(data))  # It is ours again.

    def writelines(self, sizes: tuple[int, ...]) -> None:
        pieces = [self.data(size) for size in sizes]
        if self.world.name == "stock" and sys.version_info >= (3, 12):
            # asyncio's own neither pauses the protocol nor knows of a closing transport on some of its versions: what
            # it is said to do is this.
            self.transport.write(b"".join(pieces))
        else:
            self.transport.writelines(pieces)

    def write_wrong(self, what: Any) -> None:
        self.transport.write(what)

    def limits(self, high: int | None, low: int | None) -> None:
        self.transport.set_write_buffer_limits(high, low)

    def pause_reading(self) -> None:
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        self.transport.resume_reading()

    def write_eof(self) -> None:
        self.transport.write_eof()

    def close(self) -> None:
        self.transport.close()

    def abort(self) -> None:
        self.cut = self.cut or (not self.lost and self.is_buffering())
        self.transport.abort()

    def set_protocol(self, kind: str) -> None:
        before = self.protocol
        self.protocol = Buffered(self.diary) if kind == "buffered" else Plain(self.diary)
        self.protocol.transport = self.transport
        self.protocol.reactions = before.reactions
        self.transport.set_protocol(self.protocol)

    def is_buffering(self) -> bool:
        return bool(self.transport.get_write_buffer_size() > 0)

    def fail(self) -> None:
        raise ZeroDivisionError("a protocol that fails")

    def keep_open(self) -> bool:
        return True

    def perform(self, operation: Operation) -> Any:
        name, *arguments = operation
        return getattr(self, name)(*arguments)

    def react(self, callback: str, operation: Operation) -> None:
        """At the next call of *callback* the protocol does *operation*."""

        def reaction(_: Any) -> Any:
            if operation[0] in ("fail", "keep_open"):
                return self.perform(operation)
            self.world.attempt(lambda: self.perform(operation))
            return None

        self.protocol.reactions.setdefault(callback, []).append(reaction)

    # -- What is seen

    def state(self) -> dict[str, Any]:
        """What can be asked of the transport at any time."""
        transport = self.transport

        def asked(question: Callable[[], Any]) -> Any:
            try:
                return question()
            except Exception as error:
                return type(error).__name__

        lost = self.lost
        return {
            "closing": asked(transport.is_closing),
            "reading": asked(transport.is_reading),
            "limits": asked(transport.get_write_buffer_limits),
            "buffering": None if lost else asked(self.is_buffering),
            "protocol": None if lost else asked(lambda: transport.get_protocol() is self.protocol),
            "socket": asked(lambda: transport.get_extra_info("socket").fileno() >= 0),
            "diary": self.diary.entries,
            "peer received": None if self.cut else bytes(self.peer.received),
            "peer end": self.peer.end,
        }

    @property
    def lost(self) -> bool:
        return self.diary.count("connection_lost") > 0

    # -- What the peer does, while the loop stands still

    def peer_reads(self, most: int) -> None:
        if self.under_way():
            arrived(self.peer.socket.fileno(), 0.2)
        self.peer.read(most)

    def peer_reads_all(self) -> None:
        """Read, and let the loop send more, until nothing comes any more."""
        quiet = 0
        deadline = time.monotonic() + 5
        while quiet < 3:
            quiet = 0 if self.peer.read() else quiet + 1
            if quiet and self.under_way() and time.monotonic() < deadline:
                arrived(self.peer.socket.fileno(), 0.01)
                quiet = 0
            self.world.turns(3)

    def under_way(self) -> bool:
        """Whether the kernel still has something for the peer."""
        if not self.peer.open or self.peer.end is not None:
            return False
        if self.ours.fileno() < 0:
            return True  # At least the end.
        return in_flight(self.ours, self.peer.socket)

    def peer_sends(self, size: int) -> None:
        count = self.peer.send(pattern(self.came, size))
        self.came += count
        self.diary.note("peer sent", count)
        self.wait()

    def peer_shuts_down(self) -> None:
        self.peer.shutdown()
        self.wait()

    def peer_closes(self) -> None:
        self.peer.close()
        self.wait()

    def peer_resets(self) -> None:
        self.peer.reset()
        self.wait()

    def wait(self) -> None:
        """What was sent is here: loopback is at once, but not on a machine that is busy."""
        if self.ours.fileno() >= 0:
            arrived(self.ours.fileno())

    # -- The end

    def finish(self) -> None:
        if not self.lost:
            # asyncio's own transport cannot be aborted any more once it is lost.
            self.world.call(self.abort)
        self.world.turns()
        self.peer_reads_all()
        self.peer.close()
        with contextlib.suppress(OSError):
            self.ours.close()
