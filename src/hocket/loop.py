"""The event loop: the engine, a driver and the network in front of asyncio's own loop; and the ways to run one.

What is hot is hocket's: the turn, timers, tasks and futures, readiness, stream sockets; and child processes and name
lookups, for their manners.  Everything else (argument checking, servers, TLS, datagrams, pipes, signals, executors) is
the code of `asyncio.SelectorEventLoop`, which calls the hooks that are overridden here.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from hocket import drivers
from hocket.core import asyncio_private, fork
from hocket.core.driver import Driver
from hocket.core.engine import Engine
from hocket.core.handles import Handle
from hocket.core.scheduler import note_running, note_stopped, on_exception
from hocket.core.signals import Signals
from hocket.native import frames
from hocket.native.sockets import ReadBuffer
from hocket.net.accept import Acceptor
from hocket.net.endpoints import Endpoints
from hocket.net.processes import Processes
from hocket.net.readiness import OnceReader
from hocket.net.resolve import Resolver
from hocket.net.sendfile import SendFile
from hocket.net.socket_calls import SocketCalls
from hocket.net.stream import READ_SIZE, StreamTransport
from hocket.net.table import TransportTable, fileno
from hocket.net.writing import Streams

try:
    from hocket.net.tls import Tls
except ImportError:  # A Python built without OpenSSL: asyncio says so to whoever asks for TLS.

    class Tls:  # type: ignore[no-redef]
        """Nothing."""


T = TypeVar("T")
frames.pass_over(globals())  # It makes tasks for those who call it.


class _DriverAsSelector(selectors.BaseSelector):
    """Stands where asyncio's loop keeps its selector.  The driver watches the descriptors; nobody registers here."""

    def register(self, fileobj: Any, events: int, data: Any = None) -> Any:
        raise NotImplementedError("this loop waits through its driver: use add_reader() and add_writer()")

    def unregister(self, fileobj: Any) -> Any:
        raise KeyError(f"{fileobj!r} is not registered")

    def select(self, timeout: float | None = None) -> list[Any]:
        return []

    def get_map(self) -> dict[Any, Any]:
        return {}


class _ExceptionHandlerCall:
    """``loop.call_exception_handler``: the one that the loop inherits; while somebody listens, he is told first.

    Looked up at each call, so that who puts another in its place, in asyncio's class or on one loop, gets that.
    """

    def __get__(self, loop: Any, kind: Any = None) -> Any:
        inherited: Any = super(EventLoop, kind if loop is None else loop).call_exception_handler  # type: ignore[misc]
        return inherited if loop is None or not on_exception else functools.partial(_tell_first, loop, inherited)


def _tell_first(loop: Any, inherited: Callable[[dict[str, Any]], None], context: dict[str, Any]) -> None:
    on_exception.tell(loop, context)
    inherited(context)


class EventLoop(  # type: ignore[misc]
    Engine,
    Signals,
    Acceptor,
    Endpoints,
    Processes,
    Resolver,
    SendFile,
    SocketCalls,
    Tls,
    asyncio.SelectorEventLoop,
):
    """An asyncio event loop on hocket's engine.  Made by `new_event_loop`; every asyncio program runs on it.

    *driver* is the name of a driver (``auto``, ``epoll``, ``selector``), a `hocket.core.driver.Driver`, or None for
    what the environment variable ``HOCKET_DRIVER`` says, and ``auto`` if it says nothing.  *resolver_threads* bounds
    the name lookups under way at once; None asks ``HOCKET_RESOLVER_THREADS``.
    """

    def __init__(self, driver: str | Driver | None = None, resolver_threads: int | None = None) -> None:
        self._closed = True  # Until there is something to close: a loop that could not be made must not complain.
        Resolver.__init__(self, resolver_threads)
        chosen = driver if isinstance(driver, Driver) else drivers.make(driver)
        Engine.__init__(self, chosen)
        Processes.__init__(self)
        Acceptor.__init__(self)
        self._read_buffer = ReadBuffer(READ_SIZE)
        try:
            asyncio.SelectorEventLoop.__init__(self, _DriverAsSelector())
        except BaseException:
            self._closed = True
            chosen.close()
            raise
        self._own_descriptors = chosen.watched
        self._transports = TransportTable()
        self._streams = Streams(self._read_buffer, self._transports)
        self._announce_creation()

    def close(self) -> None:
        """Close the loop, which must not be running, and give everything back.  Harmless if closed already."""
        if self._owner:
            self._close_inherited()
            return
        if self._closed or self.is_running():
            super().close()
            return
        try:
            super().close()
        finally:
            self._close_engine()

    def _close_inherited(self) -> None:
        """`close` in the child of a fork, where the loop's descriptors are closed already."""
        fork.forget(self)
        self._default_executor = None
        for number in list(self._signal_handlers):  # type: ignore[attr-defined]
            with contextlib.suppress(ValueError, OSError):
                self.remove_signal_handler(number)

    def run_forever(self) -> None:
        """Run until `stop` is called.  Raises `RuntimeError` if this loop, or another in this thread, is running."""
        # Asked before anything is set up: on Python 3.13.0 asyncio's own code takes a refused run for one that has
        # ended, and the loop that is running would no longer know that it is.
        self._check_closed()
        self._check_running()  # type: ignore[attr-defined]
        self._claim_wakeup()
        note_running(self)
        self.run_on()
        try:
            super().run_forever()
        finally:
            self.run_no_more()
            note_stopped(self)
            self._release_wakeup()

    call_exception_handler: Any = _ExceptionHandlerCall()

    # -- Readiness

    def _add_reader(self, fd: Any, callback: Callable[..., object], *args: Any) -> Handle:
        self._check_closed()
        handle = Handle(callback, args, self, None)
        _cancel(self._driver.add_reader(fileno(fd), handle))
        return handle

    def _add_writer(self, fd: Any, callback: Callable[..., object], *args: Any) -> Handle:
        self._check_closed()
        handle = Handle(callback, args, self, None)
        _cancel(self._driver.add_writer(fileno(fd), handle))
        return handle

    def _remove_reader(self, fd: Any) -> bool:
        return _cancel(self._driver.remove_reader(fileno(fd)))

    def _remove_writer(self, fd: Any) -> bool:
        return _cancel(self._driver.remove_writer(fileno(fd)))

    def _write_to_self(self) -> None:
        self._driver.wake()

    # -- Transports

    def _ensure_fd_no_transport(self, fd: Any) -> None:
        self._transports.check(fd)

    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, *, extra: dict[str, Any] | None = None, server: Any = None
    ) -> Any:
        self._transports.check(sock)
        return StreamTransport(self, sock, protocol, waiter, extra, server)

    # What accepted connections may do without, as long as nobody has put something else in its place.
    _own_make_socket_transport = _make_socket_transport


def _cancel(runnable: Any) -> bool:
    """Take back what a descriptor was watched for.  False if it was not."""
    if runnable is None:
        return False
    if isinstance(runnable, Handle):
        runnable.cancel()
    # One that nobody waits with any more was not there, to whoever asks.
    return not isinstance(runnable, OnceReader) or runnable.waits()


def new_event_loop(*, driver: str | Driver | None = None, resolver_threads: int | None = None) -> EventLoop:
    """Make an event loop.

    *driver* chooses how it waits: ``auto``, ``epoll`` (Linux) or ``selector`` (anywhere); None asks ``HOCKET_DRIVER``.
    Raises `ValueError` for another name, with the list, and `RuntimeError` for a driver that this system lacks.

    *resolver_threads* is how many names the loop looks up at once, in threads that it keeps for that alone; None asks
    ``HOCKET_RESOLVER_THREADS``, and without that it is 64.  Raises `ValueError` if less than 1, `TypeError` if no int::

        with asyncio.Runner(loop_factory=hocket.new_event_loop) as runner:
            runner.run(main())
    """
    return EventLoop(driver, resolver_threads)


class Runner(asyncio.Runner):  # type: ignore[misc]  # typeshed alone calls it final
    """`asyncio.Runner` on hocket: runs several coroutines on one loop, and cleans up after them.

    with hocket.Runner() as runner:
        runner.run(first())
        runner.run(second())
    """

    def __init__(self, *, debug: bool | None = None, loop_factory: Callable[[], Any] | None = None) -> None:
        super().__init__(debug=debug, loop_factory=new_event_loop if loop_factory is None else loop_factory)


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None, loop_factory: Callable[[], Any] | None = None) -> T:
    """Run the coroutine *main* on a new hocket loop and return its result; as `asyncio.run`.

    Tasks that are left over are cancelled, asynchronous generators and the default executor are shut down.  Ctrl-C
    cancels *main* and then raises `KeyboardInterrupt`.  Raises `RuntimeError` if a loop runs in this thread already::

        hocket.run(main())
    """
    if asyncio_private.running_loop() is not None:
        raise RuntimeError("hocket.run() cannot be called from a running event loop")
    with Runner(debug=debug, loop_factory=loop_factory) as runner:
        return runner.run(main)


class EventLoopPolicy(asyncio_private.DefaultEventLoopPolicy):
    """asyncio's default policy, with hocket's loop.  `install` sets it."""

    _loop_factory = EventLoop


def install() -> None:
    """Make hocket the loop of every `asyncio.run` and `asyncio.new_event_loop` of this process from now on.

    Loops that exist already stay what they are.  Harmless if called twice.  To choose hocket for one run only, use
    `hocket.run` or ``asyncio.Runner(loop_factory=hocket.new_event_loop)``.
    """
    asyncio_private.set_event_loop_policy(EventLoopPolicy())
