"""TLS sessions that are cut, damaged or cut into pieces at any byte, on stock asyncio and hocket side by side.

The other end is a session in memory behind a socket (`tls_wire`).  A session whose stream is harmed must come to an end
on its own: the handshake's waiter is resolved, `connection_lost` is called once, what was received is a part of what
was sent, nothing is left open and nothing is reported that asyncio does not report.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import weakref
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.leftovers import no_new_descriptors

from . import tls_sessions
from .machines import GONE
from .tls_sessions import OUR_MESSAGE, THEIR_MESSAGE, Outcome, Session, run
from .tls_wire import CUTS
from .worlds import World, hocket_world, stock_world

Worlds = tuple[World, World]
PLAIN = [Session(version, side) for version in ("1.2", "1.3") for side in ("client", "server")]
ALL = [
    replace(session, closer=closer, upgraded=upgraded, buffered=buffered)
    for session in PLAIN
    for closer in ("we", "they")
    for upgraded in (False, True)
    for buffered in (False, True)
]
DIRECTIONS = ("to_us", "to_them")
#: Signatures are a few bytes longer or shorter from one session to the next, and with them all that follows.
SHIFT = 4


def name(session: Session) -> str:
    extras = [word for word, is_so in (("upgraded", session.upgraded), ("buffered", session.buffered)) if is_so]
    return "-".join([session.version, session.side, session.closer, *extras])


@pytest.fixture(scope="module")
def worlds() -> Iterator[Worlds]:
    made = (stock_world(), hocket_world())
    for world in made:
        run(world, Session())  # Contexts are made, and what OpenSSL opens is open.
    with no_new_descriptors():
        yield made
        for world in made:
            world.diary.entries.clear()
    for world in made:
        world.close()


def check(session: Session, outcome: Outcome) -> None:
    """What holds whatever asyncio does."""
    assert not outcome.hung, f"it has not ended by itself: {outcome}"
    assert not outcome.raised, f"a call of the transport has failed: {outcome}"
    assert THEIR_MESSAGE.startswith(outcome.data), f"the application was given what nobody sent: {outcome}"
    assert OUR_MESSAGE.startswith(outcome.peer_got), f"the peer was given what nobody sent: {outcome}"
    assert len(outcome.lost) <= 1
    if outcome.waiter == "connected":
        assert len(outcome.lost) == 1, f"connection_lost() was not called: {outcome}"
    if not session.upgraded and outcome.waiter != "connected":
        assert not outcome.lost, f"connection_lost() without connection_made(): {outcome}"


def unlike(session: Session, stock: Outcome, ours: Outcome) -> list[str]:
    """What hocket made of a session that asyncio did not, but for what is meant."""
    found = []
    kind = session.fault.kind

    def differ(what: str, expected: object, actual: object) -> None:
        if expected != actual:
            found.append(f"{what}: asyncio {expected!r}, hocket {actual!r}")

    lost = [[GONE.get(error, error) for error in outcome.lost] for outcome in (stock, ours)]
    if session.upgraded and ours.waiter != "connected" and not lost[0]:
        lost[1] = []  # A protocol whose upgrade fails is told that the connection is lost.
    if kind == "close" and lost[0] in (["gone"], ["NoneType"]) and lost[1] in (["gone"], ["NoneType"]):
        return found  # The peer is gone: whoever writes before it reads learns it another way.
    differ("waiter", GONE.get(stock.waiter, stock.waiter), GONE.get(ours.waiter, ours.waiter))
    differ("lost", *lost)
    differ("eof_received", stock.ends, ours.ends)
    differ("reports", stock.reports, ours.reports)
    if not ours.data.startswith(stock.data):
        found.append(f"received: asyncio {len(stock.data)}, hocket {len(ours.data)} bytes")
    return found


def compare(worlds: Worlds, session: Session) -> None:
    """Run *session* in both worlds.  At the border between two outcomes asyncio's own varies: either will do."""
    stock, hocket = worlds
    ours = run(hocket, session)
    check(session, ours)
    differences = unlike(session, run(stock, session), ours)
    if not differences:
        return
    fault = session.fault
    for shift in range(-SHIFT, SHIFT + 1):
        near = session.with_fault(fault.kind, fault.direction, max(0, fault.position + shift))
        if not unlike(near, run(stock, near), ours) or not unlike(session, run(stock, session), run(hocket, near)):
            return
    raise AssertionError(f"{session}: {'; '.join(differences)}")


def total(worlds: Worlds, session: Session, direction: str) -> int:
    return run(worlds[1], session).carried[direction]


@pytest.mark.parametrize("session", ALL, ids=name)
def test_a_session_that_nothing_disturbs(worlds: Worlds, session: Session) -> None:
    """All arrives, and both sides end in peace."""
    outcome = run(worlds[1], session)
    check(session, outcome)
    assert (outcome.waiter, outcome.lost, outcome.ends, outcome.reports) == ("connected", ["NoneType"], 1, [])
    assert (outcome.data, outcome.peer_got) == (THEIR_MESSAGE, OUR_MESSAGE)


@pytest.mark.parametrize("session", ALL, ids=name)
def test_sampled_faults(worlds: Worlds, session: Session) -> None:
    """Every kind of fault, in both directions, here and there."""
    chance = random.Random(name(session))
    for direction, kind in itertools.product(DIRECTIONS, [*CUTS, "flip", "insert", "drop"]):
        compare(worlds, session.with_fault(kind, direction, chance.randrange(total(worlds, session, direction))))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fin", "reset"])
@pytest.mark.parametrize("session", PLAIN, ids=name)
def test_cut_at_every_byte(worlds: Worlds, session: Session, kind: str) -> None:
    """The stream ends, or the connection is reset, after each byte of either direction."""
    for direction in DIRECTIONS:
        for position in range(total(worlds, session, direction) + SHIFT):
            compare(worlds, session.with_fault(kind, direction, position))


@pytest.mark.slow
@pytest.mark.parametrize("session", PLAIN, ids=name)
def test_damage_all_along(worlds: Worlds, session: Session) -> None:
    """A bit flips, bytes are inserted, or a byte is lost, in turn, all along either direction."""
    kinds = itertools.cycle(["flip", "insert", "flip", "drop", "flip"])
    for direction in DIRECTIONS:
        for position in range(0, total(worlds, session, direction), 3):
            compare(worlds, session.with_fault(next(kinds), direction, position))


@pytest.mark.slow
@pytest.mark.parametrize("session", [s for s in ALL if s not in PLAIN], ids=name)
def test_many_faults(worlds: Worlds, session: Session) -> None:
    """The other kinds of session: upgraded, with a buffer of the protocol's own, closed by the peer."""
    kinds = itertools.cycle([*CUTS, "flip", "insert", "drop"])
    for direction in DIRECTIONS:
        for position in range(0, total(worlds, session, direction), 41):
            compare(worlds, session.with_fault(next(kinds), direction, position))


@pytest.mark.parametrize("session", ALL, ids=name)
@pytest.mark.parametrize("segment", [1, 7])
def test_in_small_pieces(worlds: Worlds, session: Session, segment: int) -> None:
    """A stream that arrives byte by byte is the same stream."""
    if segment == 1 and (session.closer == "they" or session.buffered):
        return  # Covered by the pieces of seven bytes.
    outcome = run(worlds[1], replace(session, segment=segment))
    check(session, outcome)
    assert (outcome.waiter, outcome.lost, outcome.ends, outcome.reports) == ("connected", ["NoneType"], 1, [])
    assert (outcome.data, outcome.peer_got) == (THEIR_MESSAGE, OUR_MESSAGE)


@pytest.mark.parametrize("session", [s for s in ALL if not s.buffered and s.closer == "we"], ids=name)
def test_a_peer_that_falls_silent(worlds: Worlds, session: Session) -> None:
    """The timeouts end the handshake, and the goodbye."""
    chance = random.Random(name(session))
    silent = replace(session, handshake_timeout=0.15, shutdown_timeout=0.1)
    for direction in DIRECTIONS:
        stalled = silent.with_fault("stall", direction, chance.randrange(total(worlds, session, direction)))
        outcome = run(worlds[1], stalled)
        check(session, outcome)
        if outcome.waiter == "connected":
            assert outcome.lost in (["TimeoutError"], ["NoneType"])
        else:
            assert outcome.waiter == "ConnectionAbortedError"


def test_garbage_instead_of_a_session(worlds: Worlds) -> None:
    """Random bytes, from the first on: refused with an `ssl.SSLError`, or the end of the stream is."""
    chance = random.Random(5)
    for number in range(60):
        session = PLAIN[number % 4]
        garbage = chance.randbytes(chance.choice([1, 5, 6, 100, 5000]))
        outcomes = [_against_garbage(world, session, garbage) for world in worlds]
        assert outcomes[1] in ("SSLError", "ConnectionResetError"), outcomes


def _against_garbage(world: World, session: Session, garbage: bytes) -> str:
    client, server = tls_sessions.contexts(session.version)
    ours, theirs = tls_sessions.socket_pair("tcp")
    protocol = asyncio.Protocol()

    async def connect() -> str:
        theirs.send(garbage)
        theirs.shutdown(1)
        try:
            if session.side == "client":
                await world.loop.create_connection(lambda: protocol, sock=ours, ssl=client, server_hostname="localhost")
            else:
                await world.loop.connect_accepted_socket(lambda: protocol, ours, ssl=server)
        except OSError as error:
            return type(error).__name__
        return "connected"

    with theirs:
        outcome: str = world.run(connect())
        world.turns()
    assert ours.fileno() == -1, "the socket is left open"
    return outcome


@pytest.mark.parametrize("kind", ["none", "fin", "reset", "flip"])
def test_nothing_lives_on(worlds: Worlds, kind: str) -> None:
    """Transport and session are freed, after a fault as after a good end."""
    _, hocket = worlds
    made: list[weakref.ref[object]] = []
    original = tls_sessions._Plain.connection_made

    def remember(self: object, transport: object) -> None:
        made.append(weakref.ref(transport))
        original(self, transport)  # type: ignore[arg-type]

    tls_sessions._Plain.connection_made = remember  # type: ignore[method-assign, assignment]
    try:
        # OpenSSL 3.5 and later send a kilobyte more in the handshake.
        for position in range(1, 4000, 97):
            run(hocket, Session().with_fault(kind, "to_us", position))
        gc.collect()
    finally:
        tls_sessions._Plain.connection_made = original  # type: ignore[method-assign]
    assert len(made) >= 2
    assert [ref for ref in made if ref() is not None] == []
