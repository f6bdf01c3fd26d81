"""The loop's table of transports behaves as the weak dictionary that asyncio's loop has there."""

from __future__ import annotations

import gc
from typing import Any
from unittest import mock

import pytest

from hocket.net.table import TransportTable


class Transport:
    def __init__(self, closing: bool = False) -> None:
        self.closing = closing

    def is_closing(self) -> bool:
        return self.closing


def test_it_is_a_mapping() -> None:
    """Set, replaced, asked, deleted; missing ones are a KeyError or a default."""
    table = TransportTable()
    first, second = Transport(), Transport()
    table[3] = first
    table[100] = second
    assert (table[3], table.get(100), table.get(7), table.get(7, "none")) == (first, second, None, "none")
    assert (list(table), len(table), table.values()) == ([3, 100], 2, [first, second])
    assert 3 in table and 4 not in table and "3" not in table
    table[3] = second
    assert table[3] is second
    del table[3]
    for missing in (3, 4, 1000, -1):
        with pytest.raises(KeyError):
            table[missing]
        with pytest.raises(KeyError):
            del table[missing]


def test_it_keeps_no_transport_alive() -> None:
    """Who forgets a transport without closing it is to be warned of it."""
    table = TransportTable()
    table[5] = Transport()
    gc.collect()
    assert table.get(5) is None and len(table) == 0


@pytest.mark.parametrize("number", [-1, mock.Mock()], ids=["closed", "mock"])
def test_what_is_no_descriptor_is_not_kept(number: Any) -> None:
    """A socket that is closed has none, and a test's mock has anything."""
    table = TransportTable()
    transport = Transport()
    table[number] = transport
    assert table.get(number) is None and len(table) == 0


def test_an_open_transport_keeps_others_off() -> None:
    """Asked with a number or an object that has one; a closing transport is in nobody's way."""
    table = TransportTable()
    transport = Transport()
    table[5] = transport
    for descriptor in (5, mock.Mock(fileno=lambda: 5)):
        with pytest.raises(RuntimeError, match="is used by transport"):
            table.check(descriptor)
    table.check(6)
    transport.closing = True
    table.check(5)
    with pytest.raises(ValueError, match="Invalid file object: 'text'"):
        table.check("text")
