"""Programs that run under ``hocket run --observe`` while a test asks about them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import dedent

from .workplace import Ended, Workplace


class Observed:
    """A process whose program has printed ``ready``."""

    def __init__(self, workplace: Workplace, child: subprocess.Popen[str]) -> None:
        self.process = child.pid
        self.child = child
        self._workplace = workplace

    def ask(self, verb: str, *arguments: str, **environment: str) -> Ended:
        """What ``hocket VERB`` says."""
        return self._workplace.hocket(verb, *arguments, **environment)

    def printed(self, *arguments: str) -> str:
        """What a verb prints that has nothing to complain of."""
        ended = self.ask(*arguments)
        assert (ended.code, ended.stderr) == (0, ""), ended.stderr
        return ended.stdout

    def line(self) -> str:
        """The next line that the program prints."""
        assert self.child.stdout is not None
        return self.child.stdout.readline().rstrip("\n")


@contextmanager
def observed(workplace: Workplace, source: str, *options: str, observe: str = "--observe") -> Iterator[Observed]:
    """Run *source*, which must print ``ready``, until the block ends; *options* are of ``hocket run``."""
    with running(workplace, source, "-m", "hocket", "run", *filter(None, [observe]), *options) as process:
        yield process


@contextmanager
def running(workplace: Workplace, source: str, *command: str, **environment: str) -> Iterator[Observed]:
    """The same, as ``python COMMAND program``."""
    runtime = workplace.directory / "runtime"
    runtime.mkdir(mode=0o700, exist_ok=True)
    workplace.environment["XDG_RUNTIME_DIR"] = str(runtime)
    number = len(list(workplace.directory.glob("observed*.py")))
    program = workplace.write(f"observed{number}.py", dedent(source))
    child = subprocess.Popen(
        [sys.executable, "-u", *command, program.name],
        cwd=workplace.directory,
        env=workplace.environment | environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    try:
        process = Observed(workplace, child)
        assert process.line() == "ready"
        yield process
    finally:
        child.send_signal(signal.SIGCONT)  # (Which does nothing to one that has ended.)
        child.kill()
        child.wait(30)
        child.stdout.close()
