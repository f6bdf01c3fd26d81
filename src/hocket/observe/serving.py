"""One client of the agent: its requests in, the answers out, a slice at a time and never more than it takes."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from typing import Any

from hocket.core import scheduler
from hocket.observe import answers
from hocket.observe.aside import spent
from hocket.observe.protocol import LONGEST_REQUEST, Refusal, decode, encode

#: For how long an answer is worked at before the loops get their turn, in seconds.
_SLICE = 0.002
#: The same while a loop has been running something for so long, in seconds.  It is late already, and a thread that
#: computes gives the interpreter back only after five milliseconds, each time that it gets it.
_LONG_SLICE = 0.05
_BLOCKED = 0.05
#: How much is kept for a client that does not read, in bytes.
_MOST_UNSENT = 1 << 18
#: Until when a client must have taken something of what waits for it, in seconds.
_PATIENCE = 30.0


class Connection:
    """``over`` once nothing is to come from it or to go to it any more."""

    def __init__(self, client: socket.socket, allow_control: bool) -> None:
        client.setblocking(False)
        self.socket = client
        self.over = False
        self._asking = answers.Asking(allow_control)
        self._received = bytearray()
        self._unsent = bytearray()
        self._sent_at = time.monotonic()
        self._answer: Iterator[answers.Part] | None = None
        self._begun = 0.0
        self._resume_at = 0.0
        # Nothing is to be answered any more; nothing is to be asked any more.
        self._closing = False
        self._heard_all = False

    def greet(self, hello: dict[str, Any]) -> None:
        """Say who the process is."""
        self._unsent += encode(hello)

    def refuse(self, why: str) -> None:
        """Say why nothing will be answered."""
        self._unsent += encode({"error": why})
        self._closing = True

    def busy(self) -> bool:
        """Whether an answer is under way."""
        return (self._answer is not None or bool(self._unsent)) and not self.over

    def events(self) -> int:
        """What is to be waited for."""
        if self._unsent:
            return select.POLLOUT
        return 0 if self._answer is not None or self._closing or self._heard_all else select.POLLIN

    def handle(self, event: int) -> None:
        """Note what `select.poll` has found."""
        if event & select.POLLIN:
            self._receive()
        elif event & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
            self.over = True

    def advance(self) -> float | None:
        """Work at what is owed, for a slice.  Returns in how many seconds to go on; None: when it can send, or has
        received, something."""
        if self.over:
            return None
        self._send()
        if self._answer is None and not self._closing:
            self._next_request()
        if self._has_work() and time.monotonic() >= self._resume_at:
            self._produce()
            self._send()
        if self._has_work():
            return max(self._resume_at - time.monotonic(), 0.0)
        if self._unsent:
            patience = self._sent_at + _PATIENCE - time.monotonic()
            self.over |= patience <= 0.0
            return max(patience, 0.0)
        if b"\n" in self._received and not self._closing:
            return 0.0
        self.over |= self._closing or self._heard_all
        return None

    def end(self) -> None:
        """Forget whatever is under way."""
        self._answer = None
        self._asking.end()

    # -- Parts of it

    def _has_work(self) -> bool:
        return self._answer is not None and len(self._unsent) < _MOST_UNSENT and not self.over

    def _receive(self) -> None:
        try:
            data = self.socket.recv(LONGEST_REQUEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._heard_all = not data
        self._received += data

    def _next_request(self) -> None:
        end = self._received.find(b"\n")
        if end < 0:
            if len(self._received) > LONGEST_REQUEST:
                self.refuse(f"a request is longer than {LONGEST_REQUEST} bytes")
            return
        line = self._received[:end]
        del self._received[: end + 1]
        self._begun = time.thread_time() + spent()
        self._resume_at = 0.0
        try:
            self._answer = self._asking.answer(decode(line))
        except Refusal as error:
            self._unsent += encode({"error": str(error)})
        except ValueError as error:
            self.refuse(str(error))

    def _produce(self) -> None:
        """Go on with the answer."""
        blocked = any(loop.running()[1] > _BLOCKED for loop in scheduler.loops())
        until = time.monotonic() + (_LONG_SLICE if blocked else _SLICE)
        try:
            while time.monotonic() < until and len(self._unsent) < _MOST_UNSENT:
                part = next(self._answer)  # type: ignore[arg-type]
                if isinstance(part, float):
                    if part > 0.0:
                        self._resume_at = time.monotonic() + part
                        return
                    continue  # Somewhere to stop, if it is time to.
                if "end" in part:
                    part["end"]["cost"] = time.thread_time() + spent() - self._begun
                self._unsent += encode(part)
        except StopIteration:
            self._answer = None
        except Refusal as error:
            self._answer = None
            self._unsent += encode({"error": str(error)})
        except Exception as error:
            # The agent outlives what is wrong with one answer.
            self._answer = None
            self._unsent += encode({"error": f"the agent failed: {type(error).__name__}: {error}"})

    def _send(self) -> None:
        if not self._unsent or self.over:
            return
        try:
            count = self.socket.send(self._unsent, getattr(socket, "MSG_NOSIGNAL", 0))
        except BlockingIOError:
            return
        except OSError:
            self.over = True
            return
        self._sent_at = time.monotonic()
        del self._unsent[:count]
