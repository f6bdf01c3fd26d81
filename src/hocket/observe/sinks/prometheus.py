"""Metrics for Prometheus: a collector for the client library's registries, and a server that tells it all.

The library asks the collector at each scrape, in the thread that answers it; between scrapes nothing is done.  An
application that has an endpoint of its own already registers the collector and is done:

    from hocket.observe.sinks.prometheus import HocketCollector

    HocketCollector()

Others call `serve`, or are started with ``hocket run --metrics 9100``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from hocket.observe import watchdog
from hocket.observe.metrics import METRICS, Metric
from hocket.observe.readings import BOUNDS, Distribution, Readings

try:
    from prometheus_client import REGISTRY, start_http_server
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
    from prometheus_client.utils import floatToGoString
except ImportError as error:
    raise ImportError(
        "hocket's metrics for Prometheus need prometheus_client: pip install 'hocket[prometheus]'", name=error.name
    ) from error

#: The label that tells loops apart: 1 for the first, 2 for one that runs beside it, and so on.
LOOP = "loop"


class HocketCollector:
    """What the loops of this process count, for a registry of ``prometheus_client``.

    *registry* is asked to collect it at once; None: the default one.  *bounds* are the upper bounds of the histograms,
    in seconds.  Starts the watchdog, unless ``HOCKET_BLOCKED_AFTER`` switches it off.  Raises `ValueError` if the
    registry has one already, or for bounds that do not rise.
    """

    def __init__(self, registry: Any = None, *, bounds: Sequence[float] = BOUNDS) -> None:
        self._registry = REGISTRY if registry is None else registry
        self._readings = Readings(bounds, watchdog.start())
        try:
            self._registry.register(self)
        except ValueError:
            self._readings.close()
            raise

    def close(self) -> None:
        """Collect no more.  Harmless if called twice."""
        if self._registry is not None:
            self._registry.unregister(self)
            self._readings.close()
            self._registry = None

    def describe(self) -> Iterator[Any]:
        """The families, without a value: by these the registry knows who has a metric."""
        for metric in METRICS:
            yield _family(metric)

    def collect(self) -> Iterator[Any]:
        """The families, with what there is to say now."""
        readings = self._readings.read()
        for metric in METRICS:
            family = _family(metric)
            for reading in readings:
                for attributes, value in metric.read(reading):
                    labels = [str(reading.place), *(attributes[label] for label in metric.labels)]
                    if isinstance(value, Distribution):
                        family.add_metric(labels, _buckets(value), value.sum)
                    else:
                        family.add_metric(labels, value)
            yield family


def _family(metric: Metric) -> Any:
    kinds = {"counter": CounterMetricFamily, "histogram": HistogramMetricFamily}
    return kinds.get(metric.kind, GaugeMetricFamily)(metric.prometheus, metric.help, labels=[LOOP, *metric.labels])


def _buckets(distribution: Distribution) -> list[tuple[str, int]]:
    seen = 0
    buckets = []
    for bound, count in zip([*distribution.bounds, float("inf")], distribution.counts, strict=True):
        seen += count
        buckets.append((floatToGoString(bound), seen))
    return buckets


class Server:
    """Tells a registry's metrics over HTTP, in a thread of its own: also while a loop is blocked."""

    def __init__(self, port: int, address: str, registry: Any) -> None:
        self._server, self._thread = start_http_server(port, address, registry=registry)
        self._process = os.getpid()
        #: Where it is.
        self.address = address
        self.port: int = self._server.server_port
        # A forked child would keep the port, and has nobody who answers.
        os.register_at_fork(after_in_child=self._server.socket.close)

    @property
    def url(self) -> str:
        """What Prometheus is to be told to scrape."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.port}/metrics"

    def close(self) -> None:
        """Answer no more.  Harmless if called twice, and in the child of a fork."""
        if self._process == os.getpid() and self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


def serve(port: int, address: str = "127.0.0.1", *, registry: Any = None) -> Server:
    """Tell hocket's metrics, and all others in *registry*, to whoever asks ``http://address:port/metrics``.

    *port* 0 takes a free one: see `Server.port`.  *registry* None is the default one, in which the application's own
    metrics and those of the process stand.  Everybody who can reach *address* can read them; by default that is this
    machine.  Raises `OSError` if the port cannot be had::

        with contextlib.closing(serve(9100)) as server:
            print(server.url)
    """
    asked = REGISTRY if registry is None else registry
    server = Server(port, address, asked)
    with contextlib.suppress(ValueError):  # It has one already.
        HocketCollector(asked)
    return server
