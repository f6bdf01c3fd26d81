"""Metrics for OpenTelemetry: the same as for Prometheus, by the names of its conventions.

    from hocket.observe.sinks import opentelemetry

    opentelemetry.instrument()   # with the MeterProvider that is set

Counters and gauges are observable instruments: the SDK asks when it exports, and in between nothing is done.  Its API
has no such thing for a histogram that somebody else has counted, and its SDK has no door for one (the specification
calls it a MetricProducer), so the histograms are added to what the SDK hands to its readers.  Views do not see them.
"""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from hocket.observe import watchdog
from hocket.observe.metrics import METRICS, Metric
from hocket.observe.readings import BOUNDS, Distribution, Reading, Readings

try:
    from opentelemetry import metrics as api
    from opentelemetry.sdk.metrics import Histogram as HistogramInstrument
    from opentelemetry.sdk.metrics import export
except ImportError as error:
    raise ImportError(
        "hocket's metrics for OpenTelemetry need its SDK: pip install 'hocket[opentelemetry]'", name=error.name
    ) from error

#: The name of the instrumentation scope.
SCOPE = "hocket"


class Instrumentation:
    """What `instrument` has added to a provider."""

    def __init__(self, provider: Any, bounds: Sequence[float]) -> None:
        try:
            self._consumer = provider._measurement_consumer
            self._storages = self._consumer._reader_storages
        except AttributeError:
            raise TypeError(
                f"expected a MeterProvider of opentelemetry-sdk, got {provider!r}; opentelemetry.metrics."
                "set_meter_provider() makes one the default"
            ) from None
        self._readings: Readings | None = Readings(bounds, watchdog.start())
        self._now: list[Reading] = []
        self._began = time.time_ns()
        self._lock = threading.Lock()
        # Of readers that want differences: when it was told last, and what of each histogram.
        self._told: weakref.WeakKeyDictionary[Any, tuple[int, dict[Any, Distribution]]] = weakref.WeakKeyDictionary()
        self._make_instruments(provider)
        self._collect = self._consumer.collect
        self._stand_in(self._collect_with_histograms)

    def close(self) -> None:
        """Tell nothing any more.  The instruments stay, as the API has no way to take them back.  Harmless if called
        twice."""
        if self._readings is not None:
            self._stand_in(self._collect)
            self._readings.close()
            self._readings = None
            self._now = []

    # -- Counters and gauges

    def _make_instruments(self, provider: Any) -> None:
        from hocket import __version__

        meter = provider.get_meter(SCOPE, __version__)
        makers = {
            "counter": meter.create_observable_counter,
            "gauge": meter.create_observable_gauge,
            "sum": meter.create_observable_up_down_counter,
        }
        first = True
        for metric in METRICS:
            if metric.kind != "histogram":
                callback = self._observer(metric, first)
                makers[metric.kind](metric.name, callbacks=[callback], unit=metric.unit, description=metric.help)
                first = False

    def _observer(self, metric: Metric, first: bool) -> Callable[[Any], Iterable[Any]]:
        def observe(options: Any) -> Iterable[Any]:
            if first and self._readings is not None:
                # The SDK asks all instruments in the order in which they were made: one reading is for all of them.
                self._now = self._readings.read()
            return [
                api.Observation(value, {"loop": str(reading.place), **attributes})
                for reading in self._now
                for attributes, value in metric.read(reading)
            ]

        return observe

    # -- Histograms

    def _stand_in(self, collect: Callable[..., Any]) -> None:
        # For the readers that there are, and for those that are added later.
        self._consumer.collect = collect
        for reader in list(self._consumer._reader_storages):
            reader._set_collect_callback(collect)

    def _collect_with_histograms(self, reader: Any, timeout_millis: float = 10_000) -> Any:
        data = self._collect(reader, timeout_millis=timeout_millis)
        if data is None or not self._now:
            return data
        ours = self._histograms(reader)
        return replace(
            data,
            resource_metrics=[
                replace(resource, scope_metrics=[_extended(scope, ours) for scope in resource.scope_metrics])
                for resource in data.resource_metrics
            ],
        )

    def _histograms(self, reader: Any) -> list[Any]:
        temporality = _temporality(reader)
        now = time.time_ns()
        with self._lock:
            began, told = self._told.get(reader, (self._began, {}))
            telling: dict[Any, Distribution] = {}
            result = []
            for metric in METRICS:
                if metric.kind != "histogram":
                    continue
                points = []
                for reading in self._now:
                    for attributes, distribution in metric.read(reading):
                        key = (metric.name, reading.place, *attributes.items())
                        telling[key] = distribution
                        point = distribution
                        if temporality is export.AggregationTemporality.DELTA:
                            point = distribution.since(told.get(key))
                        points.append(_point({"loop": str(reading.place), **attributes}, began, now, point))
                if not points:
                    continue
                data = export.Histogram(points, temporality)
                result.append(export.Metric(metric.name, metric.help, metric.unit, data))
            if temporality is export.AggregationTemporality.DELTA:
                self._told[reader] = (now, telling)
        return result


def instrument(meter_provider: Any = None, *, bounds: Sequence[float] = BOUNDS) -> Instrumentation:
    """Have *meter_provider*, by default the one that is set, export what the loops of this process count.

    *bounds* are the upper bounds of the histograms, in seconds.  Starts the watchdog, unless ``HOCKET_BLOCKED_AFTER``
    switches it off.  Raises `TypeError` if the provider is not one of the
    SDK's (as long as none has been set, for one), and `ValueError` for bounds that do not rise::

        provider = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
        instrument(provider)
    """
    return Instrumentation(api.get_meter_provider() if meter_provider is None else meter_provider, bounds)


def _extended(scope: Any, ours: list[Any]) -> Any:
    return replace(scope, metrics=[*scope.metrics, *ours]) if scope.scope.name == SCOPE else scope


def _temporality(reader: Any) -> Any:
    """How *reader* wants histograms: all there was, or what came since it asked last."""
    by_class = reader._instrument_class_temporality
    return next(wanted for kind, wanted in by_class.items() if issubclass(kind, HistogramInstrument))


def _point(attributes: dict[str, str], began: int, now: int, distribution: Distribution) -> Any:
    return export.HistogramDataPoint(
        attributes=attributes,
        start_time_unix_nano=began,
        time_unix_nano=now,
        count=distribution.count,
        sum=distribution.sum,
        bucket_counts=distribution.counts,
        explicit_bounds=distribution.bounds,
        # What the SDK writes where the extremes are not recorded.
        min=math.inf,
        max=-math.inf,
    )
