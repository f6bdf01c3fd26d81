"""`StreamReader`, as in `asyncio.streams`: what has come in on a byte stream, to be read by one task.

**Where the bytes are.**  What a transport has read comes as one ``bytes``.  While that is all there is, it stays as it
came (``_chunk``, read up to ``_start``), and whoever asks for just as much is given that very object: a message that
arrives in one piece is never copied.  Only what arrives on top of unread bytes is joined to them in a ``bytearray``
(``_rest``).  One of the two is in use at a time.  Whoever looks at ``_buffer``, as programs for asyncio do that know
its inside, gets the ``bytearray``, and from then on there is no other.

**Waiting.**  Who reads takes what is there at once; else the operation itself stands in ``_waiter`` and is woken when
there is more, at the end and on errors; ``_result`` is the error then.  Bytes leave the buffer in the very step in
which the reading task goes on, so that a cancellation never takes any with it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from hocket.core import asyncio_private
from hocket.core.wait import Wait
from hocket.primitives import coroutines

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.primitives.bound import fulfil

#: How many bytes a line may have, by default; twice as many are buffered.
DEFAULT_LIMIT = 64 * 1024

if not cython.compiled:
    # What a search for a separator has come to; for the compiled leg they are in the .pxd.
    MORE = 0
    FOUND = 1
    FOUND_TOO_FAR = 2
    TOO_LONG = 3
    ENDED = 4

# asyncio's own, whatever its name will stand for later on.
_Stock = asyncio.StreamReader


class StreamReader:
    """The bytes of a stream, for one task to read.  Semantics of `asyncio.StreamReader`.

    *limit* is the length of the longest line, in bytes; at twice as much the transport is told to pause.  *loop* is the
    loop of whoever reads, by default the running one.  ``async for line in reader`` reads lines.

    Usually made by `open_connection` or `start_server`::

        reader, writer = await hocket.open_connection("127.0.0.1", 8080)
        header = await reader.readexactly(4)

    Cancelling a task that reads loses nothing: what had come stays for the next who reads.
    """

    def __init__(self, limit: Any = DEFAULT_LIMIT, loop: Any = None) -> None:
        if limit <= 0:
            raise ValueError("Limit cannot be <= 0")
        self._limit = limit
        self._loop: Any = asyncio_private.get_loop_for_future() if loop is None else loop
        self._chunk: bytes | None = None
        self._start = 0
        self._rest: bytearray | None = None
        self._looked_at = False
        # What `_search` has found.
        self._where = 0
        self._end = 0
        self._eof = False
        self._waiter: Any = None
        self._exception: BaseException | None = None
        self._transport: Any = None
        self._paused = False
        self._source_traceback: Any = None
        if self._loop.get_debug():
            self._source_traceback = asyncio_private.creation_stack()

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return _Stock if type(self) is StreamReader else type(self)

    def __repr__(self) -> str:
        info = ["StreamReader"]
        if self._size():
            info.append(f"{self._size()} bytes")
        if self._eof:
            info.append("eof")
        if self._limit != DEFAULT_LIMIT:
            info.append(f"limit={self._limit}")
        if self._waiter:
            info.append(f"waiter={self._waiter!r}")
        if self._exception:
            info.append(f"exception={self._exception!r}")
        if self._transport:
            info.append(f"transport={self._transport!r}")
        if self._paused:
            info.append("paused")
        return f"<{' '.join(info)}>"

    @property
    def _limit(self) -> Any:
        return self._given_limit

    @_limit.setter
    def _limit(self, limit: Any) -> None:
        self._most = float(limit)
        self._given_limit = limit

    # -- What has come

    @property
    def _buffer(self) -> bytearray:
        self._looked_at = True
        return self._joined()

    @_buffer.setter
    def _buffer(self, value: Any) -> None:
        self._looked_at = True
        self._chunk = None
        self._rest = value if isinstance(value, bytearray) else bytearray(value)

    def _size(self) -> int:
        if self._chunk is not None:
            return len(self._chunk) - self._start
        return 0 if self._rest is None else len(self._rest)

    def _joined(self) -> bytearray:
        """The buffer, as one ``bytearray``."""
        rest = self._rest
        if rest is None:
            rest = self._rest = bytearray()
        if self._chunk is not None:
            rest += self._chunk[self._start :] if self._start else self._chunk
            self._chunk = None
        return rest

    def _take(self, count: int) -> bytes:
        """Take the first *count* bytes out of the buffer; so many there are."""
        chunk = self._chunk
        if chunk is not None:
            start = self._start
            end = start + count
            if end < len(chunk):
                self._start = end
                return chunk[start:end]
            self._chunk = None
            return chunk if start == 0 else chunk[start:]
        rest = self._rest
        if rest is None or count == 0:
            return b""
        if count == len(rest):
            taken = bytes(rest)
            rest.clear()
        else:
            taken = bytes(memoryview(rest)[:count])
            del rest[:count]
        return taken

    def _put_back(self, data: bytes) -> None:
        """Put *data* before everything else."""
        if data:
            rest = self._joined()
            rest[:0] = data

    def _find(self, separator: Any, offset: int) -> int:
        """Where *separator* is in the buffer from *offset* on; -1 if nowhere."""
        chunk = self._chunk
        if chunk is not None:
            found = chunk.find(separator, self._start + offset)
            return found - self._start if found >= 0 else found
        return -1 if self._rest is None else self._rest.find(separator, offset)

    # -- For whoever brings it

    def exception(self) -> BaseException | None:
        """The exception that ended the stream, or None."""
        return self._exception

    def set_exception(self, exc: BaseException) -> None:
        """End the stream with *exc*: reading raises it from now on."""
        self._exception = exc
        self._wake(exc)

    def set_transport(self, transport: Any) -> None:
        """*transport* is paused when too much is buffered.  It can be set once."""
        if self._transport is not None:
            raise AssertionError("Transport already set")
        self._transport = transport

    def _replace_transport(self, transport: Any) -> None:
        self._transport = transport

    def feed_data(self, data: Any) -> None:
        """Append *data*, which has come."""
        if self._eof:
            raise AssertionError("feed_data after feed_eof")
        if data:
            self._feed(data)

    def feed_eof(self) -> None:
        """Nothing more will come."""
        self._eof = True
        self._wake(None)

    def at_eof(self) -> bool:
        """True if nothing more will come and everything has been read."""
        return self._eof and self._size() == 0

    def _feed(self, data: Any) -> None:
        if type(data) is bytes and not self._looked_at and self._size() == 0:
            self._chunk = data
            self._start = 0
        else:
            rest = self._joined()
            rest += data
        if self._waiter is not None:
            self._wake(None)
        if self._transport is not None and not self._paused and self._size() > 2 * self._most:
            self._pause()

    def _pause(self) -> None:
        try:
            self._transport.pause_reading()
        except NotImplementedError:
            # It cannot be paused: everything has to be buffered, and there is no use in asking again.
            self._transport = None
        else:
            self._paused = True

    def _wakeup_waiter(self) -> None:
        self._wake(None)

    def _wake(self, error: BaseException | None) -> None:
        """Let whoever waits go on, or raise *error*."""
        waiter = self._waiter
        if waiter is None:
            return
        self._waiter = None
        if isinstance(waiter, Wait):
            wait = waiter
            if not wait._is_done():
                wait._result = error
                wait._wake()
        elif not waiter.cancelled():
            if error is None:
                fulfil(waiter, None)
            else:
                waiter.set_exception(error)

    # -- For whoever reads

    def _maybe_resume_transport(self) -> None:
        self._resume_if_room()

    def _resume_if_room(self) -> None:
        if self._paused and self._size() <= self._most:
            self._paused = False
            self._transport.resume_reading()

    def _wait(self, wait: Wait, what: str) -> Any:
        """Have *wait* wait until there is more."""
        if self._waiter is not None:
            # Nobody could tell which of the two would get what comes.
            raise RuntimeError(f"{what}() called while another coroutine is already waiting for incoming data")
        if self._eof:
            raise AssertionError("_wait_for_data after EOF")
        if self._paused:
            # Who waits for more than the limit would wait for ever.
            self._paused = False
            self._transport.resume_reading()
        self._waiter = wait
        return wait._suspend(self._loop)

    def _search(self, separators: Any, shortest: int, longest: int, offset: int) -> int:
        """Look for the first of *separators* to end, from *offset* on; gives one of the states above.

        It begins at ``_where`` and ends at ``_end``; if there is none, the next search may begin at ``_where``.
        """
        size = self._size()
        self._where = offset
        if size - offset >= shortest:
            first = -1
            for separator in separators:
                found = self._find(separator, offset)
                if found != -1:
                    end = found + len(separator)
                    if first == -1 or end < first:
                        first = end
                        self._where = found
            if first != -1:
                self._end = first
                return FOUND_TOO_FAR if self._where > self._most else FOUND
            self._where = max(0, size + 1 - longest)
            if self._where > self._most:
                return TOO_LONG
        # What came last may have completed it: only now does the end count.
        return ENDED if self._eof else MORE

    def _wait_for_data(self, func_name: str) -> Wait:
        return _waiting_for_data(self, func_name)

    def read(self, n: int = -1) -> Any:
        """``await reader.read(n)`` gives *n* bytes at most, as soon as there are any; ``b""`` at the end.

        With *n* negative, everything until the end.  Raises what ended the stream if that was an error.
        """
        if n < 0:
            if type(self) is not StreamReader:
                return coroutines.read_all(self)
            return _reading_all(self)
        return _reading(self, n)

    def readexactly(self, n: int) -> Any:
        """``await reader.readexactly(n)`` gives just *n* bytes.

        Raises `asyncio.IncompleteReadError`, with what there is, if the stream ends before; `ValueError` if *n* is
        negative.
        """
        return _reading_exactly(self, n)

    def readuntil(self, separator: Any = b"\n") -> Any:
        """``await reader.readuntil(b"\\r\\n")`` gives everything up to and with the separator.

        *separator* may be a tuple of them: whichever ends first.  Raises `asyncio.IncompleteReadError`, with what there
        is, if the stream ends before; `asyncio.LimitOverrunError` if there are more bytes before it than the limit,
        which then stay in the buffer.
        """
        return _reading_until(self, separator)

    def readline(self) -> Any:
        """``await reader.readline()`` gives one line, with its ``\\n`` unless the stream ends; ``b""`` at the end.

        Raises `ValueError` if the line is longer than the limit: it is dropped, or what there is of it.
        """
        if type(self) is not StreamReader:
            return coroutines.read_line(self)
        return _reading_line(self, False)

    def __aiter__(self) -> Any:
        return self

    def __anext__(self) -> Any:
        if type(self) is not StreamReader:
            return coroutines.next_line(self)
        return _reading_line(self, True)


class WaitForData(Wait):
    """`StreamReader._wait_for_data`, and the base of all that reads: waits until `_attempt` has what was asked for.

    ``_owner`` is the reader, ``_item`` what was asked for.
    """

    __slots__ = ()

    _name = "StreamReader._wait_for_data"

    def _begin(self) -> Any:
        reader: StreamReader = self._owner
        return reader._wait(self, self._item)

    def _resume(self) -> Any:
        self._stop_waiting()
        return None

    def _interrupt(self, error: BaseException) -> Any:
        reader: StreamReader = self._owner
        if reader._waiter is self:
            reader._waiter = None
        raise error

    def _stop_waiting(self) -> None:
        """Raise what it was woken with, if that was an error."""
        self._check_woken()
        reader: StreamReader = self._owner
        if reader._waiter is self:
            reader._waiter = None
        if self._result is not None:
            error = self._result
            self._result = None
            raise error

    def _start(self, what: str) -> Any:
        """The first attempt, by the method *what*."""
        reader: StreamReader = self._owner
        if reader._exception is not None:
            raise reader._exception
        return None if self._attempt(reader) else reader._wait(self, what)

    def _again(self, what: str) -> Any:
        """One more attempt, now that something has happened."""
        self._stop_waiting()
        reader: StreamReader = self._owner
        return None if self._attempt(reader) else reader._wait(self, what)

    def _attempt(self, reader: StreamReader) -> bool:
        """Read, and note the result; False if there is not enough yet."""
        return True


class Read(WaitForData):
    """`StreamReader.read` of ``_item`` bytes at most; it has waited once if it is ``_quiet``."""

    __slots__ = ()

    _name = "StreamReader.read"

    def _begin(self) -> Any:
        return self._start("read")

    def _resume(self) -> Any:
        return self._again("read")

    def _attempt(self, reader: StreamReader) -> bool:
        wanted: int = self._item
        if wanted == 0:
            self._result = b""
            return True
        size = reader._size()
        if size == 0 and not reader._eof and not self._quiet:
            # Waits once only: who comes between may have read everything, and then it is empty.
            self._quiet = True
            return False
        self._result = reader._take(min(size, wanted))
        if reader._paused:
            reader._resume_if_room()
        return True


class ReadAll(WaitForData):
    """`StreamReader.read` until the end; ``_item`` is what it has so far."""

    __slots__ = ()

    _name = "StreamReader.read"

    def _begin(self) -> Any:
        self._item = []
        return self._start("read")

    def _resume(self) -> Any:
        try:
            return self._again("read")
        except BaseException:
            self._give_back()
            raise

    def _interrupt(self, error: BaseException) -> Any:
        reader: StreamReader = self._owner
        if reader._waiter is self:
            reader._waiter = None
        self._give_back()
        raise error

    def _give_back(self) -> None:
        reader: StreamReader = self._owner
        reader._put_back(b"".join(self._item))
        self._item = None

    def _attempt(self, reader: StreamReader) -> bool:
        while True:
            size = reader._size()
            if size == 0 and not reader._eof and not self._quiet:
                self._quiet = True
                return False
            self._quiet = False
            block = reader._take(size if size <= reader._most else max(int(reader._most), 1))
            if reader._paused:
                reader._resume_if_room()
            if not block:
                self._result = b"".join(self._item)
                return True
            self._item.append(block)
            if reader._exception is not None:
                raise reader._exception


class ReadExactly(WaitForData):
    """`StreamReader.readexactly` of ``_item`` bytes."""

    __slots__ = ()

    _name = "StreamReader.readexactly"

    def _begin(self) -> Any:
        if self._item < 0:
            raise ValueError("readexactly size can not be less than zero")
        return self._start("readexactly")

    def _resume(self) -> Any:
        return self._again("readexactly")

    def _attempt(self, reader: StreamReader) -> bool:
        wanted: int = self._item
        size = reader._size()
        if size >= wanted:
            self._result = reader._take(wanted)
            if reader._paused:
                reader._resume_if_room()
            return True
        if reader._eof:
            raise asyncio.IncompleteReadError(reader._take(size), wanted)
        return False


class ReadUntil(WaitForData):
    """`StreamReader.readuntil` one of ``_item``, with nothing before ``_offset``."""

    __slots__ = ("_longest", "_offset", "_shortest")

    _shortest: int
    _longest: int
    _offset: int

    _name = "StreamReader.readuntil"

    def _begin(self) -> Any:
        self._offset = 0
        # The shortest first: of two that end at one place, it is the one that counts.
        self._item = sorted(self._item, key=len) if isinstance(self._item, tuple) else [self._item]
        if not self._item:
            raise ValueError("Separator should contain at least one element")
        self._shortest = len(self._item[0])
        self._longest = len(self._item[len(self._item) - 1])
        if self._shortest == 0:
            raise ValueError("Separator should be at least one-byte string")
        return self._start("readuntil")

    def _resume(self) -> Any:
        return self._again("readuntil")

    def _attempt(self, reader: StreamReader) -> bool:
        state = reader._search(self._item, self._shortest, self._longest, self._offset)
        if state == MORE:
            self._offset = reader._where
            return False
        if state == FOUND:
            self._result = reader._take(reader._end)
            if reader._paused:
                reader._resume_if_room()
            return True
        if state == FOUND_TOO_FAR:
            raise asyncio.LimitOverrunError(_TOO_FAR, reader._where)
        if state == TOO_LONG:
            raise asyncio.LimitOverrunError(_NOT_FOUND, reader._where)
        raise asyncio.IncompleteReadError(reader._take(reader._size()), None)


_TOO_FAR = "Separator is found, but chunk is longer than limit"
_NOT_FOUND = "Separator is not found, and chunk exceed the limit"
_NEWLINE = [b"\n"]


class ReadLine(WaitForData):
    """`StreamReader.readline`, and the step of ``async for`` over lines if it is ``_quiet``.

    ``_item`` is how much is known to hold no newline.
    """

    __slots__ = ()

    _name = "StreamReader.readline"

    def _begin(self) -> Any:
        self._item = 0
        return self._start("readuntil")

    def _resume(self) -> Any:
        return self._again("readuntil")

    def _attempt(self, reader: StreamReader) -> bool:
        state = reader._search(_NEWLINE, 1, 1, self._item)
        if state == MORE:
            self._item = reader._where
            return False
        if state == FOUND or state == ENDED:  # noqa: SIM109 - a tuple of C constants would be made each time
            line = reader._take(reader._end if state == FOUND else reader._size())
            if state == FOUND and reader._paused:
                reader._resume_if_room()
            if self._quiet and not line:
                raise StopAsyncIteration
            self._result = line
            return True
        # A line over the limit is dropped.
        reader._take(reader._end if state == FOUND_TOO_FAR else reader._size())
        reader._resume_if_room()
        raise ValueError(_TOO_FAR if state == FOUND_TOO_FAR else _NOT_FOUND)


def _waiting_for_data(reader: StreamReader, what: str) -> WaitForData:
    operation = WaitForData.__new__(WaitForData)
    operation._owner = reader
    operation._item = what
    return operation  # type: ignore[no-any-return]


def _reading(reader: StreamReader, wanted: int) -> Read:
    operation = Read.__new__(Read)
    operation._owner = reader
    operation._item = wanted
    return operation  # type: ignore[no-any-return]


def _reading_all(reader: StreamReader) -> ReadAll:
    operation = ReadAll.__new__(ReadAll)
    operation._owner = reader
    return operation  # type: ignore[no-any-return]


def _reading_exactly(reader: StreamReader, wanted: int) -> ReadExactly:
    operation = ReadExactly.__new__(ReadExactly)
    operation._owner = reader
    operation._item = wanted
    return operation  # type: ignore[no-any-return]


def _reading_until(reader: StreamReader, separator: Any) -> ReadUntil:
    operation = ReadUntil.__new__(ReadUntil)
    operation._owner = reader
    operation._item = separator
    return operation  # type: ignore[no-any-return]


def _reading_line(reader: StreamReader, stepping: bool) -> ReadLine:
    operation = ReadLine.__new__(ReadLine)
    operation._owner = reader
    operation._quiet = stepping
    return operation  # type: ignore[no-any-return]
