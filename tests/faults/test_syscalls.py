"""System calls that fail, are interrupted, or do less than they were asked to, while traffic flows.

The compiled engine calls the C library directly, so that is where the faults are: ``shim.c``, compiled here and
preloaded into ``programs/faulty_traffic.py``.  They follow from a seed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hocket

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("cc") is None,
    reason="a library is compiled and preloaded, which takes Linux and a C compiler",
)

#: What a program never notices: a call is made again, or goes on where it stopped.
INTERRUPTED = [
    f"{call}:{error}:80"
    for call in (
        "recv",
        "send",
        "sendmsg",
        "sendfile",
        "recvfrom",
        "recvmsg",
        "recvmmsg",
        "sendmmsg",
        "sendto",
        "read",
        "write",
    )
    for error in ("EINTR", "EAGAIN")
]
SHORT = [f"{call}:SHORT:250" for call in ("recv", "sendmsg", "sendfile", "recvmmsg", "sendmmsg", "read", "write")]
WAITING = ["epoll_wait:EINTR:100", "epoll_wait:SHORT:200", "accept4:EINTR:80", "accept4:EAGAIN:80"]
HARMLESS = [*INTERRUPTED, *SHORT, *WAITING, "alarm"]


def slowly(*values: Any) -> list[Any]:
    """Parameters that are left for the long run."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


SEEDS = [1, *slowly(2, 3)]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", library, HERE / "shim.c", "-ldl"],
        check=True,
    )
    return library


def traffic(
    shim: Path, kind: str, seed: int, rules: list[str], loop: str = "hocket", driver: str = ""
) -> dict[str, Any]:
    """What came of it; fails if the program crashes or hangs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOCKET_")}
    environment["PYTHONPATH"] = str(Path(hocket.__file__).resolve().parents[1])
    preloaded = environment.get("LD_PRELOAD", "")
    environment["LD_PRELOAD"] = f"{preloaded} {shim}".strip()
    if driver:
        environment["HOCKET_DRIVER"] = driver
    program = HERE / "programs" / "faulty_traffic.py"
    finished = subprocess.run(
        [sys.executable, program, loop, kind, str(seed), *rules],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert finished.returncode == 0, f"exit code {finished.returncode}\n{finished.stdout}\n{finished.stderr}"
    result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    assert sum(result["hits"].values()) > 0, "no call has failed"
    assert result["descriptors left"] <= 0, result
    assert result["tasks left"] == 0, result
    assert result.get("lost twice", 0) == 0 and result.get("never lost", 0) == 0, result
    assert result.get("wrong", 0) == 0, result
    return result


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["tcp", "unix", "tls"])
def test_streams_arrive_whole_whatever_is_interrupted(shim: Path, kind: str, seed: int) -> None:
    """EINTR, EAGAIN and short counts everywhere, and a signal every millisecond: every byte arrives, in order."""
    more = "send:SHORT:250"
    result = traffic(shim, kind, seed, [*HARMLESS, more, "accept4:ECONNABORTED:80"])
    assert result["whole"] == result["halves"] == result["ended by themselves"] == 24
    assert result["lost"] == [None] * 24
    assert result["reports"] == []
    assert result["signals"] > 0


def test_streams_arrive_whole_on_the_selector_driver(shim: Path) -> None:
    """The same for the driver that waits with the standard library."""
    result = traffic(shim, "tcp", 4, [*HARMLESS, "send:SHORT:250"], driver="selector")
    assert result["whole"] == 24
    assert result["reports"] == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["sock", "sendfile"])
def test_socket_calls_finish_whatever_is_interrupted(shim: Path, kind: str, seed: int) -> None:
    """The same for the loop's own calls on sockets, and for files that the kernel sends."""
    result = traffic(shim, kind, seed, [*HARMLESS, "send:SHORT:250"])
    assert result["whole"] == 12, result


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["udp", "connected"])
def test_datagrams_arrive_whatever_is_interrupted(shim: Path, kind: str, seed: int) -> None:
    """What is received is what was sent, whole and in order."""
    result = traffic(shim, kind, seed, HARMLESS)
    assert result["in order"]
    assert result["got"] == result["sent"], result
    assert result["errors"] == [] and result["lost"] == [None, None]


@pytest.mark.parametrize("seed", SEEDS)
def test_pipes_carry_whatever_is_interrupted(shim: Path, seed: int) -> None:
    """The same for pipes."""
    result = traffic(shim, "pipes", seed, HARMLESS)
    assert result["whole"] == 12, result
    assert result["reports"] == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["tcp", "tls"])
@pytest.mark.parametrize("error", ["ENOBUFS", *slowly("ENOMEM", "EPERM", "ECONNRESET", "ETIMEDOUT")])
def test_a_connection_ends_with_the_error_of_the_kernel(shim: Path, kind: str, error: str, seed: int) -> None:
    """Reads and writes that fail for good: `connection_lost` is called with that error, the others go on."""
    if error in ("ENOMEM", "ETIMEDOUT") and kind == "tls":
        return
    rules = [f"{call}:{error}:25" for call in ("recv", "send", "sendmsg")]
    result = traffic(shim, kind, seed, rules)
    lost = set(result["lost"]) - {None}
    # The other end of such a connection sees it reset, or ended without a goodbye.
    assert lost <= {error, "ECONNRESET", "EPIPE", "ConnectionResetError", "ConnectionAbortedError", "SSL_ERROR"}, result
    assert error in lost or result.get("refused"), result
    assert [report for report in result["reports"] if error not in report[1]] == []


@pytest.mark.parametrize("error", ["EMFILE", *slowly("ENFILE", "ENOBUFS", "ENOMEM")])
def test_accepting_goes_on_when_descriptors_are_back(shim: Path, error: str) -> None:
    """Out of descriptors: reported, and a second later the clients that waited are served."""
    result = traffic(shim, "tcp", 6, [f"accept4:{error}:300"])
    assert result["whole"] == 24, result
    assert {message for message, _ in result["reports"]} == {"socket.accept() out of system resource"}


@pytest.mark.parametrize("kind", ["udp", "connected"])
@pytest.mark.parametrize("error", ["ENOBUFS", *slowly("EPERM", "ECONNREFUSED")])
def test_a_datagram_that_is_refused_is_reported(shim: Path, kind: str, error: str) -> None:
    """`error_received` for each, as with asyncio; the others go on."""
    rules = [f"{call}:{error}:50" for call in ("send", "sendto", "sendmsg", "sendmmsg")]
    result = traffic(shim, kind, 7, rules)
    refused = sum(result["hits"].values())
    assert result["in order"]
    assert result["errors"] == [error] * refused, result
    assert result["got"] == result["sent"] - refused
    assert result["lost"] == [None, None] and result["buffered"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tcp", "unix", "tls"])
def test_a_kernel_that_watches_nothing_more(shim: Path, kind: str) -> None:
    """``epoll_ctl`` fails: some connections fail, none crashes the loop, and all are given back."""
    result = traffic(shim, kind, 8, ["epoll_ctl:ENOMEM:150"])
    assert result["halves"] <= 24
