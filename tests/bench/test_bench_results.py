"""Medians, ratios, their table and their JSON, from made-up samples."""

from __future__ import annotations

import json

import pytest

from bench.case import FLOOR, InProcess, Selected
from bench.results import Contender, Result, as_json
from bench.table import render


async def nothing(count: int) -> None: ...


CASE = InProcess("made_up", "nothing at all", "thing", nothing, count=1, quick_count=1)


def contender(loop: str, *cpu: float, failures: list[str] | None = None) -> Contender:
    return Contender(loop, [{"cpu_ns": value, "wall_ns": 2 * value} for value in cpu], failures or [])


@pytest.fixture
def result() -> Result:
    """hocket 100, uvloop 200, asyncio 400, and a floor of 80."""
    contenders = [
        contender("asyncio", 400.0, 100.0, 900.0),
        contender("hocket", 100.0, 90.0, 130.0),
        contender("uvloop", 200.0, 210.0, 190.0),
        contender(FLOOR, 80.0, 80.0, 80.0),
    ]
    return Result(Selected(CASE, ""), {c.loop: c for c in contenders})


def test_the_value_of_a_loop_is_the_median_of_its_rounds(result):
    """One lucky and one unlucky round do not move the value."""
    assert result.median("asyncio") == 400.0


def test_the_spread_is_the_smallest_and_the_largest_round(result):
    """The spread is minimum and maximum."""
    assert result.contenders["asyncio"].spread("cpu_ns") == (100.0, 900.0)


def test_ratios_are_of_medians_to_uvloop_the_best_other_and_the_floor(result):
    """A ratio is a loop's median over the other's median."""
    assert result.ratios("asyncio") == {"uvloop": 2.0, "best_other": 4.0, "floor": 5.0}


def test_the_best_loop_is_compared_with_the_second(result):
    """A loop is never its own best other."""
    assert result.best_other("hocket") == "uvloop"
    assert result.ratios("hocket")["best_other"] == 0.5


def test_the_floor_is_nobodys_best_other(result):
    """The floor is no loop, though it is faster than all of them."""
    assert {result.best_other(loop) for loop in ("asyncio", "uvloop")} == {"hocket"}


def test_a_ratio_to_a_loop_that_was_not_measured_is_missing():
    """Without uvloop, a floor or another loop there is nothing to divide by."""
    alone = Result(Selected(CASE, ""), {"asyncio": contender("asyncio", 1.0)})

    assert alone.ratios("asyncio") == {"uvloop": None, "best_other": None, "floor": None}


def test_a_loop_that_failed_in_one_round_has_no_value(result):
    """The rounds that worked are no result, and nobody is compared with them."""
    result.contenders["hocket"].failures.append("crashed")

    assert result.median("hocket") is None
    assert result.best_other("asyncio") == "uvloop"


def test_the_table_lists_the_floor_and_then_the_fastest(result):
    """The rows are ordered by median, under the floor."""
    rows = render(result).splitlines()[2:]

    assert [row.split()[0] for row in rows] == [FLOOR, "hocket", "uvloop", "asyncio"]


def test_the_table_says_what_failed_and_how(result):
    """A failure shows as such, with its reason, and without a number."""
    result.contenders["uvloop"].failures.append("was killed by SIGSEGV")

    text = render(result)

    (row,) = [line.split() for line in text.splitlines() if line.split()[0] == "uvloop"]
    assert row[1] == "failed"
    assert "uvloop: 1 of 4 rounds failed: was killed by SIGSEGV" in text


def test_the_table_marks_an_uncompiled_loop(result):
    """A loop whose engine can be compiled says so when it was not."""
    result.contenders["hocket"].description = {"compiled": False}

    assert "hocket (uncompiled)" in render(result)


def test_json_holds_every_sample_and_the_ratios(result):
    """Whoever reads the JSON can compute everything again."""
    record = json.loads(json.dumps(as_json(result)))

    (asyncio_record,) = [loop for loop in record["loops"] if loop["loop"] == "asyncio"]
    assert [sample["cpu_ns"] for sample in asyncio_record["samples"]] == [400.0, 100.0, 900.0]
    assert asyncio_record["medians"] == {"cpu_ns": 400.0, "wall_ns": 800.0}
    assert asyncio_record["ratios"]["uvloop"] == 2.0
    assert asyncio_record["best_other"] == "hocket"
