"""A state machine over what can be done with a stream transport, on stock asyncio and hocket side by side."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from . import profiles
from .machines import TwoWorlds
from .sides import HUGE, SMALL, Side

MARKS = st.sampled_from([(None, None), (0, None), (0, 0), (1, 1), (1000, 10), (None, 100), (3_000_000, None), (1, 2)])
CALLBACKS = st.sampled_from(["data_received", "eof_received", "pause_writing", "resume_writing", "connection_lost"])

WRITES = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(SMALL), st.sampled_from(["bytes", "bytearray", "memoryview"])),
    st.tuples(st.just("writelines"), st.lists(st.sampled_from(SMALL), max_size=3).map(tuple)),
)
CALLS = st.one_of(
    WRITES,
    st.sampled_from(
        [
            ("pause_reading",),
            ("resume_reading",),
            ("write_eof",),
            ("close",),
            ("is_buffering",),
            ("set_protocol", "plain"),
            ("set_protocol", "buffered"),
            ("write_wrong", "text"),
            ("write_wrong", None),
        ]
    ),
    st.tuples(st.just("limits"), MARKS).map(lambda pair: ("limits", *pair[1])),
)


class StreamMachine(TwoWorlds):
    def __init__(self) -> None:
        super().__init__()
        self.unread = 0  # By the peer, small pieces only.
        self.undelivered = 0
        self.peer_open = True

    @initialize(family=st.sampled_from(["tcp", "unix"]))
    def connect(self, family: str) -> None:
        self.begin(Side, family)

    def fits(self, operation: tuple[Any, ...]) -> bool:
        """Whether the kernel certainly takes it, unless it is full already: both worlds are then in the same state."""
        name, *arguments = operation
        if name == "write":
            self.unread += arguments[0] + 100
        elif name == "writelines":
            self.unread += sum(arguments[0]) + 100
        return self.unread < 20_000

    @rule(operation=CALLS)
    def one(self, operation: tuple[Any, ...]) -> None:
        if not self.lost and self.fits(operation):
            self.call(operation)

    @rule(operations=st.lists(CALLS, min_size=2, max_size=4))
    def several_in_one_turn(self, operations: list[tuple[Any, ...]]) -> None:
        fitting = [self.fits(operation) for operation in operations]
        if self.lost or not all(fitting):
            return
        if not self.peer_open and sum(name.startswith("write") for name, *_ in operations) > 1:
            return  # Each writes at another time, so that each learns at another that nobody is there.
        self.call(*operations)

    @rule()
    def fill(self) -> None:
        if not self.lost:
            self.call(("write", HUGE))

    @rule(operation=st.sampled_from([("abort",), ("close",)]))
    def end(self, operation: tuple[Any, ...]) -> None:
        if not self.lost:
            self.call(operation)

    @rule(
        callback=CALLBACKS,
        operation=st.one_of(CALLS, st.sampled_from([("abort",), ("close",), ("fail",), ("keep_open",)])),
    )
    def prepare_reaction(self, callback: str, operation: tuple[Any, ...]) -> None:
        if callback == "connection_lost" and operation[0].startswith("write"):
            return  # asyncio still sends it after a close that had to wait for its buffer, and otherwise not.
        if self.fits(operation):
            self.prepare(callback, operation)

    @rule(most=st.sampled_from([1, 500]))
    def peer_reads_little(self, most: int) -> None:
        self.peer("peer_reads", most)

    @rule()
    def peer_reads_all(self) -> None:
        self.peer("peer_reads_all")
        self.unread = 0

    @precondition(lambda self: self.peer_open)
    @rule(size=st.sampled_from([1, 10, 999, 1000, 1001, 5000]))
    def peer_sends(self, size: int) -> None:
        self.undelivered += size + 100
        if self.undelivered < 40_000:
            self.peer("peer_sends", size)

    @precondition(lambda self: self.peer_open)
    @rule(how=st.sampled_from(["peer_shuts_down", "peer_closes", "peer_resets"]))
    def peer_ends(self, how: str) -> None:
        self.peer_open = False
        self.peer(how)


class SelectorMachine(StreamMachine):
    driver = "selector"


@pytest.mark.parametrize(
    ("machine", "examples"),
    [
        pytest.param(StreamMachine, 40, id="epoll"),
        pytest.param(SelectorMachine, 15, id="selector"),
        pytest.param(StreamMachine, 500, id="long", marks=pytest.mark.slow),
    ],
)
def test_a_stream_transport_does_what_asyncios_does(machine: type[TwoWorlds], examples: int) -> None:
    """Whatever is done to it, in whatever order."""
    try:
        run_state_machine_as_test(machine, settings=profiles.machine(examples))
    finally:
        machine.close_worlds()
