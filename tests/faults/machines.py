"""What the state machines have in common: two sides that go through the same steps, and must not be told apart."""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis.stateful import RuleBasedStateMachine

from tests.leftovers import no_new_descriptors

from .sides import Operation
from .worlds import World, hocket_world, stock_world

#: A peer that is gone shows as either, depending on whether the read or the write met it first.
GONE = {"BrokenPipeError": "gone", "ConnectionResetError": "gone"}

#: asyncio calls its own `_call_connection_lost()` a second time after an abort from within a callback, and stumbles.
FAULT_OF_ASYNCIO = ("reported", "Exception in callback", "AttributeError")


def _comparable(entry: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(GONE.get(part, part) if isinstance(part, str) else part for part in entry)


def shortened(value: Any) -> Any:
    """For messages: long data as its length."""
    if isinstance(value, bytes) and len(value) > 40:
        return f"{value[:8]!r}… {len(value)} bytes"
    if isinstance(value, (list, tuple)):
        return type(value)(shortened(part) for part in value)
    return value


class TwoWorlds(RuleBasedStateMachine):
    """Every step is taken on stock asyncio and on hocket, and everything that can be seen is compared after it."""

    driver: ClassVar[str | None] = None
    #: Loops are made once, connections for each example.
    worlds: ClassVar[list[World] | None] = None

    def __init__(self) -> None:
        super().__init__()
        cls = type(self)
        if cls.worlds is None:
            cls.worlds = [stock_world(), hocket_world(cls.driver)]
        for world in cls.worlds:
            world.diary.entries.clear()
        self.sides: list[Any] = []
        self.different = False
        self.leaks = no_new_descriptors()
        self.leaks.__enter__()

    def begin(self, make: Any, *arguments: Any) -> None:
        assert self.worlds is not None
        self.sides = [make(world, *arguments) for world in self.worlds]
        self.settle()

    @classmethod
    def close_worlds(cls) -> None:
        for world in cls.worlds or ():
            world.close()
        cls.worlds = None

    # -- Steps

    def call(self, *operations: Operation) -> None:
        """The application does *operations* in one turn."""
        for side in self.sides:
            side.world.call(*(lambda side=side, op=op: side.perform(op) for op in operations))
        self.settle()

    def peer(self, *operation: Any) -> None:
        for side in self.sides:
            side.perform(operation)
        self.settle()

    def prepare(self, callback: str, operation: Operation) -> None:
        for side in self.sides:
            side.react(callback, operation)

    def settle(self) -> None:
        for side in self.sides:
            side.world.turns()
        self.compare()

    def compare(self) -> None:
        if self.different:
            return  # Said already.
        stock, hocket = (side.state() for side in self.sides)
        for what in stock:
            expected, actual = stock[what], hocket[what]
            if what == "diary":
                expected = [_comparable(entry) for entry in expected if entry != FAULT_OF_ASYNCIO]
                actual = [_comparable(entry) for entry in actual]
            self.different = actual != expected
            assert actual == expected, (
                f"{what}\n  asyncio: {shortened(expected)}\n  hocket:  {shortened(actual)}\n"
                f"asyncio's diary: {shortened(stock['diary'])}"
            )

    @property
    def lost(self) -> bool:
        return any(side.lost for side in self.sides)

    def teardown(self) -> None:
        if not self.sides:
            return
        try:
            for side in self.sides:
                side.finish()
            self.compare()
            for side in self.sides:
                assert side.diary.count("connection_made") == 1
                assert side.diary.count("connection_lost") == 1
                assert side.ours.fileno() == -1, f"{side.world.name} has not closed its socket"
        finally:
            self.sides = []
        self.leaks.__exit__(None, None, None)
