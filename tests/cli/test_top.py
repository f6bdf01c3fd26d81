"""``hocket top``, typed into and read as people do."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .observed import Observed, observed
from .terminal import Terminal, terminal
from .workplace import Workplace, refused

pytestmark = pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="observed processes are for Linux so far")

PROGRAM = """
    import asyncio
    async def walker(n):
        while True:
            await asyncio.sleep(0.01 * n)
    async def sleeper():
        await asyncio.sleep(3600)
    async def main():
        sleepers = [asyncio.create_task(sleeper(), name=f"sleeper {n}") for n in range(200)]
        walkers = [asyncio.create_task(walker(n), name=f"walker {n}") for n in range(1, 4)]
        await asyncio.sleep(0)
        print("ready")
        await asyncio.sleep(3600)
    asyncio.run(main())
"""


@contextmanager
def top(workplace: Workplace, source: str = PROGRAM) -> Iterator[tuple[Terminal, Observed]]:
    """``hocket top`` in a terminal, and what it looks at."""
    with observed(workplace, source) as process:
        command = [sys.executable, "-m", "hocket", "top", str(process.process)]
        with terminal(command, workplace.environment, workplace.directory) as screen:
            yield screen, process


def rows(screen: str) -> list[list[str]]:
    """The table's rows: number, name, and the rest."""
    return [re.split(r"\s\s+", line.strip()) for line in screen.splitlines() if re.match(r"\s+\d+  ", line)]


def names(screen: str) -> list[str]:
    return [row[1] for row in rows(screen)]


def test_tasks_are_shown_and_change(workplace: Workplace) -> None:
    """The tasks are in a table, with their number above, and what changes changes on the screen."""
    with top(workplace) as (screen, process):
        shown = screen.wait_for("sleeper 5 ", f"({process.process})  ·  204 tasks", "observed0.py:7 sleeper")
        assert f"({process.process})  ·  204 tasks" in shown.splitlines()[0]
        assert names(shown)[:3] == ["Task-1", "sleeper 0", "sleeper 1"]
        screen.wait_for(" steps a second")
        before = rows(screen.text())[1][3]
        screen.wait_until(lambda text: len(rows(text)) > 1 and rows(text)[1][3] != before)
        screen.type("q")
        assert screen.wait_for_end() == 0


def test_sorting(workplace: Workplace) -> None:
    """`>` goes through the columns, `r` turns the order round: those with most steps come first."""
    with top(workplace) as (screen, _):
        screen.wait_for("TASK▲")
        for head in ("NAME", "STATE", "FOR", "WAITS ON", "WHERE", "STEPS"):
            screen.type(">")
            screen.wait_for(f"{head}▲")
        screen.type("r")
        screen.wait_for("STEPS▼")
        screen.wait_until(lambda text: names(text)[:3] == ["walker 1", "walker 2", "walker 3"])
        screen.type("<")
        screen.wait_for("WHERE▼")


def test_search(workplace: Workplace) -> None:
    """`/` shows only what has the text in it; escape shows everything again."""
    with top(workplace) as (screen, _):
        screen.wait_for("sleeper 5 ")
        screen.type("/")
        screen.wait_for("part of a name")
        screen.type("walk")
        screen.wait_until(lambda text: names(text) == ["walker 1", "walker 2", "walker 3"])
        screen.wait_for("3 with 'walk'")
        screen.type("\x1b")
        screen.wait_for("sleeper 5 ")


def test_one_task(workplace: Workplace) -> None:
    """Enter looks at one task: where it stands, what it waits on, and both of its histograms, which fill."""
    with top(workplace) as (screen, _):
        screen.wait_for("sleeper 5 ")
        screen.type("/")
        screen.wait_for("part of a name")
        screen.type("walker 2")
        screen.wait_until(lambda text: names(text) == ["walker 2"])
        screen.type("\r")
        # Without the frame round what was typed: until that is gone, keys go there.
        screen.wait_until(lambda text: "▔▔▔" not in text)
        screen.type("\r")
        screen.wait_for(
            "How long its steps took",
            "'walker 2'",
            'observed0.py", line 5, in walker',
            "await asyncio.sleep(0.01 * n)",
            "How long it was ready before them",
            "█",
        )
        screen.type("\x1b")
        screen.wait_for("WAITS ON")


def test_pause(workplace: Workplace) -> None:
    """`p` holds the picture, and `p` again lets it go on."""
    with top(workplace) as (screen, _):
        screen.wait_for("sleeper 5 ")
        screen.type("p")
        screen.wait_for("PAUSED")
        screen.type("p")
        screen.wait_until(lambda text: "PAUSED" not in text)


def test_more_tasks_are_shown_as_the_cursor_goes_down(workplace: Workplace) -> None:
    """Only so many tasks as can be seen are asked for; towards the last of them come more."""
    with top(workplace) as (screen, _):
        for count in (40, 80, 120, 160, 200):  # There are forty lines.
            screen.wait_for(f"the first {count} shown")
            screen.type("\x1b[F")  # End
        screen.wait_until(lambda text: "204 tasks" in text and "shown" not in text)
        screen.type("\x1b[F")
        screen.wait_for("walker 3")


def test_primitives(workplace: Workplace) -> None:
    """The second tab has a line for each primitive that tasks wait for, with who has it."""
    source = PROGRAM.replace(
        "print(",
        """lock = hocket.Lock()
        await lock.acquire()
        waiters = [asyncio.create_task(lock.acquire(), name=f"waiter {n}") for n in range(3)]
        await asyncio.sleep(0)
        print(""",
    ).replace("import asyncio", "import asyncio, hocket")
    with top(workplace, source) as (screen, _):
        screen.wait_for("sleeper 5 ")
        screen.type("\x1b[Z\x1b[C")
        screen.wait_for("HELD BY TASK")
        screen.wait_until(lambda text: re.search(r"lock +Lock at 0x\w+ +1 +1 +3 ", text) is not None)


def test_warnings(workplace: Workplace) -> None:
    """What is wrong is counted on the third tab, and there it is told with what to do next."""
    source = PROGRAM.replace(
        "print(",
        """a, b = hocket.Lock(), hocket.Lock()
        async def both(first, second):
            async with first:
                await asyncio.sleep(0.01)
                async with second:
                    pass
        stuck = [asyncio.create_task(both(a, b), name="one"), asyncio.create_task(both(b, a), name="other")]
        await asyncio.sleep(0.1)
        print(""",
    ).replace("import asyncio", "import asyncio, hocket")
    with top(workplace, source) as (screen, _):
        screen.wait_for("Warnings (")
        screen.type("\x1b[Z\x1b[C\x1b[C")
        screen.wait_for("await-cycle", "NEXT")


def test_loops(workplace: Workplace) -> None:
    """The last tab has a line a loop."""
    with top(workplace) as (screen, _):
        screen.wait_for("sleeper 5 ")
        screen.type("\x1b[Z\x1b[D")  # back to the tabs, and left, round to the last
        screen.wait_for("UTILIZATION", "DELAY P99")


def test_end_of_the_process(workplace: Workplace) -> None:
    """When the process ends, so does top, and says why."""
    with top(workplace) as (screen, process):
        screen.wait_for("sleeper 5 ")
        process.child.kill()
        assert screen.wait_for_end() == 0
        screen.wait_for(f"hocket: process {process.process} has ended")


def test_no_terminal(workplace: Workplace) -> None:
    """Without a terminal, the verb that prints is named."""
    assert refused(workplace.hocket("top")) == "top needs a terminal; hocket ps prints once"


def test_without_textual(workplace: Workplace) -> None:
    """Without Textual, what to install is named."""
    workplace.write(
        "program.py",
        """
        import importlib.util, sys
        find_spec = importlib.util.find_spec
        importlib.util.find_spec = lambda name: None if name == "textual" else find_spec(name)
        from hocket.cli.main import main
        sys.exit(main(["top"]))
        """,
    )
    line = refused(workplace.python("program.py"))
    assert line == "top needs Textual, which is not installed: pip install 'hocket[top]'"
