"""What slow spans are made of, as children of them."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NoOpTracerProvider, Tracer

import hocket
import hocket.observe
from hocket.native.measure import now_in_ticks, ticks_per_second
from hocket.observe import recorder
from hocket.observe.recording import Recording
from hocket.observe.sinks.opentelemetry_spans import export, instrument


class Traced:
    """A provider, and what it has exported."""

    def __init__(self, exporter: InMemorySpanExporter | None = None, **options: Any) -> None:
        self.exporter = exporter or InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False, **options)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def tracer(self) -> Tracer:
        return self.provider.get_tracer("application")

    def spans(self, name: str | None = None) -> list[ReadableSpan]:
        """What there is by now, in the order in which it began."""
        self.provider.force_flush()
        found = [span for span in self.exporter.get_finished_spans() if name in (None, span.name)]
        return sorted(found, key=lambda span: span.start_time or 0)

    def only(self, name: str) -> ReadableSpan:
        [found] = self.spans(name)
        return found


@pytest.fixture(autouse=True)
def no_recorder() -> Iterator[None]:
    """A test that has started the recorder leaves none behind."""
    yield
    recorder.stop()


@pytest.fixture
def traced() -> Iterator[Traced]:
    traced = Traced()
    instrument(traced.provider, at_least=0.02)
    yield traced
    traced.provider.shutdown()


def seconds(span: ReadableSpan) -> float:
    return ((span.end_time or 0) - (span.start_time or 0)) / 1e9


def is_child(span: ReadableSpan, of: ReadableSpan) -> bool:
    """Whether *span* belongs to the other, and lies within it."""
    return (
        span.parent is not None
        and (span.parent.trace_id, span.parent.span_id) == (of.context.trace_id, of.context.span_id)
        and of.start_time <= span.start_time <= span.end_time <= of.end_time  # type: ignore[operator]
    )


def test_steps_and_waits(traced: Traced) -> None:
    """A slow span has children for the steps and waits of its task, at the times at which they were."""

    async def main() -> None:
        with traced.tracer.start_as_current_span("request"):
            await asyncio.sleep(0.05)
            time.sleep(0.03)
            await asyncio.sleep(0.04)

    hocket.run(main())
    request = traced.only("request")
    [first, second], steps = traced.spans("hocket.wait"), traced.spans("hocket.step")
    assert all(is_child(span, request) for span in [first, second, *steps])
    # On a busy machine the one before the waits, or behind them, may be long enough to be told of.
    [step] = [step for step in steps if first.end_time <= step.start_time < second.start_time]  # type: ignore[operator]
    assert [first.attributes["hocket.waits_for"], second.attributes["hocket.waits_for"]] == ["timer", "timer"]
    # From the timer on, which the machine may keep from the wait.
    assert (first.end_time or 0) - (request.start_time or 0) > 45_000_000
    assert seconds(first) < seconds(request)
    assert 0.025 < seconds(step) < seconds(request)
    assert step.end_time <= second.start_time  # type: ignore[operator]
    assert step.attributes["code.function.name"].endswith("main")
    assert request.attributes["hocket.task"] == step.attributes["hocket.task"]


def test_a_span_that_is_fast_has_no_children() -> None:
    """Nothing is looked up for it."""
    traced = Traced()
    instrument(traced.provider, at_least=30.0)

    async def main() -> None:
        with traced.tracer.start_as_current_span("request"):
            await asyncio.sleep(0.001)

    hocket.run(main())
    assert [span.name for span in traced.spans()] == ["request"]
    traced.provider.shutdown()


def test_another_task_is_not_told_of(traced: Traced) -> None:
    """What others did meanwhile is their own affair."""

    async def other() -> None:
        await asyncio.sleep(0.01)
        time.sleep(0.01)

    async def main() -> None:
        others = asyncio.create_task(other())
        with traced.tracer.start_as_current_span("request"):
            await asyncio.sleep(0.05)
        await others

    hocket.run(main())
    request = traced.only("request")
    assert len(traced.spans("hocket.wait")) == 1
    task = request.attributes["hocket.task"]
    assert all(step.attributes["hocket.task"] == task for step in traced.spans("hocket.step"))


def test_tasks_that_it_has_started(traced: Traced) -> None:
    """Each is a child, with its name and outcome, and has what it did below it."""

    async def part(length: float) -> None:
        await asyncio.sleep(length)
        if length > 0.03:
            raise ValueError

    async def main() -> None:
        with traced.tracer.start_as_current_span("request"):
            tasks = [asyncio.create_task(part(n / 50), name=f"part-{n}") for n in (1, 2)]
            await asyncio.wait(tasks)
        for task in tasks:
            task.exception()

    hocket.run(main())
    request = traced.only("request")
    tasks = traced.spans("hocket.task")
    assert all(is_child(task, request) for task in tasks)
    assert sorted((task.attributes["hocket.task.name"], task.attributes["hocket.outcome"]) for task in tasks) == [
        ("part-1", "finished"),
        ("part-2", "failed"),
    ]
    below = [span for span in traced.spans("hocket.wait") if any(is_child(span, task) for task in tasks)]
    assert len(below) == 2


def test_spans_of_the_programs_own(traced: Traced) -> None:
    """What the program has marked with `hocket.observe.span` comes by its name."""

    async def main() -> None:
        with traced.tracer.start_as_current_span("request"):
            with hocket.observe.span("checkout"):
                await asyncio.sleep(0.03)

    hocket.run(main())
    assert is_child(traced.only("checkout"), traced.only("request"))
    assert 0.025 < seconds(traced.only("checkout")) <= seconds(traced.only("request"))


def test_somebody_else_blocked_the_loop(traced: Traced) -> None:
    """What the watchdog says of the loop meanwhile is a child, whoever it was."""

    async def main() -> None:
        with traced.tracer.start_as_current_span("request"):
            await asyncio.sleep(0.03)
            number = asyncio.get_running_loop()._number  # type: ignore[attr-defined]
            now = now_in_ticks()
            recorder.blocked(number, 0, now - int(0.02 * ticks_per_second()), now, "a blocking call")
            recorder.blocked(number + 1, 0, now - int(0.02 * ticks_per_second()), now, "of another loop")

    hocket.run(main())
    blocked = traced.only("hocket.blocked")
    assert is_child(blocked, traced.only("request"))
    assert blocked.attributes["hocket.cause"] == "a blocking call"
    assert seconds(blocked) == pytest.approx(0.02, abs=0.005)


def test_a_part_of_a_span_is_looked_into_once(traced: Traced) -> None:
    """A slow span within a slow span: each has children of its own."""

    async def main() -> None:
        with traced.tracer.start_as_current_span("outer"):
            await asyncio.sleep(0.03)
            with traced.tracer.start_as_current_span("inner"):
                await asyncio.sleep(0.03)

    hocket.run(main())
    inner, outer = traced.only("inner"), traced.only("outer")
    waits = traced.spans("hocket.wait")
    assert [sum(is_child(wait, span) for wait in waits) for span in (outer, inner)] == [2, 1]


def test_only_the_longest() -> None:
    """Of many, as many as are asked for, and none below a length."""
    traced = Traced()
    instrument(traced.provider, at_least=0.02, shortest=0.005, most=2)

    async def main() -> None:
        with traced.tracer.start_as_current_span("request"):
            for length in (0.001, 0.3, 0.02, 0.2):
                await asyncio.sleep(length)

    hocket.run(main())
    first, second = (seconds(wait) for wait in traced.spans("hocket.wait"))
    assert first > 0.25 and second > 0.15
    traced.provider.shutdown()


def test_it_comes_by_itself(traced: Traced) -> None:
    """Without anybody asking, a moment after the span has ended."""

    async def main() -> None:
        with traced.tracer.start_as_current_span("request"):
            await asyncio.sleep(0.03)
        async with asyncio.timeout(10):
            while "hocket.wait" not in {span.name for span in traced.exporter.get_finished_spans()}:
                await asyncio.sleep(0.01)

    hocket.run(main())
    assert traced.spans("hocket.wait")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_an_exporter_that_hangs() -> None:
    """Whoever flushes meanwhile waits for as long as he said, and the child of a fork does not wait for it at all."""
    begun, go = threading.Event(), threading.Event()

    class Hangs(InMemorySpanExporter):
        def export(self, spans: Any) -> Any:
            if any(span.name == "hocket.wait" for span in spans):
                begun.set()
                go.wait(20)
            return super().export(spans)

    async def main() -> None:
        with traced.tracer.start_as_current_span("request"):
            await asyncio.sleep(0.03)

    traced = Traced(Hangs())
    processor = instrument(traced.provider, at_least=0.02)
    hocket.run(main())
    assert begun.wait(20)
    assert processor.force_flush(10) is False
    child = os.fork()
    if child == 0:
        os._exit(0 if processor.force_flush(10_000) else 1)
    assert os.waitpid(child, 0)[1] == 0
    go.set()
    assert processor.force_flush() is True
    assert traced.spans("hocket.wait")
    traced.provider.shutdown()


def test_spans_that_are_not_sampled() -> None:
    """Have no children either."""
    traced = Traced(sampler=ALWAYS_OFF)
    instrument(traced.provider, at_least=0.0)

    async def main() -> None:
        with traced.tracer.start_as_current_span("request"):
            await asyncio.sleep(0.01)

    hocket.run(main())
    assert traced.spans() == []
    traced.provider.shutdown()


def test_spans_outside_of_tasks(traced: Traced) -> None:
    """In a thread, or on a stock loop, there is nothing to tell."""

    async def main() -> None:
        with traced.tracer.start_as_current_span("stock"):
            await asyncio.sleep(0.03)

    with traced.tracer.start_as_current_span("thread"):
        time.sleep(0.03)
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main())
    assert [span.name for span in traced.spans()] == ["thread", "stock"]
    assert not any("hocket.task" in span.attributes for span in traced.spans())  # type: ignore[operator]


def test_a_recorder_that_runs_is_used() -> None:
    """It goes on when the provider is shut down."""
    running = recorder.start(triggers=())
    traced = Traced()
    instrument(traced.provider)
    traced.provider.shutdown()
    assert recorder.current() is running


def test_a_whole_recording(tmp_path: Path) -> None:
    """Every task is a span, in that of the task that made it; steps and waits are below."""
    path = tmp_path / "run.recording"

    async def child() -> None:
        await asyncio.sleep(0.1)

    async def main() -> None:
        await asyncio.create_task(child(), name="child")

    recorder.record_to(path)
    hocket.run(main())
    recorder.stop()
    traced = Traced()
    count = export(Recording(str(path)), traced.provider, shortest=0.01)
    spans = traced.spans()
    assert len(spans) == count
    [made] = [span for span in spans if span.attributes.get("hocket.task.name") == "child"]
    [maker] = [span for span in spans if span.context.span_id == made.parent.span_id]  # type: ignore[union-attr]
    assert maker.name == "hocket.task" and maker.parent is None
    assert any(is_child(span, made) for span in traced.spans("hocket.wait"))
    traced.provider.shutdown()


def test_a_provider_that_is_none() -> None:
    """Is refused, with what to do, and nothing is started."""
    with pytest.raises(TypeError, match=r"expected a TracerProvider of opentelemetry-sdk, got .*set_tracer_provider"):
        instrument(NoOpTracerProvider())
    assert recorder.current() is None
