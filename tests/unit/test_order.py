"""What runs when: random programs leave one trace on hocket and on asyncio, with either's classes on either's loop."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import hocket

from .loops import hocket_selector, stock

Operation = tuple[Any, ...]

FUTURES = 3
TASKS = 4
TURNS = 25

number = st.integers(0, FUTURES - 1)
simple = st.one_of(
    st.sampled_from([("sleep",), ("sleep",), ("soon",), ("timer",), ("raise",), ("uncancel",), ("yield",)]),
    st.tuples(
        st.sampled_from(
            ["await", "await", "set", "set", "fail", "cancel_future", "callback", "remove_callback", "shield", "wait"]
        ),
        number,
    ),
    st.tuples(
        st.sampled_from(["cancel", "task_callback", "await_task", "stubborn", "state"]), st.integers(0, TASKS - 1)
    ),
    st.tuples(st.just("gather"), st.booleans(), st.lists(number, max_size=3)),
)
spawning = st.tuples(st.just("spawn"), st.booleans(), st.lists(simple, max_size=4))
programs = st.lists(st.lists(st.one_of(simple, simple, simple, spawning), max_size=8), min_size=1, max_size=TASKS)


class Play:
    """Plays one program and writes down what happened, in order."""

    def __init__(self, futures: list[Callable[..., Any]], tasks: list[Callable[..., Any]]) -> None:
        # The classes to use, in rotation.
        self.future_classes = futures
        self.task_classes = tasks
        self.made = 0
        self.timers = 0
        self.trace: list[Any] = []
        self.futures: list[Any] = []
        self.tasks: list[Any] = []

    def note(self, *what: Any) -> None:
        current = asyncio.current_task()
        self.trace.append((None if current is None else current.get_name(), *what))

    def task(self, coroutine: Coroutine[Any, Any, Any], name: str) -> Any:
        make = self.task_classes[self.made % len(self.task_classes)]
        self.made += 1
        return make(coroutine, loop=self.loop, name=name)

    async def main(self, program: list[list[Operation]]) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(lambda _, context: self.trace.append(context["message"].split(" at 0x")[0]))
        asyncio.current_task().set_name("main")  # type: ignore[union-attr]
        self.futures = [
            self.future_classes[index % len(self.future_classes)](loop=self.loop) for index in range(FUTURES)
        ]
        for index, operations in enumerate(program):
            self.tasks.append(self.task(self.play(operations, index), f"t{index}"))
        for turn in range(TURNS):
            await asyncio.sleep(0)
            self.note("turn", turn)
        for future in self.futures:
            future.cancel()
        # Twice, for those who refuse once.
        for _ in range(2):
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task._log_destroy_pending = False
            for task in self.tasks:
                task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        for future in [*self.futures, *self.tasks]:
            self.note("end", outcome(future), getattr(future, "cancelling", lambda: None)())

    async def play(self, operations: list[Operation], index: int) -> str:
        for step, operation in enumerate(operations):
            self.note("begin", step, operation[0])
            try:
                result = await self.perform(index, *operation)
            except asyncio.CancelledError as error:
                self.note("cancelled", step, *error.args)
                raise
            except ArithmeticError as error:
                self.note("failed", step, str(error))
                if operation[0] == "raise":
                    raise
            else:
                self.note("went on", step, result)
        return f"result of {index}"

    async def perform(self, index: int, what: str, *arguments: Any) -> Any:
        at = arguments[0] if arguments else 0
        if what == "sleep":
            return await asyncio.sleep(0)
        if what == "yield":
            return await Yielding()
        if what == "raise":
            raise ArithmeticError("raised")
        if what == "soon":
            self.loop.call_soon(self.note, "soon", index)
        elif what == "timer":
            # Long due, and no two of one instant: asyncio's heap keeps no order among those.
            self.timers += 1
            self.loop.call_at(self.timers - 1000, self.note, "timer", index)
        elif what == "uncancel":
            task: Any = asyncio.current_task()
            # Before 3.13 asyncio delivers a cancellation that was taken back; hocket never does.
            return None if task._must_cancel and sys.version_info < (3, 13) else task.uncancel()
        elif what == "set" and not self.futures[at].done():
            self.futures[at].set_result(index)
        elif what == "fail" and not self.futures[at].done():
            self.futures[at].set_exception(ArithmeticError(f"set by {index}"))
        elif what == "cancel_future":
            return self.futures[at].cancel(f"by {index}")
        elif what == "callback":
            self.futures[at].add_done_callback(self.called)
        elif what == "remove_callback":
            return self.futures[at].remove_done_callback(self.called)
        elif what == "await":
            return await self.futures[at]
        elif what == "shield":
            return await asyncio.shield(self.futures[at])
        elif what == "wait":
            done, pending = await asyncio.wait(self.futures[at:], return_when=asyncio.FIRST_COMPLETED)
            return len(done), len(pending)
        elif what == "gather":
            return str(await asyncio.gather(*[self.futures[i] for i in arguments[1]], return_exceptions=at))
        elif what == "cancel" and at < len(self.tasks):
            return self.tasks[at].cancel(f"by {index}")
        elif what == "task_callback" and at < len(self.tasks):
            self.tasks[at].add_done_callback(self.called)
        elif what == "state" and at < len(self.tasks):
            return outcome(self.tasks[at]), self.tasks[at].cancelling()
        elif what == "await_task" and at < min(index, len(self.tasks)):
            # Only those made before: tasks that wait for each other in a ring could never be cancelled.
            return await self.tasks[at]
        elif what == "stubborn":
            try:
                await self.futures[at % FUTURES]
            except asyncio.CancelledError:
                self.note("refuses")
        elif what == "spawn":
            child = self.task(self.play(arguments[1], index), f"child of {index}")
            self.tasks.append(child)
            if at:
                return await child
        return None

    def called(self, future: Any) -> None:
        self.note("callback", outcome(future))


class Yielding:
    def __await__(self) -> Any:
        yield


def outcome(future: Any) -> str:
    if not future.done():
        return "pending"
    if future.cancelled():
        return "cancelled"
    error = future.exception()
    return f"result {future.result()!r}" if error is None else f"exception {error!r}"


def trace_of(program: list[list[Operation]], loop_factory: Any, futures: list[Any], tasks: list[Any]) -> list[Any]:
    play = Play(futures, tasks)
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(play.main(program))
    trace = play.trace
    del play
    return trace


OURS_AND_THEIRS = [hocket.Future, asyncio.Future], [asyncio.Task, hocket.Task, hocket.Task]


@pytest.mark.parametrize(
    ("loop_factory", "futures", "tasks"),
    [
        pytest.param(hocket_selector, [hocket.Future], [hocket.Task], id="hocket on hocket"),
        pytest.param(hocket_selector, [asyncio.Future], [asyncio.Task], id="asyncio on hocket"),
        pytest.param(stock, [hocket.Future], [hocket.Task], id="hocket on asyncio"),
        pytest.param(hocket_selector, *OURS_AND_THEIRS, id="mixed on hocket"),
        pytest.param(stock, *OURS_AND_THEIRS, id="mixed on asyncio"),
    ],
)
@settings(max_examples=120)
@given(program=programs)
@example(program=[[("await", 0)], [("set", 0), ("cancel", 0)]])
@example(program=[[("await", 0)], [("cancel", 0), ("set", 0)]])
@example(program=[[("stubborn", 0), ("await", 0)], [("await_task", 0)], [("cancel", 1), ("sleep",), ("cancel", 1)]])
@example(program=[[("gather", False, [0, 1])], [("fail", 0)], [("callback", 1), ("cancel", 0)]])
def test_same_trace_as_asyncio(loop_factory: Any, futures: Any, tasks: Any, program: list[list[Operation]]) -> None:
    """Steps, callbacks, wake-ups, cancellations and outcomes come in the same turn and the same order."""
    # What is reported when garbage is collected has no place in the order.
    gc.disable()
    try:
        expected = trace_of(program, stock, [asyncio.Future], [asyncio.Task])
        actual = trace_of(program, loop_factory, futures, tasks)
    finally:
        gc.enable()
    assert actual == expected
