"""The other end of a TLS session, with a fault in the wire at a chosen byte of a chosen direction."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from .worlds import Peer

#: How a stream is cut.  It can also be damaged (``flip``, ``insert``, ``drop`` of a byte), or fall silent (``stall``).
CUTS = ("fin", "close", "reset")


@dataclass(frozen=True)
class Fault:
    """At byte *position* of what the transport sends (``to_them``) or receives (``to_us``)."""

    kind: str = "none"
    direction: str = "to_us"
    position: int = 0


NO_FAULT = Fault()


class Wire:
    """Counts the bytes of both directions, and does to them what the fault says."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.passed = {"to_us": 0, "to_them": 0}
        self.happened = False

    def carry(self, direction: str, data: bytes) -> bytes:
        """What comes out of the wire for *data*; `happened` tells that the fault has come to pass."""
        fault = self.fault
        begin = self.passed[direction]
        self.passed[direction] += len(data)
        if direction != fault.direction or fault.kind == "none":
            return data
        at = fault.position - begin
        if at >= len(data):
            return data
        if self.happened:
            return data if fault.kind in ("flip", "insert", "drop") else b""
        self.happened = True
        at = max(at, 0)
        if fault.kind == "flip":
            return data[:at] + bytes([data[at] ^ (1 << fault.position % 8)]) + data[at + 1 :]
        if fault.kind == "insert":
            return data[:at] + bytes([fault.position * 7 & 255, 0, 255]) + data[at:]
        if fault.kind == "drop":
            return data[:at] + data[at + 1 :]
        return data[:at]  # A cut; or a stall: nothing follows.


class TlsPeer:
    """Speaks TLS over a socket that does not block: `pump` does all that can be done now.

    It sends *message* as soon as the session is there, and says goodbye when the other side does, or if *first*, of its
    own accord, after *expected* bytes.
    """

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        server_side: bool,
        fault: Fault,
        message: bytes = b"",
        expected: int = 0,
        first: bool = False,
        segment: int = 1 << 30,
    ) -> None:
        self.raw = Peer(sock)
        self.wire = Wire(fault)
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.session = context.wrap_bio(
            self.incoming, self.outgoing, server_side=server_side, server_hostname=None if server_side else "localhost"
        )
        self.message = message
        self.expected = expected
        self.first = first
        self.segment = segment
        self.unsent = b""
        self.received = bytearray()
        self.state = "handshake"
        self.error: str | None = None
        self._taken = 0

    @property
    def over(self) -> bool:
        return not self.raw.open or self.raw.end is not None

    def pump(self) -> bool:
        """Read, think, write.  True if anything moved."""
        if not self.raw.open:
            return False
        moved = self.raw.read(1 << 16) > 0
        if moved:
            data = self.wire.carry("to_them", bytes(self.raw.received[self._taken :]))
            self._taken = len(self.raw.received)
            self.incoming.write(data)
        if self.wire.happened and self.wire.fault.direction == "to_them" and self._cut():
            return True
        if self.error is None:
            try:
                self._think()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                # Alerts still go out; then it is over.
                self.error = type(error).__name__
        self.unsent += self.outgoing.read()
        if self.unsent:
            piece, self.unsent = self.unsent[: self.segment], self.unsent[self.segment :]
            self.raw.send(self.wire.carry("to_us", piece))
            moved = True
            if self.wire.happened and self.wire.fault.direction == "to_us":
                self._cut()
        if self.error is not None and not self.unsent:
            self.raw.shutdown()
        return moved

    def _cut(self) -> bool:
        kind = self.wire.fault.kind
        if kind == "fin":
            self.raw.shutdown()
        elif kind == "close":
            self.raw.close()
        elif kind == "reset":
            self.raw.reset()
        return kind in ("close", "reset")

    def _think(self) -> None:
        if self.state == "handshake":
            self.session.do_handshake()
            self.state = "open"
            if self.message:
                self.session.write(self.message)
            if self.first and not self.expected:
                self._say_goodbye()
        while self.state in ("open", "saying goodbye"):
            data = self.session.read(1 << 16)
            if not data:
                self.state = "saying goodbye"
                self._say_goodbye()
                return
            self.received += data
            if self.first and self.state == "open" and len(self.received) >= self.expected:
                self._say_goodbye()

    def _say_goodbye(self) -> None:
        if self.state == "saying goodbye":
            self.state = "closed"
        else:
            self.state = "saying goodbye"
        try:
            self.session.unwrap()
            self.state = "closed"
            self.raw.shutdown()
        except ssl.SSLWantReadError:
            pass

    def give_up(self) -> None:
        """A peer that waits in vain closes one day."""
        self.raw.shutdown()
