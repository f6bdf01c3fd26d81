"""Where the programs of a test lie and run: processes that end, and servers that are stopped."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.cli.workplace import Ended, Workplace

#: No step of a test takes a tenth of it.
PATIENCE = 60.0


class ToolWorkplace(Workplace):
    """`Workplace`, and processes that go on: each is stopped when the test ends, if not before."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._started: list[subprocess.Popen[str]] = []

    def program(self, source: str, *arguments: str, flags: tuple[str, ...] = (), **environment: str) -> Any:
        """Run *source* as a program, which must succeed; return what it printed as JSON on its last line."""
        path = self.write("program.py", source)
        ended = self.python(str(path), *arguments, flags=flags, **environment)
        assert ended.code == 0, ended.stderr
        return json.loads(ended.stdout.splitlines()[-1])

    def start(self, *arguments: str, **environment: str) -> Server:
        """Start ``python`` with *arguments*; what it says goes to a file that `Server.said` reads."""
        log = self.directory / f"process-{len(self._started)}.log"
        with log.open("w") as sink:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.directory,
                env=self.environment | environment,
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self._started.append(process)
        return Server(process, log)

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            with contextlib.suppress(OSError):
                process.communicate(timeout=PATIENCE)


class Server:
    """A process that goes on until it is stopped."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return self._log.read_text()

    def wait_until_said(self, text: str) -> None:
        """Wait until the process has printed *text*."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.said:
            alive = self.process.poll() is None
            assert (alive or text in self.said) and time.monotonic() < deadline, f"{text!r} is not in: {self.said}"
            time.sleep(0.02)

    def get(self, url: str) -> Any:
        """Fetch JSON as soon as the server answers."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(url, timeout=PATIENCE) as response:
                    return json.load(response)
            except (urllib.error.URLError, ConnectionError):
                alive = self.process.poll() is None
                assert alive and time.monotonic() < deadline, f"no answer; it said: {self.said}"
                time.sleep(0.05)

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Send the signal and return the exit code."""
        self.process.send_signal(signal_number)
        return self.process.wait(PATIENCE)


def connect(port: int) -> socket.socket:
    """Connect as soon as somebody listens."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, f"nobody listens on port {port}"
            time.sleep(0.05)


def succeeded(ended: Ended) -> str:
    """What a process printed that must have succeeded."""
    assert ended.code == 0, ended.stdout + ended.stderr
    return ended.stdout
