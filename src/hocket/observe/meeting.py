"""Where observed processes are met: a directory of sockets, one a process, that only their user can enter.

It is ``hocket`` in the user's runtime directory (``XDG_RUNTIME_DIR``) or, where there is none, ``/tmp/hocket-UID``.
Who looks for processes looks in both, because a shell and a service of one user need not have the same environment.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple

#: What the address of a Unix socket holds, in bytes, on Linux; other systems hold a few less.
_LONGEST_ADDRESS = 107

_NAME = re.compile(r"(\d+)(?:-[0-9a-f]+)?\.sock")


class Unsafe(OSError):
    """A directory in which somebody else could put a socket, or take one away."""


class Address(NamedTuple):
    """The socket of one process, which may have ended since."""

    process: int
    path: str


def own_directory() -> str:
    """The directory for this process' socket, made if it was not there, and safe.  Raises `OSError` if it is not."""
    path = _directories(os.geteuid())[0]
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    check(path, os.geteuid())
    if os.stat(path).st_mode & 0o077:
        os.chmod(path, 0o700)
    return path


def check(directory: str, user: int) -> None:
    """Raise `Unsafe` unless *directory* is one, and *user*'s."""
    found = os.lstat(directory)
    if not stat.S_ISDIR(found.st_mode):
        raise Unsafe(f"{directory} is not a directory")
    if found.st_uid != user:
        raise Unsafe(f"{directory} does not belong to user {user} but to user {found.st_uid}")


def addresses(user: int) -> list[Address]:
    """The sockets of *user*'s processes, in the order of the processes' numbers."""
    result = []
    for directory in _directories(user):
        try:
            check(directory, user)
            names = os.listdir(directory)
        except OSError:  # not there, or not for us
            continue
        for name in names:
            match = _NAME.fullmatch(name)
            if match is not None:
                result.append(Address(int(match[1]), os.path.join(directory, name)))
    return sorted(result, key=lambda address: (address.process, address.path))


def _directories(user: int) -> list[str]:
    """Where the sockets of *user*'s processes may be, the best place first."""
    runtime = []
    if user == os.geteuid():
        runtime.append(os.environ.get("XDG_RUNTIME_DIR", ""))
    runtime.append(f"/run/user/{user}")
    usable = [path for path in dict.fromkeys(runtime) if os.path.isabs(path) and _belongs(path, user)]
    return [*(os.path.join(path, "hocket") for path in usable), f"/tmp/hocket-{user}"]


def _belongs(path: str, user: int) -> bool:
    try:
        check(path, user)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def short_name(path: str) -> Iterator[str]:
    """A name for *path* that fits into the address of a Unix socket."""
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield path
        return
    directory, name = os.path.split(path)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)
