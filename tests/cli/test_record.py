"""``hocket record``, ``hocket export`` and ``hocket run --recorder``."""

from __future__ import annotations

import json
import os
import re
import signal
from collections import Counter
from pathlib import Path
from textwrap import dedent

import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as schema

from hocket.observe.recording import Recording
from hocket.observe.sinks import jsonl

from .workplace import Workplace, refused

PROGRAM = """
    import asyncio, sys
    async def child():
        await asyncio.sleep(0.001)
    async def main():
        await asyncio.gather(*(asyncio.create_task(child(), name=f"child {n}") for n in range(3)))
        print(sys.argv[1:])
    asyncio.run(main())
"""


def told(stderr: str) -> tuple[int, str]:
    """How many records were written where."""
    match = re.fullmatch(r"hocket: ([\d,]+) records in (.+)\n", stderr)
    assert match is not None, stderr
    return int(match[1].replace(",", "")), match[2]


@pytest.mark.parametrize("behind", [False, True], ids=["before the program", "behind the program"])
def test_a_run_is_recorded(workplace: Workplace, behind: bool) -> None:
    """All of it, in the file that was named before the program or directly behind; the program runs as always."""
    workplace.write("program.py", PROGRAM)
    output = ["-o", "out.recording"]
    words = ["program.py", *output, "-x"] if behind else [*output, "program.py", "-x"]
    ended = workplace.hocket("record", *words)
    assert (ended.code, ended.stdout) == (0, "['-x']\n")
    count, path = told(ended.stderr)
    assert path == str(workplace.directory / "out.recording")
    recording = Recording(path)
    assert (recording.written, recording.overwritten, recording.reason) == (count, 0, "the whole run")
    assert {f"child {n}" for n in range(3)} <= {task.name for task in recording.tasks.values()}


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("run.recording", b"hocket recording 1\n"),
        ("run.pftrace", b"\n"),
        ("run.jsonl", b'{"event":"recording"'),
        ("run.collapsed", b""),
    ],
)
def test_the_name_says_the_format(workplace: Workplace, name: str, begins: bytes) -> None:
    """And nothing but that file is left."""
    program = workplace.write("program.py", PROGRAM)
    ended = workplace.hocket("record", "program.py", "-o", name)
    told(ended.stderr)
    assert (workplace.directory / name).read_bytes().startswith(begins)
    assert sorted(workplace.directory.iterdir()) == sorted([program, workplace.directory / name])


def test_a_format_can_be_named(workplace: Workplace) -> None:
    """Whatever the file is called; without a name it is ``hocket.recording``."""
    workplace.write("program.py", PROGRAM)
    workplace.hocket("record", "--format", "jsonl", "-o", "out", "program.py")
    assert json.loads((workplace.directory / "out").read_text().splitlines()[0])["event"] == "recording"
    assert told(workplace.hocket("record", "program.py").stderr)[1] == str(workplace.directory / "hocket.recording")


def test_words_behind_two_dashes_are_the_programs(workplace: Workplace) -> None:
    """Also ``-o``."""
    workplace.write("program.py", PROGRAM)
    ended = workplace.hocket("record", "--", "program.py", "-o", "mine")
    assert ended.stdout == "['-o', 'mine']\n"
    assert told(ended.stderr)[1].endswith("hocket.recording")


def test_modules_and_functions_are_recorded(workplace: Workplace) -> None:
    """As ``hocket run`` runs them."""
    workplace.write("program.py", PROGRAM.replace("asyncio.run", "if __name__ == '__main__': asyncio.run"))
    for words in (["-m", "program", "-o", "x.recording"], ["program:main", "-o", "x.recording"]):
        ended = workplace.hocket("record", *words)
        assert (ended.code, ended.stdout) == (0, "[]\n")
        assert told(ended.stderr)[0] > 10


def test_a_program_that_fails_is_recorded(workplace: Workplace) -> None:
    """Its exit code and traceback are its own."""
    workplace.write("program.py", "import asyncio\nasync def main():\n    raise SystemExit(3)\nasyncio.run(main())\n")
    ended = workplace.hocket("record", "program.py")
    assert ended.code == 3
    assert told(ended.stderr)[0] > 3


def test_a_program_that_is_killed_leaves_what_there_was(workplace: Workplace) -> None:
    """In hocket's own format, beside the file that it would have become."""
    workplace.write(
        "program.py",
        """
        import asyncio, os, signal
        async def main():
            for _ in range(20000):
                await asyncio.sleep(0)
            os.kill(os.getpid(), signal.SIGKILL)
        asyncio.run(main())
        """,
    )
    ended = workplace.hocket("record", "program.py", "-o", "run.pftrace")
    assert ended.code == -signal.SIGKILL
    recording = Recording(str(workplace.directory / "run.pftrace.recording"))
    places = [event.detail["at"]["function"] for event in recording.events() if event.kind == "step"]
    assert recording.reason is None and set(places) == {"main"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["record"], "record needs a SCRIPT, -m MODULE or MODULE:FUNCTION"),
        (["record", "program.py", "-o"], "record: -o needs the name of a file"),
        (["record", "-o", "x.png", "program.py"], "cannot tell the format by the name"),
        (["record", "-o", "missing/x.jsonl", "program.py"], "record: cannot write"),
        (["record", "--what", "program.py"], "record: unrecognized arguments: --what"),
        (["record", "none.py"], "cannot open 'none.py'"),
        (["export"], "export: the following arguments are required: RECORDING"),
        (["export", "none.recording", "-o", "x.jsonl"], "cannot open 'none.recording': No such file"),
        (["export", "program.py", "-o", "x.jsonl"], "is not a recording"),
        (["export", "program.py", "-o", "x.recording"], "it is a recording already"),
        (["export", "program.py"], "cannot tell the format by the name '-'"),
        (["export", "program.py", "--format", "perfetto"], "a trace is not for the terminal"),
    ],
)
def test_what_cannot_be_done(workplace: Workplace, words: list[str], message: str) -> None:
    """One line, and no file."""
    program = workplace.write("program.py", PROGRAM)
    assert message in refused(workplace.hocket(*words))
    assert list(workplace.directory.iterdir()) == [program]


def test_a_recording_is_exported(workplace: Workplace) -> None:
    """To a file or to standard output; what comes is what ``hocket record`` would have written."""
    workplace.write("program.py", PROGRAM)
    workplace.hocket("record", "program.py")
    ended = workplace.hocket("export", "hocket.recording", "--format", "jsonl")
    expected = list(jsonl.lines(Recording(str(workplace.directory / "hocket.recording"))))
    assert (ended.code, ended.stdout.splitlines(), ended.stderr) == (0, expected, "")
    ended = workplace.hocket("export", "hocket.recording", "-o", "waits.folded", "--what", "wait")
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")
    assert "waits for a timer" in (workplace.directory / "waits.folded").read_text()


def test_the_flight_recorder_of_a_run(workplace: Workplace) -> None:
    """Writes the last seconds down when an exception is not handled, and says where."""
    workplace.write("program.py", PROGRAM + "    raise LookupError\n")
    ended = workplace.hocket("run", "--recorder", "program.py")
    assert ended.code == 1
    (path,) = workplace.directory.glob("hocket-*.recording")
    assert f"the flight recorder is in {path.name}" in ended.stderr
    recording = Recording(str(path))
    assert recording.reason == "unhandled LookupError"
    assert "child 0" in {task.name for task in recording.tasks.values()}


@pytest.mark.skipif(not hasattr(signal, "SIGUSR2"), reason="no such signal")
def test_a_signal_to_a_run(workplace: Workplace) -> None:
    """SIGUSR2 has the last seconds written down, and the program goes on."""
    workplace.write(
        "program.py",
        """
        import asyncio, os, signal
        async def main():
            os.kill(os.getpid(), signal.SIGUSR2)
            await asyncio.sleep(0.01)
            print("on")
        asyncio.run(main())
        """,
    )
    ended = workplace.hocket("run", "--recorder", "program.py")
    assert (ended.code, ended.stdout) == (0, "on\n")
    (path,) = workplace.directory.glob("hocket-*.recording")
    assert Recording(str(path)).reason == "SIGUSR2"


@pytest.mark.slow
def test_the_aggregator_is_recorded(workplace: Workplace) -> None:
    """A real program: the recording holds as many turns, steps, calls and tasks as the engine has counted."""
    aggregator = Path(__file__).resolve().parents[2] / "examples" / "aggregator.py"
    ended = workplace.hocket("record", "-o", "run.recording", str(aggregator), COLUMNS="100")
    assert ended.code == 0
    recording = Recording(str(workplace.directory / "run.recording"))
    kinds = dict.fromkeys(("turn", "step", "call", "spawn", "done", "wake", "wait"), 0)
    for event in recording.events():
        if event.kind in kinds:
            kinds[event.kind] += 1
    counted = {key: sum(loop[key] for loop in recording.loops.values()) for key in next(iter(recording.loops.values()))}
    ended_tasks = counted["tasks_finished"] + counted["tasks_failed"] + counted["tasks_cancelled"]
    assert kinds == {
        "turn": counted["turns"],
        "step": counted["steps"],
        "call": counted["callbacks"],
        "spawn": counted["tasks_started"],
        "done": ended_tasks,
        "wake": counted["steps"],
        "wait": kinds["wait"],
    }
    assert kinds["wait"] > 600 and recording.overwritten == 0
    assert os.path.getsize(workplace.directory / "run.recording") < 20_000_000
    # And so does what Perfetto is given: a track a task, a slice a wait, an arrow a wake.
    ended = workplace.hocket("export", "run.recording", "-o", "run.pftrace")
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")
    trace = schema.Trace()
    trace.ParseFromString((workplace.directory / "run.pftrace").read_bytes())
    tracks = {packet.track_descriptor.name for packet in trace.packet if packet.HasField("track_descriptor")}
    assert {f"{task.name} {task.coroutine}" for task in recording.tasks.values()} <= tracks
    points = [packet.track_event for packet in trace.packet if packet.HasField("track_event")]
    begun = Counter(point.categories[0] for point in points if point.type == point.TYPE_SLICE_BEGIN)
    events = list(recording.events())
    # A step is on its task's track and on the loop's, where one inside of a callback is the callback.
    inside = sum(event.kind == "step" and "inside" in event.detail for event in events)
    assert (begun["wait"], begun["step"]) == (kinds["wait"], 2 * kinds["step"] - inside)
    arrows = sorted(flow for point in points for flow in point.flow_ids)
    assert arrows == sorted(flow for point in points for flow in point.terminating_flow_ids)
    wakers = [event.detail["by"]["kind"] for event in events if event.kind == "wake"]
    assert len(arrows) == len([kind for kind in wakers if kind not in ("itself", "start")]) > 600


def test_the_environment_starts_the_flight_recorder(workplace: Workplace) -> None:
    """In a program that is started without ``hocket run``, and in the directory that it names."""
    workplace.write("program.py", "import hocket\nhocket.install()\n" + dedent(PROGRAM) + "raise LookupError\n")
    (workplace.directory / "dumps").mkdir()
    ended = workplace.python("program.py", HOCKET_RECORDER=str(workplace.directory / "dumps"))
    assert ended.code == 1
    (path,) = (workplace.directory / "dumps").iterdir()
    assert Recording(str(path)).reason == "unhandled LookupError"
    assert workplace.python("program.py", HOCKET_RECORDER="0").code == 1
    assert list(workplace.directory.glob("*.recording")) == []
