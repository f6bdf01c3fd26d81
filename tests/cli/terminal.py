"""A program in a terminal of its own, which a test reads and types into."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyte

#: For how long the screen may take to become what it is to be, in seconds.
PATIENCE = 60.0


class Terminal:
    """The screen of a program, and its keyboard."""

    def __init__(self, descriptor: int, child: subprocess.Popen[bytes], columns: int, lines: int) -> None:
        self.child = child
        self._descriptor = descriptor
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)

    def type(self, keys: str) -> None:
        """Press *keys*."""
        os.write(self._descriptor, keys.encode())

    def lines(self) -> list[str]:
        """What is on the screen."""
        return [line.rstrip() for line in self._screen.display]

    def text(self) -> str:
        """What is on the screen, as one."""
        return "\n".join(self.lines())

    def read(self, seconds: float) -> bool:
        """Take what the program writes within so many seconds.  False: it has ended."""
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0:
            if select.select([self._descriptor], [], [], rest)[0]:
                try:
                    data = os.read(self._descriptor, 65536)
                except OSError:  # nobody has the other end any more
                    return False
                self._stream.feed(data)
                return True
        return True

    def wait_until(self, condition: Callable[[str], bool]) -> str:
        """The screen as soon as *condition* is true of it."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if condition(self.text()):
                return self.text()
            if not self.read(0.2) and not condition(self.text()):
                break
        raise AssertionError(f"the screen is not what it is to be:\n{self.text()}")

    def wait_for(self, *texts: str) -> str:
        """The screen as soon as all *texts* are on it: it is drawn piece by piece."""
        return self.wait_until(lambda screen: all(text in screen for text in texts))

    def wait_for_end(self) -> int:
        """The exit code."""
        until = time.monotonic() + PATIENCE
        while self.read(0.2) and self.child.poll() is None and time.monotonic() < until:
            pass
        return self.child.wait(PATIENCE)


@contextmanager
def terminal(
    command: list[str], environment: dict[str, str], directory: Path, columns: int = 160, lines: int = 40
) -> Iterator[Terminal]:
    """Run *command* in a terminal."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))
    child = subprocess.Popen(
        command,
        stdin=inner,
        stdout=inner,
        stderr=inner,
        cwd=directory,
        env=environment | {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
        start_new_session=True,
    )
    os.close(inner)
    try:
        yield Terminal(outer, child, columns, lines)
    finally:
        child.kill()
        child.wait(30)
        os.close(outer)
