"""``hocket run``: runs an asyncio program on hocket without changing a line of it.

The one idea: the program is run by ``python`` itself.  ``hocket run`` checks what it was asked, then *replaces its own
process* by the interpreter with the program's own command line, and leaves one hook in the environment: a directory
first on ``PYTHONPATH`` whose ``sitecustomize`` (see ``startup/``) installs hocket before the program starts and removes
every trace of itself.  So ``sys.argv``, ``sys.path``, ``__main__``, tracebacks, stacks, signals, exit codes, stdin,
pickling and the start of worker processes are not imitated: they are Python's.

Worker processes: a forked child has hocket installed as its parent has; a child that starts a new interpreter
(``spawn``, ``forkserver``, ``subprocess``) starts as under ``python``, on asyncio's own loop, unless it installs
hocket itself.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

import hocket
from hocket import drivers
from hocket.cli import startup, target
from hocket.cli.errors import UsageError

DESCRIPTION = """\
Run a program on hocket's event loop, unchanged: its own asyncio.run() uses hocket.

  hocket run app.py --port 80     a file, a directory or zip file with a __main__.py, or - for stdin
  hocket run -m package.module    a module, as with python -m
  hocket run package:function     an async function without arguments; an int that it returns is the exit code
"""


def main(arguments: Sequence[str]) -> int:
    """Run the program that `arguments` name; return only if it could not be started in this process's place."""
    own, program = split(arguments)
    options = parser().parse_args(own)
    if not program:
        raise UsageError("run needs a SCRIPT, -m MODULE or MODULE:FUNCTION (see hocket run --help)")
    check_interpreter()
    check_driver(options.driver)
    command = [sys.executable, *interpreter_flags(), *target.python_arguments(program)]
    environment = program_environment(driver=options.driver, debug=options.debug, report=options.report)
    if sys.platform == "win32":  # exec there starts a second process and lets the shell go on at once
        return subprocess.call(command, env=environment)
    os.execve(command[0], command, environment)


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide the command line into hocket's own options and the program with its arguments."""
    index = 0
    while index < len(arguments):
        word = arguments[index]
        if word == "--":
            return list(arguments[:index]), list(arguments[index + 1 :])
        if not word.startswith("-") or word == "-" or word.startswith("-m"):
            break
        index += 2 if word == "--driver" else 1
    return list(arguments[:index]), list(arguments[index:])


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"run: {message}")


def parser() -> argparse.ArgumentParser:
    result = Parser(
        prog="hocket run",
        usage="hocket run [options] SCRIPT | -m MODULE | MODULE:FUNCTION [argument ...]",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    result.add_argument("--debug", action="store_true", help="asyncio's debug mode, as PYTHONASYNCIODEBUG=1")
    result.add_argument(
        "--driver",
        metavar="NAME",
        help="how the loop waits for the kernel: auto (default), epoll or selector, as HOCKET_DRIVER=NAME",
    )
    result.add_argument(
        "--report",
        action="store_true",
        help="at exit, say on stderr what the loop did: turns, steps, tasks, busy and idle time, longest step",
    )
    return result


def check_interpreter() -> None:
    """Refuse what would silently run the program on asyncio's loop, because the start-up hook could not work."""
    if not sys.executable:
        raise UsageError("run cannot tell where the Python interpreter is (sys.executable is empty)")
    flags = {"-I": sys.flags.isolated, "-E": sys.flags.ignore_environment, "-S": sys.flags.no_site}
    for flag, is_set in flags.items():
        if is_set:
            raise UsageError(f"run does not work under python {flag}: it switches off PYTHONPATH or site")


def check_driver(name: str | None) -> None:
    """Raise UsageError if the driver `name`, or the one that HOCKET_DRIVER names, does not exist or work here."""
    if name is None and not os.environ.get("HOCKET_DRIVER"):
        return
    try:
        drivers.make(name).close()
    except (ValueError, RuntimeError, OSError) as error:
        raise UsageError(str(error)) from None


def interpreter_flags() -> list[str]:
    """The options that this interpreter was started with, for the one that takes its place."""
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    if isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase):
        flags.append("-u")
    return flags


def program_environment(*, driver: str | None, debug: bool, report: bool) -> dict[str, str]:
    """The environment for the program: the user's, what the options stand for, and the start-up hook."""
    environment = dict(os.environ)
    if driver:
        environment["HOCKET_DRIVER"] = driver
    if debug:
        environment["PYTHONASYNCIODEBUG"] = "1"
    python_path = environment.get("PYTHONPATH")
    hook = os.path.dirname(os.path.abspath(startup.__file__))
    package = os.path.dirname(os.path.abspath(hocket.__file__))
    environment["PYTHONPATH"] = os.pathsep.join([hook, python_path] if python_path else [hook])
    environment[startup.VARIABLE] = json.dumps(
        {
            "hook": hook,
            "python_path": python_path,
            "package_parent": os.path.dirname(package),
            "report": report,
        }
    )
    return environment
