"""``hocket run``: what it adds to ``python``, and what it says when it cannot do what it was asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hocket.cli import startup

from .workplace import Ended, Workplace, refused

NAME_THE_LOOP = """
    import asyncio, hocket
    async def main():
        loop = asyncio.get_running_loop()
        print(isinstance(loop, hocket.EventLoop))
    if __name__ == "__main__":
        asyncio.run(main())
"""


@pytest.mark.parametrize(
    "arguments",
    [("program.py",), ("-m", "program"), ("program:main",), ("-",)],
    ids=["script", "module", "function", "-"],
)
def test_program_gets_a_hocket_loop(arguments: tuple[str, ...], workplace: Workplace) -> None:
    """Whatever names the program, its loop is hocket's."""
    path = workplace.write("program.py", NAME_THE_LOOP)
    assert workplace.hocket("run", *arguments, stdin=path.read_text()) == Ended(0, "True\n", "")


@pytest.mark.parametrize(
    "make",
    ["asyncio.new_event_loop()", "asyncio.Runner().get_loop()", "asyncio.get_event_loop_policy().new_event_loop()"],
)
def test_every_way_to_make_a_loop(make: str, workplace: Workplace) -> None:
    """Loops that the program makes otherwise than by asyncio.run are hocket's too."""
    workplace.write(
        "program.py",
        f"""
        import asyncio, hocket
        loop = {make}
        print(isinstance(loop, hocket.EventLoop))
        loop.close()
        """,
    )
    ended = workplace.hocket("run", "program.py", flags=("-W", "ignore::DeprecationWarning"))
    assert ended == Ended(0, "True\n", "")


def test_no_warning_about_policies(workplace: Workplace) -> None:
    """Installing hocket warns of nothing, not even where event loop policies are deprecated."""
    workplace.write("program.py", NAME_THE_LOOP)
    assert workplace.hocket("run", "program.py", flags=("-W", "error")) == Ended(0, "True\n", "")


def test_a_forked_child_has_hocket(workplace: Workplace) -> None:
    """A process forked by the program makes hocket loops as its parent does."""
    workplace.write(
        "program.py",
        """
        import asyncio, hocket, os
        async def main():
            print(isinstance(asyncio.get_running_loop(), hocket.EventLoop), flush=True)
        if os.fork() == 0:
            asyncio.run(main())
            os._exit(0)
        os.wait()
        """,
    )
    assert workplace.hocket("run", "program.py", flags=("-W", "ignore")).stdout == "True\n"


def test_process_id_is_kept(workplace: Workplace) -> None:
    """The program runs in the very process that was started, so signals sent to it arrive."""
    workplace.write(
        "outer.py",
        """
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-m", "hocket", "run", "inner.py"], stdout=subprocess.PIPE)
        print(int(child.communicate()[0]) == child.pid)
        """,
    )
    workplace.write("inner.py", "import os; print(os.getpid())")
    assert workplace.python("outer.py") == Ended(0, "True\n", "")


@pytest.mark.parametrize("driver", ["auto", "epoll", "selector"])
def test_driver_option(driver: str, workplace: Workplace) -> None:
    """``--driver`` is HOCKET_DRIVER for the program, and wins over it."""
    workplace.write("program.py", "import os; print(os.environ['HOCKET_DRIVER'])" + "\nimport asyncio\n")
    assert workplace.hocket("run", "--driver", driver, "program.py", HOCKET_DRIVER="auto").stdout == f"{driver}\n"
    assert workplace.hocket("run", f"--driver={driver}", "program.py").stdout == f"{driver}\n"


@pytest.mark.parametrize("way", ["option", "environment"])
def test_unknown_driver(way: str, workplace: Workplace) -> None:
    """A driver that does not exist is refused before the program starts, with the names that do."""
    workplace.write("program.py", "print('never')")
    if way == "option":
        line = refused(workplace.hocket("run", "--driver", "steam", "program.py"))
    else:
        line = refused(workplace.hocket("run", "program.py", HOCKET_DRIVER="steam"))
        assert line.startswith("HOCKET_DRIVER")
    assert all(word in line for word in ("'steam'", "auto", "epoll", "selector"))


def test_missing_script(workplace: Workplace) -> None:
    """A file that is not there is refused by its name."""
    assert refused(workplace.hocket("run", "nowhere.py")) == "cannot open 'nowhere.py': No such file or directory"


def test_script_that_cannot_be_reached(workplace: Workplace) -> None:
    """A path that the system refuses is reported in its words: here a link to itself."""
    (workplace.directory / "loop.py").symlink_to("loop.py")
    assert "Too many levels of symbolic links" in refused(workplace.hocket("run", "loop.py"))


def test_directory_without_main(workplace: Workplace) -> None:
    """A directory that holds no program is refused."""
    (workplace.directory / "app").mkdir()
    line = refused(workplace.hocket("run", "app"))
    assert line == "cannot run the directory 'app': there is no __main__.py in it"


@pytest.mark.parametrize("module", ["nowhere", "nowhere.part", "package.nowhere", "program.part"])
def test_missing_module(module: str, workplace: Workplace) -> None:
    """A module that is not there is refused, and nothing around it was imported to find out."""
    workplace.write("package/__init__.py", "print('imported')")
    workplace.write("program.py", "print('imported')")
    assert f"no module named '{module.partition('.')[0]}" in refused(workplace.hocket("run", "-m", module))


def test_package_without_main(workplace: Workplace) -> None:
    """A package that holds no program is refused, and was not imported to find out."""
    workplace.write("package/__init__.py", "print('imported')")
    line = refused(workplace.hocket("run", "-m", "package"))
    assert line == "cannot run the package 'package': there is no package.__main__"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "SCRIPT, -m MODULE or MODULE:FUNCTION"),
        (("--report",), "SCRIPT, -m MODULE or MODULE:FUNCTION"),
        (("-m",), "-m needs the name of a module"),
        (("--driver",), "--driver"),
        (("--nonsense", "program.py"), "--nonsense"),
        (("--rep", "program.py"), "--rep"),
    ],
    ids=["nothing", "only an option", "no module", "no driver", "unknown option", "abbreviated option"],
)
def test_incomplete_command(arguments: tuple[str, ...], reason: str, workplace: Workplace) -> None:
    """A command line that is not understood is refused, and the line says which part of it."""
    workplace.write("program.py", "print('never')")
    assert reason in refused(workplace.hocket("run", *arguments))


@pytest.mark.parametrize("flag", ["-E", "-I", "-S"])
def test_interpreter_flags_that_would_disable_hocket(flag: str, workplace: Workplace) -> None:
    """Where the program would silently run on asyncio's own loop, it does not run at all."""
    workplace.write("program.py", "print('never')")
    # -E and -I also make python ignore PYTHONPATH, so the command is started from code that sets its path itself.
    start = f"import sys; sys.path.insert(0, {workplace.environment['PYTHONPATH']!r}); sys.argv[0] = 'hocket'"
    ended = workplace.python(
        "-c", f"{start}\nfrom hocket.cli.main import main; sys.exit(main())", "run", "program.py", flags=(flag,)
    )
    assert f"python {flag}" in refused(ended)


def test_program_does_not_start_without_hocket(workplace: Workplace) -> None:
    """If hocket cannot be installed in the program's interpreter, the program does not run on another loop instead."""
    workplace.write("program.py", "print('never')")
    hook = str(Path(startup.__file__).parent)
    options = {
        "hook": hook,
        "python_path": None,
        "package_parent": str(workplace.directory),
        "report": False,
        "accelerate": False,
        "metrics": None,
        "record": None,
    }
    ended = workplace.python("program.py", PYTHONPATH=hook, **{startup.VARIABLE: json.dumps(options)})
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr.endswith(f"there is no hocket in {workplace.directory}\n")
