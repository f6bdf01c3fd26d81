"""The agent of an observed process: a thread that answers ``hocket ps`` and the other verbs over a Unix socket.

It needs nothing of the loops that it tells of, so it answers while they are blocked: what it says is read from the
loops and tasks themselves, from outside.  It works in slices of a few milliseconds and lets the loops go on in between.

Only the process' own user and root are answered: the socket lies in a directory that nobody else can enter, it has
mode 0600, and the kernel is asked who is at the other end.

The agent runs in the process that started it.  A child that is forked has one of its own as soon as it makes a loop.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import logging
import os
import select
import shlex
import signal
import socket
import struct
import sys
import threading
import time
from typing import Any

import hocket
from hocket.core import scheduler
from hocket.observe import meeting
from hocket.observe.protocol import PROTOCOL
from hocket.observe.serving import Connection

_logger = logging.getLogger("hocket.observe")

#: How many are served at a time.
_MOST_CONNECTIONS = 32
#: How long the agent rests between two slices of work, in seconds: a loop that waits for the interpreter gets it.
_REST = 0.0003
#: For how long the end of the process waits for answers that are under way, in seconds.
_GRACE = 0.2
#: When to look again for a descriptor while the process has none to spare, in milliseconds.
_LOOK_AGAIN = 50

#: Signals that say what the thread itself has done.
_OF_THE_THREAD_ITSELF = {
    getattr(signal, name) for name in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT") if hasattr(signal, name)
}

#: What says that there is no descriptor, or no memory for one.
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Agent:
    """What `start_agent` returns: answers until it is stopped.  ``path`` is that of its socket."""

    def __init__(self, *, allow_control: bool = False) -> None:
        self.allow_control = allow_control
        self.process = os.getpid()
        self._connections: dict[int, Connection] = {}
        self._stopping = False
        with contextlib.ExitStack() as undo:
            self.path, self._listener = _listen()
            undo.callback(self._remove_socket)
            undo.callback(self._listener.close)
            self._woken, self._wake = socket.socketpair()
            undo.callback(self._woken.close)
            undo.callback(self._wake.close)
            # Given up for a client that comes when the process is out of descriptors; -1 while it is.
            self._reserve = os.dup(self._listener.fileno())
            undo.callback(lambda: os.close(self._reserve))
            self._hello = self._introduction()
            self._poller = select.poll()
            self._thread = threading.Thread(target=self._run, name="hocket-agent", daemon=True)
            self._thread.start()
            undo.pop_all()

    def stop(self) -> None:
        """Stop answering and remove the socket.  Harmless if called twice."""
        if self._stopping or self.process != os.getpid():
            return
        self._stopping = True
        self._remove_socket()
        with contextlib.suppress(OSError):
            self._wake.send(b"\0", socket.MSG_DONTWAIT)
        if threading.current_thread() is not self._thread:
            self._thread.join(5.0)

    def abandon(self) -> None:
        """In the child of a fork: give the parent's descriptors back, without a word to anybody at their other ends."""
        for connection in self._connections.values():
            connection.socket.close()
        self._connections.clear()
        self._close()

    # -- The thread

    def _run(self) -> None:
        # Signals are for the threads of the program: one that sleeps in a call must be woken by them.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _OF_THE_THREAD_ITSELF)
        try:
            self._serve()
        except Exception:
            _logger.exception("the agent has failed; process %d cannot be observed any more", self.process)
        finally:
            for connection in list(self._connections.values()):
                self._drop(connection)
            self._remove_socket()
            self._close()

    def _serve(self) -> None:
        self._poller.register(self._woken, select.POLLIN)
        self._poller.register(self._listener, select.POLLIN)
        accepts = True
        while True:
            timeout = self._work()
            if not accepts:
                timeout = _LOOK_AGAIN if timeout is None else min(timeout, _LOOK_AGAIN)
            events = dict(self._poller.poll(timeout))
            if self._stopping:
                self._finish()
                return
            if not accepts or events.pop(self._listener.fileno(), 0):
                could = self._accept()
                if could is not accepts:
                    # Otherwise the listener would be reported without end.
                    accepts = could
                    self._poller.modify(self._listener, select.POLLIN if could else 0)
            for descriptor, event in events.items():
                connection = self._connections.get(descriptor)
                if connection is not None:
                    connection.handle(event)

    def _finish(self) -> None:
        """Send off what is under way, in the time that a program that ends can be kept waiting."""
        until = time.monotonic() + _GRACE
        while time.monotonic() < until and any(connection.busy() for connection in self._connections.values()):
            for connection in self._connections.values():
                connection.advance()
            time.sleep(_REST)

    def _work(self) -> int | None:
        """Give everybody who is owed an answer a slice of work.  Returns for how many milliseconds there is none."""
        least: float | None = None
        for connection in list(self._connections.values()):
            wait = connection.advance()
            if connection.over:
                self._drop(connection)
                continue
            self._poller.modify(connection.socket, connection.events())
            if wait is not None:
                least = wait if least is None else min(least, wait)
        if least is None:
            return None
        if least == 0.0:
            time.sleep(_REST)
        return int(least * 1000)

    # -- Connections

    def _accept(self) -> bool:
        """Accept whoever waits.  False: there is no descriptor for it."""
        if self._reserve < 0:
            # Somebody else was faster, or it is in use: what has become free belongs to whoever waits.
            return self._accept_with_what_there_is()
        try:
            self._welcome(self._listener.accept()[0])
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                return True  # The client has gone.
            os.close(self._reserve)
            self._reserve = -1
            return self._accept_with_what_there_is()
        return True

    def _accept_with_what_there_is(self) -> bool:
        try:
            self._welcome(self._listener.accept()[0])
        except BlockingIOError:
            self._reserve_again()
            return self._reserve >= 0
        except OSError as error:
            return error.errno not in _EXHAUSTED
        return True

    def _reserve_again(self) -> None:
        with contextlib.suppress(OSError):
            self._reserve = os.dup(self._listener.fileno())

    def _welcome(self, client: socket.socket) -> None:
        connection = Connection(client, self.allow_control)
        self._connections[client.fileno()] = connection
        self._poller.register(client, 0)
        user = _user_of(client)
        if user not in (None, 0, os.geteuid()):
            connection.refuse(f"process {self.process} belongs to user {os.geteuid()}, not to user {user}")
        elif len(self._connections) > _MOST_CONNECTIONS:
            connection.refuse(f"process {self.process} is being asked by {_MOST_CONNECTIONS} others already")
        else:
            connection.greet(self._hello | {"control": self.allow_control})

    def _drop(self, connection: Connection) -> None:
        client = connection.socket
        self._connections.pop(client.fileno(), None)
        self._poller.unregister(client)
        connection.end()
        if self._reserve >= 0:
            client.close()
            return
        # Its descriptor is the reserve again, and was nobody else's in between.
        self._reserve = client.detach()
        os.dup2(self._listener.fileno(), self._reserve, inheritable=False)

    # -- The ends

    def _introduction(self) -> dict[str, Any]:
        return {
            "hocket": hocket.__version__,
            "protocol": PROTOCOL,
            "process": self.process,
            "program": shlex.join(sys.argv) or "python",
            "python": ".".join(map(str, sys.version_info[:3])),
            "executable": sys.executable,
            "compiled": hocket.is_compiled(),
            "observed_since": time.time(),
        }

    def _remove_socket(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def _close(self) -> None:
        self._listener.close()
        self._woken.close()
        self._wake.close()
        if self._reserve >= 0:
            os.close(self._reserve)
            self._reserve = -1


def _listen() -> tuple[str, socket.socket]:
    """A socket that listens in the user's directory, and its path."""
    directory = meeting.own_directory()
    path = os.path.join(directory, f"{os.getpid()}.sock")
    other = os.urandom(4).hex()
    # Who met it before it listens would take it for what a process has left behind. Nobody looks for this name.
    early = os.path.join(directory, other)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with meeting.short_name(early) as name:
            listener.bind(name)
        try:
            os.chmod(early, 0o600)
            listener.listen(_MOST_CONNECTIONS)
            listener.setblocking(False)
            if _answers(path):  # A process in another container, which has the same number there.
                path = os.path.join(directory, f"{os.getpid()}-{other}.sock")
            os.rename(early, path)  # Over what a process left behind that had this number before.
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(early)
            raise
    except BaseException:
        listener.close()
        raise
    return path, listener


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, meeting.short_name(path) as name:
        try:
            probe.connect(name)
        except OSError:
            return False
    return True


def _user_of(client: socket.socket) -> int | None:
    """The user at the other end; None where the system does not tell (there, the directory alone protects)."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    user: int = struct.unpack("3i", credentials)[1]
    return user


# -- One a process

_agent: Agent | None = None
_lock = threading.Lock()
_watching_forks = False
#: What an agent that starts by itself is to allow; None: none does.
_wanted: bool | None = None


def start_agent(*, allow_control: bool = False) -> Agent:
    """Have this process answer ``hocket ps``, ``where``, ``top`` and the other verbs, from a thread of its own.

    The same as ``hocket run --observe`` and ``HOCKET_OBSERVE=1``, for a program that decides for itself.  With
    *allow_control* (``--allow-control``) its tasks can also be cancelled from outside.  If there is an agent already it
    is returned, and allows what is asked for now.

    Raises `OSError` if there is no directory in which only this user can put a socket, and `RuntimeError` on a system
    without Unix sockets::

        agent = hocket.observe.start_agent()
        print("hocket top", agent.process)
    """
    global _agent
    if not hasattr(socket, "AF_UNIX") or not hasattr(select, "poll"):
        raise RuntimeError("the agent needs Unix sockets and poll(), which this system does not have")
    with _lock:
        _watch_forks()
        if _agent is None or _agent._stopping:
            _agent = Agent(allow_control=allow_control)
            atexit.register(_agent.stop)
        _agent.allow_control = allow_control
        return _agent


def stop_agent() -> None:
    """Stop the agent, if there is one; none starts by itself any more."""
    global _agent, _wanted
    with _lock:
        agent, _agent, _wanted = _agent, None, None
        if _on_create in scheduler.on_create:
            scheduler.on_create.remove(_on_create)
    if agent is not None:
        agent.stop()
        atexit.unregister(agent.stop)


def start_with_first_loop(*, allow_control: bool = False) -> None:
    """Start the agent when the process makes its first loop: one that makes none has nothing to tell."""
    global _wanted
    _wanted = allow_control
    _watch_forks()
    if _on_create not in scheduler.on_create:
        scheduler.on_create.append(_on_create)


def _on_create(_: object) -> None:
    if _agent is not None or _wanted is None:
        return
    try:
        start_agent(allow_control=_wanted)
    except (OSError, RuntimeError) as error:
        # To be looked at is a service to the program, not a condition of its work.
        _logger.warning("process %d cannot be observed: %s", os.getpid(), error)


def _watch_forks() -> None:
    global _watching_forks
    if not _watching_forks and hasattr(os, "register_at_fork"):
        _watching_forks = True
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    global _agent, _lock
    _lock = threading.Lock()
    agent, _agent = _agent, None
    if agent is not None:
        atexit.unregister(agent.stop)
        agent.abandon()
        start_with_first_loop(allow_control=agent.allow_control)
