"""Channels: bounded queues with two ends, each of which can be closed.

`open_channel` gives a `SendChannel` and a `ReceiveChannel` over one buffer of a capacity that the program chooses.
Semantics of trio's memory channels, with one addition: what ends one side early can be told to the other.

Two rules keep every item safe.  An item that has been sent stands in the buffer until the very step in which a receiver
goes on with it: whoever is woken to receive has only been *promised* one, and a cancellation that reaches him before
that step passes the promise on.  And the item of a sender that waits is taken over as soon as there is room, in the
order of arrival: from then on it is sent, and a cancellation that comes too late to stop it is left to the next wait of
the sender's task.  So a `CancelledError` from `send` means that the item was not sent, and one from `receive` that none
was taken.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from types import GenericAlias
from typing import TYPE_CHECKING, Any

from hocket.core.wait import Line, Wait
from hocket.primitives.bound import LoopBound
from hocket.structured.errors import BrokenResourceError, ClosedResourceError, EndOfChannel, WouldBlock

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.deques import append, is_deque, popleft, size
    from hocket.native.operation import given
    from hocket.primitives.bound import current_task

if TYPE_CHECKING:
    from hocket.structured.statistics import ChannelStatistics


def open_channel(capacity: float) -> tuple[SendChannel, ReceiveChannel]:
    """A new channel: the end to send by, and the end to receive by.

    *capacity* is how many items may wait in it to be received: `send` waits while it is full.  With 0 every item is
    handed over: `send` waits until somebody receives it.  ``math.inf`` has to be asked for by that name.  Raises
    `TypeError` for what is no number of items, and `ValueError` for a negative one::

        sender, receiver = hocket.open_channel(10)

        async def produce():
            with sender:
                for page in range(100):
                    await sender.send(await fetch(page))

        async def consume():
            async for page in receiver:  # ends when the sender is closed and everything has been received
                ...

    Semantics of `trio.open_memory_channel`.  Not thread-safe.
    """
    if capacity != math.inf and (not isinstance(capacity, int) or isinstance(capacity, bool)):
        raise TypeError(f"expected the capacity of a channel as an int of 0 or more, or math.inf, got {capacity!r}")
    if capacity < 0:
        raise ValueError(f"expected a capacity of 0 or more items, got {capacity!r}")
    return _opened(capacity)


def _opened(capacity: float) -> tuple[SendChannel, ReceiveChannel]:
    channel = Channel.__new__(Channel)
    channel._init_channel(capacity)
    return _new_sender(channel), _new_receiver(channel)


class Channel(LoopBound):
    """What both ends share.  The first ``_promised`` items are for receivers that have been woken for them."""

    def _init_channel(self, capacity: float) -> None:
        self._loop = None
        self._capacity = capacity
        self._items: Any = deque()
        self._promised = 0
        self._senders = Line()
        self._receivers = Line()
        self._open_senders = 0
        self._open_receivers = 0
        # For what the last end, or one before it, was closed.
        self._failure_of_senders: BaseException | None = None
        self._failure_of_receivers: BaseException | None = None
        self._most = 0
        self._sent = 0
        self._received = 0
        self._dropped = 0

    def _waiting(self) -> int:
        """How many items are in the buffer that nobody has been promised."""
        return (size(self._items) if is_deque(self._items) else len(self._items)) - self._promised

    def _first_of(self, line: Line) -> Wait | None:
        """Take the first of *line* out that still waits."""
        while line._first is not None:
            wait = line.pop()
            if not wait._is_done():
                return wait
        return None

    def _append(self, item: Any) -> None:
        if is_deque(self._items):
            append(self._items, item)
        else:
            self._items.append(item)
        self._sent += 1

    def _accept(self, item: Any) -> bool:
        """Take *item* over if there is room or somebody waits for it."""
        receiver = None if self._receivers._first is None else self._first_of(self._receivers)
        if receiver is not None:
            self._append(item)
            self._promise(receiver)
            return True
        held = self._waiting()
        if held >= self._capacity:
            return False
        self._append(item)
        if held >= self._most:
            self._most = held + 1
        return True

    def _promise(self, receiver: Wait) -> None:
        self._promised += 1
        receiver._item = True
        receiver._wake()
        # It had left before it was known how long it has waited.
        self._receivers.waited += receiver._waited

    def _admit(self, sender: Wait) -> None:
        """Take over the item of *sender*, who has waited for it."""
        self._append(sender._item)
        sender._item = None
        sender._quiet = True
        sender._wake()
        self._senders.waited += sender._waited

    def _offers(self) -> bool:
        """True if there is an item for whoever comes now; it is in the buffer then."""
        if self._waiting() > 0:
            return True
        sender = None if self._senders._first is None else self._first_of(self._senders)
        if sender is None:
            return False
        self._admit(sender)
        return True

    def _take(self) -> Any:
        item = popleft(self._items) if is_deque(self._items) else self._items.popleft()
        self._received += 1
        while self._senders._first is not None and self._waiting() < self._capacity:
            sender = self._first_of(self._senders)
            if sender is None:
                break
            self._admit(sender)
            held = self._waiting()
            if held > self._most:
                self._most = held
        return item

    def _pass_on(self) -> None:
        """Somebody who was promised an item does not take it."""
        self._promised -= 1
        receiver = self._first_of(self._receivers)
        if receiver is not None:
            self._promise(receiver)
        elif not self._open_receivers:
            self._drop()

    def _drop(self) -> None:
        """Let go of what nobody will receive."""
        while self._waiting() > 0:
            self._items.pop()
            self._dropped += 1

    def _wake_closed(self, line: Line, end: Any) -> None:
        """Wake those of *line* who wait by *end*, None: all, to find out that it is closed."""
        wait = line._first
        while wait is not None:
            behind = wait._behind
            if (end is None or wait._owner is end) and not wait._is_done():
                line.leave(wait)
                wait._wake()
                line.waited += wait._waited
            wait = behind

    def _sender_gone(self, end: Any, error: BaseException | None) -> None:
        self._open_senders -= 1
        if self._failure_of_senders is None:
            self._failure_of_senders = error
        if end is not None:
            self._wake_closed(self._senders, end)
        if not self._open_senders:
            self._wake_closed(self._receivers, None)

    def _receiver_gone(self, end: Any, error: BaseException | None) -> None:
        self._open_receivers -= 1
        if self._failure_of_receivers is None:
            self._failure_of_receivers = error
        if end is not None:
            self._wake_closed(self._receivers, end)
        if not self._open_receivers:
            self._wake_closed(self._senders, None)
            self._drop()

    def _let_go(self, sends: bool) -> None:
        """One end was dropped without being closed: from wherever the garbage collector has found that."""
        line = self._receivers if sends else self._senders
        if line._first is None or self._loop is None:
            _close_dropped(self, sends)
            return
        try:
            self._loop.call_soon_threadsafe(_close_dropped, self, sends)
        except RuntimeError:
            pass  # The loop is closed, and nobody waits any more.

    def _show(self) -> str:
        state = f"{self._waiting()} of {self._capacity:.0f} items"
        if self._senders._first is not None:
            state += f", {len(self._senders)} sending"
        if self._receivers._first is not None:
            state += f", {len(self._receivers)} receiving"
        return state


class _End:
    """What the two ends have in common."""

    _channel: Channel
    _closed: bool

    def __init__(self) -> None:
        raise TypeError(f"a {type(self).__name__} is made by open_channel(), or by clone() of another")

    @classmethod
    def __class_getitem__(cls, item: Any) -> GenericAlias:
        return GenericAlias(cls, item)

    def __repr__(self) -> str:
        state = "closed" if self._closed else self._channel._show()
        return f"<{type(self).__name__} at {id(self):#x} [{state}]>"

    def statistics(self) -> ChannelStatistics:
        """How full the channel is and was at most, who waits at either end, and what has gone through; also of an end
        that is closed."""
        from hocket.structured import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.of_channel(self._channel)

    @property
    def capacity(self) -> float:
        """How many items may wait in the channel: an int, or ``math.inf``."""
        capacity = self._channel._capacity
        return capacity if capacity == math.inf else int(capacity)

    @property
    def closed(self) -> bool:
        """True once this end has been closed."""
        return self._closed

    def __enter__(self) -> Any:
        return self

    def __aenter__(self) -> Any:
        return given(self)

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self.close(error if isinstance(error, Exception) else None)

    def __aexit__(self, kind: Any, error: Any, traceback: Any) -> Any:
        self.close(error if isinstance(error, Exception) else None)
        return given(None)

    def close(self, error: BaseException | None = None) -> None:
        raise NotImplementedError

    def aclose(self) -> Any:
        """``await end.aclose()`` is `close`, for those who close whatever they have been given."""
        self.close()
        return given(None)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ClosedResourceError(f"{self!r} has been closed at this end")


class SendChannel(_End):
    """The end of a channel to send by; made by `open_channel` and `clone`.  Semantics of trio's ``MemorySendChannel``.

    It is closed by `close`, by the end of a ``with`` or ``async with`` block, or when it is garbage.  Once every clone
    is closed, those who receive get what is left in the channel and then `EndOfChannel`: ``async for`` ends.
    """

    def send(self, item: Any) -> Wait:
        """``await sender.send(item)`` waits until there is room in the channel, or somebody to hand *item* to.

        Raises `ClosedResourceError` if this end is closed, also meanwhile, and `BrokenResourceError` if nobody can
        receive any more.  If it raises, `asyncio.CancelledError` included, *item* has not been sent.
        """
        return _sending(self, item)

    def send_nowait(self, item: Any) -> None:
        """Send *item* at once, or raise `WouldBlock`; otherwise as `send`."""
        self._check()
        if not self._channel._accept(item):
            raise WouldBlock(f"{self!r} has no room, and nobody waits to receive")

    def clone(self) -> SendChannel:
        """Another end to send by, to be closed on its own.  `ClosedResourceError` if this one is closed."""
        self._refuse_closed()
        return _new_sender(self._channel)

    def close(self, error: BaseException | None = None) -> None:
        """Close this end; once more does nothing.  Whoever waits in its `send` gets `ClosedResourceError`.

        With an *error* those who receive are told so instead of being led to think that they have got everything: once
        the last clone is closed and the channel is empty, they get `BrokenResourceError`, whose ``__cause__`` is the
        first such error.
        """
        if not self._closed:
            self._closed = True
            self._channel._sender_gone(self, error)

    def __del__(self) -> None:
        if not self._closed and self._channel is not None:
            self._channel._let_go(True)

    def _check(self) -> None:
        self._refuse_closed()
        channel = self._channel
        if not channel._open_receivers:
            message = f"{self!r}: nobody can receive any more, every ReceiveChannel of it is closed"
            raise BrokenResourceError(message) from channel._failure_of_receivers


class ReceiveChannel(_End):
    """The end of a channel to receive by; made by `open_channel` and `clone`.  Semantics of trio's
    ``MemoryReceiveChannel``.

    Each item goes to one receiver.  It is closed by `close`, by the end of a ``with`` or ``async with`` block, or when
    it is garbage.  Once every clone is closed, `send` raises `BrokenResourceError`, and what is left in the channel is
    dropped: `statistics` tells how many items that were::

        async for item in receiver:
            ...
    """

    def receive(self) -> Wait:
        """``await receiver.receive()`` waits for an item and takes it; first come, first served.

        Raises `EndOfChannel` once every sender is closed and nothing is left, `BrokenResourceError` in its place if one
        was closed with an error, and `ClosedResourceError` if this end is closed, also meanwhile.  If it raises,
        `asyncio.CancelledError` included, no item has been taken.
        """
        return _receiving(self, False)

    def receive_nowait(self) -> Any:
        """Take an item at once, or raise `WouldBlock`; otherwise as `receive`."""
        channel = self._check(False)
        if channel is None:
            raise WouldBlock(f"{self!r} has nothing to receive")
        return channel._take()

    def clone(self) -> ReceiveChannel:
        """Another end to receive by, to be closed on its own.  `ClosedResourceError` if this one is closed."""
        self._refuse_closed()
        return _new_receiver(self._channel)

    def close(self, error: BaseException | None = None) -> None:
        """Close this end; once more does nothing.  Whoever waits in its `receive` gets `ClosedResourceError`.

        *error* is what those who send are told, once the last clone is closed: it is the ``__cause__`` of their
        `BrokenResourceError`.
        """
        if not self._closed:
            self._closed = True
            self._channel._receiver_gone(self, error)

    def __aiter__(self) -> ReceiveChannel:
        return self

    def __anext__(self) -> Wait:
        return _receiving(self, True)

    def __del__(self) -> None:
        if not self._closed and self._channel is not None:
            self._channel._let_go(False)

    def _check(self, iterates: bool) -> Channel | None:
        """The channel if it has something for whoever comes now, None if that is to be waited for."""
        self._refuse_closed()
        channel = self._channel
        if channel._offers():
            return channel
        if channel._open_senders:
            return None
        if channel._failure_of_senders is not None:
            message = f"{self!r}: a SendChannel was closed because of an error, there may have been more to receive"
            raise BrokenResourceError(message) from channel._failure_of_senders
        if iterates:
            raise StopAsyncIteration
        raise EndOfChannel(f"{self!r}: every SendChannel is closed, and everything has been received")


class Send(Wait):
    """`SendChannel.send`.  ``_quiet`` once the item has been taken over."""

    __slots__ = ()

    _name = "SendChannel.send"

    def _begin(self) -> Any:
        end: SendChannel = self._owner
        end._check()
        channel = end._channel
        if channel._accept(self._item):
            self._item = None
            return None
        return channel._queue_up(channel._senders, self)

    def _resume(self) -> Any:
        self._check_woken()
        if not self._quiet:
            # Nobody has made room: this is what has happened.
            self._item = None
            end: SendChannel = self._owner
            end._check()
        return None

    def _interrupt(self, error: BaseException) -> Any:
        end: SendChannel = self._owner
        end._channel._senders.leave(self)
        self._item = None
        if self._quiet and isinstance(error, asyncio.CancelledError) and _postponed(end._channel, error):
            return None
        raise error


class Receive(Wait):
    """`ReceiveChannel.receive`; with ``_quiet`` its ``__anext__``.  ``_item`` is True once an item is promised."""

    __slots__ = ()

    _name = "ReceiveChannel.receive"

    def _begin(self) -> Any:
        end: ReceiveChannel = self._owner
        channel = end._check(self._quiet)
        if channel is None:
            channel = end._channel
            return channel._queue_up(channel._receivers, self)
        self._result = channel._take()
        return None

    def _resume(self) -> Any:
        end: ReceiveChannel = self._owner
        channel = end._channel
        self._check_woken()
        if self._item is None:
            return self._begin()
        self._item = None
        channel._promised -= 1
        self._result = channel._take()
        return None

    def _interrupt(self, error: BaseException) -> Any:
        end: ReceiveChannel = self._owner
        channel = end._channel
        channel._receivers.leave(self)
        if self._item is not None:
            self._item = None
            channel._pass_on()
        raise error


def _sending(end: SendChannel, item: Any) -> Send:
    operation = Send.__new__(Send)
    operation._owner = end
    operation._item = item
    return operation  # type: ignore[no-any-return]


def _receiving(end: ReceiveChannel, iterates: bool) -> Receive:
    operation = Receive.__new__(Receive)
    operation._owner = end
    operation._quiet = iterates
    return operation  # type: ignore[no-any-return]


def _new_sender(channel: Channel) -> SendChannel:
    end = SendChannel.__new__(SendChannel)
    end._channel = channel
    end._closed = False
    channel._open_senders += 1
    return end


def _new_receiver(channel: Channel) -> ReceiveChannel:
    end = ReceiveChannel.__new__(ReceiveChannel)
    end._channel = channel
    end._closed = False
    channel._open_receivers += 1
    return end


def _close_dropped(channel: Channel, sends: bool) -> None:
    if sends:
        channel._sender_gone(None, None)
    else:
        channel._receiver_gone(None, None)


def _postponed(channel: Channel, error: BaseException) -> bool:
    """Leave a cancellation that came too late to the next wait of the task; False if it is none of a task's."""
    task = current_task(channel._loop)
    if task is None or not task.cancelling():
        return False
    task.cancel(*error.args[:1])
    task.uncancel()
    return True


if not cython.compiled:
    # As C attributes do, these have a value from the start: one that was refused is garbage, too.
    _End._channel = None  # type: ignore[assignment]
    _End._closed = False
