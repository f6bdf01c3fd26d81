"""The metrics: which there are, what they are called, and where in a `Reading` they stand.

One table for all sinks.  The names follow OpenTelemetry's conventions (``nodejs.eventloop.*`` and its like); those of
Prometheus are made of them by its own rules, but that "lag" is what its users look for where OpenTelemetry says delay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hocket.observe.readings import Reading

#: What a reading has to say about a metric: attributes, and a value for them.
Values = Iterable[tuple[dict[str, str], Any]]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    ``kind`` is ``counter``, ``gauge``, ``sum`` (a gauge of which adding up several makes sense) or ``histogram``, whose
    values are `Distribution`; ``unit`` is as of UCUM.  ``read`` gives the values of one loop.
    """

    name: str
    prometheus: str
    kind: str
    unit: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[Reading], Values]


def _one(value: Callable[[Reading], Any]) -> Callable[[Reading], Values]:
    return lambda reading: [({}, value(reading))]


def _state(name: str) -> Callable[[Reading], Values]:
    return lambda reading: [({}, 0 if reading.state is None else getattr(reading.state, name))]


def _of(label: str, **values: Callable[[Reading], Any]) -> Callable[[Reading], Values]:
    return lambda reading: [({label: name}, value(reading)) for name, value in values.items()]


METRICS = (
    Metric(
        "hocket.eventloop.delay",
        "hocket_eventloop_lag_seconds",
        "histogram",
        "s",
        "How late timers were.",
        (),
        _one(lambda reading: reading.lags),
    ),
    Metric(
        "hocket.eventloop.utilization",
        "hocket_eventloop_utilization_ratio",
        "gauge",
        "1",
        "Share of its time in which the loop ran something, since it was asked last.",
        (),
        _one(lambda reading: reading.utilization),
    ),
    Metric(
        "hocket.eventloop.time",
        "hocket_eventloop_time_seconds",
        "counter",
        "s",
        "How long the loop ran something (active), and how long it waited for something to happen (idle).",
        ("state",),
        _of("state", active=lambda reading: reading.done.busy, idle=lambda reading: reading.done.idle),
    ),
    Metric(
        "hocket.eventloop.poll.duration",
        "hocket_eventloop_poll_duration_seconds",
        "histogram",
        "s",
        "How long the loop waited at a time for something to happen.",
        (),
        _one(lambda reading: reading.polls),
    ),
    Metric(
        "hocket.eventloop.turns",
        "hocket_eventloop_turns",
        "counter",
        "{turn}",
        "Turns of the loop.",
        (),
        _one(lambda reading: reading.done.turns),
    ),
    Metric(
        "hocket.eventloop.callbacks",
        "hocket_eventloop_callbacks",
        "counter",
        "{callback}",
        "Callbacks that were run: handles, timers and transports.",
        (),
        _one(lambda reading: reading.done.callbacks),
    ),
    Metric(
        "hocket.eventloop.ready",
        "hocket_eventloop_ready",
        "sum",
        "{item}",
        "Tasks and callbacks that are ready and have not run yet.",
        (),
        _state("ready"),
    ),
    Metric(
        "hocket.eventloop.timers",
        "hocket_eventloop_timers",
        "sum",
        "{timer}",
        "Timers that are not due yet.",
        (),
        _state("timers"),
    ),
    Metric(
        "hocket.eventloop.descriptors",
        "hocket_eventloop_descriptors",
        "sum",
        "{descriptor}",
        "File descriptors that are watched.",
        (),
        _state("descriptors"),
    ),
    Metric(
        "hocket.eventloop.io",
        "hocket_eventloop_io_bytes",
        "counter",
        "By",
        "Bytes that the loop has received and sent.",
        ("direction",),
        _of(
            "direction",
            receive=lambda reading: reading.done.bytes_received,
            transmit=lambda reading: reading.done.bytes_sent,
        ),
    ),
    Metric(
        "hocket.connection.count",
        "hocket_connection_count",
        "sum",
        "{connection}",
        "Connections that are open.",
        (),
        _one(lambda reading: reading.done.connections_opened - reading.done.connections_closed),
    ),
    Metric(
        "hocket.connection.opened",
        "hocket_connection_opened",
        "counter",
        "{connection}",
        "Connections that were opened, whoever began.",
        (),
        _one(lambda reading: reading.done.connections_opened),
    ),
    Metric(
        "hocket.connection.accepted",
        "hocket_connection_accepted",
        "counter",
        "{connection}",
        "Connections that servers have accepted.",
        (),
        _one(lambda reading: reading.done.connections_accepted),
    ),
    Metric(
        "hocket.task.count",
        "hocket_task_count",
        "sum",
        "{task}",
        "Tasks that are not done.",
        ("state",),
        _of(
            "state",
            running=lambda reading: reading.running,
            ready=lambda reading: reading.ready,
            waiting=lambda reading: reading.waiting,
        ),
    ),
    Metric(
        "hocket.task.started",
        "hocket_task_started",
        "counter",
        "{task}",
        "Tasks that were made.",
        (),
        _one(lambda reading: reading.done.tasks_started),
    ),
    Metric(
        "hocket.task.ended",
        "hocket_task_ended",
        "counter",
        "{task}",
        "Tasks that are done.",
        ("outcome",),
        _of(
            "outcome",
            finished=lambda reading: reading.done.tasks_finished,
            failed=lambda reading: reading.done.tasks_failed,
            cancelled=lambda reading: reading.done.tasks_cancelled,
        ),
    ),
    Metric(
        "hocket.task.steps",
        "hocket_task_steps",
        "counter",
        "{step}",
        "Steps of tasks: from one wait to the next.",
        (),
        _one(lambda reading: reading.done.steps),
    ),
    Metric(
        "hocket.task.step.duration",
        "hocket_task_step_duration_seconds",
        "histogram",
        "s",
        "How long a step of a task, or a callback, kept the loop.",
        (),
        _one(lambda reading: reading.step_times),
    ),
    Metric(
        "hocket.schedule.duration",
        "hocket_schedule_duration_seconds",
        "histogram",
        "s",
        "How long a task or a callback was ready before it ran.",
        (),
        _one(lambda reading: reading.ready_delays),
    ),
    Metric(
        "hocket.blocked.duration",
        "hocket_blocked_duration_seconds",
        "histogram",
        "s",
        "How long what the watchdog has found blocked the loop.",
        ("cause",),
        lambda reading: [({"cause": cause}, lengths) for cause, lengths in reading.blocked.items()],
    ),
)
