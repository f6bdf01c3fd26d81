"""Servers as child processes: in a directory of their own, on a free port of loopback, stopped by their process id."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.ports import free_port

from .certificates import Files
from .installed import program
from .running import PATIENCE

HOST = "127.0.0.1"
STARTUP = PATIENCE / 2


class Daemon:
    """A server's process; `start` returns when it accepts connections on `port`."""

    #: The signal that ends it in order.
    ENDS = signal.SIGTERM

    def __init__(self, owner: str | None = None) -> None:
        self.owner = owner
        self.directory = Path(tempfile.mkdtemp(prefix=f"hocket-{type(self).__name__.lower()}-"))
        if owner is not None:
            shutil.chown(self.directory, owner, owner)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def spawn(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        identity = {} if self.owner is None else {"user": self.owner, "group": self.owner, "extra_groups": []}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **identity,  # type: ignore[arg-type]
            )

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def start(self) -> None:
        assert self.process is None
        self.process = self.spawn(self.command())
        deadline = time.monotonic() + STARTUP
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = self.log.read_text()
                self.kill()
                raise RuntimeError(f"{type(self).__name__} did not start:\n{said}")
            time.sleep(0.02)

    def is_ready(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """End it in order; by force if it does not end."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(self.ENDS)
        try:
            self.process.wait(STARTUP)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self, how: int = signal.SIGKILL) -> None:
        """End it without notice."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(STARTUP)
        self.process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.directory)


class Postgres(Daemon):
    """PostgreSQL with TLS, a password for TCP and none for its Unix socket; never as root, which it refuses."""

    ENDS = signal.SIGINT
    USER, PASSWORD, DATABASE = "postgres", "a secret", "postgres"

    def __init__(self, files: Files) -> None:
        server, initdb = program("postgres"), program("initdb")
        super().__init__("postgres" if os.geteuid() == 0 else None)
        self._server = server
        password = self.directory / "password"
        password.write_text(self.PASSWORD)
        for name, source in (("server.pem", files.certificate), ("server.key", files.key)):
            shutil.copy(source, self.directory / name)
            (self.directory / name).chmod(0o600)
        if self.owner is not None:
            for path in self.directory.iterdir():
                shutil.chown(path, self.owner, self.owner)
        made = self.spawn(
            [
                *(initdb, "--pgdata", str(self.data), "--username", self.USER, "--pwfile", str(password)),
                *("--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"),
            ]
        )
        if made.wait(STARTUP) != 0:
            raise RuntimeError(f"initdb failed:\n{self.log.read_text()}")

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": HOST,
            "port": self.port,
            "unix_socket_directories": self.directory,
            "ssl": "on",
            "ssl_cert_file": self.directory / "server.pem",
            "ssl_key_file": self.directory / "server.key",
            "fsync": "off",
            "max_connections": 60,
            "shared_buffers": "32MB",
            "restart_after_crash": "on",
        }
        given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [self._server, "-D", str(self.data), *given]

    def is_ready(self) -> bool:
        """An answer to a request for TLS comes too early: the server says when it is ready for use."""
        status = self.data / "postmaster.pid"
        try:
            return status.read_text().splitlines()[7].strip() == "ready"
        except (OSError, IndexError):
            return False

    def kill(self, how: int = signal.SIGQUIT) -> None:
        """SIGQUIT ends every session at once; killed outright, the server would leave its sessions behind."""
        super().kill(how)

    def kill_session(self, session: int) -> None:
        """End one without notice; the server then ends all others, and this waits until it has begun anew."""
        before = self._beginnings()
        os.kill(session, signal.SIGKILL)
        deadline = time.monotonic() + STARTUP
        while self._beginnings() == before:
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def _beginnings(self) -> int:
        return self.log.read_text(errors="replace").count("database system is ready to accept connections")


class Redis(Daemon):
    """Redis on a port and a Unix socket, without a file."""

    def __init__(self) -> None:
        server = program("redis-server")
        super().__init__()
        self._server = server
        self.socket = self.directory / "redis.socket"

    def command(self) -> Sequence[str]:
        options = {
            "--port": self.port,
            "--bind": HOST,
            "--unixsocket": self.socket,
            "--dir": self.directory,
            "--save": "",
            "--appendonly": "no",
        }
        return [self._server, *(str(word) for option in options.items() for word in option)]

    def is_ready(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=1) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(16) == b"+PONG\r\n"
        except OSError:
            return False


class Nginx(Daemon):
    """nginx with the ``server`` blocks that a test gives, in which ``PORT`` is `port`."""

    ENDS = signal.SIGQUIT

    MAIN = """
        daemon off;
        {user}
        worker_processes 2;
        pid nginx.pid;
        error_log stderr warn;
        events {{ worker_connections 512; }}
        http {{
            access_log off;
            client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi; scgi_temp_path scgi;
            {servers}
        }}
    """

    def __init__(self, servers: str) -> None:
        server = program("nginx")
        super().__init__()
        self._server = server
        (self.directory / "files").mkdir()
        name = pwd.getpwuid(os.geteuid()).pw_name
        # Workers get another user than root's by default, for whom the directory is closed.
        user = f"user {name};" if os.geteuid() == 0 else ""
        configuration = self.MAIN.format(user=user, servers=servers.replace("PORT", str(self.port)))
        (self.directory / "nginx.conf").write_text(configuration)

    def command(self) -> Sequence[str]:
        return [self._server, "-e", "stderr", "-p", f"{self.directory}/", "-c", "nginx.conf"]
