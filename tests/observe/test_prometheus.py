"""Metrics as Prometheus reads them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
import urllib.request
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

import hocket
from hocket.observe.metrics import METRICS
from hocket.observe.sinks.prometheus import HocketCollector, serve
from tests.leftovers import no_new_descriptors, no_new_threads

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


def scrape(url: str, **headers: str) -> str:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read().decode()  # type: ignore[no-any-return]


def samples(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """The values of each sample by its labels, as the reader of the format understands them."""
    found: dict[str, Any] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


@pytest.fixture
def registry() -> Any:
    registry = CollectorRegistry()
    collector = HocketCollector(registry)
    yield registry
    collector.close()


@contextlib.contextmanager
def serving(**options: Any) -> Any:
    with contextlib.closing(serve(0, **options)) as server:
        yield server


async def work() -> None:
    """Some of everything: tasks that finish, fail and are cancelled, a timer, a connection."""
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"12345")
        await reader.read()
        writer.close()
    tasks = [asyncio.create_task(asyncio.sleep(0.001)) for _ in range(3)]
    tasks.append(asyncio.create_task(asyncio.sleep(60)))
    await asyncio.sleep(0)
    tasks[-1].cancel()
    await asyncio.wait(tasks)


def test_every_metric_is_in_a_scrape(registry: Any) -> None:
    """In the plain format and in OpenMetrics, each with its help, its kind and a value."""
    hocket.run(work())
    with serving(registry=registry) as server:
        plain, openmetrics = scrape(server.url), scrape(server.url, **OPENMETRICS)
    kinds = {"counter": "counter", "histogram": "histogram"}
    for families in (text_string_to_metric_families(plain), parse_openmetrics(openmetrics)):
        found = {family.name: family for family in families}
        for metric in METRICS:
            family = found[metric.prometheus]
            assert (family.type, family.documentation) == (kinds.get(metric.kind, "gauge"), metric.help)
            assert all(set(sample.labels) - {"le"} == {"loop", *metric.labels} for sample in family.samples)
            assert family.samples or metric.name == "hocket.blocked.duration"  # Nothing has been.


def test_values(registry: Any) -> None:
    """What the loop has done stands in the scrape, under the place of the loop."""

    async def main() -> Any:
        await work()
        asyncio.get_running_loop().call_soon(time.sleep, 0.02)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with serving(registry=registry) as server:
            return samples(await asyncio.to_thread(scrape, server.url))

    found = hocket.run(main())
    loop = ("loop", "1")
    assert found["hocket_connection_accepted_total"][loop,] == 1
    assert found["hocket_connection_opened_total"][loop,] == 2
    assert found["hocket_eventloop_io_bytes_total"][("direction", "transmit"), loop] == 5
    assert found["hocket_task_ended_total"][loop, ("outcome", "cancelled")] == 1
    # The task waits for the thread, if it has come to that yet.
    assert sum(found["hocket_task_count"].values()) == 1
    assert found["hocket_eventloop_lag_seconds_count"][loop,] >= 3
    assert 0.0 < found["hocket_eventloop_utilization_ratio"][loop,] <= 1.0
    assert found["hocket_eventloop_time_seconds_total"][loop, ("state", "active")] >= 0.02
    steps = found["hocket_task_step_duration_seconds_bucket"]
    assert steps[("le", "+Inf"), loop] - steps[("le", "0.01"), loop] >= 1
    assert steps[("le", "+Inf"), loop] == found["hocket_task_step_duration_seconds_count"][loop,]


def test_buckets_add_up(registry: Any) -> None:
    """Counts of buckets are of all up to the bound, from the least bound on."""
    hocket.run(work())
    with serving(registry=registry) as server:
        buckets = samples(scrape(server.url))["hocket_task_step_duration_seconds_bucket"]
    by_loop: dict[str, list[tuple[float, float]]] = {}
    for labels, value in buckets.items():
        by_loop.setdefault(dict(labels)["loop"], []).append((float(dict(labels)["le"]), value))
    for pairs in by_loop.values():
        values = [value for _, value in sorted(pairs)]
        assert values == sorted(values)
        assert values[-1] > 0


def test_the_applications_own_metrics_are_told_too(registry: Any) -> None:
    """A registry is served whole."""
    Counter("orders", "What was ordered.", registry=registry).inc(3)
    with serving(registry=registry) as server:
        assert samples(scrape(server.url))["orders_total"] == {(): 3.0}


def test_the_default_registry() -> None:
    """Without another, the default one is served, and has hocket's metrics once however often it is served."""
    with serving() as first, serving() as second:
        texts = [scrape(first.url), scrape(second.url)]
    assert [text.count("# TYPE hocket_task_count ") for text in texts] == [1, 1]


def test_it_answers_while_the_loop_is_blocked(registry: Any) -> None:
    """And says so: the loop is active, and its task runs."""
    told: list[str] = []

    async def main() -> None:
        with serving(registry=registry) as server:
            asker = threading.Thread(target=lambda: told.append(scrape(server.url)))
            asker.start()
            asker.join(10)

    hocket.run(main())
    counts = samples(told[0])["hocket_task_count"]
    assert sum(value for labels, value in counts.items() if ("state", "running") in labels) == 1


def test_what_blocks_the_loop() -> None:
    """The watchdog is started with the collector, and what it finds is told with its cause."""
    registry = CollectorRegistry()
    with serving(registry=registry) as server:
        hocket.run(block(1.0))
        wait_until(lambda: sum(blocked(server).values()) >= 0.3)
        found = blocked(server)
    # This machine may have been another cause.
    assert all(set(dict(labels)) == {"loop", "cause"} for labels in found)


def blocked(server: Any) -> dict[Any, float]:
    found: dict[Any, float] = samples(scrape(server.url)).get("hocket_blocked_duration_seconds_sum", {})
    return found


async def block(seconds: float) -> None:
    time.sleep(seconds)


def wait_until(holds: Any) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_loopback_only_by_default(registry: Any) -> None:
    """Nobody else can connect unless an address is named."""
    with serving(registry=registry) as server:
        assert server.url == f"http://127.0.0.1:{server.port}/metrics"
        assert server._server.socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.skipif(not socket.has_ipv6, reason="this system has no IPv6")
def test_the_address_of_ipv6_is_written_in_brackets(registry: Any) -> None:
    """As URLs want it."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 on loopback")
    with serving(address="::1", registry=registry) as server:
        assert server.url.startswith("http://[::1]:")
        assert "hocket_task_count" in scrape(server.url)


def test_a_port_that_is_taken(registry: Any) -> None:
    """Is an `OSError`, and nothing is left behind."""
    with socket.create_server(("127.0.0.1", 0)) as taken, no_new_threads(), no_new_descriptors():
        with pytest.raises(OSError, match="in use"):
            serve(taken.getsockname()[1], registry=registry)


def test_a_registry_has_one_collector(registry: Any) -> None:
    """A second one is refused, as any metric that is there already."""
    with pytest.raises(ValueError, match="hocket_"):
        HocketCollector(registry)


def test_a_closed_collector_collects_no_more() -> None:
    """`close` may be called twice."""
    registry = CollectorRegistry()
    collector = HocketCollector(registry)
    assert any(family.name == "hocket_task_count" for family in registry.collect())
    collector.close()
    collector.close()
    assert list(registry.collect()) == []


def test_a_restricted_scrape(registry: Any) -> None:
    """``?name[]=`` asks for single metrics."""
    hocket.run(asyncio.sleep(0))
    with serving(registry=registry) as server:
        text = scrape(server.url + "?name[]=hocket_eventloop_turns_total")
    assert set(samples(text)) == {"hocket_eventloop_turns_total"}
