"""The flight recorder: what it holds, and when it writes it down."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import hocket
from hocket.native.measure import now_in_ticks
from hocket.observe import mark, recorder, span
from hocket.observe.recording import Event, Recording

PACKAGE_PARENT = str(Path(hocket.__file__).resolve().parents[1])


@pytest.fixture(autouse=True)
def stopped() -> Iterator[None]:
    yield
    recorder.stop()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "run.recording")


def recorded(path: str, main: Callable[[], Coroutine[Any, Any, Any]]) -> Recording:
    """The recording of a whole run."""
    recorder.record_to(path)
    hocket.run(main())
    recorder.stop()
    return Recording(path)


def of(recording: Recording, kind: str) -> list[Event]:
    return [event for event in recording.events() if event.kind == kind]


def number_of(recording: Recording, name: str) -> int:
    (number,) = [task.number for task in recording.tasks.values() if task.name == name]
    return number


def test_events_are_as_many_as_the_engine_counts(path: str) -> None:
    """Turns, steps, callbacks, and tasks by what became of them: the recording has each of them."""

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError

    async def main() -> None:
        lock, queue = hocket.Lock(), asyncio.Queue[int]()

        async def work(number: int) -> None:
            async with lock:
                await hocket.sleep(0.001)
            await queue.put(number)

        tasks = [asyncio.create_task(work(number)) for number in range(20)]
        tasks += [asyncio.create_task(fail()) for _ in range(3)]
        sleepers = [asyncio.create_task(asyncio.sleep(60)) for _ in range(4)]
        for _ in range(20):
            await queue.get()
        await asyncio.to_thread(int)
        for sleeper in sleepers:
            sleeper.cancel()
        await asyncio.gather(*tasks, *sleepers, return_exceptions=True)

    recording = recorded(path, main)
    ((number, counted),) = recording.loops.items()
    kinds = Counter(event.kind for event in recording.events() if event.loop == number)
    fates = Counter(event.detail["how"] for event in of(recording, "done"))
    assert (kinds["turn"], kinds["step"], kinds["call"], kinds["spawn"]) == (
        counted["turns"],
        counted["steps"],
        counted["callbacks"],
        counted["tasks_started"],
    )
    assert fates == {
        "finished": counted["tasks_finished"],
        "failed": counted["tasks_failed"],
        "cancelled": counted["tasks_cancelled"],
    }
    # Each step has its wake, and each wait its end.
    assert kinds["wake"] == kinds["step"]
    assert all(event.detail.get("over", True) for event in of(recording, "wait"))
    assert recording.overwritten == 0


def test_a_step_that_is_interrupted_is_counted(path: str) -> None:
    """Ctrl-C ends a step as a return would: it is recorded, and so is a callback."""

    async def main() -> None:
        raise KeyboardInterrupt

    recorder.record_to(path)
    loop = hocket.new_event_loop()
    task = loop.create_task(main())
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert isinstance(task.exception(), KeyboardInterrupt)

    def interrupt() -> None:
        raise KeyboardInterrupt

    loop.call_soon(interrupt)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    loop.close()
    recorder.stop()
    recording = Recording(path)
    counted = recording.loops[loop._number]  # type: ignore[attr-defined]
    kinds = Counter(event.kind for event in recording.events())
    assert (kinds["step"], kinds["call"]) == (counted["steps"], counted["callbacks"])


def test_eager_tasks_are_recorded(path: str) -> None:
    """The first step of an eager task ran inside of whoever made it, and does not count among the loop's."""

    async def child() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.get_running_loop().create_task(child(), name="eager", eager_start=True)  # type: ignore[call-arg]

    recording = recorded(path, main)
    number = number_of(recording, "eager")
    steps = [event for event in of(recording, "step") if event.task == number]
    assert [event.detail.get("inside") for event in steps] == ["whoever made the task", None]
    assert [event.detail["ends"] for event in steps] == ["yielded", "ended"]
    outer = [event for event in of(recording, "step") if "inside" not in event.detail]
    assert len(outer) == recording.loops[steps[0].loop]["steps"]


def test_names_and_families(path: str) -> None:
    """A task has the name that it was given in the end, its parent, its coroutine, and where it was made."""

    async def child() -> None:
        asyncio.current_task().set_name("renamed")  # type: ignore[union-attr]

    async def main() -> None:
        await asyncio.create_task(child(), name="given")

    recording = recorded(path, main)
    task = recording.task(number_of(recording, "renamed"))
    parent = recording.task(task.parent)
    assert task.coroutine is not None and parent.coroutine is not None and task.made_at is not None
    assert task.coroutine.endswith("test_names_and_families.<locals>.child")
    assert parent.coroutine.endswith("test_names_and_families.<locals>.main")
    assert (task.made_at.file, task.made_at.function) == (__file__, parent.coroutine)
    assert parent.name == f"Task-{parent.number}"


def test_long_names(path: str) -> None:
    """Up to 200 bytes of a name are kept."""

    async def main() -> None:
        await asyncio.create_task(asyncio.sleep(0), name="ä" * 90)
        await asyncio.create_task(asyncio.sleep(0), name="y" * 300)

    names = {task.name for task in recorded(path, main).tasks.values()}
    assert {"ä" * 90, "y" * 200} <= names


# -- Waits and wakes


def wake_of(recording: Recording, name: str, index: int = -1) -> dict[str, Any]:
    number = number_of(recording, name)
    return [event.detail for event in of(recording, "wake") if event.task == number][index]


def waits_of(recording: Recording, name: str) -> list[dict[str, Any]]:
    number = number_of(recording, name)
    return [event.detail for event in of(recording, "wait") if event.task == number]


def test_who_frees_a_lock_wakes_the_next(path: str) -> None:
    """The wait names the operation and the line; the wake the task that let go of the lock."""

    async def main() -> None:
        lock = hocket.Lock()

        async def hold() -> None:
            async with lock:
                await asyncio.sleep(0.01)

        async def want() -> None:
            async with lock:
                pass

        holder = asyncio.create_task(hold(), name="holder")
        await asyncio.gather(holder, asyncio.create_task(want(), name="waiter"))

    recording = recorded(path, main)
    (wait,) = waits_of(recording, "waiter")
    assert (wait["for"]["kind"], wait["for"]["what"]) == ("operation", "Lock.acquire")
    assert wait["at"]["function"].endswith("want") and wait["at"]["file"] == __file__
    assert wake_of(recording, "waiter")["by"] == {"kind": "task", "task": number_of(recording, "holder")}


@pytest.mark.parametrize("sleep", [asyncio.sleep, hocket.sleep], ids=["asyncio", "hocket"])
def test_a_timer_wakes_a_sleeper(path: str, sleep: Callable[[float], Any]) -> None:
    """The wait is for a timer, with its length; and a timer is what wakes."""

    async def main() -> None:
        await asyncio.create_task(nap(), name="sleeper")

    async def nap() -> None:
        await sleep(0.2)

    recording = recorded(path, main)
    number = number_of(recording, "sleeper")
    (wait,) = [event for event in of(recording, "wait") if event.task == number]
    assert wait.detail["for"]["kind"] == "timer"
    assert 0.1e9 <= wait.detail["for"]["due_in"] <= 0.2e9
    assert wait.duration is not None and wait.duration >= 0.1e9
    assert wake_of(recording, "sleeper")["by"]["kind"] == "timer"


def test_who_waits_for_a_task_is_woken_by_it(path: str) -> None:
    """The wait names the task that is waited for."""

    async def main() -> None:
        child = asyncio.create_task(asyncio.sleep(0.001), name="child")
        await asyncio.create_task(parent(child), name="parent")

    async def parent(child: asyncio.Task[None]) -> None:
        await child

    recording = recorded(path, main)
    child = number_of(recording, "child")
    assert [wait["for"] for wait in waits_of(recording, "parent")] == [{"kind": "task", "task": child}]
    assert wake_of(recording, "parent")["by"] == {"kind": "task", "task": child}


def test_a_thread_wakes(path: str) -> None:
    """What another thread has handed over is named as that."""

    async def main() -> None:
        await asyncio.create_task(wait(), name="waiter")

    async def wait() -> None:
        future = asyncio.get_running_loop().create_future()
        thread = threading.Thread(target=future.get_loop().call_soon_threadsafe, args=(future.set_result, 1))
        thread.start()
        await future
        thread.join()

    recording = recorded(path, main)
    assert wake_of(recording, "waiter")["by"]["kind"] == "thread"


def test_a_descriptor_wakes(path: str) -> None:
    """Its number and direction are told; the bytes that came are counted."""

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asyncio.current_task().set_name("server")  # type: ignore[union-attr]
            writer.write(await reader.readexactly(5))
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await asyncio.sleep(0.01)
        writer.write(b"hello")
        assert await reader.read() == b"hello"
        writer.close()
        server.close()

    recording = recorded(path, main)
    by = wake_of(recording, "server", 1)["by"]
    assert (by["kind"], by["direction"]) == ("descriptor", "readable")
    assert by["descriptor"] in {event.detail["descriptor"] for event in of(recording, "io")}
    traffic = [event.detail for event in of(recording, "traffic")]
    assert [sum(one[key] for one in traffic) for key in ("received", "sent")] == [10, 10]


def test_a_cancellation_is_told(path: str) -> None:
    """Who asked for it, that it woke the task, and how the task ended."""

    async def main() -> None:
        sleeper = asyncio.create_task(asyncio.sleep(60), name="sleeper")
        asyncio.current_task().set_name("main")  # type: ignore[union-attr]
        await asyncio.sleep(0)
        sleeper.cancel()
        await asyncio.wait([sleeper])

    recording = recorded(path, main)
    canceller, sleeper = number_of(recording, "main"), number_of(recording, "sleeper")
    assert [(event.task, event.detail) for event in of(recording, "cancel")] == [(sleeper, {"by": canceller})]
    assert wake_of(recording, "sleeper") == {"by": {"kind": "task", "task": canceller}, "cancelled_by": canceller}
    assert [event.detail["how"] for event in of(recording, "done") if event.task == sleeper] == ["cancelled"]


def test_who_lets_the_others_go_first_wakes_itself(path: str) -> None:
    """``sleep(0)`` is no wait."""

    async def main() -> None:
        await asyncio.create_task(twice(), name="polite")

    async def twice() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    recording = recorded(path, main)
    wakes = [wake_of(recording, "polite", index)["by"]["kind"] for index in range(3)]
    assert (wakes, waits_of(recording, "polite")) == (["start", "itself", "itself"], [])


def test_futures_of_other_classes(path: str) -> None:
    """A task that waits for what is not hocket's own is woken by a callback; its step is inside of that."""

    async def main() -> None:
        await asyncio.create_task(wait(), name="waiter")

    async def wait() -> None:
        future = asyncio.Future(loop=asyncio.get_running_loop())
        future.get_loop().call_later(0.001, future.set_result, None)
        await future

    recording = recorded(path, main)
    (wait_,) = waits_of(recording, "waiter")
    assert wait_["for"]["kind"] == "foreign"
    assert wake_of(recording, "waiter")["by"]["kind"] == "timer"
    number = number_of(recording, "waiter")
    assert [event.detail.get("inside") for event in of(recording, "step") if event.task == number][1:] == ["a callback"]


def test_waits_that_are_not_over(path: str) -> None:
    """They come at the end, and the tasks that wait are known by name; also where their loop is closed already."""

    async def main() -> None:
        pass

    loop = hocket.new_event_loop()
    recorder.record_to(path)
    loop.close()
    loop = hocket.new_event_loop()
    task = loop.create_task(asyncio.sleep(60), name="left behind")
    loop.run_until_complete(main())
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    recorder.stop()
    recording = Recording(path)
    assert [wait.get("over") for wait in waits_of(recording, "left behind")] == [False]
    assert [event.detail["name"] for event in of(recording, "left")] == ["left behind"]


# -- What a program records itself


def test_marks_and_spans(path: str) -> None:
    """They are the task's; a span goes on while its task waits, and knows its length."""

    async def main() -> None:
        await asyncio.create_task(work(), name="worker")

    async def work() -> None:
        mark("begins")
        with span("outer"):
            with span("inner"):
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.01)

    recording = recorded(path, main)
    number = number_of(recording, "worker")
    spans = {event.detail["name"]: event for event in of(recording, "span")}
    assert [(event.task, event.detail) for event in of(recording, "mark")] == [(number, {"name": "begins"})]
    assert {event.task for event in spans.values()} == {number}
    assert 0.009e9 <= (spans["inner"].duration or 0) < (spans["outer"].duration or 0)
    assert spans["outer"].time <= spans["inner"].time


def test_without_a_recorder_marks_and_spans_do_nothing() -> None:
    """They may stay in a program."""
    mark("nothing")
    with span("nothing"):
        pass
    with pytest.raises(ZeroDivisionError), span("nothing"):
        1 / 0  # noqa: B018
    recorder.blocked(1, 1, 1, 0, "nothing")
    assert recorder.current() is None


def test_the_collector_is_recorded(path: str) -> None:
    """Each run of it, with its generation and how long it took."""

    async def main() -> None:
        gc.collect()

    collections = of(recorded(path, main), "collection")
    assert 2 in {event.detail["generation"] for event in collections}
    assert all((event.duration or 0) > 0 for event in collections)


# -- The ring


def test_the_last_are_kept_and_the_others_counted(path: str) -> None:
    """A run that does not fit leaves its end, in order, and says how much is lost."""

    async def main() -> None:
        for _ in range(3000):
            await asyncio.sleep(0)
        mark("the end")
        made.dump(path)

    made = recorder.start(size=64 * 1024, triggers=())
    hocket.run(main())
    recording = Recording(path)
    assert made.ring.capacity() == 1024
    events = list(recording.events())
    turns = [event.detail["turn"] for event in events if event.kind == "turn"]
    assert turns == list(range(turns[0], turns[-1] + 1)) and turns[0] > 1000
    assert [event.detail["name"] for event in events if event.kind == "mark"] == ["the end"]
    assert recording.overwritten == recording.written - 1024 > 0
    # The task was made long ago, but it is there still.
    (main_task,) = {event.task for event in events if event.kind == "step"}
    assert recording.tasks[main_task].coroutine is not None


def test_the_last_seconds(path: str) -> None:
    """Of a recording, only what was not over before that."""

    async def main() -> None:
        mark("long ago")
        await asyncio.sleep(1.2)
        mark("just now")
        made.dump(path, seconds=1.0)

    made = recorder.start(triggers=())
    hocket.run(main())
    assert [event.detail["name"] for event in of(Recording(path), "mark")] == ["just now"]


def test_what_was_there_before_is_recorded(path: str) -> None:
    """A recorder that is started in the middle takes up every loop that exists, from any thread."""

    async def main() -> None:
        await asyncio.sleep(0)
        await asyncio.to_thread(recorder.start, triggers=())
        await asyncio.create_task(asyncio.sleep(0.001), name="later")
        recorder.dump(path)
        recorder.stop()
        await asyncio.create_task(asyncio.sleep(0.001), name="too late")

    hocket.run(main())
    recording = Recording(path)
    assert number_of(recording, "later")
    assert all(task.name != "too late" for task in recording.tasks.values())


def test_a_dump_while_a_loop_is_blocked(path: str) -> None:
    """Another thread can have it, and the step that lasts is told with its length so far."""

    def dump() -> None:
        time.sleep(0.1)
        recorder.dump(path)

    async def main() -> None:
        thread = threading.Thread(target=dump)
        thread.start()
        time.sleep(0.4)
        thread.join()

    recorder.start(triggers=())
    hocket.run(main())
    (loop,) = Recording(path).loops.values()
    assert loop["running"] > 0 and loop["running_for"] >= 0.05


def test_several_loops(path: str) -> None:
    """Loops in threads of their own are told apart."""

    async def work() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    recorder.record_to(path)
    threads = [threading.Thread(target=lambda: hocket.run(work())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.stop()
    recording = Recording(path)
    steps = Counter(event.loop for event in of(recording, "step"))
    assert steps == {number: counted["steps"] for number, counted in recording.loops.items()}
    assert len(steps) == 3


# -- When it is written down by itself


@pytest.fixture
def here(tmp_path: Path) -> Path:
    directory = tmp_path / "dumps"
    directory.mkdir()
    return directory


def dumps(directory: Path) -> list[str | None]:
    """Why each recording was written."""
    return [Recording(str(path)).reason for path in sorted(directory.iterdir())]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "asyncio")


def test_an_exception_that_nobody_handles(here: Path) -> None:
    """That of a task that nobody awaits, say: but once a minute, however many there are."""

    async def fail() -> None:
        raise LookupError

    async def main() -> None:
        for _ in range(3):
            await asyncio.wait([asyncio.create_task(fail())])
            gc.collect()

    gc.collect()  # That of an earlier test is not to come first.
    recorder.start(directory=str(here))
    hocket.run(main())
    gc.collect()
    assert dumps(here) == ["unhandled LookupError"]


def test_what_an_exception_handler_is_told_without_an_exception(here: Path) -> None:
    """Is no reason."""
    recorder.start(directory=str(here))
    loop = hocket.new_event_loop()
    loop.call_exception_handler({"message": "just so"})
    loop.close()
    assert dumps(here) == []


def test_an_exception_that_ends_the_program(here: Path) -> None:
    """And the program's end is as it would be otherwise."""
    ended = program(
        here,
        """
        import asyncio, hocket
        from hocket.observe import recorder
        async def main():
            raise LookupError("why")
        recorder.start()
        hocket.run(main())
        """,
    )
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith("LookupError: why") and "flight recorder is in" in ended.stderr
    assert dumps(here) == ["unhandled LookupError"]


def program(directory: Path, source: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HOCKET_")}
    environment["PYTHONPATH"] = PACKAGE_PARENT
    return subprocess.run(
        [sys.executable, "-c", dedent(source)],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.skipif(not hasattr(signal, "SIGUSR2"), reason="no such signal")
def test_a_signal(here: Path) -> None:
    """Each one is answered, and after the end the signal is what it was."""

    async def main() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGUSR2)
            await asyncio.sleep(0.01)

    before = signal.getsignal(signal.SIGUSR2)
    recorder.start(directory=str(here), on_signal=signal.SIGUSR2)
    hocket.run(main())
    recorder.stop()
    assert dumps(here) == ["SIGUSR2", "SIGUSR2"]
    assert signal.getsignal(signal.SIGUSR2) == before


def test_a_stall(here: Path) -> None:
    """What the watchdog tells of is recorded, and written down while it lasts."""
    recorder.start(directory=str(here))
    began = now_in_ticks()
    recorder.blocked(1, 7, began, 0, "time.sleep at app.py:3")
    recorder.blocked(1, 7, began, now_in_ticks(), "a blocking call")
    (path,) = here.iterdir()
    recording = Recording(str(path))
    (blocked,) = of(recording, "blocked")
    assert recording.reason == "a blocked loop"
    assert (blocked.task, blocked.duration, blocked.detail) == (7, None, {"why": "time.sleep at app.py:3"})


def test_a_directory_that_cannot_be_written(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Is logged, and disturbs nobody."""
    caplog.set_level(logging.ERROR, "asyncio")
    recorder.start(directory=str(here / "missing"))
    recorder.blocked(1, 7, now_in_ticks(), 0, "why")
    assert "could not be written down" in caplog.text
    with pytest.raises(FileNotFoundError):
        recorder.dump()


# -- Its ends


def test_only_one_at_a_time(path: str) -> None:
    """A second one is refused, and the first goes on."""
    first = recorder.start(triggers=())
    with pytest.raises(RuntimeError, match="runs already"):
        recorder.start()
    with pytest.raises(RuntimeError, match="runs already"):
        recorder.record_to(path)
    assert recorder.current() is first
    assert not os.path.exists(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"triggers": ("boredom",)}, "unknown trigger 'boredom', expected some of"),
        ({"size": 1}, "at least 64 KiB, got 1"),
    ],
)
def test_what_cannot_be_asked_for(options: dict[str, Any], message: str) -> None:
    """Is refused, and nothing is left behind."""
    with pytest.raises(ValueError, match=message):
        recorder.start(**options)
    assert recorder.current() is None


def test_a_signal_that_cannot_be_had(here: Path) -> None:
    """Then nothing is recorded."""
    with pytest.raises(OSError, match="Invalid argument"):
        recorder.start(directory=str(here), on_signal=signal.SIGKILL)
    assert recorder.current() is None


def test_after_the_end_nothing_is_left() -> None:
    """No listener, no hook; what runs is not recorded."""
    from hocket.core import scheduler

    def listeners() -> list[int]:
        return [len(it) for it in (scheduler.on_create, scheduler.on_close, scheduler.on_exception, gc.callbacks)]

    before, hook = listeners(), sys.excepthook
    made = recorder.start()
    recorder.stop()
    recorder.stop()
    written = made.ring.written
    hocket.run(asyncio.sleep(0))
    assert (listeners(), sys.excepthook, made.ring.written) == (before, hook, written)
    with pytest.raises(RuntimeError, match="does not run"):
        recorder.dump()


def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    """Is an error at once, and nothing is recorded."""
    with pytest.raises(FileNotFoundError):
        recorder.record_to(tmp_path / "missing" / "run.recording")
    assert recorder.current() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_leaves_the_recording_to_the_parent(path: str) -> None:
    """In the child nothing is recorded, and the parent's file is whole."""

    async def work(name: str) -> None:
        await asyncio.create_task(asyncio.sleep(0), name=name)

    recorder.record_to(path)
    hocket.run(work("before"))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if recorder.current() is None:
                hocket.run(work("of the child"))
                recorder.stop()
                code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    hocket.run(work("after"))
    recorder.stop()
    recording = Recording(path)
    names = {task.name for task in recording.tasks.values()}
    assert {"before", "after"} <= names and "of the child" not in names
    assert recording.reason == "the whole run"
