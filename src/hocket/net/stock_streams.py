"""asyncio's own streams on our transports: what costs most of them is done in C, step by step as asyncio does it.

A transport that finds an `asyncio.StreamReaderProtocol` with an `asyncio.StreamReader` behind it gives what it has read
to a `StockSink`, which appends it to the reader's buffer and wakes whoever waits.  The two private coroutines that
every request goes through, ``_wait_for_data`` of the reader and ``_drain_helper`` of the protocol, are replaced on
these objects by functions that do the same; all that a program calls is asyncio's.  Only these very classes are
recognised, with asyncio's methods in place, and not in debug mode.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

from hocket.core import asyncio_private
from hocket.core.future import Future
from hocket.native.operation import Operation
from hocket.net.sink import ByteSink

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.operation import given

# asyncio's own, whatever their names will stand for later on.
_Protocol = asyncio.StreamReaderProtocol
_Reader = asyncio.StreamReader


class StockSink(ByteSink):
    """Does what `asyncio.StreamReaderProtocol` and `asyncio.StreamReader` do with what has come."""

    def __init__(self, protocol: Any) -> None:
        self._direct = True
        self._protocol = protocol

    def receive(self, data: bytes) -> bool:
        reference = self._protocol._stream_reader_wr
        if reference is None:
            return True
        reader = reference()
        if reader is None:
            return True
        waiter = reader._waiter
        buffer = reader._buffer
        if (waiter is not None and type(waiter) is not Future) or type(buffer) is not bytearray or reader._eof:
            return False
        received = buffer
        received += data
        if waiter is not None:
            reader._waiter = None
            future = waiter
            if not future._cancelled:
                future._finish(None)
        limit = reader._limit
        if len(received) > 2 * limit and reader._transport is not None and not reader._paused:
            try:
                reader._transport.pause_reading()
            except NotImplementedError:
                reader._transport = None
            else:
                reader._paused = True
        return True


class StockWaiting:
    """``_wait_for_data`` of one reader."""

    def __init__(self, reader: Any) -> None:
        # Nothing here may keep it: what comes for a reader that nobody has is dropped.
        self._reader = weakref.ref(reader)

    def wait_for_data(self, func_name: str) -> Operation:
        """What ``reader._wait_for_data(func_name)`` returns."""
        return _waiting(self._reader(), func_name)


class WaitForData(Operation):
    """Waits until there is more, or the end."""

    __slots__ = ("_reader", "_what")

    _reader: Any
    _what: str

    _name = "StreamReader._wait_for_data"

    def _begin(self) -> Any:
        reader = self._reader
        if reader._waiter is not None:
            raise RuntimeError(f"{self._what}() called while another coroutine is already waiting for incoming data")
        if reader._eof:
            raise AssertionError("_wait_for_data after EOF")
        if reader._paused:
            # Who waits for more than the limit would wait for ever.
            reader._paused = False
            reader._transport.resume_reading()
        future = reader._loop.create_future()
        reader._waiter = future
        return future

    def _resume(self) -> Any:
        if not self._future.done():
            raise RuntimeError("await wasn't used with future")
        self._reader._waiter = None
        return None

    def _interrupt(self, error: BaseException) -> Any:
        self._reader._waiter = None
        raise error


def _waiting(reader: Any, what: str) -> WaitForData:
    operation = WaitForData.__new__(WaitForData)
    operation._reader = reader
    operation._what = what
    return operation  # type: ignore[no-any-return]


class StockDraining:
    """``_drain_helper`` of one protocol."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = weakref.ref(protocol)

    def drain_helper(self) -> Any:
        """What ``protocol._drain_helper()`` returns: asyncio's coroutine, unless there is nothing to do."""
        protocol: Any = self._protocol()
        if protocol._connection_lost or protocol._paused:
            return asyncio_private.DRAIN_HELPER(protocol)
        return given(None)


def sink_of(protocol: Any, debug: bool) -> ByteSink | None:
    """What takes the bytes in place of *protocol*, if it is one that can be spared the calls; else None."""
    if isinstance(protocol, ByteSink):
        ours = protocol
        return ours if ours._direct else None
    if type(protocol) is not _Protocol or debug:
        return None
    reader = protocol._stream_reader  # type: ignore[attr-defined]
    if type(reader) is not _Reader or not asyncio_private.is_stock_stream(protocol, reader):
        return None
    if asyncio_private.has_stock_waiting(protocol, reader):
        protocol._drain_helper = StockDraining(protocol).drain_helper  # type: ignore[attr-defined]
        reader._wait_for_data = StockWaiting(reader).wait_for_data  # type: ignore[attr-defined]
    return StockSink(protocol)
