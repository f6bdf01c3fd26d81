"""What ``hocket top`` makes of what it is told: rates, charts, and how often it asks."""

from __future__ import annotations

import itertools
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from hocket.cli.client import Answer
from hocket.cli.output import cut, fit
from hocket.cli.screen import source as sources
from hocket.cli.screen.charts import bars, spark
from hocket.cli.screen.rates import History, between, counts_of, difference, quantile
from hocket.cli.screen.source import INTERVAL, SHARE, Source, View


def histogram(**counts: int) -> dict[str, Any]:
    """Of lengths of 1, 2, 4 and 8 seconds and less than twice that."""
    return {"bounds": [1.0, 2.0, 4.0, 8.0, 16.0], "counts": [counts.get(f"of_{n}", 0) for n in (1, 2, 4, 8)]}


def loop(**facts: Any) -> dict[str, Any]:
    """A loop that has not done anything but what is said."""
    names = ("active", "idle", "running_for", "turns", "steps", "callbacks")
    nothing = {name: histogram() for name in ("ready_delays", "lags", "step_times")}
    return dict.fromkeys(names, 0.0) | nothing | {"number": 1} | facts


def test_rates_are_of_the_time_between() -> None:
    """What a loop counts from its beginning on is told for the time since the last look."""
    rates = between(
        loop(active=10.0, idle=50.0, turns=100, steps=1000), loop(active=10.5, idle=51.5, turns=120, steps=1400), 2.0
    )
    assert (rates.utilization, rates.turns, rates.steps) == (0.25, 10.0, 200.0)


def test_a_step_that_lasts_counts_as_it_goes() -> None:
    """A loop that is blocked is busy, before the step has ended and been counted; and it is not counted twice."""
    assert between(loop(), loop(running_for=2.0), 2.0).utilization == 1.0
    assert between(loop(running_for=2.0), loop(active=3.0, idle=1.0), 2.0).utilization == 0.5
    assert between(loop(), loop(running_for=2.0), 2.0).longest == 2.0


def test_a_loop_that_waits_is_idle() -> None:
    """A wait that has not ended is not counted yet: nothing was done, and nothing is divided by nothing."""
    assert between(loop(), loop(), 1.0).utilization == 0.0


def test_delays_are_of_the_time_between() -> None:
    """Of what a histogram has counted, only what is new is looked at."""
    before, after = histogram(of_1=100, of_2=5), histogram(of_1=101, of_2=5, of_4=99)
    assert difference(before, after) == {(1.0, 2.0): 1, (4.0, 8.0): 99}
    assert between(loop(ready_delays=before), loop(ready_delays=after), 1.0).ready_delay == 8.0


def test_bounds_may_move_a_little() -> None:
    """How fast the clock goes is known the better the later: buckets are matched nevertheless."""
    before, after = histogram(of_2=5), histogram(of_2=7)
    after["bounds"] = [bound * 1.001 for bound in after["bounds"]]
    assert list(difference(before, after).values()) == [2]


@pytest.mark.parametrize(("q", "expected"), [(0.0, 2.0), (0.5, 2.0), (0.9, 8.0), (1.0, 16.0)])
def test_quantile(q: float, expected: float) -> None:
    """The bound that a share did not exceed."""
    assert quantile(counts_of(histogram(of_1=6, of_4=3, of_8=1)), q) == expected


def test_quantile_of_nothing() -> None:
    """If nothing came, nothing took any time."""
    assert quantile({}, 0.99) == 0.0


def test_history_begins_with_the_second_look() -> None:
    """One look makes no rate."""
    history = History()
    history.add(1.0, loop())
    assert not history.rates
    history.add(2.0, loop(steps=7))
    assert [rates.steps for rates in history.rates] == [7.0]


def test_spark() -> None:
    """The last values stand on the right; the greatest, or the top, fills the height."""
    assert spark([0.0, 1.0, 2.0, 4.0, 8.0], 4, 1) == "▁▂▄█"
    assert spark([4.0], 3, 1, top=8.0) == "  ▄"
    assert spark([16.0, 8.0, 4.0], 3, 2).splitlines() == ["█  ", "██▄"]


def test_what_is_little_is_seen() -> None:
    """A value that is not nothing is not drawn as nothing."""
    assert spark([0.0, 0.001, 100.0], 3, 1) == " ▁█"
    assert spark([], 3, 1) == "   "


def test_bars() -> None:
    """A line for each doubling from the shortest to the longest, also where nothing came."""
    lines = bars({(1.1e-6, 1.3e-6): 8, (1.3e-6, 1.5e-6): 8, (8.2e-6, 9e-6): 4}, 8)
    assert [line.split()[-1] for line in lines] == ["16", "0", "0", "4"]
    assert [line.count("█") for line in lines] == [8, 0, 0, 2]
    assert bars({}, 8) == ["(nothing yet)"]


@pytest.mark.parametrize(
    ("widths", "width", "expected"),
    [([5, 60], 80, [5, 60]), ([5, 60], 40, [5, 33]), ([40, 40, 40], 64, [20, 20, 20]), ([40, 40], 10, [12, 12])],
)
def test_columns_are_made_to_fit(widths: list[int], width: int, expected: list[int]) -> None:
    """The widest give way first, but no column below what can be read."""
    fit(widths, width)
    assert sorted(widths) == sorted(expected)


def test_cut() -> None:
    """What is left out is seen to be."""
    assert (cut("walker", 6), cut("walker", 5)) == ("walker", "walk…")


class Agent:
    """Stands in for the client, and says what each answer has cost."""

    def __init__(self, cost: float) -> None:
        self.cost = cost
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.over = False

    def send(self, verb: str, **parameters: Any) -> None:
        self.asked.append((verb, parameters))

    def receive(self) -> Answer:
        return Answer([], {"cost": self.cost, "total": 0, "matching": 0, "states": {}})

    def ask(self, verb: str, **parameters: Any) -> Answer:
        self.send(verb, **parameters)
        return self.receive()

    def close(self) -> None:
        self.over = True


class Waits:
    """Stands in for the event that the source waits for, and notes for how long."""

    def __init__(self, source: Source, count: int) -> None:
        self.seconds: list[float] = []
        self._source = source
        self._count = count

    def clear(self) -> None:
        pass

    def set(self) -> None:
        pass

    def wait(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if len(self.seconds) == self._count:
            self._source.stop()


def watched(cost: float, count: int = 3, **wanted: Any) -> tuple[Agent, list[View], list[float]]:
    """What is asked, shown and waited for in so many looks."""
    agent, views = Agent(cost), []  # type: tuple[Agent, list[View]]
    source = Source(agent, views.append, pytest.fail)  # type: ignore[arg-type]
    source.want(**wanted)
    waits = Waits(source, count)
    source._at_once = waits  # type: ignore[assignment]
    thread = threading.Thread(target=source.run)
    thread.start()
    thread.join(30)
    assert agent.over
    return agent, views, waits.seconds


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that the source does takes any time."""
    monkeypatch.setattr(sources, "time", SimpleNamespace(monotonic=lambda: 100.0))


def test_twice_a_second(stopped_clock: None) -> None:
    """As long as it costs little, the process is asked twice a second."""
    _, views, seconds = watched(0.001)
    assert len(views) == 3 and seconds == [INTERVAL] * 3


def test_twice_a_second_whatever_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that asking and showing take counts; when there is none left, the next look follows at once."""
    monkeypatch.setattr(sources, "time", SimpleNamespace(monotonic=itertools.count(100.0, 0.01).__next__))
    _, _, quick = watched(0.001)
    assert all(0 < wait < INTERVAL for wait in quick)
    monkeypatch.setattr(sources, "time", SimpleNamespace(monotonic=itertools.count(100.0, INTERVAL).__next__))
    _, _, slow = watched(0.001)
    assert slow == [0.0] * 3


def test_what_costs_more_is_asked_more_seldom(stopped_clock: None) -> None:
    """The agent's share of a processor stays below what it may be."""
    _, views, seconds = watched(0.1)
    assert all(wait == pytest.approx(view.cost / SHARE) for view, wait in zip(views, seconds, strict=True))
    assert min(seconds) > INTERVAL


def test_only_what_is_seen_is_asked_for() -> None:
    """Tasks are not listed while another table covers them, and warnings only now and then."""
    agent, _, _ = watched(0.001, pane="primitives")
    limits = [parameters["limit"] for verb, parameters in agent.asked if verb == "tasks"]
    verbs = [verb for verb, _ in agent.asked]
    assert limits == [0, 0, 0]
    assert (verbs.count("primitives"), verbs.count("troubles")) == (3, 1)
