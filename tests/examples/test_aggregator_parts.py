"""The aggregator's parts that need no network: how its service behaves, and how numbers are made of what happened."""

from __future__ import annotations

import importlib
import io
import itertools
import statistics
from collections import Counter
from collections.abc import Callable
from types import ModuleType

import pytest

from tests.examples.documented import EXAMPLES


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Import a module of the aggregator by its name."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return lambda name: importlib.import_module(f"_aggregator.{name}")


def test_the_service_answers_the_same_way_every_time(part) -> None:
    """Seed, resource and visit decide; nothing else does."""
    answer_for = part("upstream").answer_for
    assert [answer_for(5, n, 1) for n in range(50)] == [answer_for(5, n, 1) for n in range(50)]
    assert [answer_for(5, n, 1) for n in range(50)] != [answer_for(6, n, 1) for n in range(50)]


def test_the_mix_of_latencies_is_realistic(part) -> None:
    """A log-normal body around 90 ms, a slow tail of some percent, some errors, few hangs and drops."""
    upstream = part("upstream")
    answers = [upstream.answer_for(1, n, 1) for n in range(5000)]
    kinds = Counter(answer.kind for answer in answers)
    assert 0.87 < kinds["ok"] / 5000 < 0.97
    assert 0.02 < kinds["error"] / 5000 < 0.08
    assert 0.005 < kinds["hang"] / 5000 < 0.04
    assert 0.002 < kinds["drop"] / 5000 < 0.03
    times = sorted(answer.latency for answer in answers if answer.kind == "ok")
    assert 0.08 < statistics.median(times) < 0.1
    assert 0.02 < sum(time >= 0.6 for time in times) / len(times) < 0.08
    assert statistics.mean(times) > statistics.median(times)


def test_most_failures_pass_and_some_do_not(part) -> None:
    """Of the resources that fail at first, most answer within three visits, and some never do."""
    answer_for = part("upstream").answer_for
    failing = [n for n in range(5000) if answer_for(1, n, 1).kind != "ok"]
    lost = [n for n in failing if all(answer_for(1, n, visit).kind != "ok" for visit in range(1, 4))]
    assert 0 < len(lost) < len(failing) / 2


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 50, None), ([7], 99, 7), ([1, 2, 3, 4], 50, 2), (range(1, 101), 99, 99), (range(1, 1001), 99, 990)],
)
def test_percentiles_are_nearest_ranks(part, values, percent, expected) -> None:
    """A percentile is one of the values: the smallest that at least so many percent do not exceed."""
    assert part("report").percentile(values, percent) == expected


def row(part, attempts, *, cells=10, span=10.0) -> str:
    """One drawn row: attempts are (asked, start, end, outcome)."""
    fetching, timeline, screen = part("fetching"), part("timeline"), part("screen")
    fetch = fetching.Fetch("http://host/", [fetching.Attempt(*attempt) for attempt in attempts], done=True)
    return timeline.bar(screen.screen_for(io.StringIO(), ascii_only=True), fetch, cells, span)


@pytest.mark.parametrize(
    ("attempts", "drawn"),
    [
        ([(0, 0, 4, "ok")], "####      "),
        ([(0, 2, 4, "ok")], "..##      "),
        ([(0, 0, 3, "5xx")], "==x       "),
        ([(0, 0, 2, "5xx"), (4, 4, 6, "ok")], "=x--##    "),
        ([(0, 0, 2, "5xx"), (4, 6, 8, "ok")], "=x--..##  "),
        ([(0, 0, 0.1, "ok")], "#         "),
        ([(0, 8, 14, "ok")], "........#>"),
        ([(0, 0, 0.1, "5xx"), (0.2, 0.2, 0.3, "5xx")], "x         "),
    ],
)
def test_a_row_draws_waits_requests_and_pauses(part, attempts, drawn) -> None:
    """Waiting for a turn, a request, its failure, a pause before a retry, and what goes on past the end."""
    assert row(part, attempts) == drawn


def test_the_sample_shows_what_happened(part) -> None:
    """Of many fetches the drawn ones include a failure and a retry, evenly spread otherwise, in order."""
    fetching, timeline = part("fetching"), part("timeline")
    run = fetching.Run("run", 100, 100)
    for number in range(100):
        outcome = "timeout" if number == 37 else "ok"
        attempts = [fetching.Attempt(0, 0, 1, outcome)] * (2 if number == 71 else 1)
        run.fetches.append(fetching.Fetch(str(number), attempts, done=True))
    numbers = [int(fetch.url) for fetch in timeline.choose(run, 12)]
    assert len(set(numbers)) == 12
    assert numbers == sorted(numbers)
    assert {37, 71} < set(numbers)
    assert max(later - earlier for earlier, later in itertools.pairwise(numbers)) <= 15
