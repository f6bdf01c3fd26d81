"""Bars: what hocket is held to, from made-up samples; and the page that shows it."""

from __future__ import annotations

import json

import pytest

from bench.bars import BARS, verdicts
from bench.case import FLOOR, Selected, discover
from bench.document import main as document
from bench.document import merged, put_into, readme_block
from bench.plots import growth_chart
from bench.results import Contender, Result, as_json
from bench.run import as_text


def result(case: str, variant: str = "", **medians: float) -> Result:
    contenders = {
        name.replace("_", "-"): Contender(name.replace("_", "-"), [{"cpu_ns": value, "wall_ns": value}])
        for name, value in medians.items()
    }
    return Result(Selected(discover()[case], variant), contenders)


def test_every_bar_is_about_a_case_that_exists():
    """A case that is renamed takes its bar along."""
    assert BARS.keys() <= discover().keys()


def test_hocket_is_held_against_the_best_peer_and_the_floor():
    """Stock functions, own functions and the floor are three bars; own functions are no peer of the stock ones."""
    found = verdicts([result("switch", hocket=80, hocket_own=50, uvloop=100, asyncio=200, floor=75)])

    assert [(v.what, v.other, v.ratio, v.met) for v in found] == [
        ("asyncio's functions", "uvloop", 0.8, True),
        ("hocket's own", "uvloop", 0.5, False),
        ("over the floor", FLOOR, pytest.approx(80 / 75), True),
    ]


def test_what_looking_on_costs_is_held_against_hocket_itself():
    """The recorder beside hocket without one, and hocket beside a build without what is always counted."""
    run = result("switch", hocket=110, hocket_recorder=150)
    run.contenders["hocket@/other"] = Contender("hocket@/other", [{"cpu_ns": 100.0, "wall_ns": 100.0}])

    assert [(v.what, v.other, v.ratio, v.met) for v in verdicts([run])] == [
        ("what is always counted", "hocket@/other", 1.1, True),
        ("what hocket-recorder costs", "hocket", pytest.approx(150 / 110), True),
    ]


def test_hockets_own_functions_have_limits_whatever_the_others_need():
    """An item of amap, and the memory of a million of them."""
    sample = {"cpu_us": 1.5, "grown_kib": 2048.0}
    run = Result(Selected(discover()["amap"], "1m"), {"hocket-own": Contender("hocket-own", [sample])})

    assert [(v.what, v.mine, v.theirs, v.met) for v in verdicts([run])] == [
        ("an item, us", 1.5, 2.0, True),
        ("memory grown, KiB", 2048.0, 1024.0, False),
    ]


def test_hocket_is_no_peer_of_itself():
    """Neither another build of it nor one that is looked at."""
    run = result("gather", hocket=50, hocket_recorder=10, uvloop=100)
    run.contenders["hocket@/other"] = Contender("hocket@/other", [{"cpu_ns": 20.0, "wall_ns": 20.0}])

    assert [(v.what, v.other, v.ratio) for v in verdicts([run])] == [("asyncio's functions", "uvloop", 0.5)]


def test_a_run_without_a_peer_gives_no_verdict():
    """Nobody is beaten who was not there."""
    assert verdicts([result("gather", hocket=1)]) == []


def test_throughput_is_held_to_at_least_a_share_of_the_floor():
    """More is better there, unlike everywhere else."""
    samples = {
        name: Contender(name, [{"cpu_us": 5.0, "user_us": user, "requests_per_s": rate}])
        for name, user, rate in (("hocket", 2.0, 90.0), ("uvloop", 4.0, 80.0), (FLOOR, 0.0, 100.0))
    }
    found = {v.what: v for v in verdicts([Result(Selected(discover()["tcp_protocol"], "200x1k"), samples)])}

    assert (found["throughput"].ratio, found["throughput"].met) == (0.9, False)
    assert (found["user time"].ratio, found["user time"].met) == (0.5, True)


def test_start_up_is_held_to_a_time_and_not_to_a_peer():
    """What the import adds is at most so many milliseconds."""
    samples = {"hocket": Contender("hocket", [{"whole_ms": 90.0, "import_ms": 8.0, "used_ms": 12.0}])}
    found = verdicts([Result(Selected(discover()["start_up"], ""), samples)])

    assert [(v.what, v.mine, v.theirs, v.met) for v in found] == [
        ("import, ms", 8.0, 10.0, True),
        ("import and run, ms", 12.0, 10.0, False),
    ]


def test_the_page_is_written_from_json_with_a_plot_for_each_case(tmp_path):
    """The page has the machine, the bars and each case; its plots are files that it links to."""
    machine = {
        "python": "CPython 3.11.7",
        "processor": "a processor",
        "cores": 2,
        "system": "Linux",
        "compiler": "GCC",
        "load_average_at_start": 0.5,
    }
    measured = result("switch", hocket=80, uvloop=100, floor=75)
    measured.contenders["asyncio"] = Contender("asyncio", [], ["was killed by SIGSEGV"])
    report, page = tmp_path / "report.json", tmp_path / "performance.md"
    measured.contenders["uvloop"].samples += [{"cpu_ns": 90, "wall_ns": 100}, {"cpu_ns": 110, "wall_ns": 100}]
    missed, failed = result("gather", hocket_own=50, uvloop=100), result("lock", uvloop=100)
    failed.contenders["hocket-own"] = Contender("hocket-own", [], ["was killed by SIGSEGV"])
    written = {
        "machine": machine,
        "absent": ["rloop"],
        "not_run": {"postgres": "postgres is not installed"},
        "results": [as_json(it) for it in (measured, missed, failed)],
    }
    report.write_text(as_text(written))
    again = json.loads(report.read_text())
    assert [case["case"] for case in again["results"]] == ["switch", "gather", "lock"]
    assert again["results"][0]["loops"][0]["samples"] == [{"cpu_ns": 75, "wall_ns": 75}]

    assert document([str(report), "--output", str(page), "--plots", str(tmp_path / "plots")]) == 0

    text = page.read_text()
    assert "a processor, 2 cores" in text
    assert "Not installed there: rloop." in text
    assert "| `switch` | asyncio's functions | at most 0.80 | 0.80 uvloop |" in text
    assert "| `gather` | hocket's own | at most 0.40 | **0.50** uvloop |" in text
    assert "| `lock` | hocket's own | at most 0.40 | **failed** |" in text
    assert "Met are 2 of 4 on 3.11." in text
    assert "| uvloop | 100 (90 .. 110) |" in text
    assert "- `postgres`: postgres is not installed" in text
    assert "![switch](plots/3.11-switch.svg)" in text
    assert "asyncio in `switch`: was killed by SIGSEGV" in text
    assert "<svg" in (tmp_path / "plots" / "3.11-switch.svg").read_text()


def test_a_readme_gets_its_figures_between_the_marks(tmp_path):
    """What stands around them stays; the ratios are to stock asyncio and to the best other loop."""
    measured = result("switch", hocket=50, asyncio=200, uvloop=100)
    machine = {"python": "CPython 3.14.0", "cores": 2, "processor": "a processor"}
    block = readme_block([(machine, [measured])])

    assert "| switching tasks, `asyncio.sleep(0)` | 0.25 | 0.50 (uvloop) |" in block
    assert put_into("a\n<!-- bench -->\nold\n<!-- /bench -->\nb", "new") == "a\n<!-- bench -->\nnew\n<!-- /bench -->\nb"
    with pytest.raises(SystemExit, match="no <!-- bench -->"):
        put_into("nothing", block)


def test_a_growth_curve_is_one_plot_of_all_its_sizes():
    """A line for each loop, a label for each number of units."""
    sizes = [result("task_growth", size, hocket=value, uvloop=2 * value) for size, value in (("10", 5), ("1k", 6))]

    drawing = growth_chart(sizes)

    assert drawing.count("<polyline") == 2
    assert ">1k</text>" in drawing


def test_of_two_runs_of_a_case_the_later_counts():
    """Reports of one Python become one section."""
    machine = {"python": "CPython 3.11.7", "load_average_at_start": 1.0}

    (section,) = merged([(machine, [result("lock", hocket=1)]), (machine, [result("lock", hocket=2)])])

    assert [r.median("hocket") for r in section[1]] == [2]
