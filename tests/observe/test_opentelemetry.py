"""Metrics as OpenTelemetry's SDK exports them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import Histogram, MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import DropAggregation, View

import hocket
from hocket.core import scheduler
from hocket.observe.metrics import METRICS
from hocket.observe.sinks.opentelemetry import instrument


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def provider(reader: InMemoryMetricReader) -> Iterator[MeterProvider]:
    provider = MeterProvider([reader], shutdown_on_exit=False)
    instrumentation = instrument(provider)
    yield provider
    instrumentation.close()
    provider.shutdown()


def exported(reader: InMemoryMetricReader) -> dict[str, Any]:
    """The metrics of hocket's scope by their names."""
    data = reader.get_metrics_data()
    found = {}
    for resource in data.resource_metrics:  # type: ignore[union-attr]
        for scope in resource.scope_metrics:
            if scope.scope.name == "hocket":
                assert scope.scope.version == hocket.__version__
                found.update({metric.name: metric for metric in scope.metrics})
    return found


def values(metric: Any) -> dict[tuple[tuple[str, str], ...], Any]:
    return {tuple(sorted(point.attributes.items())): point.value for point in metric.data.data_points}


def total(metric: Any) -> int:
    """How many values a histogram tells of, all loops together."""
    return sum(point.count for point in metric.data.data_points)


def test_every_metric_is_exported(provider: MeterProvider, reader: InMemoryMetricReader) -> None:
    """By its name, with its unit and what it means."""
    hocket.run(asyncio.sleep(0.001))
    found = exported(reader)
    found.pop("hocket.blocked.duration", None)  # Nothing has blocked the loop, but perhaps the machine.
    assert [(name, metric.unit, metric.description) for name, metric in sorted(found.items())] == sorted(
        (metric.name, metric.unit, metric.help) for metric in METRICS if metric.name != "hocket.blocked.duration"
    )


def test_values(provider: MeterProvider, reader: InMemoryMetricReader) -> None:
    """Counters, gauges and their attributes."""

    async def main() -> dict[str, Any]:
        waiting = asyncio.create_task(asyncio.sleep(10))
        asyncio.get_running_loop().call_soon(time.sleep, 0.02)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        found = exported(reader)
        waiting.cancel()
        return found

    found = hocket.run(main())
    loop = ("loop", "1")
    assert values(found["hocket.task.count"])[loop, ("state", "running")] == 1
    assert values(found["hocket.task.count"])[loop, ("state", "waiting")] >= 1
    assert values(found["hocket.eventloop.time"])[loop, ("state", "active")] >= 0.02
    assert 0.0 < values(found["hocket.eventloop.utilization"])[loop,] <= 1.0
    assert found["hocket.task.started"].data.is_monotonic
    assert not found["hocket.task.count"].data.is_monotonic


def test_histograms(provider: MeterProvider, reader: InMemoryMetricReader) -> None:
    """With their bounds, as many counts as there are buckets, and the sum in seconds."""

    async def main() -> Any:
        asyncio.get_running_loop().call_soon(time.sleep, 0.05)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return exported(reader)["hocket.task.step.duration"]

    data = hocket.run(main()).data
    assert data.aggregation_temporality is AggregationTemporality.CUMULATIVE
    [point] = data.data_points
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    assert sum(point.bucket_counts) == point.count
    slow = sum(count for bound, count in zip(point.explicit_bounds, point.bucket_counts, strict=False) if bound > 0.03)
    assert slow >= 1
    assert point.sum >= 0.05
    assert point.start_time_unix_nano < point.time_unix_nano


def test_what_came_since_the_last_time() -> None:
    """A reader that wants differences gets them, of histograms as of counters, each with the time that it is about."""
    reader = InMemoryMetricReader(
        preferred_temporality={
            Histogram: AggregationTemporality.DELTA,
            ObservableCounter: AggregationTemporality.DELTA,
        }
    )
    provider = MeterProvider([reader], shutdown_on_exit=False)
    instrumentation = instrument(provider)
    loop = hocket.new_event_loop()
    loop.run_until_complete(asyncio.sleep(0))
    first = exported(reader)
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(asyncio.sleep(0))
    second = exported(reader)
    third = exported(reader)
    loop.close()
    instrumentation.close()
    name = "hocket.task.step.duration"
    assert second[name].data.aggregation_temporality is AggregationTemporality.DELTA
    assert 0 < total(first[name]) < total(second[name])
    assert total(third[name]) == 0
    assert [sum(values(each["hocket.task.started"]).values()) for each in (first, second, third)] == [1, 2, 0]
    [before], [after] = first[name].data.data_points, second[name].data.data_points
    assert after.start_time_unix_nano == before.time_unix_nano
    provider.shutdown()


def test_two_readers(reader: InMemoryMetricReader) -> None:
    """Each is told everything, also one that is added later if the SDK can do that."""
    other = InMemoryMetricReader()
    provider = MeterProvider([reader, other], shutdown_on_exit=False)
    instrumentation = instrument(provider)
    hocket.run(asyncio.sleep(0))
    readers = [reader, other]
    if hasattr(provider, "add_metric_reader"):
        readers.append(InMemoryMetricReader())
        provider.add_metric_reader(readers[-1])
    counts = [total(exported(each)["hocket.schedule.duration"]) for each in readers]
    assert counts[0] > 0 and len(set(counts)) == 1
    instrumentation.close()
    provider.shutdown()


def test_an_exporter() -> None:
    """What a reader that exports hands to its exporter holds everything."""

    class Keeping(MetricExporter):
        names: list[str]

        def export(self, metrics_data: Any, timeout_millis: float = 0, **rest: Any) -> MetricExportResult:
            [resource] = metrics_data.resource_metrics
            self.names = [metric.name for scope in resource.scope_metrics for metric in scope.metrics]
            return MetricExportResult.SUCCESS

        def force_flush(self, timeout_millis: float = 0) -> bool:
            return True

        def shutdown(self, timeout_millis: float = 0, **rest: Any) -> None:
            pass

    exporter = Keeping()
    provider = MeterProvider([PeriodicExportingMetricReader(exporter)], shutdown_on_exit=False)
    instrumentation = instrument(provider)
    hocket.run(asyncio.sleep(0))
    provider.force_flush()
    assert {"hocket.task.count", "hocket.eventloop.delay"} <= set(exporter.names)
    instrumentation.close()
    provider.shutdown()


def test_other_scopes_are_left_alone(provider: MeterProvider, reader: InMemoryMetricReader) -> None:
    """The application's own metrics come as they would without hocket."""
    provider.get_meter("shop").create_counter("orders").add(3)
    hocket.run(asyncio.sleep(0))
    data = reader.get_metrics_data()
    [resource] = data.resource_metrics  # type: ignore[union-attr]
    [shop] = [scope for scope in resource.scope_metrics if scope.scope.name == "shop"]
    assert [metric.name for metric in shop.metrics] == ["orders"]


def test_a_provider_that_drops_everything(reader: InMemoryMetricReader) -> None:
    """Whoever has views drop all instruments is told nothing."""
    drop = View(instrument_name="*", aggregation=DropAggregation())
    provider = MeterProvider([reader], views=[drop], shutdown_on_exit=False)
    instrumentation = instrument(provider)
    hocket.run(asyncio.sleep(0))
    assert reader.get_metrics_data() is None
    instrumentation.close()
    provider.shutdown()


def test_closing(reader: InMemoryMetricReader) -> None:
    """Afterwards nothing is told, and nobody listens to loops; twice is as good as once."""
    listeners = list(scheduler.on_close)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    instrumentation = instrument(provider)
    hocket.run(asyncio.sleep(0))
    assert exported(reader)
    instrumentation.close()
    instrumentation.close()
    assert scheduler.on_close == listeners
    data = reader.get_metrics_data()
    points = [
        point
        for resource in (data.resource_metrics if data else [])
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if metric.name == "hocket.eventloop.delay"
    ]
    assert points == []
    provider.shutdown()


def test_a_provider_that_is_none() -> None:
    """Is refused, with what to do; nobody is left listening."""
    listeners = list(scheduler.on_close)
    with pytest.raises(TypeError, match=r"expected a MeterProvider of opentelemetry-sdk, got .*set_meter_provider"):
        instrument(NoOpMeterProvider())
    assert scheduler.on_close == listeners
