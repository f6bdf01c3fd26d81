"""The other end of the agent's socket: finds an observed process, asks it, and says in one line why it cannot.

See `hocket.observe.protocol` for what is said.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple

from hocket import __version__
from hocket.cli.errors import UsageError
from hocket.observe import meeting
from hocket.observe.protocol import PROTOCOL, decode, encode

#: For how long a process may be silent, in seconds.
PATIENCE = 5.0

_HOW_TO_OBSERVE = "start it with hocket run --observe, or with HOCKET_OBSERVE=1 in its environment"


class Answer(NamedTuple):
    """The rows of an answer, and what was said at the end."""

    rows: list[dict[str, Any]]
    end: dict[str, Any]


class Client:
    """A connection to the agent of one process.  ``hello`` is what that has said of itself."""

    def __init__(self, connection: socket.socket, address: meeting.Address, patience: float = PATIENCE) -> None:
        self.process = address.process
        #: Whether nothing more can come: then the process has ended, or is silent.
        self.over = False
        self._address = address
        connection.settimeout(patience)
        self._socket = connection
        self._lines = connection.makefile("rb")
        self.hello = self._next()
        check_protocol(self.hello, address)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._socket.close()

    def wait_longer(self, seconds: float) -> None:
        """Put up with so many seconds more of silence: what is asked for takes them."""
        self._socket.settimeout(PATIENCE + seconds)

    def ask(self, verb: str, **parameters: Any) -> Answer:
        """Ask for something and return all that comes.  `UsageError` if it cannot be had."""
        self.send(verb, **parameters)
        return self.receive()

    def receive(self) -> Answer:
        """The next answer to what was sent.  `UsageError` if what was asked for cannot be had."""
        rows = []
        while True:
            message = self._next()
            if "row" in message:
                rows.append(message["row"])
            else:
                return Answer(rows, message.get("end", {}))

    def send(self, verb: str, **parameters: Any) -> None:
        """Ask, without waiting for the answer."""
        try:
            self._socket.sendall(encode({"do": verb, **parameters}))
        except TimeoutError:
            raise self._ended(silence(self.process)) from None
        except OSError:
            raise self._ended(f"process {self.process} has ended") from None

    def _next(self) -> dict[str, Any]:
        try:
            line = self._lines.readline()
        except TimeoutError:
            raise self._ended(silence(self.process)) from None
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            raise self._ended(f"process {self.process} has ended")
        try:
            message = decode(line)
        except ValueError:
            raise self._ended(f"what answers at {self._address.path} is no agent of hocket") from None
        if "error" in message:
            raise UsageError(str(message["error"]))
        return message

    def _ended(self, why: str) -> UsageError:
        self.over = True
        return UsageError(why)


def check_protocol(hello: dict[str, Any], address: meeting.Address) -> None:
    """Refuse an agent that speaks otherwise than this hocket does."""
    if "protocol" not in hello:
        raise UsageError(f"what answers at {address.path} is no agent of hocket")
    if hello["protocol"] != PROTOCOL:
        raise UsageError(
            f"process {address.process} has hocket {hello.get('hocket')}, whose agent speaks protocol "
            f"{hello['protocol']}; this is hocket {__version__}, which speaks protocol {PROTOCOL}: "
            f"ask with {hello.get('executable', 'the Python of that process')} -m hocket"
        )


def connect(process: int | None) -> Client:
    """A connection to the agent of *process*, or, if that is None, of the only process that is observed."""
    if not hasattr(socket, "AF_UNIX"):
        raise UsageError("this system has no Unix sockets, on which observed processes answer")
    if process is not None:
        return _connect_to(process)
    there = list(_present())
    if not there:
        raise UsageError(f"no process of yours is observed: {_HOW_TO_OBSERVE}")
    if len(there) > 1:
        listed = "\n".join(f"  {address.process}  {program_of(address)}" for address, _ in there)
        for _, connection in there:
            connection.close()
        raise UsageError(f"{len(there)} processes are observed, say which by its number:\n{listed}")
    ((address, connection),) = there
    return _greeted(connection, address)


def _connect_to(process: int) -> Client:
    user = user_of(process)
    if user not in (None, os.geteuid()) and os.geteuid() != 0:
        raise UsageError(f"process {process} belongs to {_name_of(user)}: only that user and root can look into it")
    stale = False
    for address in meeting.addresses(os.geteuid() if user is None else user):
        if address.process == process:
            connection = _reach(address)
            if connection is not None:
                return _greeted(connection, address)
            stale = True
    if user is not None:
        raise UsageError(f"process {process} is not observed: {_HOW_TO_OBSERVE}")
    left = "; the socket that it had left behind is removed" if stale else ""
    raise UsageError(f"process {process} has ended{left}" if stale else f"there is no process {process}")


def _present() -> Iterator[tuple[meeting.Address, socket.socket]]:
    """Every process of this user that is observed, with a connection to it."""
    for address in meeting.addresses(os.geteuid()):
        connection = _reach(address)
        if connection is not None:
            yield address, connection


def _reach(address: meeting.Address) -> socket.socket | None:
    """A connection to *address*; None if nobody is there any more: then what was left of it is removed."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE)
    seen = _identity(address.path)
    try:
        with meeting.short_name(address.path) as name:
            connection.connect(name)
    except (ConnectionRefusedError, FileNotFoundError):
        connection.close()
        if _identity(address.path) == seen:  # And no process with the same number has put its own there meanwhile.
            with contextlib.suppress(OSError):
                os.unlink(address.path)
        return None
    except PermissionError:
        connection.close()
        raise UsageError(f"{address.path} cannot be entered: it belongs to somebody else") from None
    except (BlockingIOError, TimeoutError):  # As many wait for it as the system lets wait.
        connection.close()
        raise UsageError(silence(address.process)) from None
    return connection


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _greeted(connection: socket.socket, address: meeting.Address) -> Client:
    try:
        return Client(connection, address)
    except BaseException:
        connection.close()
        raise


def program_of(address: meeting.Address) -> str:
    """What the process at *address* runs, as far as the system tells."""
    try:
        with open(f"/proc/{address.process}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return ""
    return " ".join(os.fsdecode(word) for word in words if word)


def user_of(process: int) -> int | None:
    """The user whose rights *process* has; None if there is no such process, or the system does not tell."""
    try:
        with open(f"/proc/{process}/status") as file:
            for line in file:
                if line.startswith("State:") and "Z" in line.split()[1]:
                    return None  # It has ended, and its parent has not heard of it yet.
                if line.startswith("Uid:"):
                    return int(line.split()[2])
    except OSError:
        pass
    if os.path.isdir("/proc/self"):
        return None
    try:
        os.kill(process, 0)
    except PermissionError:
        return -1
    except OSError:
        return None
    return os.geteuid()


def silence(process: int) -> str:
    """Why *process* may be silent."""
    with contextlib.suppress(OSError, IndexError), open(f"/proc/{process}/stat") as file:
        if file.read().rpartition(")")[2].split()[0] in "Tt":
            return f"process {process} does not answer: it is stopped (by a signal, or in a debugger)"
    return (
        f"process {process} does not answer: for {PATIENCE:g} seconds nothing in it has let another thread run, "
        "as does a long call of C code that keeps the interpreter to itself"
    )


def _name_of(user: int | None) -> str:
    import pwd  # Not on every system.

    try:
        return f"user {pwd.getpwuid(user or 0).pw_name}"
    except (KeyError, OverflowError):
        return "another user" if user in (None, -1) else f"user {user}"
