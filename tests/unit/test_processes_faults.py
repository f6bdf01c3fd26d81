"""What goes wrong while a child is started or watched, and that nothing is left of it."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import resource
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.leftovers import open_descriptors

from .children import Recorder, linux, nothing_left, own_children, until
from .loops import OURS, hocket_epoll

pytestmark = linux

PIPE = subprocess.PIPE


def fail_in_child() -> None:
    raise ValueError("in the child")


def refuse(number: int) -> Callable[..., Any]:
    """A function that fails as a system call does."""

    def call(*args: Any, **kwargs: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return call


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Let this process open only *count* descriptors more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    gc.collect()  # What earlier tests have dropped is not to make room meanwhile.
    used = {fd for fd, _ in open_descriptors()}
    limit = 0
    while count >= 0:
        # The limit is on the number of a descriptor, and gaps are filled first.
        if limit not in used:
            count -= 1
        limit += 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit - 1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def start(*command: str, **options: Any) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE, **options)


# -- Errors of Popen


@pytest.mark.parametrize(
    ("command", "options", "error"),
    [
        (["/no/such/program"], {}, FileNotFoundError),
        (["/etc/passwd"], {}, PermissionError),
        (["true"], {"cwd": "/no/such/directory"}, FileNotFoundError),
        (["true"], {"preexec_fn": fail_in_child}, subprocess.SubprocessError),
        (["true"], {"pass_fds": [999999]}, (OSError, subprocess.SubprocessError, ValueError)),
        (["tr\0ue"], {}, ValueError),
        (["true"], {"user": "nosuchuser"}, KeyError),
        (["true"], {"nonsense": 1}, TypeError),
        ([b"true", 7], {}, TypeError),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, (list, dict)) else "",
)
def test_child_that_cannot_be_started(
    loop: asyncio.AbstractEventLoop, command: list[Any], options: dict[str, Any], error: Any
) -> None:
    """What Popen raises is raised, and leaves no descriptor, no child and no transport."""

    async def main() -> None:
        async with nothing_left():
            with pytest.raises(error):
                await start(*command, **options)

    loop.run_until_complete(main())


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EPERM])
def test_system_that_makes_no_process(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """``fork`` itself fails: the error is raised as it is, and nothing is left."""

    async def main() -> None:
        async with nothing_left():
            with monkeypatch.context() as patched, pytest.raises(OSError, match=os.strerror(number)) as raised:
                patched.setattr(subprocess, "_fork_exec", refuse(number))
                await start("true")
            assert raised.value.errno == number

    loop.run_until_complete(main())


@pytest.mark.parametrize("count", range(14))
def test_no_descriptors_left(loop: asyncio.AbstractEventLoop, count: int) -> None:
    """With any number of descriptors left the child either runs to its end or is refused; nothing is left of it."""

    async def main() -> str:
        async with nothing_left():
            try:
                with descriptors_left(count):
                    process = await start("cat")
            except OSError as error:
                return os.strerror(error.errno or 0)
            output, _ = await process.communicate(b"through")
            assert (output, process.returncode) == (b"through", 0)
        return "run"

    # Three pipes and one to hear of errors; the pidfd is had or done without.
    assert loop.run_until_complete(main()) == ("run" if count >= 8 else os.strerror(errno.EMFILE))


# -- Errors after the child has been started


@pytest.mark.parametrize("name", ["connect_read_pipe", "connect_write_pipe"])
def test_pipe_that_cannot_be_connected(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """If a pipe fails the child is killed and reaped, and the pipes are closed."""

    async def fail(*args: Any) -> Any:
        raise RuntimeError("no pipe")

    async def main() -> None:
        async with nothing_left():
            with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="no pipe"):
                patched.setattr(type(loop), name, fail)
                await start("sleep", "60")

    loop.run_until_complete(main())


def test_neither_pidfd_nor_thread(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child whose end nobody could notice is not let run."""

    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        async with nothing_left():
            with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="can't start new thread"):
                patched.setattr(os, "pidfd_open", refuse(errno.ENOSYS))
                patched.setattr(threading.Thread, "start", no_thread)
                await start("sleep", "60")

    loop.run_until_complete(main())


def test_driver_that_takes_no_more_descriptors(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the kernel does not watch the pidfd, a thread waits instead, and the pidfd is given back."""

    async def main() -> int:
        async with nothing_left():
            with monkeypatch.context() as patched:
                patched.setattr(type(loop), "_add_reader", refuse(errno.ENOSPC))
                process = await asyncio.create_subprocess_exec("/bin/sh", "-c", "exit 5")
            return await process.wait()

    assert loop.run_until_complete(main()) == 5


@pytest.mark.parametrize("turns", range(8))
def test_cancelled_while_starting(loop: asyncio.AbstractEventLoop, turns: int) -> None:
    """Whenever `create_subprocess_exec` is cancelled, the child is killed and reaped, and the pipes are closed."""

    async def main() -> None:
        async with nothing_left():
            task = asyncio.create_task(start("sleep", "60"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            try:
                process = await task
            except asyncio.CancelledError:
                pass
            else:
                process.kill()
                await process.communicate()

    loop.run_until_complete(main())


def test_cancelled_while_starting_with_a_grandchild(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    """A grandchild that holds the pipes of a child given up keeps none of ours open."""
    reading, writing = os.pipe()

    async def main() -> None:
        before = open_descriptors()
        task = asyncio.create_task(
            start("/bin/sh", "-c", f"(read line <&{reading}) & exec sleep 60", pass_fds=[reading])
        )
        await asyncio.sleep(0)
        time.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: open_descriptors() <= before, "no descriptor more than before")

    try:
        loop.run_until_complete(main())
    finally:
        os.close(writing)
        os.close(reading)


def test_cancelled_twice_while_starting(loop: asyncio.AbstractEventLoop) -> None:
    """A second cancellation ends the wait for the killed child; it is reaped all the same."""

    async def main() -> None:
        async with nothing_left():
            task = asyncio.create_task(start("sleep", "60"))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            children = own_children()
            await until(lambda: not (own_children() & children), "the child is reaped")

    loop.run_until_complete(main())


def test_timeout_while_waiting(loop: asyncio.AbstractEventLoop) -> None:
    """Giving up `wait` leaves the child alone, and no waiter behind."""

    async def main() -> int:
        process = await asyncio.create_subprocess_exec("sleep", "60")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.wait(), 0.01)
        assert process.returncode is None
        assert process._transport._waiters == set()  # type: ignore[attr-defined]
        process.kill()
        return await process.wait()

    assert loop.run_until_complete(main()) == -signal.SIGKILL


def test_protocol_that_raises(loop: asyncio.AbstractEventLoop) -> None:
    """An exception of `process_exited` is reported, and the end comes all the same."""
    reports: list[str] = []

    class Failing(Recorder):
        def process_exited(self) -> None:
            raise ZeroDivisionError

    async def main() -> None:
        loop.set_exception_handler(lambda _, context: reports.append(type(context["exception"]).__name__))
        async with nothing_left():
            transport, protocol = await loop.subprocess_exec(Failing, "true")
            await asyncio.wait_for(protocol.lost, 10)
            transport.close()

    loop.run_until_complete(main())
    assert reports == ["ZeroDivisionError"]


# -- Transports and loops that are closed


def test_close_kills(loop: asyncio.AbstractEventLoop) -> None:
    """Closing the transport of a running child kills it; its end is reported."""

    async def main() -> list[Any]:
        async with nothing_left():
            transport, protocol = await loop.subprocess_exec(Recorder, "sleep", "60", stderr=None)
            transport.close()
            transport.close()
            await asyncio.wait_for(protocol.lost, 10)
            assert transport.get_returncode() == -signal.SIGKILL
            return protocol.events

    events = loop.run_until_complete(main())
    assert events[0] == "connection_made"
    assert events[-1] == "connection_lost"
    assert events.count("process_exited") == 1


def test_close_leaves_the_exit_code_of_a_child_that_has_ended(loop: asyncio.AbstractEventLoop) -> None:
    """Closing takes no exit code away from the loop that has not been told of the end yet."""

    async def main() -> int | None:
        reading, writing = os.pipe()
        transport, protocol = await loop.subprocess_exec(
            Recorder, "/bin/sh", "-c", "read line; exit 7", stdin=reading, stdout=None, stderr=None
        )
        os.close(reading)
        os.close(writing)
        os.waitid(os.P_PID, transport.get_pid(), os.WEXITED | os.WNOWAIT)
        transport.close()
        await asyncio.wait_for(protocol.lost, 10)
        return transport.get_returncode()

    assert loop.run_until_complete(main()) == 7


def test_close_of_a_child_that_may_not_be_killed(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that runs with another user's rights outlives its transport, which closes without an error."""

    async def main() -> int | None:
        transport, protocol = await loop.subprocess_exec(Recorder, "sleep", "60", stdin=None, stdout=None, stderr=None)
        process = transport.get_extra_info("subprocess")
        with monkeypatch.context() as patched:
            patched.setattr(process, "kill", refuse(errno.EPERM))
            transport.close()
        assert transport.get_returncode() is None
        os.kill(transport.get_pid(), signal.SIGTERM)
        await asyncio.wait_for(protocol.lost, 10)
        return transport.get_returncode()

    assert loop.run_until_complete(main()) == -signal.SIGTERM


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning", "ignore:subprocess .* is still running")
@pytest.mark.parametrize("factory", OURS)
def test_loop_closed_while_a_child_runs(factory: Any) -> None:
    """Closing the loop gives its pidfds back and leaves the child alone; it is killed with its transport."""
    gc.collect()
    before = open_descriptors()
    loop = factory()
    transport, _ = loop.run_until_complete(
        loop.subprocess_exec(asyncio.SubprocessProtocol, "sleep", "60", stdin=None, stdout=None, stderr=None)
    )
    process = transport.get_extra_info("subprocess")
    loop.close()
    assert open_descriptors() <= before
    os.kill(process.pid, 0)
    lost = weakref.ref(transport)
    del transport
    gc.collect()
    assert lost() is None
    assert process.wait(10) == -signal.SIGKILL


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning", "ignore:subprocess .* is still running")
def test_loop_closed_with_pipes_open(capfd: pytest.CaptureFixture[str]) -> None:
    """A transport that outlives its loop, pipes and all, is closed without a traceback."""
    loop = hocket_epoll()
    transport, _ = loop.run_until_complete(loop.subprocess_exec(asyncio.SubprocessProtocol, "sleep", "60"))
    process = transport.get_extra_info("subprocess")
    loop.close()
    transport.close()
    assert process.wait(10) == -signal.SIGKILL
    del transport, process
    gc.collect()
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
def test_loop_closed_while_a_thread_waits(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Without pidfds, a child that ends when its loop is closed is reaped by its thread, with a warning."""
    monkeypatch.setattr(os, "pidfd_open", refuse(errno.ENOSYS))
    loop = hocket_epoll()
    process = loop.run_until_complete(asyncio.create_subprocess_exec("sleep", "60"))
    pid = process.pid
    loop.close()
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while not any(f"pid {pid}" in message for message in caplog.messages):
        assert time.monotonic() < deadline, "no warning within 10 s"
        time.sleep(0.005)
    assert pid not in own_children()
    told = [message for message in caplog.messages if f"pid {pid}" in message]
    assert told == [f"Loop {loop!r} that handles pid {pid} is closed"]
    process._transport._proc.returncode = 0  # type: ignore[attr-defined]
    del process
    gc.collect()


# -- Signals that the kernel or a sandbox refuses


def test_sandbox_without_signals_by_pidfd(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where signals cannot be sent through the pidfd, they are sent to the pid."""

    async def main() -> int:
        monkeypatch.setattr(signal, "pidfd_send_signal", refuse(errno.ENOSYS))
        process = await asyncio.create_subprocess_exec("sleep", "60")
        process.terminate()
        return await process.wait()

    assert loop.run_until_complete(main()) == -signal.SIGTERM


def test_signal_that_is_not_allowed(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's refusal is raised."""

    async def main() -> None:
        process = await asyncio.create_subprocess_exec("sleep", "60")
        with monkeypatch.context() as patched, pytest.raises(PermissionError):
            patched.setattr(signal, "pidfd_send_signal", refuse(errno.EPERM))
            patched.setattr(os, "kill", refuse(errno.EPERM))
            process.kill()
        process.kill()
        await process.wait()

    loop.run_until_complete(main())


def test_exit_code_that_a_debugger_has_first(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pidfd says that the child has ended before its parent may know how: the loop does not wait for that."""
    waitid, asked = os.waitid, []

    def held_back(kind: int, which: int, options: int) -> Any:
        if kind == os.P_PIDFD:
            asked.append(which)
            return None
        return waitid(kind, which, options)

    async def main() -> int:
        monkeypatch.setattr(os, "waitid", held_back)
        async with nothing_left():
            process = await asyncio.create_subprocess_exec("/bin/sh", "-c", "exit 11")
            return await process.wait()

    assert loop.run_until_complete(main()) == 11
    assert len(asked) == 1
