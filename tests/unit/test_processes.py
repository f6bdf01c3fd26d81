"""Child processes as programs see them: options, pipes, exit codes, signals; with and without pidfds."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import hocket
from tests.leftovers import no_new_threads

from .children import Recorder, linux, python, until
from .loops import EVERY, OURS, hocket_selector, run

PIPE, DEVNULL, STDOUT = subprocess.PIPE, subprocess.DEVNULL, subprocess.STDOUT

pidfds = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system has no pidfds")


def without_pidfds(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, flags: int = 0) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)


@pytest.fixture(params=["pidfd", "thread", "thread without waitid"])
def notice(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the loop learns that a child has ended."""
    if request.param == "pidfd":
        if not hasattr(os, "pidfd_open"):
            pytest.skip("this system has no pidfds")
    else:
        without_pidfds(monkeypatch)
    if request.param == "thread without waitid":
        monkeypatch.delattr(os, "waitid", raising=False)
    return str(request.param)


async def output_of(*command: str, **options: Any) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, **options)
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode().strip()


@asynccontextmanager
async def grandchild_holding_stdout() -> AsyncIterator[asyncio.subprocess.Process]:
    """A child that ends with 7 at once, and leaves behind a child of its own that holds its output open."""
    reading, writing = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *python(
                """
                import os, sys
                if os.fork() == 0:
                    os.read(int(sys.argv[1]), 1)
                    os._exit(0)
                os._exit(7)
                """,
                str(reading),
            ),
            stdout=PIPE,
            pass_fds=[reading],
        )
        yield process
    finally:
        os.close(writing)
        os.close(reading)


async def held_child(code: int) -> tuple[asyncio.subprocess.Process, Callable[[], None]]:
    """A child that ends with *code* when the function is called, and not before."""
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec("/bin/sh", "-c", f"read line; exit {code}", stdin=reading)
    os.close(reading)
    return process, lambda: os.close(writing)


# -- The options of Popen

OPTIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"cwd": "/"}, "import os; print(os.getcwd())", "/"),
    ({"env": {"VOICE": "alto"}}, "import os; print(os.environ['VOICE'])", "alto"),
    ({"umask": 0o27}, "import os; print(oct(os.umask(0)))", "0o27"),
    ({"start_new_session": True}, "import os; print(os.getsid(0) == os.getpid())", "True"),
    ({"process_group": 0}, "import os; print(os.getpgid(0) == os.getpid())", "True"),
    ({"pipesize": 1 << 16}, "print('wide')", "wide"),
    ({"preexec_fn": lambda: os.umask(0o11) and None}, "import os; print(oct(os.umask(0)))", "0o11"),
    ({"restore_signals": False}, "import signal; print(signal.getsignal(signal.SIGPIPE).name)", "SIG_IGN"),
    ({"executable": sys.executable}, "print('named')", "named"),
    ({"stderr": STDOUT}, "import sys; sys.stderr.write('error')", "error"),
]


@pytest.mark.parametrize(("options", "code", "expected"), OPTIONS, ids=[next(iter(entry[0])) for entry in OPTIONS])
@pytest.mark.parametrize("factory", EVERY)
def test_options_reach_the_child(factory: Any, options: dict[str, Any], code: str, expected: str) -> None:
    """Each option of Popen does what it says."""
    assert run(factory, output_of(*python(code), **options)) == expected


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may become somebody else")
def test_child_runs_as_another_user(loop: asyncio.AbstractEventLoop) -> None:
    """``user``, ``group`` and ``extra_groups`` set whose rights the child has."""
    code = "import os; print(os.getuid(), os.getgid(), os.getgroups())"
    output = loop.run_until_complete(
        output_of("/bin/sh", "-c", "id -u; id -g; id -G", user=65534, group=65533, extra_groups=[65533])
    )
    assert output.split() == ["65534", "65533", "65533"], code


def test_child_gets_descriptors_of_pass_fds_alone(loop: asyncio.AbstractEventLoop) -> None:
    """A descriptor of ``pass_fds`` is open in the child, another inheritable one is not."""
    one, two = os.pipe()
    os.set_inheritable(two, True)
    code = """
        import os, sys
        def is_open(fd):
            try:
                os.fstat(fd)
            except OSError:
                return False
            return True
        print(*[is_open(int(fd)) for fd in sys.argv[1:]])
    """
    try:
        assert loop.run_until_complete(output_of(*python(code, str(one), str(two)), pass_fds=[one])) == "True False"
    finally:
        os.close(one)
        os.close(two)


@pytest.mark.parametrize("factory", EVERY)
def test_streams_may_be_files_descriptors_or_nothing(factory: Any, tmp_path: Path) -> None:
    """stdin from a file, stdout into a descriptor, stderr to nowhere: no pipe is made for any of them."""
    (tmp_path / "in").write_bytes(b"tenor")

    async def main() -> tuple[Any, int | None]:
        with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as target:
            process = await asyncio.create_subprocess_exec(
                *python("import sys; print(sys.stdin.read()); sys.stderr.write('!')"),
                stdin=source,
                stdout=target.fileno(),
                stderr=DEVNULL,
            )
            return (process.stdin, process.stdout, process.stderr), await process.wait()

    assert run(factory, main()) == ((None, None, None), 0)
    assert (tmp_path / "out").read_bytes() == b"tenor\n"


def test_stdin_may_be_a_socket(loop: asyncio.AbstractEventLoop) -> None:
    """Whatever has a descriptor can be a stream of the child."""
    near, far = socket.socketpair()

    async def main() -> bytes:
        process = await asyncio.create_subprocess_exec("cat", stdin=far, stdout=PIPE)
        far.close()
        near.sendall(b"bass")
        near.close()
        return (await process.communicate())[0]

    with near, far:
        assert loop.run_until_complete(main()) == b"bass"


@pytest.mark.parametrize("factory", EVERY)
def test_shell(factory: Any) -> None:
    """A shell command runs in a shell, and its exit code is the shell's."""

    async def main() -> tuple[bytes, int | None]:
        process = await asyncio.create_subprocess_shell("echo a; echo b | cat; exit 3", stdout=PIPE)
        return (await process.communicate())[0], process.returncode

    assert run(factory, main()) == (b"a\nb\n", 3)


@pytest.mark.parametrize("factory", EVERY)
@pytest.mark.parametrize(
    "option",
    [{"text": True}, {"universal_newlines": True}, {"encoding": "utf-8"}, {"errors": "strict"}, {"bufsize": 1}],
)
def test_text_is_refused(factory: Any, option: dict[str, Any]) -> None:
    """Pipes carry bytes: what would make them text raises ValueError before anything is started."""

    async def main() -> None:
        with pytest.raises(ValueError, match=next(iter(option))):
            await asyncio.create_subprocess_exec("true", **option)

    run(factory, main())


# -- Input and output


@pytest.mark.parametrize("factory", EVERY)
def test_communicate_carries_more_than_pipes_hold(factory: Any) -> None:
    """What is fed to a child and what it says at the same time may be of any size."""
    sent = os.urandom(1 << 16) * 64

    async def main() -> tuple[bytes, bytes]:
        process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        output, _ = await process.communicate(sent)
        return output

    assert run(factory, main()) == sent


@pytest.mark.parametrize("factory", EVERY)
def test_limit_bounds_a_line(factory: Any) -> None:
    """``limit`` is that of the stream readers of the child's output."""

    async def main() -> None:
        process = await asyncio.create_subprocess_exec(*python("print('x' * 5000)"), stdout=PIPE, limit=1000)
        assert process.stdout is not None
        with pytest.raises(ValueError, match="chunk is longer than limit"):
            await process.stdout.readline()
        await process.communicate()

    run(factory, main())


@pytest.mark.parametrize("factory", EVERY)
def test_child_that_does_not_read_its_input(factory: Any) -> None:
    """A child that ends without reading what it is sent breaks nothing: the input is lost, the exit code is not."""

    async def main() -> int | None:
        process = await asyncio.create_subprocess_exec(*python("raise SystemExit(4)"), stdin=PIPE)
        await process.communicate(b"x" * (1 << 20))
        return process.returncode

    assert run(factory, main()) == 4


# -- The end of a child


@pytest.mark.usefixtures("notice")
@pytest.mark.parametrize("factory", OURS)
@pytest.mark.parametrize("code", [0, 1, 77, 255])
def test_exit_code(factory: Any, code: int) -> None:
    """What a child ends with is what `wait` returns, and the transport and its Popen say."""

    async def main() -> tuple[Any, ...]:
        process = await asyncio.create_subprocess_exec("/bin/sh", "-c", f"exit {code}")
        popen = process._transport.get_extra_info("subprocess")
        return await process.wait(), process.returncode, popen.returncode

    assert run(factory, main()) == (code, code, code)


@pytest.mark.usefixtures("notice")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1])
def test_signal_ends_a_child(loop: asyncio.AbstractEventLoop, number: int) -> None:
    """A signal sent reaches the child, and one that it dies of is its exit code, negative."""

    async def main() -> int:
        process = await asyncio.create_subprocess_exec("sleep", "60")
        process.send_signal(number)
        return await process.wait()

    assert loop.run_until_complete(main()) == -number


def test_signal_that_does_not_exist(loop: asyncio.AbstractEventLoop) -> None:
    """A number that is no signal is refused by the kernel, as with asyncio, and the child lives on."""

    async def main() -> int:
        process = await asyncio.create_subprocess_exec("sleep", "60")
        with pytest.raises(OSError, match="Invalid argument"):
            process.send_signal(999)
        process.terminate()
        return await process.wait()

    assert loop.run_until_complete(main()) == -signal.SIGTERM


@pytest.mark.usefixtures("notice")
def test_wait_returns_when_the_child_ends(loop: asyncio.AbstractEventLoop) -> None:
    """A grandchild that holds the child's output open keeps nobody waiting for the child; as of Python 3.14.

    The output ends, and `connection_lost` comes, when the grandchild lets go.
    """

    async def main() -> None:
        async with grandchild_holding_stdout() as process:
            assert await asyncio.wait_for(process.wait(), 10) == 7
            assert process.stdout is not None
            assert not process.stdout.at_eof()
        assert await process.stdout.read() == b""

    loop.run_until_complete(main())


@pytest.mark.usefixtures("notice")
def test_child_outlives_its_pipes(loop: asyncio.AbstractEventLoop) -> None:
    """A child that closes its output runs on until it ends."""

    async def main() -> tuple[Any, ...]:
        process = await asyncio.create_subprocess_exec(
            *python("import os, sys; os.close(1); os.close(2); sys.exit(len(os.read(0, 9)))"),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        ended = await process.stdout.read(), await process.stderr.read()
        running = process.returncode
        process.stdin.write(b"abc")
        return ended, running, await process.wait()

    assert loop.run_until_complete(main()) == ((b"", b""), None, 3)


@pytest.mark.parametrize("factory", EVERY)
def test_connection_lost_is_last_and_comes_once(factory: Any) -> None:
    """First connection_made, then the end of each pipe and of the child, in whatever order; connection_lost last."""

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(Recorder, *python("print('a')"))
        await protocol.lost
        assert protocol.output[1] == b"a\n"
        transport.close()
        await asyncio.sleep(0)
        return protocol.events

    events = run(factory, main())
    assert events[0] == "connection_made"
    assert events[-1] == "connection_lost"
    ends = ["process_exited", *(("pipe_connection_lost", fd, None) for fd in (0, 1, 2))]
    assert sorted(map(str, events[1:-1])) == sorted(map(str, ends))


@pytest.mark.parametrize("factory", EVERY)
def test_no_signal_after_the_end(factory: Any) -> None:
    """After `connection_lost` there is no process to send a signal to: ProcessLookupError."""

    async def main() -> None:
        process = await asyncio.create_subprocess_exec("true")
        await process.wait()
        await asyncio.sleep(0)
        sends: list[Callable[[], None]] = [process.kill, process.terminate, lambda: process.send_signal(signal.SIGINT)]
        for send in sends:
            with pytest.raises(ProcessLookupError):
                send()

    run(factory, main())


@pytest.mark.parametrize("notice", ["pidfd", "thread"], indirect=True)
def test_signal_between_the_end_and_its_report(loop: asyncio.AbstractEventLoop, notice: str) -> None:
    """A signal to a child that has ended, before the loop knows, does nothing and costs no exit code."""

    async def main() -> int:
        process, end = await held_child(5)
        end()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        process.kill()
        return await process.wait()

    assert loop.run_until_complete(main()) == 5


def test_popen_may_be_asked(loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture) -> None:
    """A program that waits for the child by its Popen takes the exit code from nobody."""

    async def main() -> int:
        process, end = await held_child(6)
        end()
        assert process._transport.get_extra_info("subprocess").wait() == 6
        return await process.wait()

    assert loop.run_until_complete(main()) == 6
    assert not any("exit status already read" in message for message in caplog.messages)


@pytest.mark.parametrize("notice", ["pidfd", "thread"], indirect=True)
def test_child_that_somebody_else_reaped(
    loop: asyncio.AbstractEventLoop, notice: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If the exit code has gone to somebody else, 255 is reported with a warning, as with asyncio."""

    async def main() -> int:
        process, end = await held_child(3)
        end()
        os.waitpid(process.pid, 0)
        return await process.wait()

    assert loop.run_until_complete(main()) == 255
    [told] = [message for message in caplog.messages if "exit status already read" in message]
    assert "exit status already read: will report returncode 255" in told


@pidfds
def test_no_signal_to_a_pid_that_somebody_else_reaped(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pid may be a stranger's by then: nothing is sent to it."""
    sent: list[int] = []

    async def main() -> int:
        process, end = await held_child(3)
        end()
        os.waitpid(process.pid, 0)
        monkeypatch.setattr(os, "kill", lambda pid, number: sent.append(pid))
        process.kill()
        return await process.wait()

    assert loop.run_until_complete(main()) == 255
    assert sent == []


# -- SIGCHLD


@pytest.mark.usefixtures("notice")
def test_sigchld_ignored(loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture) -> None:
    """With SIGCHLD ignored the kernel keeps no exit codes: every child is reported with 255 and a warning."""

    async def main() -> int:
        process = await asyncio.create_subprocess_exec("true")
        return await process.wait()

    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert loop.run_until_complete(main()) == 255
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert "will report returncode 255" in caplog.text


def test_sigchld_handled_by_the_program(loop: asyncio.AbstractEventLoop) -> None:
    """A program's own handlers of SIGCHLD, of the signal module or the loop, see every child, and stay."""
    seen: list[str] = []

    async def spawn() -> int:
        process = await asyncio.create_subprocess_exec("/bin/sh", "-c", "exit 9")
        return await process.wait()

    async def main() -> int:
        loop.add_signal_handler(signal.SIGCHLD, seen.append, "loop")
        code = await spawn()
        await until(lambda: "loop" in seen, "the loop's handler of SIGCHLD")
        loop.remove_signal_handler(signal.SIGCHLD)
        return code

    def handler(number: int, frame: Any) -> None:
        seen.append("signal")

    before = signal.signal(signal.SIGCHLD, handler)
    try:
        assert loop.run_until_complete(spawn()) == 9
        assert signal.getsignal(signal.SIGCHLD) is handler
        assert set(seen) == {"signal"}
        assert loop.run_until_complete(main()) == 9
    finally:
        signal.signal(signal.SIGCHLD, before)


# -- Loops and threads


@pidfds
def test_no_thread_is_started(loop: asyncio.AbstractEventLoop) -> None:
    """The loop itself watches its children: fifty of them, and not one thread more."""

    async def main() -> None:
        with no_new_threads():
            processes = [await asyncio.create_subprocess_exec("sleep", "60") for _ in range(50)]
        for process in processes:
            process.kill()
        await asyncio.gather(*(process.wait() for process in processes))

    loop.run_until_complete(main())


@pytest.mark.usefixtures("notice")
@pytest.mark.parametrize("factory", OURS)
def test_loops_in_several_threads(factory: Any) -> None:
    """Each loop sees to its own children, in whatever thread it runs, and all at once."""
    codes: dict[int, list[int]] = {}

    async def main(number: int) -> None:
        processes = [
            await asyncio.create_subprocess_exec("/bin/sh", "-c", f"exit {number * 10 + index}") for index in range(5)
        ]
        codes[number] = list(await asyncio.gather(*(process.wait() for process in processes)))

    threads = [threading.Thread(target=run, args=(factory, main(number))) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert codes == {number: [number * 10 + index for index in range(5)] for number in range(4)}


def test_child_in_the_context_of_its_creator(loop: asyncio.AbstractEventLoop) -> None:
    """The protocol is called in the context in which the child was started."""
    from contextvars import ContextVar

    voice = ContextVar("voice", default="none")
    heard: list[str] = []

    class Listener(Recorder):
        def process_exited(self) -> None:
            heard.append(voice.get())
            super().process_exited()

    async def main() -> None:
        voice.set("alto")
        transport, protocol = await loop.subprocess_exec(Listener, "true", stdin=None, stdout=None, stderr=None)
        await protocol.lost
        transport.close()

    loop.run_until_complete(main())
    assert heard == ["alto"]


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="child watchers went with Python 3.14")
@pytest.mark.filterwarnings("ignore:.*hild.?[wW]atcher.*:DeprecationWarning")
@pytest.mark.parametrize(
    "name",
    ["SafeChildWatcher", "FastChildWatcher", "MultiLoopChildWatcher", "PidfdChildWatcher", "ThreadedChildWatcher"],
)
def test_child_watcher_that_was_set_is_used(name: str) -> None:
    """A program that chose a child watcher with its policy gets it."""
    asked: list[int] = []
    base = getattr(asyncio, name)
    policy = asyncio.get_event_loop_policy()

    class Watcher(base):  # type: ignore[misc]
        def add_child_handler(self, pid: int, callback: Any, *args: Any) -> None:
            asked.append(pid)
            super().add_child_handler(pid, callback, *args)

    async def main() -> tuple[int, int]:
        process = await asyncio.create_subprocess_exec("/bin/sh", "-c", "exit 8")
        return process.pid, await process.wait()

    loop = hocket.new_event_loop()
    watcher = Watcher()
    watcher.attach_loop(loop)
    policy.set_child_watcher(watcher)
    try:
        pid, code = loop.run_until_complete(main())
    finally:
        policy.set_child_watcher(None)
        watcher.attach_loop(None)
        loop.close()
    assert (asked, code) == ([pid], 8)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="child watchers went with Python 3.14")
def test_policy_without_child_watchers() -> None:
    """A policy that knows nothing of child watchers is no hindrance."""

    class Policy(asyncio.AbstractEventLoopPolicy):
        def get_event_loop(self) -> asyncio.AbstractEventLoop:
            raise RuntimeError("no loop is set")

        def set_event_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
            pass

    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(Policy())
    try:
        loop = hocket_selector()
        assert loop.run_until_complete(output_of("echo", "on")) == "on"
        loop.close()
    finally:
        asyncio.set_event_loop_policy(before)


# -- The debug mode


@linux
def test_debug_mode_tells_of_children(caplog: pytest.LogCaptureFixture) -> None:
    """The debug mode logs a child's start and its end, as asyncio's does."""

    async def main() -> int:
        process = await asyncio.create_subprocess_exec("true")
        return await process.wait()

    caplog.set_level("DEBUG", "asyncio")
    with asyncio.Runner(loop_factory=OURS[0], debug=True) as runner:
        runner.run(main())
    assert any(message.startswith("process 'true' created: pid ") for message in caplog.messages)
    assert any(message.endswith("exited with return code 0") for message in caplog.messages)
