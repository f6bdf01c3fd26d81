"""One sample: start the fresh process, pin it to its core, have it measured, and end it whatever happens.

The process under test gets the last core that this one may use, and the load generator the first. A process that
crashes, hangs or answers wrongly is reported as a :class:`SampleFailed` with what it said; nothing here waits for ever.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bench.case import FLOOR, Echo, Sample, Selected
from bench.effort import Effort
from bench.memory import resident
from bench.toolchain import program

ROOT = Path(__file__).parent.parent

LIFETIME = 60  # seconds that one sample may take
START_UP = 30  # seconds that a server may take until it listens


class SampleFailed(Exception):
    """The work under test did not give a number; the message says what happened to it."""


@dataclass(frozen=True)
class Measured:
    metrics: Sample
    loop: dict[str, Any] | None


def cores() -> tuple[int, int] | None:
    """The core of the work under test and the core of the load; None where processes cannot be pinned."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    usable = sorted(os.sched_getaffinity(0))
    return usable[-1], usable[0]


def environment(loop: str | None = None) -> dict[str, str]:
    build = (loop or "").partition("@")[2]
    paths = [
        str(ROOT),
        *([os.path.abspath(build)] if build else []),
        *(os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p),
    ]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def child_command(selected: Selected, loop: str, effort: Effort) -> list[str]:
    arguments = [loop, selected.case.name, selected.variant, effort.name, str(LIFETIME)]
    return [sys.executable, "-m", "bench.child", *arguments]


@contextmanager
def started(
    command: Sequence[str | Path], core: int | None, loop: str | None = None
) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A process pinned to ``core`` with its stdout piped and its stderr in a file; killed and reaped at the end."""
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment(loop))
        try:
            if core is not None:
                try:
                    os.sched_setaffinity(process.pid, {core})
                except ProcessLookupError:
                    pass  # it has ended already; whoever reads its output says why
            yield process, errors
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def last_words(errors: IO[str]) -> str:
    errors.seek(0)
    lines = [line for line in errors.read().splitlines() if line.strip()]
    return f": {lines[-1].strip()}" if lines else ""


def how_it_ended(process: subprocess.Popen[str]) -> str:
    code = process.wait()
    if code == -signal.SIGALRM:
        return f"took longer than {LIFETIME} s"
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def measure(selected: Selected, loop: str, effort: Effort) -> Measured:
    """One sample of one case on one loop (or on the case's floor), in processes of its own.

    :raises SampleFailed: if the work crashed, hung or gave a wrong answer.
    :raises bench.toolchain.ToolchainError: if a network case cannot have its C programs.
    """
    if isinstance(selected.case, Echo):
        return measure_echo(selected, loop, effort)
    return measure_in_process(selected, loop, effort)


def measure_in_process(selected: Selected, loop: str, effort: Effort) -> Measured:
    pinned = cores()
    with started(child_command(selected, loop, effort), pinned and pinned[0], loop) as (process, errors):
        try:
            output, _ = process.communicate(timeout=LIFETIME + 5)
        except subprocess.TimeoutExpired:
            raise SampleFailed(f"took longer than {LIFETIME} s") from None
        if process.returncode != 0:
            raise SampleFailed(f"{how_it_ended(process)}{last_words(errors)}")
        answer = json.loads(output.splitlines()[-1])
    return Measured(answer["metrics"], answer["loop"])


def measure_echo(selected: Selected, loop: str, effort: Effort) -> Measured:
    assert isinstance(selected.case, Echo)
    load = selected.case.loads[selected.variant]
    generator = program(selected.case.generator)
    server_command: list[str | Path]
    if loop == FLOOR:
        server_command = [program(selected.case.floor_program), str(LIFETIME)]
    else:
        server_command = [*child_command(selected, loop, effort)]
    server_core, load_core = cores() or (None, None)
    with ExitStack() as stack:
        server, server_errors = stack.enter_context(started(server_command, server_core, loop))
        ready = first_line(server, server_errors)
        if isinstance(ready["address"], str):
            stack.callback(os.unlink, ready["address"])  # a Unix socket, whose server will be killed
        arguments: list[Any] = [ready["address"], server.pid, load.connections, load.size]
        if load.hold:
            arguments[2:] = [load.connections if effort.name != "quick" else 500, "hold"]
        else:
            arguments += [effort.warm_up, effort.window, effort.max_requests]
        with started([generator, *map(str, arguments)], load_core) as (client, client_errors):
            try:
                output, _ = client.communicate(timeout=LIFETIME)
            except subprocess.TimeoutExpired:
                raise SampleFailed(f"the load generator took longer than {LIFETIME} s") from None
            if client.returncode != 0:
                raise SampleFailed(blame(server, server_errors, client_errors))
        metrics = {**json.loads(output), "rss_mb": resident(server.pid) / 1e6}
    return Measured(metrics, ready.get("loop"))


def blame(server: subprocess.Popen[str], server_errors: IO[str], client_errors: IO[str]) -> str:
    """Why a load failed: what the client saw, and how the server ended if it did."""
    seen = last_words(client_errors).removeprefix(": ")
    try:
        server.wait(timeout=5)  # a crashing process closes its sockets before it can be waited for
    except subprocess.TimeoutExpired:
        return f"{seen}; the server is still running{last_words(server_errors)}"
    return f"{seen}; the server {how_it_ended(server)}{last_words(server_errors)}"


def first_line(server: subprocess.Popen[str], errors: IO[str]) -> dict[str, Any]:
    assert server.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(server.stdout, selectors.EVENT_READ)
        if not selector.select(START_UP):
            raise SampleFailed(f"the server did not listen within {START_UP} s{last_words(errors)}")
    line = server.stdout.readline()
    if not line:
        raise SampleFailed(f"the server {how_it_ended(server)} before it listened{last_words(errors)}")
    ready: dict[str, Any] = json.loads(line)
    return ready
