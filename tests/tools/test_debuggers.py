"""pdb, sys.settrace, sys.monitoring and coverage.py inside of coroutines."""

from __future__ import annotations

import sys

import pytest

from .workplace import ToolWorkplace, succeeded

TOOL = "pdb, sys.settrace, sys.monitoring"
PACKAGES: tuple[str, ...] = ()

PROGRAM = """
import asyncio
import hocket

async def child(number):
    doubled = number * 2
    await asyncio.sleep(0.01)
    return doubled + 1

async def main():
    task = asyncio.create_task(child(20))
    return await task

if __name__ == "__main__":
    print(hocket.run(main()))
"""


def test_breakpoint_in_a_coroutine(workplace: ToolWorkplace) -> None:
    """`python -m pdb` stops in a coroutine, shows the stack and variables, steps over an await, and goes on."""
    path = workplace.write("program.py", PROGRAM)
    commands = ["break 6", "continue", "where", "next", "p number, doubled", "next", "p 'after the await'"]
    ended = workplace.python("-m", "pdb", str(path), stdin="\n".join([*commands, "clear 1", "continue", "quit", ""]))
    printed = succeeded(ended)
    assert "doubled = number * 2" in printed
    assert "(20, 40)" in printed
    assert "-> return doubled + 1" in printed
    assert "41\nThe program finished" in printed


def test_set_trace(workplace: ToolWorkplace) -> None:
    """breakpoint() in a task stops there, and the program goes on after it."""
    path = workplace.write("program.py", PROGRAM.replace("doubled = number * 2", "doubled = number * 2; breakpoint()"))
    ended = workplace.python(str(path), stdin="p doubled\ncontinue\n")
    assert "40" in succeeded(ended) and "41" in ended.stdout


def test_post_mortem(workplace: ToolWorkplace) -> None:
    """pdb.post_mortem() of a task's error is at the line that raised."""
    path = workplace.write(
        "program.py",
        """
        import asyncio, pdb
        import hocket

        async def fail(number):
            return 1 / number

        async def main():
            await asyncio.create_task(fail(0))

        try:
            hocket.run(main())
        except ZeroDivisionError as error:
            pdb.post_mortem(error.__traceback__)
        """,
    )
    printed = succeeded(workplace.python(str(path), stdin="p number\nwhere\nquit\n"))
    assert "return 1 / number" in printed


def test_settrace(workplace: ToolWorkplace) -> None:
    """A trace function sees every line of a coroutine, before and after it was suspended."""
    lines = workplace.program(
        """
        import asyncio, json, sys
        import hocket

        seen = []

        async def child():
            one = 1
            await asyncio.sleep(0.01)
            two = 2

        def trace(frame, event, argument):
            if frame.f_code is child.__code__ and event == "line":
                seen.append(frame.f_lineno - frame.f_code.co_firstlineno)
            return trace

        sys.settrace(trace)
        hocket.run(child())
        sys.settrace(None)
        print(json.dumps(seen))
        """
    )
    assert lines == [1, 2, 3]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in Python 3.12")
def test_monitoring(workplace: ToolWorkplace) -> None:
    """sys.monitoring reports lines, the yield at an await and the resumption after it."""
    seen = workplace.program(
        """
        import asyncio, json, sys
        import hocket

        seen = []

        async def child():
            one = 1
            await asyncio.sleep(0.01)
            two = 2

        monitoring = sys.monitoring
        monitoring.use_tool_id(monitoring.PROFILER_ID, "test")
        events = monitoring.events
        for event, name in [(events.PY_START, "start"), (events.PY_YIELD, "yield"), (events.PY_RESUME, "resume"),
                            (events.PY_RETURN, "return")]:
            monitoring.register_callback(
                monitoring.PROFILER_ID, event,
                lambda code, *_, name=name: seen.append(name) if code is child.__code__ else None)
        monitoring.set_events(
            monitoring.PROFILER_ID, events.PY_START | events.PY_YIELD | events.PY_RESUME | events.PY_RETURN)
        hocket.run(child())
        print(json.dumps(seen))
        """
    )
    assert seen == ["start", "yield", "resume", "return"]


def test_tracemalloc(workplace: ToolWorkplace) -> None:
    """tracemalloc attributes memory to the lines of coroutines."""
    found = workplace.program(
        """
        import asyncio, json, tracemalloc
        from hocket import run

        async def hoard():
            await asyncio.sleep(0)
            return [bytes(100_000)]

        tracemalloc.start()
        kept = run(hoard())
        largest = tracemalloc.take_snapshot().statistics("lineno")[0]
        print(json.dumps([largest.traceback[0].lineno, largest.size]))
        """
    )
    assert found[0] == 7 and found[1] >= 100_000
