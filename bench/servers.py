"""Servers that some cases are clients of: PostgreSQL and Redis, started when first needed, on the core of the load.

Each runs in a directory of its own on a free port of 127.0.0.1. One that runs already is used instead if its
``HOST:PORT`` is in ``HOCKET_BENCH_POSTGRES`` (user ``postgres``, no password) or ``HOCKET_BENCH_REDIS`` (the keys begin
with ``bench``). ``python -m bench.servers COMMAND...`` runs a command with both started and these variables set.
"""

from __future__ import annotations

import contextlib
import glob
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.sample import cores

PATIENCE = 30.0  # seconds until a server is ready
ELSEWHERE = os.pathsep.join(["/usr/sbin", *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)])


class ServerMissing(Exception):
    """A server that a case needs is not installed, or does not start; the message says which and why."""


def variable(name: str) -> str:
    return f"HOCKET_BENCH_{name.upper()}"


def program(name: str, package: str) -> str:
    found = shutil.which(name, path=ELSEWHERE) or shutil.which(name)
    if found is None:
        raise ServerMissing(f"{name} is not installed (Debian: apt install {package})")
    return found


def free_port() -> int:
    """Below the ports that the kernel chooses from, so that no connection takes it before the server is up."""
    for port in random.sample(range(20_000, 32_000), 1000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise ServerMissing("there is no free port")


class Servers:
    """Those that have been started; `close` ends them."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def need(self, name: str) -> None:
        """Have the server *name* run, and its address in the environment of every process started from now on.

        :raises ServerMissing: if it is not installed or does not start.
        """
        if os.environ.get(variable(name)):
            return
        start = {"postgres": self._postgres, "redis": self._redis}[name]
        os.environ[variable(name)] = start()
        self._stack.callback(os.environ.pop, variable(name), None)

    def close(self) -> None:
        self._stack.close()

    def _directory(self, owner: str | None) -> Path:
        path = Path(tempfile.mkdtemp(prefix="hocket-bench-"))
        self._stack.callback(shutil.rmtree, path, ignore_errors=True)
        if owner is not None:
            shutil.chown(path, owner, owner)
        return path

    def _spawn(self, command: Sequence[str], where: Path, owner: str | None) -> subprocess.Popen[bytes]:
        with (where / "log").open("ab") as log:
            process = subprocess.Popen(command, cwd=where, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=owner)
        if (pinned := cores()) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(process.pid, {pinned[1]})
        return process

    def _run(
        self, command: Sequence[str], where: Path, owner: str | None, is_ready: Callable[[], bool], port: int
    ) -> str:
        process = self._spawn(command, where, owner)
        self._stack.callback(_end, process)
        deadline = time.monotonic() + PATIENCE
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                said = (where / "log").read_text(errors="replace").strip().splitlines()
                raise ServerMissing(
                    f"{Path(command[0]).name} does not start: {said[-1] if said else 'it says nothing'}"
                )
            time.sleep(0.02)
        return f"127.0.0.1:{port}"

    def _postgres(self) -> str:
        server, initdb = program("postgres", "postgresql"), program("initdb", "postgresql")
        owner = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
        where, port = self._directory(owner), free_port()
        data = where / "data"
        how = [
            "--pgdata",
            str(data),
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]
        if self._spawn([initdb, *how], where, owner).wait(PATIENCE) != 0:
            raise ServerMissing(f"initdb failed: {(where / 'log').read_text(errors='replace').strip()[-200:]}")
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": where,
            "fsync": "off",
            "autovacuum": "off",
        }
        given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

        def is_ready() -> bool:
            try:
                return (data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready"
            except (OSError, IndexError):
                return False

        return self._run([server, "-D", str(data), *given], where, owner, is_ready, port)

    def _redis(self) -> str:
        server, where, port = program("redis-server", "redis-server"), self._directory(None), free_port()
        options = {"--port": port, "--bind": "127.0.0.1", "--dir": where, "--save": "", "--appendonly": "no"}

        def is_ready() -> bool:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
                    probe.sendall(b"PING\r\n")
                    return probe.recv(16) == b"+PONG\r\n"
            except OSError:
                return False

        command = [server, *(str(word) for option in options.items() for word in option)]
        return self._run(command, where, None, is_ready, port)


def _end(process: subprocess.Popen[bytes]) -> None:
    """At once, but in order: SIGINT has PostgreSQL end its sessions first, and is nothing special to Redis."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main(command: Sequence[str]) -> int:
    servers = Servers()
    try:
        for name in ("postgres", "redis"):
            servers.need(name)
        return subprocess.run(command, check=False).returncode
    except ServerMissing as missing:
        print(f"bench.servers: {missing}", file=sys.stderr)
        return 2
    finally:
        servers.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
