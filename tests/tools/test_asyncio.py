"""asyncio's own means of looking at tasks and of changing how they are made."""

from __future__ import annotations

import asyncio
import faulthandler
import io
import sys
import tempfile
from collections.abc import Coroutine
from typing import Any

import pytest

import hocket

from .workplace import ToolWorkplace, succeeded

TOOL = "asyncio: tasks, stacks, task factories, policies"
PACKAGES: tuple[str, ...] = ()


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return hocket.run(asyncio.wait_for(main, 20))


async def inner(started: asyncio.Event) -> None:
    started.set()
    await asyncio.sleep(60)


async def outer(started: asyncio.Event) -> None:
    await inner(started)


async def waiting_task() -> asyncio.Task[None]:
    started = asyncio.Event()
    task = asyncio.create_task(outer(started), name="waiting")
    await started.wait()
    return task


def test_current_task_and_all_tasks() -> None:
    """The functions name the task that runs, and every one that is not done."""

    async def main() -> None:
        task = await waiting_task()
        me = asyncio.current_task()
        assert me is not None and me is not task
        assert {task, me} <= asyncio.all_tasks()
        task.cancel()
        await asyncio.wait([task])
        assert task not in asyncio.all_tasks()

    run(main())


def test_all_tasks_from_another_thread() -> None:
    """A monitor in another thread sees the tasks of a loop that runs."""

    async def main() -> None:
        task = await waiting_task()
        loop = asyncio.get_running_loop()
        assert task in await asyncio.to_thread(asyncio.all_tasks, loop)

    run(main())


def test_get_stack() -> None:
    """The stack of a suspended task holds the frame of its outermost coroutine, as under asyncio."""

    async def main() -> list[str]:
        task = await waiting_task()
        return [frame.f_code.co_name for frame in task.get_stack()]

    assert run(main()) == ["outer"]


def test_print_stack() -> None:
    """print_stack() names task, file and line."""

    async def main() -> str:
        printed = io.StringIO()
        (await waiting_task()).print_stack(file=printed)
        return printed.getvalue()

    printed = run(main())
    assert "name='waiting'" in printed and "await inner(started)" in printed


def test_stack_of_a_failed_task() -> None:
    """The stack of a task that failed is that of its exception."""

    async def fail() -> None:
        raise ValueError("no")

    async def main() -> list[str]:
        task = asyncio.create_task(fail())
        await asyncio.wait([task])
        assert isinstance(task.exception(), ValueError)
        return [frame.f_code.co_name for frame in task.get_stack()]

    assert run(main()) == ["fail"]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="asyncio.print_call_graph is new in Python 3.14")
def test_call_graph() -> None:
    """print_call_graph() shows who awaits a task, across tasks."""

    async def waits_for(task: asyncio.Task[None]) -> None:
        await task

    async def main() -> str:
        task = await waiting_task()
        parent = asyncio.create_task(waits_for(task), name="parent")
        await asyncio.sleep(0)
        graph = asyncio.format_call_graph(task)
        parent.cancel()
        return graph

    graph = run(main())
    assert "name='waiting'" in graph and "inner()" in graph
    assert "name='parent'" in graph and "waits_for()" in graph


def test_task_factory() -> None:
    """A factory that makes asyncio's own tasks decides what create_task returns, and they run on hocket's loop."""

    class Counted(asyncio.Task):  # type: ignore[type-arg]
        made = 0

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Future[Any]:
        Counted.made += 1
        return Counted(coro, loop=loop, **options)

    async def main() -> tuple[type, Any]:
        asyncio.get_running_loop().set_task_factory(factory)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(asyncio.sleep(0, "slept"), name="counted")
        return type(task), (task.get_name(), task.result())

    assert run(main()) == (Counted, ("counted", "slept"))
    assert Counted.made >= 1


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio.eager_task_factory is new in Python 3.12")
def test_eager_task_factory() -> None:
    """asyncio's eager factory starts the coroutine within create_task."""

    async def main() -> list[str]:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        happened: list[str] = []

        async def child() -> None:
            happened.append("child")

        task = asyncio.create_task(child())
        happened.append("parent")
        await task
        return happened

    assert run(main()) == ["child", "parent"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio.create_eager_task_factory is new in Python 3.12")
def test_eager_tasks_of_hockets_own() -> None:
    """create_eager_task_factory(hocket.Task) makes hocket's tasks, started at once."""

    async def main() -> tuple[type, bool]:
        factory = asyncio.create_eager_task_factory(hocket.Task)
        asyncio.get_running_loop().set_task_factory(factory)
        task = asyncio.create_task(asyncio.sleep(0))
        kind, done_at_once = type(task), asyncio.create_task(_nothing()).done()
        await task
        return kind, done_at_once

    assert run(main()) == (hocket.Task, True)


async def _nothing() -> None:
    pass


def test_subclass_of_hockets_task() -> None:
    """A subclass of hocket.Task works as task factory, and may override methods."""

    class Loud(hocket.Task):
        def get_name(self) -> str:
            return super().get_name().upper()

    async def main() -> str:
        asyncio.get_running_loop().set_task_factory(lambda loop, coro, **options: Loud(coro, loop=loop, **options))
        task = asyncio.create_task(asyncio.sleep(0), name="loud")
        await task
        return task.get_name()

    assert run(main()) == "LOUD"


def test_subclass_of_asyncios_future() -> None:
    """A library's subclass of asyncio.Future can be awaited on hocket's loop."""

    class Mine(asyncio.Future):  # type: ignore[type-arg]
        pass

    async def main() -> Any:
        future = Mine()
        asyncio.get_running_loop().call_soon(future.set_result, 42)
        return await future

    assert run(main()) == 42


def test_what_isinstance_says() -> None:
    """Libraries that ask for asyncio's classes find them."""

    async def main() -> list[bool]:
        loop = asyncio.get_running_loop()
        return [
            isinstance(loop, asyncio.AbstractEventLoop),
            isinstance(loop, asyncio.BaseEventLoop),
            isinstance(loop, asyncio.SelectorEventLoop),
            isinstance(asyncio.current_task(), asyncio.Task),
            isinstance(asyncio.current_task(), asyncio.Future),
            isinstance(loop.create_future(), asyncio.Future),
            asyncio.isfuture(loop.create_future()),
            isinstance(loop.call_soon(int), asyncio.Handle),
            isinstance(loop.call_later(0, int), asyncio.TimerHandle),
        ]

    assert all(run(main()))


def test_policy() -> None:
    """While hocket's policy is set, asyncio's own functions make hocket's loops."""
    from hocket.core import asyncio_private

    before = asyncio_private.get_event_loop_policy()
    hocket.install()
    try:
        loop = asyncio.new_event_loop()
        loop.close()
        assert type(loop) is hocket.EventLoop
        assert isinstance(asyncio_private.get_event_loop_policy(), hocket.EventLoopPolicy)
    finally:
        asyncio_private.set_event_loop_policy(before)


def test_runner_with_loop_factory() -> None:
    """asyncio.Runner(loop_factory=hocket.new_event_loop), the way that uvloop recommends for itself."""

    async def main() -> type:
        return type(asyncio.get_running_loop())

    with asyncio.Runner(loop_factory=hocket.new_event_loop) as runner:
        assert runner.run(main()) is hocket.EventLoop


def test_faulthandler_names_coroutines() -> None:
    """A dump of all threads shows the coroutine that runs."""

    async def busy_coroutine() -> str:
        with tempfile.TemporaryFile("w+") as sink:
            faulthandler.dump_traceback(sink, all_threads=True)
            sink.seek(0)
            return sink.read()

    assert "in busy_coroutine" in run(busy_coroutine())


def test_interactive_interpreter(workplace: ToolWorkplace) -> None:
    """`hocket run -m asyncio` is asyncio's REPL, with top-level await, on hocket's loop."""
    ended = workplace.hocket(
        "run", "-m", "asyncio", stdin="await asyncio.sleep(0, type(asyncio.get_running_loop()).__module__)\n"
    )
    assert "'hocket.loop'" in succeeded(ended)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="`python -m asyncio ps` is new in Python 3.14")
def test_ps_of_another_process(workplace: ToolWorkplace) -> None:
    """`python -m asyncio ps PID` reads asyncio's own C tasks from a process's memory: hocket's are not among them."""
    path = workplace.write(
        "sleeper.py",
        """
        import asyncio
        import hocket

        async def nap():
            await asyncio.sleep(60)

        async def main():
            ours = asyncio.create_task(nap(), name="a task of hocket's")
            asyncios = asyncio.Task(nap(), name="a task of asyncio's")
            await asyncio.sleep(0.1)
            print("ready", flush=True)
            await ours

        hocket.run(main())
        """,
    )
    sleeper = workplace.start(str(path))
    sleeper.wait_until_said("ready")
    ended = workplace.python("-m", "asyncio", "ps", str(sleeper.process.pid))
    if "ermission" in ended.stderr + ended.stdout:
        pytest.skip("this system does not let one process look into another: it needs root or ptrace_scope 0")
    printed = succeeded(ended)
    assert "a task of asyncio's" in printed
    assert "a task of hocket's" not in printed
