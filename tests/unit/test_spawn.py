"""The short way of starting a child: nobody can tell it from `subprocess.Popen`'s own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hocket.core import asyncio_private
from hocket.net.spawn import Popen

from .children import linux, nothing_left, python
from .loops import hocket_selector, run

PIPE, DEVNULL, STDOUT = subprocess.PIPE, subprocess.DEVNULL, subprocess.STDOUT


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A program that says so."""
    path = tmp_path / "hocket-script"
    path.write_text("#!/bin/sh\necho script\n")
    path.chmod(0o755)
    return path


def outcome(popen: Any, *args: Any, **options: Any) -> Any:
    """What comes of a child: what it wrote and its exit code, or the error."""
    try:
        process = popen(*args, **options)
    except Exception as error:
        return type(error), error.args, getattr(error, "filename", None)
    output, errors = process.communicate()
    return output, errors, process.returncode, vars(process).keys()


@pytest.mark.parametrize(
    ("args", "options"),
    [
        (["/bin/echo", "one"], {"stdout": PIPE}),
        (["echo", "one"], {"stdout": PIPE}),
        (["sh", "-c", "echo one; echo two >&2; exit 3"], {"stdout": PIPE, "stderr": PIPE, "stdin": DEVNULL}),
        (["sh", "-c", "echo one; echo two >&2"], {"stdout": PIPE, "stderr": STDOUT}),
        (["true"], {}),
        ("echo $0 one; kill -9 $$", {"shell": True, "stdout": PIPE}),
        (b"echo $0 one", {"shell": True, "stdout": PIPE}),
        (["pwd"], {"cwd": "/", "stdout": PIPE}),
        ([b"pwd"], {"cwd": b"/", "stdout": PIPE}),
        (["sh", "-c", "ps -o sid= -p $$ | grep -c $$"], {"start_new_session": True, "stdout": PIPE}),
        (["sh", "-c", "umask"], {"umask": 0o27, "stdout": PIPE}),
        (["env"], {"env": {"PATH": os.environ["PATH"], "A": "1"}, "stdout": PIPE}),
        (["one", "-c", "echo $0"], {"executable": "/bin/sh", "stdout": PIPE}),
        (["/no/such/program"], {"stdout": PIPE}),
        (["nosuchprogramanywhere"], {}),
        (["/etc/passwd"], {"stdin": PIPE}),
        (["/"], {}),
        (["true"], {"cwd": "/no/such/directory"}),
        (["true", 7], {}),
        (["true", "nul\0"], {}),
        ([""], {}),
        ([], {}),
    ],
    ids=str,
)
def test_as_the_original(args: Any, options: dict[str, Any]) -> None:
    """Output, exit code and attributes are those of a child that `subprocess.Popen` starts; and so is each error."""
    assert outcome(Popen, args, **options) == outcome(subprocess.Popen, args, **options)


@linux
@pytest.mark.parametrize("command", [["/no/such/program"], ["/etc/passwd"], ["true", "nul\0"]], ids=str)
def test_a_program_that_cannot_be_executed_leaves_nothing(command: list[str]) -> None:
    """Neither the child that could not execute it is left nor a descriptor."""

    async def main() -> None:
        async with nothing_left():
            with pytest.raises((OSError, ValueError)):
                Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE)

    run(hocket_selector, main())


def test_program_is_looked_for_in_the_path_of_the_moment(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the program does to ``PATH`` counts for the next child."""
    assert outcome(Popen, [script.name])[0] is FileNotFoundError
    monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
    assert outcome(Popen, [script.name], stdout=PIPE)[0] == b"script\n"
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(script.parent)
    assert outcome(Popen, [script.name], stdout=PIPE) == outcome(subprocess.Popen, [script.name], stdout=PIPE)


def test_program_that_appears_meanwhile(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is tried again by the original: if that succeeds, the child runs."""
    real = asyncio_private.fork_exec
    other = script.with_name("other")

    def late(*arguments: Any) -> int:
        pid = real(*arguments)
        script.rename(other)
        return pid

    monkeypatch.setattr(asyncio_private, "fork_exec", late)
    assert outcome(Popen, [str(other)], stdout=PIPE)[:3] == (b"script\n", None, 0)


def test_first_descriptors_closed() -> None:
    """A process that has closed its own streams starts children nevertheless, with the streams that they are given."""
    code = """
        import os, sys
        from hocket.net.spawn import Popen
        result = os.dup(1)
        os.set_inheritable(result, False)
        for fd in range(3):
            os.close(fd)
        process = Popen(["sh", "-c", "echo through"], stdout=result)
        os._exit(process.wait())
    """
    # Without the isolation of `python()`: hocket has to be found.
    done = subprocess.run(
        [sys.executable, "-c", python(code)[-1]], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=PIPE, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == (b"through\n", 0)


def test_audit_event() -> None:
    """An audit hook hears of a child what it hears from the original."""
    code = """
        import subprocess, sys
        from hocket.net.spawn import Popen
        heard = []
        sys.addaudithook(lambda name, args: heard.append((name, *args)) if name == "subprocess.Popen" else None)
        for popen in Popen, subprocess.Popen:
            popen(["true", "x"], cwd="/").wait()
            popen("exit 0", shell=True).wait()
        print(heard[:2] == heard[2:], heard[0])
    """
    done = subprocess.run(
        [sys.executable, "-c", python(code)[-1]], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=PIPE, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == "True ('subprocess.Popen', 'true', ['true', 'x'], '/', None)"


def test_popen_of_the_program_is_used(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a program has put in the place of `subprocess.Popen`, or of how it starts a child, is used."""
    seen: list[str] = []

    class Theirs(subprocess.Popen):  # type: ignore[type-arg]
        pass

    real = subprocess.Popen._execute_child  # type: ignore[attr-defined]

    def execute_child(self: Any, *args: Any) -> None:
        seen.append(type(self).__name__)
        real(self, *args)

    async def kind() -> str:
        process = await asyncio.create_subprocess_exec("true")
        popen = process._transport.get_extra_info("subprocess")  # type: ignore[attr-defined]
        assert await process.wait() == 0 == popen.returncode
        assert isinstance(popen, asyncio_private.STOCK_POPEN)
        return f"{type(popen).__module__}.{type(popen).__name__}"

    async def main() -> list[str]:
        kinds = [await kind()]
        with monkeypatch.context() as patched:
            patched.setattr(subprocess, "Popen", Theirs)
            kinds.append(await kind())
        with monkeypatch.context() as patched:
            patched.setattr(subprocess.Popen, "_execute_child", execute_child)
            kinds.append(await kind())
        return kinds

    assert loop.run_until_complete(main()) == ["hocket.net.spawn.Popen", f"{__name__}.Theirs", "subprocess.Popen"]
    assert seen == ["Popen"]


def test_fork_exec_of_a_debugger_is_used(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What starts the child is looked up in the `subprocess` module, where debuggers put their own."""
    seen: list[Any] = []
    real = subprocess._fork_exec  # type: ignore[attr-defined]

    def fork_exec(args: Any, *rest: Any) -> int:
        seen.append(args)
        return int(real(args, *rest))

    monkeypatch.setattr(subprocess, "_fork_exec", fork_exec)

    async def main() -> int:
        process = await asyncio.create_subprocess_exec("true", "argument")
        return await process.wait()

    assert loop.run_until_complete(main()) == 0
    assert [list(args) for args in seen] == [["true", "argument"]]
