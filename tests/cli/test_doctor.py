"""``hocket doctor``: what is wrong with a process, or with a recorded run."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
from pathlib import Path

import pytest

from .observed import observed
from .workplace import Workplace, refused

pytestmark = pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="observed processes are for Linux so far")

SICK = """
    import asyncio
    import hocket
    async def holder(first, second):
        async with first:
            await asyncio.sleep(0.01)
            async with second:
                pass
    async def spins():
        while True:
            await asyncio.sleep(0)
    async def main():
        a, b = hocket.Lock(), hocket.Lock()
        tasks = [asyncio.create_task(holder(a, b), name="ab"), asyncio.create_task(holder(b, a), name="ba")]
        tasks.append(asyncio.create_task(spins(), name="spins"))
        await asyncio.sleep(0.05)
        print("ready")
        await asyncio.sleep(3600)
    asyncio.run(main())
"""

WELL = """
    import asyncio
    async def main():
        print("ready")
        while True:
            await asyncio.sleep(0.01)
    asyncio.run(main())
"""

#: What a busy machine does to a program is no trouble of its own.
PATIENT = ("-W", "blocked-loop=5", "-W", "long-step=5")

BLOCKS = """
    import asyncio, time
    def compute():
        time.sleep(1.5)
    async def main():
        print("ready")
        await asyncio.sleep(0.5)
        compute()
        print("blocked")
        await asyncio.sleep(3600)
    asyncio.run(main())
"""


def test_troubles_come_with_evidence_and_the_next_command(workplace: Workplace):
    """The worst first: what, by what it was known, and what to do."""
    with observed(workplace, SICK) as process:
        ended = process.ask("doctor", "--seconds", "0.5", *PATIENT)
        number = process.process
    assert (ended.code, ended.stderr) == (1, "")
    head, looked_at, _, first, *others = ended.stdout.splitlines()
    assert head.startswith(f"process {number}: ")
    assert looked_at.startswith("4 tasks on 1 loop looked at in ")
    assert first == "1. await-cycle: deadlock: 2 tasks wait for each other"
    text = "\n".join(others)
    assert "ab (holder) waits for lock" in text and "ba (holder) waits for lock" in text
    assert "observed0.py:7 in holder" in text
    assert "     next  acquire locks in the same order everywhere" in text
    assert "2. self-wakes: task 'spins' wakes itself in 100% of its steps" in text


def test_for_programs(workplace: Workplace):
    """--format json has all of it, csv a line a trouble."""
    with observed(workplace, SICK) as process:
        ask = ("doctor", "--seconds", "0.5", *PATIENT, "--format")
        report = json.loads(process.ask(*ask, "json").stdout)
        rows = list(csv.DictReader(io.StringIO(process.ask(*ask, "csv").stdout)))
    assert [trouble["name"] for trouble in report["troubles"]] == ["await-cycle", "self-wakes"]
    assert report["tasks"] == 4
    assert report["watchdog"] == 0.1
    assert len(report["troubles"][0]["tasks"]) == 2
    assert [row["name"] for row in rows] == ["await-cycle", "self-wakes"]


def test_warnings_can_be_chosen(workplace: Workplace):
    """-A allows, -W warns, in turn."""
    with observed(workplace, SICK) as process:
        ended = process.ask("doctor", "--seconds", "0.3", "-A", "all", "-W", "self-wakes", "--format", "json")
        nothing = process.ask("doctor", "--seconds", "0.1", "-A", "all")
    assert [trouble["name"] for trouble in json.loads(ended.stdout)["troubles"]] == ["self-wakes"]
    assert nothing.code == 0


def test_nothing_is_wrong(workplace: Workplace):
    """Then it says so, and exits with 0."""
    with observed(workplace, WELL) as process:
        report = process.printed("doctor", "--seconds", "0.3", *PATIENT)
    assert report.endswith("nothing is wrong, as far as the doctor can tell\n")


def test_a_loop_that_was_blocked(workplace: Workplace):
    """The watchdog of an observed process has seen it, with file, line and cause."""
    with observed(workplace, BLOCKS) as process:
        assert process.line() == "blocked"
        ended = process.ask("doctor", "--seconds", "0.1", "-A", "all", "-W", "blocked-loop")
    assert ended.code == 1
    told = "blocked-loop: task 'Task-1' blocked the event loop of thread 'MainThread' for "
    assert re.search(rf"{told}[1-9]\.", ended.stdout)
    assert "observed0.py:4 in compute" in ended.stdout
    assert "await asyncio.to_thread(...)" in ended.stdout


def test_a_recorded_run(workplace: Workplace):
    """What has ended can be looked into, too."""
    workplace.write(
        "app.py",
        """
        import asyncio, time
        async def slow():
            time.sleep(0.4)
        async def main():
            await asyncio.create_task(slow(), name="slow")
            for _ in range(20_000):
                await asyncio.sleep(0)
        asyncio.run(main())
        """,
    )
    assert workplace.hocket("record", "-o", "run.recording", "app.py").code == 0
    ended = workplace.hocket("doctor", "run.recording", "-W", "never-yields=0.2", "--format", "json")
    assert (ended.code, ended.stderr) == (1, "")
    report = json.loads(ended.stdout)
    assert report["subject"] == "recording run.recording"
    assert {trouble["name"] for trouble in report["troubles"]} == {"never-yields", "long-step", "self-wakes"}
    assert "a recording does not tell: await-cycle" in report["note"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere.recording",), "'nowhere.recording' is neither the number of a process nor a file"),
        (("-W", "sleepy"), "there is no warning 'sleepy' (but await-cycle, blocked-loop, "),
        (("-W", "long-step=soon"), "long-step=soon: expected a threshold (seconds), got 'soon'"),
        (("--seconds", "-1"), "--seconds expected a number of seconds, got -1.0"),
    ],
)
def test_what_cannot_be_done(workplace: Workplace, arguments: tuple[str, ...], says: str):
    """One line, and exit code 2."""
    assert f"doctor: {says}" in refused(workplace.hocket("doctor", *arguments))


def test_a_file_that_is_no_recording(workplace: Workplace):
    """It is said what it is not."""
    Path(workplace.directory, "notes.txt").write_text("not a recording")
    assert "notes.txt" in refused(workplace.hocket("doctor", "notes.txt"))


def test_the_help_lists_every_warning(workplace: Workplace):
    """With threshold, unit and meaning."""
    ended = workplace.hocket("doctor", "--help")
    assert ended.code == 0
    assert "blocked-loop       0.1 seconds: a step or a callback that has kept a loop from going on" in ended.stdout
