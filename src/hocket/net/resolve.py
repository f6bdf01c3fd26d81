"""Names to addresses: `getaddrinfo` and `getnameinfo`, in threads of the loop's own.

**An address is no name.**  What can be answered without asking anybody (a literal address or no host at all, with a
port that is a number) is answered at once, in the loop's thread, by the same `socket.getaddrinfo`.

**Lookups have threads of their own.**  In asyncio they share the default executor with `asyncio.to_thread`: a few
names that no server answers for hold up everybody's files, and busy threads hold up every new connection.  Here each
loop has a pool that does nothing else.  A thread is started when a lookup finds none idle, up to the pool's size, and
ends when it has been idle for a while.

A lookup cannot be interrupted, only abandoned.  So nobody waits for these threads: not a cancelled task, not `close`,
not the interpreter when it exits.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from hocket.core import asyncio_private

#: How many lookups a loop has under way at once, unless it is told.  A thread that waits for a name server costs some
#: 50 KiB and no CPU, and a name that nobody answers for holds it for up to half a minute: enough of them that some may
#: hang while others are looked up, few enough to be no flood to a name server.
DEFAULT_THREADS = 64

#: After how many seconds a thread with nothing to do ends.
IDLE_SECONDS = 10.0

_ENVIRONMENT = "HOCKET_RESOLVER_THREADS"

# What tells whether somebody has put a function of their own in its place, which may block on anything.
_GETADDRINFO = socket.getaddrinfo
_GETNAMEINFO = socket.getnameinfo

_NUMERIC_NAME = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


class Resolver:
    """The part of an event loop that looks names up; to be combined with `asyncio.SelectorEventLoop`, in front of it.

    *threads* bounds the lookups under way at once; None asks the environment variable ``HOCKET_RESOLVER_THREADS``, and
    that failing, takes `DEFAULT_THREADS`.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._lookups = LookupThreads(_threads(threads))

    def close(self) -> None:
        super().close()  # type: ignore[misc]
        self._lookups.close()

    async def getaddrinfo(
        self: Any,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """What `socket.getaddrinfo` returns, or raises, without blocking the loop.

        Literal addresses are answered at once.  Anything else is looked up in a thread of the loop's own; cancelling
        frees whoever waits at once, and the thread when the lookup ends.
        """
        called = asyncio_private.base_events_socket().getaddrinfo
        function = self._getaddrinfo_debug if self._debug else called
        arguments = (host, port, family, type, proto, flags)
        if called is _GETADDRINFO and _needs_no_lookup(host, port, flags):
            answers: list[Any] = function(*arguments)
        else:
            answers = await self._look_up(function, arguments)
        return answers

    async def getnameinfo(self: Any, sockaddr: Any, flags: Any = 0) -> tuple[str, str]:
        """What `socket.getnameinfo` returns, or raises, without blocking the loop; as `getaddrinfo`."""
        function = asyncio_private.base_events_socket().getnameinfo
        if function is _GETNAMEINFO and isinstance(flags, int) and flags & _NUMERIC_NAME == _NUMERIC_NAME:
            names: tuple[str, str] = function(sockaddr, flags)
        else:
            names = await self._look_up(function, (sockaddr, flags))
        return names

    def _look_up(self: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> asyncio.Future[Any]:
        self._check_closed()
        future: asyncio.Future[Any] = self.create_future()
        self._lookups.submit(Lookup(self, future, function, arguments))
        return future


class Lookup:
    """A call to be made in a thread, and the future that waits for what comes of it."""

    __slots__ = ("_arguments", "_function", "_future", "_loop")

    def __init__(
        self, loop: Any, future: asyncio.Future[Any], function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        self._loop = loop
        self._future = future
        self._function = function
        self._arguments = arguments

    def run(self) -> None:
        """Make the call, in a thread of the pool, unless nobody waits for it any more."""
        if self._future.cancelled():
            return
        result, error = None, None
        try:
            result = self._function(*self._arguments)
        except BaseException as raised:
            error = raised
        try:
            self._loop.call_soon_threadsafe(_deliver, self._future, result, error)
        except RuntimeError:
            # The loop has been closed meanwhile: nobody waits.
            pass
        finally:
            # The error's traceback holds this frame.
            error = None


def _deliver(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class LookupThreads:
    """Threads that run each `Lookup`, first come, first served; at most *size* of them, started when they are needed.

    They are daemons, and not those of `concurrent.futures`, which the interpreter waits for when it exits.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        # Guards everything below; who waits for it is an idle thread.
        self._changed = threading.Condition()
        self._waiting: deque[Lookup] = deque()
        self._threads = 0
        # How many threads wait for a lookup, those included that have been notified of one and not taken it yet.
        self._idle = 0
        self._started = 0
        self._closed = False

    def submit(self, lookup: Lookup) -> None:
        """Have *lookup* run.  Raises `RuntimeError` if there is no thread and none can be started."""
        with self._changed:
            self._waiting.append(lookup)
            if self._idle >= len(self._waiting):
                self._changed.notify()
            elif self._threads < self.size:
                try:
                    self._start_thread()
                except RuntimeError:
                    if self._threads == 0:
                        self._waiting.pop()
                        raise
                    # The threads that there are will come to it.

    def close(self) -> None:
        """Drop what waits and let the threads end; those amid a lookup do so when it ends.  Waits for none of them."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _start_thread(self) -> None:
        self._started += 1
        thread = threading.Thread(target=self._serve, name=f"hocket-resolver-{self._started}", daemon=True)
        thread.start()
        self._threads += 1

    def _serve(self) -> None:
        while True:
            lookup = self._next()
            if lookup is None:
                return
            lookup.run()
            # Not to be kept, with all it refers to, until the next one comes.
            del lookup

    def _next(self) -> Lookup | None:
        """Wait for a lookup.  None: this thread is to end."""
        with self._changed:
            while not self._waiting:
                notified = False
                if not self._closed:
                    self._idle += 1
                    notified = self._changed.wait(IDLE_SECONDS)
                    self._idle -= 1
                if not notified and not self._waiting:
                    self._threads -= 1
                    return None
            return self._waiting.popleft()


def _threads(chosen: Any) -> int:
    """How many threads to have at most: *chosen*, or what the environment says."""
    if chosen is None:
        text = os.environ.get(_ENVIRONMENT, "")
        if not text:
            return DEFAULT_THREADS
        try:
            chosen, name = int(text), _ENVIRONMENT
        except ValueError:
            raise ValueError(f"{_ENVIRONMENT}: expected a number of threads, at least 1, got {text!r}") from None
    else:
        name = "resolver_threads"
    if not isinstance(chosen, int) or isinstance(chosen, bool):
        raise TypeError(f"{name}: expected a number of threads, at least 1, got {chosen!r}")
    if chosen < 1:
        raise ValueError(f"{name}: expected a number of threads, at least 1, got {chosen}")
    return chosen


def _needs_no_lookup(host: object, port: object, flags: object) -> bool:
    """Whether `socket.getaddrinfo` answers without asking a name server or a file."""
    if not isinstance(flags, int):
        return False
    return (_is_number(port) or bool(flags & socket.AI_NUMERICSERV)) and (
        _is_literal(host) or bool(flags & socket.AI_NUMERICHOST)
    )


def _is_number(port: object) -> bool:
    if port is None or isinstance(port, int):
        return True
    if isinstance(port, str):
        return port.isascii() and port.isdigit()
    return isinstance(port, bytes) and port.isdigit()


def _is_literal(host: object) -> bool:
    """Whether *host* is an address as the system's resolver reads it, or None."""
    if host is None:
        return True
    try:
        text = host.decode("ascii") if isinstance(host, bytes) else host
        if not isinstance(text, str):
            return False
        if ":" in text:
            # A scope, after the per cent sign, is the number or name of an interface of this machine.
            socket.inet_pton(socket.AF_INET6, text.partition("%")[0])
            return True
        # All the forms that the resolver takes, 127.1 and 0x7f000001 among them; but of "127.0.0.1 x", which
        # inet_aton() takes too, it would look up the name.
        if not text[:1].isdigit() or text.split() != [text]:
            return False
        socket.inet_aton(text)
    except (OSError, ValueError):
        return False
    return True
