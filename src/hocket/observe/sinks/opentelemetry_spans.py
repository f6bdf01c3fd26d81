"""Spans for OpenTelemetry: what a slow request did all the time, as children of its span.

    from hocket.observe.sinks import opentelemetry_spans

    opentelemetry_spans.instrument()   # with the TracerProvider that is set

The application's own spans say that a request took a second.  This says where the second went: in steps of its task, in
waits and for what, in tasks that it started, or behind somebody else who blocked the loop.  It is found out afterwards,
from the flight recorder, and only for spans that took long: one that does not costs two look-ups, and the ring is read
in a thread when one does.  The children are therefore dated back, and what the ring has lost by then is missing.

`export` makes spans of a whole recording.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import tempfile
import threading
import time
import weakref
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from hocket.core import asyncio_private
from hocket.core.task import Task
from hocket.native import ring as kinds
from hocket.native.measure import ticks_per_second
from hocket.native.ring import LAYOUT, RECORD_SIZE, Ring
from hocket.observe import recorder
from hocket.observe.recording import Event, Recording
from hocket.observe.recording_file import Writer, records_since

try:
    from opentelemetry import trace as api
    from opentelemetry.sdk.trace import SpanProcessor
except ImportError as error:
    raise ImportError(
        "hocket's spans for OpenTelemetry need its SDK: pip install 'hocket[opentelemetry]'", name=error.name
    ) from error

#: The name of the instrumentation scope.
SCOPE = "hocket"
#: The attribute with the number of the task in which a span was begun.
TASK = "hocket.task"

# How long what has been slow is collected, in seconds, before the ring is read, which may take a tenth of a second of
# computing; and how many times as long as that took, so that it never takes more than a tenth of a processor.
_TOGETHER = 0.2
_PAUSES = 9.0
# So much before the span is read as well: the step in which it was begun had begun by then.
_BEFORE = 1.0


@dataclass(frozen=True, slots=True)
class _Slow:
    """A span that took long: who is to be the parent of what is found, and where and when to look."""

    parent: Any
    task: int
    loop: int
    start: int
    end: int


class TaskSpans(SpanProcessor):  # type: ignore[misc]
    """Adds children to spans that took *at_least* so many seconds and were begun in a task of hocket's.

    They are ``hocket.step``, ``hocket.wait``, ``hocket.task`` and ``hocket.blocked``, and those of
    `hocket.observe.span` by their own names: each if it took at least *shortest* seconds, and at most the *most*
    longest.  Made by `instrument`.
    """

    def __init__(self, provider: Any, at_least: float, shortest: float, most: int) -> None:
        from hocket import __version__

        self._tracer = provider.get_tracer(SCOPE, __version__)
        self._at_least = int(at_least * 1e9)
        self._shortest = int(shortest * 1e9)
        self._most = most
        self._pending: list[_Slow] = []
        self._thread: threading.Thread | None = None
        self._process = 0
        self._over = threading.Event()
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=functools.partial(_renew, weakref.ref(self)))

    def _renew(self) -> None:
        # In the child of a fork there is no thread that would release it.
        self._some = threading.Event()
        self._reading = threading.RLock()

    # -- What the SDK calls, in the thread of whoever begins or ends a span

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Note in which task the span begins."""
        if self._is_own(span):
            return
        loop = asyncio_private.running_loop()
        task = None if loop is None else asyncio.current_task(loop)
        if isinstance(task, Task):
            span.set_attribute(TASK, task._number)
            span.set_attribute("hocket.loop", getattr(loop, "_number", 0))

    def on_end(self, span: Any) -> None:
        """Have it looked into if it took long."""
        if self._over.is_set() or span.end_time - span.start_time < self._at_least or self._is_own(span):
            return
        task = (span.attributes or {}).get(TASK)
        if task is None or not span.context.trace_flags.sampled:
            return
        loop = span.attributes.get("hocket.loop", 0)
        self._pending.append(_Slow(span.context, task, loop, span.start_time, span.end_time))
        if self._process != os.getpid():
            # The first; or the first in the child of a fork, where no thread is left.
            self._process = os.getpid()
            self._thread = threading.Thread(target=self._run, name="hocket-spans", daemon=True)
            self._thread.start()
        self._some.set()

    def shutdown(self) -> None:
        """Look into nothing any more."""
        self.force_flush()
        self._over.set()
        self._some.set()
        if self._thread is not None and self._process == os.getpid():
            self._thread.join()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Look now into what has been slow.  What another thread has begun to look into is waited for; False if that
        takes longer than *timeout_millis*."""
        return self._look_into_all(timeout_millis / 1000)

    def _is_own(self, span: Any) -> bool:
        scope = span.instrumentation_scope
        return scope is not None and scope.name == SCOPE

    # -- The thread

    def _run(self) -> None:
        pause = _TOGETHER
        while not self._over.is_set():
            self._some.wait()
            self._some.clear()
            self._over.wait(pause)
            began = time.monotonic()
            self._look_into_all()
            pause = max(_TOGETHER, _PAUSES * (time.monotonic() - began))

    def _look_into_all(self, timeout: float = -1) -> bool:
        reading = self._reading
        if not reading.acquire(timeout=timeout):
            return False
        # Released when all is done, so that who comes second knows that.
        try:
            slow = self._pending[:]
            del self._pending[: len(slow)]
            running = recorder.current()
            if slow and running is not None:
                first = min(one.start for one in slow) - int(_BEFORE * 1e9)
                events = _recent(running.ring, first, {one.task for one in slow})
                for one in slow:
                    self._add_children(one, events)
            return True
        finally:
            reading.release()

    def _add_children(self, slow: _Slow, events: list[Event]) -> None:
        chosen = _chosen(events, slow, self._shortest, self._most)
        parents = {slow.task: slow.parent}
        # What began first is the parent of what is in it.
        for event in sorted(chosen, key=lambda event: (event.time, -(event.duration or 0))):
            within = parents.get(event.task, slow.parent)
            if event.kind == "spawn":
                within = parents.get(event.detail["parent"], slow.parent)
            context = _emit(self._tracer, event, within, slow.start, slow.end)
            if event.kind == "spawn":
                parents[event.task] = context


def _renew(reference: weakref.ref[TaskSpans]) -> None:
    spans = reference()
    if spans is not None:
        spans._renew()


def instrument(
    tracer_provider: Any = None, *, at_least: float = 0.1, shortest: float = 0.001, most: int = 100
) -> TaskSpans:
    """Have spans of *tracer_provider*, by default the one that is set, that took *at_least* so many seconds get
    children: what their tasks did.  Starts the flight recorder if it does not run.

    Children shorter than *shortest* seconds are left out, and of the others all but the *most* longest.  Raises
    `TypeError` if the provider is not one of the SDK's (as long as none has been set, for one)::

        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        instrument(provider, at_least=0.5)
    """
    provider = api.get_tracer_provider() if tracer_provider is None else tracer_provider
    if not hasattr(provider, "add_span_processor"):
        raise TypeError(
            f"expected a TracerProvider of opentelemetry-sdk, got {provider!r}; opentelemetry.trace."
            "set_tracer_provider() makes one the default"
        )
    processor = TaskSpans(provider, at_least, shortest, most)
    if recorder.current() is None:
        recorder.start(triggers=())
    provider.add_span_processor(processor)
    return processor


def export(recording: Recording, tracer_provider: Any, *, shortest: float = 0.0) -> int:
    """Make spans of a whole *recording*: each task is one, in that of the task that made it, and has those of its steps
    and waits that took at least *shortest* seconds.  Returns how many there are.

    With the ordinary sampler all of it is one trace for each task that no other task made.
    """
    from hocket import __version__

    tracer = tracer_provider.get_tracer(SCOPE, __version__)
    events = list(recording.events())
    begin = min((event.time for event in events), default=0)
    end = max((event.time + (event.duration or 0) for event in events), default=0)
    known = {event.task for event in events if event.kind == "spawn"}
    for number in {event.task for event in events if event.kind in ("step", "wait")} - known:
        # That it was made has been overwritten.
        task = recording.task(number)
        events.append(Event("spawn", begin, None, task.loop, number, {"name": task.name, "parent": task.parent}))
    parents: dict[int, Any] = {}
    count = 0
    for event in sorted(_with_tasks(events, end), key=lambda event: (event.time, -(event.duration or 0))):
        if event.kind not in _NAMES or (event.kind != "spawn" and (event.duration or 0) < shortest * 1e9):
            continue
        within = parents.get(event.detail["parent"] if event.kind == "spawn" else event.task)
        context = _emit(tracer, event, within, begin, end)
        if event.kind == "spawn":
            parents[event.task] = context
        count += 1
    return count


# -- Events

# By the kind of event; spans of the program's own have names of their own.
_NAMES = {
    "step": "hocket.step",
    "wait": "hocket.wait",
    "spawn": "hocket.task",
    "blocked": "hocket.blocked",
    "span": "hocket.span",
}


def _recent(ring: Ring, since: int, tasks: Collection[int]) -> list[Event]:
    """What has happened since the moment *since*, in nanoseconds since the epoch, to *tasks* and those they made."""
    now, ticks = recorder.moment()
    contents = records_since(ring.contents(), ticks - int((now - since / 1e9) * ticks_per_second()))
    descriptor, path = tempfile.mkstemp(prefix="hocket-", suffix=".recording")
    os.close(descriptor)
    try:
        with Writer(path, (now, ticks)) as writer:
            writer.names(ring)
            writer.records(_excerpt(contents, tasks))
            writer.end(ring.written, ring.overwritten(), "a slow span")
        return list(Recording(path).events())
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)


_OF_ALL = (kinds.BLOCKED, kinds.TIMER)
_OF_THE_TASK = (kinds.STEP, kinds.DONE, kinds.SPAN_BEGIN, kinds.SPAN_END)


def _excerpt(contents: bytes, tasks: Collection[int]) -> bytes:
    """The records that are about *tasks* and those they made, and about loops that were blocked."""
    about = set(tasks)
    kept = bytearray()
    keep = False
    for at, record in zip(range(0, len(contents), RECORD_SIZE), LAYOUT.iter_unpack(contents), strict=True):
        kind, a, b = record[0], record[6], record[7]
        if kind == kinds.SPAWN:
            keep = b in about
            if keep:
                about.add(a)
        elif kind != kinds.TEXT:  # Which belongs to the one before.
            keep = kind in _OF_ALL or (kind in _OF_THE_TASK and a in about)
        if keep:
            kept += contents[at : at + RECORD_SIZE]
    return bytes(kept)


def _with_tasks(events: Iterable[Event], end: int) -> list[Event]:
    """*events*, each spawn with a duration: until its task was done, or *end*."""
    events = list(events)
    ended = {event.task: event for event in events if event.kind == "done"}
    result = []
    for event in events:
        if event.kind == "spawn":
            done = ended.get(event.task)
            outcome = {} if done is None else {"how": done.detail["how"]}
            until = end if done is None else done.time
            detail = {**event.detail, **outcome}
            event = Event(event.kind, event.time, max(until - event.time, 0), event.loop, event.task, detail)
        result.append(event)
    return result


def _chosen(events: list[Event], slow: _Slow, shortest: int, most: int) -> list[Event]:
    """What is to become a child of the span *slow*: the longest, of its task and those that it made meanwhile."""
    family = {slow.task}
    found = []
    for event in _with_tasks(events, slow.end):
        if event.kind not in _NAMES or event.duration is None or event.time >= slow.end:
            continue
        if event.time + event.duration <= slow.start:
            continue
        if event.kind == "spawn" and event.detail["parent"] in family and event.time >= slow.start:
            family.add(event.task)
        if event.task in family or (event.kind == "blocked" and event.loop == slow.loop):
            # What reaches beyond the span counts with its part inside.
            inside = min(event.time + event.duration, slow.end) - max(event.time, slow.start)
            if inside >= shortest:
                found.append((inside, event))
    return [event for _, event in sorted(found, key=lambda pair: -pair[0])[:most]]


# -- Spans


def _emit(tracer: Any, event: Event, parent: Any, earliest: int, latest: int) -> Any:
    """Make a span of *event*, a child of the span with the context *parent*; returns its own context."""
    context = None if parent is None else api.set_span_in_context(api.NonRecordingSpan(parent))
    start = max(event.time, earliest)
    name = event.detail["name"] if event.kind == "span" else _NAMES[event.kind]
    span = tracer.start_span(name, context=context, start_time=start, attributes=_attributes(event))
    span.end(end_time=max(min(event.time + (event.duration or 0), latest), start))
    return span.get_span_context()


def _attributes(event: Event) -> dict[str, Any]:
    detail = event.detail
    found: dict[str, Any] = {TASK: event.task, "hocket.loop": event.loop}
    at = detail.get("at")
    if at:
        found.update(
            {"code.file.path": at["file"], "code.line.number": at["line"], "code.function.name": at["function"]}
        )
    if event.kind == "step":
        found["hocket.ready_for"] = detail["ready_for"] / 1e9
        found["hocket.ends"] = detail["ends"]
    elif event.kind == "wait":
        awaited = detail["for"]
        found["hocket.waits_for"] = awaited["kind"]
        if "what" in awaited:
            found["hocket.awaited"] = awaited["what"]
        if "task" in awaited:
            found["hocket.awaited_task"] = awaited["task"]
    elif event.kind == "spawn":
        found["hocket.task.name"] = detail["name"]
        if "how" in detail:
            found["hocket.outcome"] = detail["how"]
    elif event.kind == "blocked":
        found["hocket.cause"] = detail["why"]
    return found
