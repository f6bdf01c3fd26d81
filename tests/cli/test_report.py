"""``hocket run --report``."""

from __future__ import annotations

import re
import signal

from hocket.core.statistics import LoopStatistics
from hocket.observe.report import NO_LOOP, render
from hocket.observe.words import duration

from .workplace import Ended, Workplace

WORK = """
    import asyncio, time
    async def good():
        await asyncio.sleep(0.2)
    async def bad():
        raise ValueError
    async def slow():
        time.sleep(0.6)
    async def main():
        tasks = [asyncio.create_task(good()) for _ in range(3)]
        tasks += [asyncio.create_task(bad()) for _ in range(2)]
        tasks += [asyncio.create_task(asyncio.sleep(30))]
        tasks += [asyncio.create_task(slow(), name="the slow one")]
        await tasks[6]
        await asyncio.sleep(0.3)
        tasks[5].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
"""
ONCE = WORK + "    asyncio.run(main())\n"


def values(ended: Ended) -> dict[str, str]:
    """The lines of a report by what they start with; the report must be all there is on stderr."""
    head, *lines = ended.stderr.splitlines()
    assert head.startswith("hocket report: ")
    return {"head": head} | {line[2:14].rstrip(): line[16:] for line in lines}


def seconds(text: str) -> float:
    number, unit = re.match(r"([\d.,]+) (s|ms|µs)", text).groups()  # type: ignore[union-attr]
    return float(number.replace(",", "")) * {"s": 1, "ms": 1e-3, "µs": 1e-6}[unit]


def test_tasks_are_counted_by_how_they_ended(workplace: Workplace) -> None:
    """The report counts tasks started, finished, failed and cancelled; the main task is one of them."""
    workplace.write("program.py", ONCE)
    ended = workplace.hocket("run", "--report", "program.py")
    assert (ended.code, ended.stdout) == (0, "")
    report = values(ended)
    # asyncio.run itself runs a few tasks of its own after the main one, which all finish.
    started, finished, failed, cancelled = map(int, re.findall(r"\d+", report["tasks"]))
    assert (failed, cancelled) == (2, 1)
    assert started >= 8
    assert started == finished + failed + cancelled


def test_longest_step_names_the_task_and_the_line(workplace: Workplace) -> None:
    """The longest step is shown with its length, the task's name, and file and line of the code."""
    path = workplace.write("program.py", ONCE)
    line = values(workplace.hocket("run", "--report", "program.py"))["longest step"]
    assert 0.6 <= seconds(line) < 30
    assert "the slow one" in line
    assert re.search(rf"{path.name}:\d+ in slow", line)


def test_busy_and_idle_time(workplace: Workplace) -> None:
    """A program that computes for 0.6 s and waits for 0.3 s is shown so."""
    workplace.write("program.py", ONCE)
    report = values(workplace.hocket("run", "--report", "program.py"))
    busy, idle = seconds(report["busy"]), seconds(report["idle"])
    assert 0.6 <= busy < 30
    assert 0.1 <= idle < 30
    assert seconds(report["head"].partition(", ")[2]) >= busy + idle - 0.02


def test_turns_and_steps(workplace: Workplace) -> None:
    """A hundred sleeps of zero length are a hundred steps and as many turns, give or take those of asyncio.run."""
    workplace.write(
        "program.py",
        """
        import asyncio
        async def main():
            for _ in range(100):
                await asyncio.sleep(0)
        asyncio.run(main())
        """,
    )
    report = values(workplace.hocket("run", "--report", "program.py"))
    assert 100 <= int(report["turns"]) < 120
    assert 101 <= int(report["steps"].split()[0]) < 120


def test_several_loops_are_added_up(workplace: Workplace) -> None:
    """Loops that were closed and collected long before the end count too."""
    workplace.write(
        "program.py", WORK + "    import gc\n    for _ in range(2):\n        asyncio.run(main())\n    gc.collect()\n"
    )
    report = values(workplace.hocket("run", "--report", "program.py"))
    assert report["head"].startswith("hocket report: 2 event loops, ")
    assert "4 failed, 2 cancelled" in report["tasks"]


def test_loop_that_is_never_closed(workplace: Workplace) -> None:
    """A loop still open at the end counts too."""
    workplace.write(
        "program.py",
        """
        import asyncio, warnings
        warnings.simplefilter("ignore")
        loop = asyncio.new_event_loop()
        loop.run_until_complete(asyncio.sleep(0))
        """,
    )
    report = values(workplace.hocket("run", "--report", "program.py"))
    assert report["head"].startswith("hocket report: 1 event loop, ")
    assert report["tasks"].startswith("1 started, 1 finished")


def test_program_without_a_loop(workplace: Workplace) -> None:
    """Where no hocket loop ran, the report says so: the program may have chosen another."""
    workplace.write("program.py", "print('no loop')")
    assert workplace.hocket("run", "--report", "program.py") == Ended(0, "no loop\n", NO_LOOP + "\n")


def test_report_after_a_failure(workplace: Workplace) -> None:
    """The report follows the traceback, and the exit code is the program's."""
    workplace.write("program.py", "import asyncio\nasync def main():\n    raise ValueError('x')\nasyncio.run(main())\n")
    ended = workplace.hocket("run", "--report", "program.py")
    assert ended.code == 1
    traceback, _, report = ended.stderr.partition("hocket report: ")
    assert traceback.startswith("Traceback")
    assert traceback.endswith("\nValueError: x\n")
    assert ", 1 failed, 0 cancelled" in report


def test_report_after_control_c(workplace: Workplace) -> None:
    """Interrupted, the program still reports, and still dies by SIGINT."""
    workplace.write(
        "program.py",
        """
        import asyncio, os, signal
        async def main():
            asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGINT)
            await asyncio.sleep(30)
        asyncio.run(main())
        """,
    )
    ended = workplace.hocket("run", "--report", "program.py")
    assert ended.code == -signal.SIGINT
    assert "\nKeyboardInterrupt\nhocket report: 1 event loop" in ended.stderr


def test_only_the_program_reports(workplace: Workplace) -> None:
    """Children that the program forks do not report."""
    workplace.write(
        "program.py",
        """
        import asyncio, os, sys
        asyncio.run(asyncio.sleep(0))
        if os.fork() == 0:
            sys.exit()
        os.wait()
        """,
    )
    assert workplace.hocket("run", "--report", "program.py").stderr.count("hocket report") == 1


def test_report_on_a_closed_stderr(workplace: Workplace) -> None:
    """A program that closes its stderr ends as it would without a report."""
    workplace.write("program.py", "import asyncio, sys\nasyncio.run(asyncio.sleep(0))\nsys.stderr.close()\n")
    assert workplace.hocket("run", "--report", "program.py") == Ended(0, "", "")


def statistics(**changed: object) -> LoopStatistics:
    nothing: dict[str, object] = dict.fromkeys(LoopStatistics.__dataclass_fields__, 0)
    nothing |= {"longest_step_task": None, "longest_step_where": None}
    return LoopStatistics(**(nothing | changed))  # type: ignore[arg-type]


def test_rendering_adds_counts_and_keeps_the_longest_step() -> None:
    """Numbers of several loops are added; the longest step is that of the loop that had it."""
    text = render(
        [
            statistics(turns=1000, steps=2, callbacks=3, busy=1.0, longest_step=0.5, longest_step_task="Task-1"),
            statistics(
                turns=500,
                steps=5,
                idle=3.0,
                longest_step=2.0,
                longest_step_task="Task-9",
                longest_step_where="x.py:7 in f",
            ),
        ],
        elapsed=4.5,
    )
    assert text.splitlines() == [
        "hocket report: 2 event loops, 4.50 s",
        "  turns         1,500",
        "  steps         7 of tasks, 3 callbacks",
        "  tasks         0 started, 0 finished, 0 failed, 0 cancelled",
        "  busy          1.00 s (25%)",
        "  idle          3.00 s (75%)",
        "  longest step  2.00 s by Task-9 at x.py:7 in f",
    ]


def test_rendering_without_any_step() -> None:
    """A loop that never ran is reported with zeros, and no longest step is claimed."""
    assert "  longest step  none" in render([statistics()], elapsed=0.0)


def test_durations() -> None:
    """Lengths of time are shown with three digits or so, in the unit that fits."""
    assert [duration(s) for s in (1234.5, 1.0, 0.0204, 3.14e-6, 0.0)] == [
        "1,234.50 s",
        "1.00 s",
        "20.4 ms",
        "3.1 µs",
        "0.0 µs",
    ]
