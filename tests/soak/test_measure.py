"""The soak's judgement: traffic that comes and goes is not growth, and a leak below it is."""

from __future__ import annotations

import random

from . import measure


def samples(leaked: float) -> list[dict[str, float]]:
    """Of three minutes, with *leaked* objects a second under traffic that needs up to 8,000 of them at a time."""
    chance = random.Random(1)
    made = []
    for number in range(40):
        time = 4.5 * number
        # The machine becomes busier: there is more traffic at a time.
        traffic = chance.choice([0, 100, 1500, 8000]) if chance.random() < 0.3 + number / 80 else 0
        made.append(
            {
                "time": time,
                "memory": 48e6 + 200 * traffic,
                "descriptors": 18 + traffic // 400,
                "objects": 27_000 + traffic + leaked * time,
                "tasks": 7 + traffic // 30,
                "transports": 4 + traffic // 400,
                "threads": 9,
            }
        )
    return made


BEFORE = {"memory": 46e6, "descriptors": 8, "objects": 26_500, "tasks": 1, "transports": 0, "threads": 9}


def test_traffic_that_comes_and_goes_is_no_growth() -> None:
    """Not even when there is more and more of it."""
    assert measure.judge(samples(0), BEFORE, BEFORE)[1] == []


def test_a_leak_below_it_is() -> None:
    """Twenty objects a second, where each second has some hundred connections."""
    (wrong,) = measure.judge(samples(20), BEFORE, BEFORE)[1]
    assert wrong.startswith("objects grew by ")


def test_what_does_not_go_back_is_told() -> None:
    """Tasks that are left, and objects that are."""
    wrong = measure.judge(samples(0), BEFORE, BEFORE | {"tasks": 2, "objects": 40_000})[1]
    assert [line.partition(":")[0] for line in wrong] == ["objects did not go back", "tasks"]
