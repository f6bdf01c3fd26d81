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
import importlib.util
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

#: Options whose value is the next word.
TAKES_A_VALUE = ("--driver", "--metrics")


def main(arguments: Sequence[str]) -> int:
    """Run the program that `arguments` name; return only if it could not be started in this process's place."""
    own, program = split(arguments)
    return start(parser().parse_args(own), program)


def start(options: argparse.Namespace, program: Sequence[str], record: tuple[str, str] | None = None) -> int:
    """Run `program` in this process's place; with `record`, to a file and in a format."""
    verb = "run" if record is None else "record"
    if not program:
        raise UsageError(f"{verb} needs a SCRIPT, -m MODULE or MODULE:FUNCTION (see hocket {verb} --help)")
    check_interpreter()
    check_driver(options.driver)
    metrics = metrics_address(options.metrics)
    command = [sys.executable, *interpreter_flags(), *target.python_arguments(program)]
    environment = program_environment(
        driver=options.driver,
        debug=options.debug,
        report=options.report,
        accelerate=options.accelerate,
        metrics=metrics,
        observe="control" if options.allow_control else "1" if options.observe else None,
        recorder="1" if options.recorder else None,
        record=record,
    )
    if sys.platform == "win32":  # exec there starts a second process and lets the shell go on at once
        return subprocess.call(command, env=environment)
    os.execve(command[0], command, environment)


def split(arguments: Sequence[str], takes_a_value: Sequence[str] = TAKES_A_VALUE) -> tuple[list[str], list[str]]:
    """Divide the command line into hocket's own options and the program with its arguments."""
    index = 0
    while index < len(arguments):
        word = arguments[index]
        if word == "--":
            return list(arguments[:index]), list(arguments[index + 1 :])
        if not word.startswith("-") or word == "-" or word.startswith("-m"):
            break
        index += 2 if word in takes_a_value else 1
    return list(arguments[:index]), list(arguments[index:])


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog.removeprefix('hocket ')}: {message}")


def parser(verb: str = "run", description: str = DESCRIPTION) -> argparse.ArgumentParser:
    result = Parser(
        prog=f"hocket {verb}",
        usage=f"hocket {verb} [options] SCRIPT | -m MODULE | MODULE:FUNCTION [argument ...]",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    result.add_argument(
        "--accelerate",
        action="store_true",
        help="put hocket's primitives (sleep, gather, Queue, Lock and so on) in place of asyncio's",
    )
    result.add_argument(
        "--allow-control", action="store_true", help="as --observe, and lets hocket cancel cancel tasks of the program"
    )
    result.add_argument("--debug", action="store_true", help="asyncio's debug mode, as PYTHONASYNCIODEBUG=1")
    result.add_argument(
        "--driver",
        metavar="NAME",
        help="how the loop waits for the kernel: auto (default), epoll or selector, as HOCKET_DRIVER=NAME",
    )
    result.add_argument(
        "--metrics",
        metavar="[ADDRESS:]PORT",
        help="tell Prometheus at http://ADDRESS:PORT/metrics what the loop does; ADDRESS is 127.0.0.1 by default, "
        "PORT 0 takes a free one",
    )
    result.add_argument(
        "--observe",
        action="store_true",
        help="let hocket ps, where, top and the others look into the program while it runs, as HOCKET_OBSERVE=1",
    )
    result.add_argument(
        "--recorder",
        action="store_true",
        help="keep the last seconds of what the loop did, and write them to hocket-PID-N.recording when an exception "
        "is not handled, the loop is blocked, or SIGUSR2 comes; as HOCKET_RECORDER=1",
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


def metrics_address(text: str | None) -> tuple[str, int] | None:
    """Where ``--metrics`` asks for them: address and port.  Raises UsageError if it says nothing of the kind, or if the
    package that is needed is not there."""
    if text is None:
        return None
    address, colon, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535) or (colon and not address.strip("[]")):
        raise UsageError(f"run: --metrics expects [ADDRESS:]PORT, got {text!r}")
    if importlib.util.find_spec("prometheus_client") is None:
        raise UsageError("run: --metrics needs prometheus_client: pip install 'hocket[prometheus]'")
    return address.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


def interpreter_flags() -> list[str]:
    """The options that this interpreter was started with, for the one that takes its place."""
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    if isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase):
        flags.append("-u")
    return flags


def program_environment(
    *,
    driver: str | None,
    debug: bool,
    report: bool,
    accelerate: bool,
    metrics: tuple[str, int] | None,
    observe: str | None,
    recorder: str | None,
    record: tuple[str, str] | None,
) -> dict[str, str]:
    """The environment for the program: the user's, what the options stand for, and the start-up hook."""
    environment = dict(os.environ)
    if driver:
        environment["HOCKET_DRIVER"] = driver
    if debug:
        environment["PYTHONASYNCIODEBUG"] = "1"
    if observe:
        environment["HOCKET_OBSERVE"] = observe
    if recorder:
        environment["HOCKET_RECORDER"] = recorder
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
            "accelerate": accelerate,
            "metrics": metrics,
            "record": record,
        }
    )
    return environment
