"""How loops end, alone and beside others: threads, closing, collecting, and the end of the interpreter."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import Any

import pytest

import hocket

from .scripts import printed, run_script

both = pytest.mark.parametrize("loop", ["hocket", "stock"])


@both
def test_two_loops_in_one_thread_take_turns(loop: str) -> None:
    """Each keeps its own tasks, timers and current task; while one runs the other stands still."""
    lines = printed(
        """
first, second = new_loop(), new_loop()
async def counting(name):
    for number in range(3):
        seen.append(f"{name}{number}")
        assert asyncio.get_running_loop() is loops[name]
        assert asyncio.current_task() is tasks[name]
        await asyncio.sleep(0)
seen = []
loops = {"a": first, "b": second}
tasks = {name: loop.create_task(counting(name)) for name, loop in loops.items()}
for _ in range(4):
    for it in loops.values():
        it.call_soon(it.stop)
        it.run_forever()
print(*seen)
first.close()
second.close()
""",
        loop=loop,
    )
    assert lines == ["a0 b0 a1 b1 a2 b2"]


def test_loops_in_many_threads() -> None:
    """Eight loops in eight threads, which also wake each other, finish all they were given."""
    loops: list[Any] = []
    ready = threading.Barrier(9)
    counts = [0] * 8

    def serve(index: int) -> None:
        loop = hocket.new_event_loop()
        loops.append(loop)
        ready.wait(20)
        loop.run_forever()
        loop.close()

    def count(index: int) -> None:
        counts[index] += 1

    threads = [threading.Thread(target=serve, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    ready.wait(20)
    for round_ in range(500):
        for index, loop in enumerate(loops):
            loop.call_soon_threadsafe(count, index)
            if round_ % 50 == 0:
                other = loops[index - 1]
                loop.call_soon_threadsafe(other.call_soon_threadsafe, count, index - 1)
    # Twice, because what passes through another loop comes later than what does not.
    for loop in loops:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(20)
    for loop in loops:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(20)
    for loop in loops:
        loop.call_soon_threadsafe(loop.stop)
    for thread in threads:
        thread.join(20)
    assert counts == [510] * 8


def test_call_soon_threadsafe_races_with_close() -> None:
    """A thread that wakes a loop while it closes gets RuntimeError at some time, and nothing worse."""
    for _ in range(50):
        loop = hocket.new_event_loop()
        refused: list[str] = []
        begun = threading.Event()

        def knock(loop: Any = loop, begun: threading.Event = begun, refused: list[str] = refused) -> None:
            while True:
                try:
                    loop.call_soon_threadsafe(int)
                except RuntimeError as error:
                    refused.append(str(error))
                    return
                begun.set()

        thread = threading.Thread(target=knock)
        thread.start()
        assert begun.wait(20)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        thread.join(20)
        assert refused == ["Event loop is closed"]


@both
def test_a_callback_that_stops_and_one_that_closes(loop: str) -> None:
    """`stop` ends the run after this turn; `close` is refused while it runs."""
    lines = printed(
        """
loop = new_loop()
def close():
    try:
        loop.close()
    except RuntimeError as error:
        print(error)
loop.call_soon(loop.stop)
loop.call_soon(print, "same turn")
loop.call_soon(lambda: loop.call_soon(print, "next run"))
loop.call_soon(close)
loop.run_forever()
print("stopped")
loop.call_soon(loop.stop)
loop.run_forever()
loop.close()
""",
        loop=loop,
    )
    assert lines == ["same turn", "Cannot close a running event loop", "stopped", "next run"]


@both
@pytest.mark.parametrize("closed", ["loop.close()", "pass"])
def test_the_interpreter_ends_with_everything_pending(closed: str, loop: str) -> None:
    """Tasks, timers, readers, threads' callbacks and generators left over: no crash, exit code 0, asyncio's words."""
    ended = run_script(
        f"""
import socket
loop = new_loop()
asyncio.set_event_loop(loop)
ours, theirs = socket.socketpair()
async def generator():
    yield 1
async def waits():
    await loop.create_future()
async def main():
    global kept
    kept = [loop.create_task(waits(), name="left"), loop.call_later(100, print), generator()]
    await anext(kept[2])
    loop.add_reader(ours, print)
    loop.call_soon_threadsafe(print, "never")
    kept.append(await loop.create_connection(asyncio.Protocol, sock=theirs))
loop.run_until_complete(main())
ours.close()
{closed}
""",
        loop=loop,
    )
    assert (ended.code, ended.out.replace("never\n", "")) == (0, ""), ended
    assert "Traceback" not in ended.err and "Fatal" not in ended.err, ended
    assert ended.err.count("Task was destroyed but it is pending!") <= 1, ended


@both
@pytest.mark.parametrize(
    "work", ["await asyncio.sleep(30)", "await asyncio.sleep(0)", "time.sleep(0.0001); await asyncio.sleep(0)"]
)
def test_the_interpreter_ends_under_a_daemon_threads_loop(work: str, loop: str) -> None:
    """A loop that runs in a daemon thread, waiting or busy, dies with the process in silence."""
    ended = run_script(
        f"""
started = threading.Event()
async def main():
    started.set()
    while True:
        {work}
threading.Thread(target=run, args=(main(),), daemon=True).start()
started.wait()
time.sleep(0.05)
""",
        "-X",
        "faulthandler",
        loop=loop,
    )
    assert (ended.code, ended.out, ended.err) == (0, "", ""), ended


@both
def test_shutting_down_the_executor_with_a_timeout(loop: str) -> None:
    """Threads that do not end in time are warned of and left; work is refused afterwards."""
    lines = printed(
        """
import inspect, warnings
# The first 3.12 have the argument and wait for ever all the same.
bounded = "timeouts.timeout" in inspect.getsource(asyncio.BaseEventLoop.shutdown_default_executor)
async def main():
    loop = asyncio.get_running_loop()
    release = threading.Event()
    work = loop.run_in_executor(None, release.wait, 20)
    if bounded:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            await loop.shutdown_default_executor(0.05)
        print(*[str(warning.message) for warning in seen])
        release.set()
    else:
        release.set()
        await loop.shutdown_default_executor()
        print("The executor did not finishing joining its threads within 0.05 seconds.")
    print(await work)
    try:
        loop.run_in_executor(None, print)
    except RuntimeError as error:
        print(error)
run(main())
""",
        loop=loop,
    )
    assert lines == [
        "The executor did not finishing joining its threads within 0.05 seconds.",
        "True",
        "Executor shutdown has been called",
    ]


@both
def test_asynchronous_generators_are_closed_in_order(loop: str) -> None:
    """Generators left half-way are closed when the loop ends, also one that another thread's collector finds."""
    lines = printed(
        """
async def generator(name):
    try:
        yield
    finally:
        await asyncio.sleep(0)
        print("closed", name, asyncio.get_running_loop() is home)
kept = []
async def main():
    global home
    home = asyncio.get_running_loop()
    elsewhere = generator("elsewhere")
    await anext(elsewhere)
    box = [elsewhere]
    del elsewhere
    await asyncio.to_thread(box.clear)
    for _ in range(5):
        await asyncio.sleep(0.001)
    kept.append(generator("at the end"))
    await anext(kept[0])
run(main())
""",
        loop=loop,
    )
    assert lines == ["closed elsewhere True", "closed at the end True"]


def test_loops_tasks_and_futures_are_collected() -> None:
    """A closed loop, with all that ran on it, is gone when nobody holds it: no global keeps any of it."""
    references: list[weakref.ref[Any]] = []

    def use() -> None:
        loop = hocket.new_event_loop()

        async def main() -> None:
            task = asyncio.create_task(asyncio.sleep(0))
            await asyncio.gather(task, asyncio.sleep(0))
            references.extend(weakref.ref(it) for it in (loop, task, loop.create_future(), asyncio.current_task()))

        loop.run_until_complete(main())
        loop.close()

    for _ in range(20):
        use()
    gc.collect()
    assert [reference() for reference in references] == [None] * 80


def test_a_cycle_of_a_task_and_its_own_result_is_collected() -> None:
    """Futures that hold themselves, through results, callbacks and exceptions, do not stay."""

    async def main() -> list[weakref.ref[Any]]:
        loop = asyncio.get_running_loop()
        held, called, failed = loop.create_future(), loop.create_future(), loop.create_future()
        held.set_result(held)
        called.add_done_callback(called.add_done_callback)
        error: Any = ValueError()
        error.future = failed
        failed.set_exception(error)
        failed.exception()
        return [weakref.ref(future) for future in (held, called, failed)]

    references = hocket.run(main())
    gc.collect()
    assert [reference() for reference in references] == [None] * 3


def test_a_subinterpreter_says_no_in_words_or_works() -> None:
    """`import hocket` in a subinterpreter either works or raises ImportError; the main one is not harmed."""
    lines = printed(
        """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
code = '''
try:
    import hocket, asyncio
    hocket.run(asyncio.sleep(0))
except ImportError as error:
    assert "interpreter" in str(error) or str(error).startswith("hocket: "), error
'''
number = interpreters.create()
failed = (getattr(interpreters, "exec", None) or interpreters.run_string)(number, code)
assert failed is None, failed
interpreters.destroy(number)
run(asyncio.sleep(0.001))
print("unharmed")
"""
    )
    assert lines == ["unharmed"]


def test_faulthandler_shows_where_the_tasks_code_is() -> None:
    """A dump of all threads while a task runs names the task's own code."""
    lines = printed(
        """
import faulthandler, tempfile
async def revealing():
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        print(b"in revealing" in file.read())
run(revealing())
"""
    )
    assert lines == ["True"]


@pytest.mark.parametrize("what", ["copy.copy", "copy.deepcopy", "pickle.dumps"])
@pytest.mark.parametrize("kind", ["Future", "Task"])
def test_futures_and_tasks_can_be_neither_copied_nor_pickled(what: str, kind: str) -> None:
    """As asyncio's: TypeError, at once."""
    lines = printed(
        f"""
import copy, pickle
async def main():
    it = asyncio.current_task() if {kind!r} == "Task" else asyncio.get_running_loop().create_future()
    try:
        {what}(it)
    except TypeError:
        print("refused")
run(main())
"""
    )
    assert lines == ["refused"]


@both
def test_tasks_are_seen_from_other_threads(loop: str) -> None:
    """`all_tasks` and `current_task` of a loop that runs elsewhere; stacks too."""
    lines = printed(
        """
async def sleeper():
    await asyncio.sleep(30)
def look(loop):
    tasks = asyncio.all_tasks(loop)
    for task in sorted(tasks, key=lambda task: task.get_name()):
        print(task.get_name(), [frame.f_code.co_name for frame in task.get_stack()][-1:])
async def main():
    task = asyncio.create_task(sleeper(), name="sleeper")
    asyncio.current_task().set_name("main")
    await asyncio.sleep(0)
    await asyncio.to_thread(look, asyncio.get_running_loop())
    task.cancel()
run(main())
""",
        loop=loop,
    )
    assert lines == ["main ['main']", "sleeper ['sleeper']"]
