"""One TLS session of a world's transport with a `TlsPeer`, from the handshake to the end, and what came of it."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, replace
from typing import Any

from .certificates import contexts
from .tls_wire import NO_FAULT, Fault, TlsPeer
from .worlds import Buffered, Diary, Plain, Told, World, in_flight, socket_pair

OUR_MESSAGE = random.Random(2).randbytes(300)
THEIR_MESSAGE = random.Random(3).randbytes(400)
UPGRADE = b"upgrade\n"
SECONDS = 20.0


@dataclass(frozen=True)
class Session:
    """*side*: which one our transport is.  *closer*: who says goodbye first, ``we`` or ``they``."""

    version: str = "1.3"
    side: str = "client"
    closer: str = "we"
    upgraded: bool = False
    buffered: bool = False
    segment: int = 1 << 30
    family: str = "tcp"
    handshake_timeout: float = 10.0
    shutdown_timeout: float = 10.0
    fault: Fault = NO_FAULT

    def with_fault(self, kind: str, direction: str, position: int) -> Session:
        return replace(self, fault=Fault(kind, direction, position))


@dataclass
class Outcome:
    """What came of a session.  *waiter*: what `create_connection` or `start_tls` returned or raised."""

    waiter: str
    lost: list[str]
    data: bytes
    ends: int
    reports: list[tuple[Any, ...]]
    raised: list[str]
    peer_got: bytes
    happened: bool
    carried: dict[str, int]
    hung: bool


class _Application:
    """What both protocols do: write at once, and close when all has come."""

    diary: Diary
    transport: Any

    def begin(self, closes: bool) -> None:
        self.closes = closes
        self.got = 0

    def start(self) -> None:
        self.transport.write(OUR_MESSAGE[:100])
        self.transport.writelines([OUR_MESSAGE[100:250], OUR_MESSAGE[250:]])

    def more(self, size: int) -> None:
        self.got += size
        if self.closes and self.got >= len(THEIR_MESSAGE) and self.transport is not None:
            # An upgraded connection may deliver data before start_tls() has returned the transport.
            self.transport.close()


class _Plain(_Application, Plain):
    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.start()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.more(len(data))


class _Buffered(_Application, Buffered):
    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.start()

    def buffer_updated(self, nbytes: int) -> None:
        super().buffer_updated(nbytes)
        self.more(nbytes)


class _BeforeUpgrade(Told, asyncio.Protocol):
    """Waits for the word, as a server or client of SMTP does; not written down."""

    def __init__(self, asked: asyncio.Future[None]) -> None:
        super().__init__(Diary())
        self.asked = asked

    def data_received(self, data: bytes) -> None:
        assert data == UPGRADE
        self.asked.set_result(None)


async def _connect(
    world: World, session: Session, ours: Any, protocol: Any, peer_socket: Any, ready: asyncio.Event
) -> str:
    client, server = contexts(session.version)
    context, name = (client, "localhost") if session.side == "client" else (server, None)
    loop = world.loop
    timeouts: Any = {
        "ssl_handshake_timeout": session.handshake_timeout,
        "ssl_shutdown_timeout": session.shutdown_timeout,
    }
    try:
        if session.upgraded:
            asked = loop.create_future()
            transport, _ = await loop.create_connection(lambda: _BeforeUpgrade(asked), sock=ours)
            peer_socket.send(UPGRADE)
            await asked
            loop.call_soon(ready.set)
            tls = await loop.start_tls(
                transport, protocol, context, server_side=name is None, server_hostname=name, **timeouts
            )
            protocol.transport = tls
            if tls is None:
                return "lost at once"  # Stock asyncio returns None if the connection ended with the handshake.
            protocol.start()
            protocol.more(0)
        elif session.side == "client":
            await loop.create_connection(lambda: protocol, sock=ours, ssl=context, server_hostname=name, **timeouts)
        else:
            await loop.connect_accepted_socket(lambda: protocol, ours, ssl=context, **timeouts)
    except (OSError, RuntimeError, AttributeError) as error:
        return type(error).__name__
    return "connected"


def run(world: World, session: Session) -> Outcome:
    """Let the two talk until both are done.  What must not happen to any transport is asserted here."""
    world.diary.entries = []
    ours, theirs = socket_pair(session.family)
    client, server = contexts(session.version)
    peer = TlsPeer(
        theirs,
        server if session.side == "client" else client,
        session.side == "client",
        session.fault,
        THEIR_MESSAGE,
        len(OUR_MESSAGE),
        session.closer == "they",
        session.segment,
    )
    protocol = (_Buffered if session.buffered else _Plain)(world.diary)
    protocol.begin(session.closer == "we")

    async def talk() -> tuple[str, bool]:
        ready = asyncio.Event()
        connecting = asyncio.ensure_future(_connect(world, session, ours, protocol, theirs, ready))
        if session.upgraded:
            await ready.wait()
        deadline = time.monotonic() + SECONDS
        quiet = 0

        def under_way() -> bool:
            if session.family == "unix":
                return False  # What it has sent waits until it is read.
            pairs = ((ours, theirs), (theirs, ours))
            return any(sock.fileno() >= 0 and in_flight(sock, other) for sock, other in pairs)

        patient = session.fault.kind == "stall"

        def done() -> bool:
            if not connecting.done():
                return False
            return connecting.result() != "connected" or world.diary.count("connection_lost") > 0

        while not done() and time.monotonic() < deadline:
            moved = peer.pump()
            for _ in range(3):
                await asyncio.sleep(0)
            if moved:
                quiet = 0
                continue
            quiet += 1
            if quiet > 10:
                # Nothing moves: somebody waits for what will not come.
                await asyncio.sleep(0.0005)
                if patient:
                    # The application loses patience: what is to be seen is that its close() comes to an end.
                    if connecting.done() and quiet > 30 and protocol.transport is not None:
                        protocol.transport.close()
                elif quiet > 13 and not (quiet < 500 and under_way()):
                    peer.give_up()
        hung = not done()
        for _ in range(4):
            await asyncio.sleep(0)
            peer.pump()
        if not connecting.done():
            connecting.cancel()
            await asyncio.wait([connecting])
        return ("cancelled" if connecting.cancelled() else connecting.result()), hung

    try:
        waiter, hung = world.run(talk(), SECONDS + 5)
        assert not asyncio.all_tasks(world.loop), "a task is left"
        if hung and protocol.transport is not None:
            protocol.transport.abort()
            world.turns()
    finally:
        theirs.close()
    world.turns()
    entries = world.diary.entries
    data = b"".join(entry[1] for entry in entries if entry[0] == "data")
    outcome = Outcome(
        waiter,
        [entry[1] for entry in entries if entry[0] == "connection_lost"],
        data,
        world.diary.count("eof_received"),
        [entry for entry in entries if entry[0] in ("reported", "log")],
        [entry[1] for entry in entries if entry[0] == "raised"],
        bytes(peer.received),
        peer.wire.happened,
        dict(peer.wire.passed),
        hung,
    )
    if ours.fileno() >= 0:
        outcome.reports.append(("left open",))
        ours.close()
    return outcome
