"""The harness end to end: every case runs, rounds interleave, and what misbehaves is named instead of waited for."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

import pytest

from bench import sample
from bench.case import FLOOR, Echo, Selected, UnknownCase, discover, select
from bench.effort import QUICK
from bench.loops import REGISTRY, Loop, UnknownLoop, find
from bench.run import main, run_case
from bench.sample import Measured, SampleFailed, measure
from bench.toolchain import VARIANTS, ToolchainError, program

EVERY = select(None)
ECHO = Selected(discover()["tcp_protocol"], "10x1k")
SWITCH = Selected(discover()["switch"], "")


@pytest.mark.parametrize("selected", EVERY, ids=[selected.title for selected in EVERY])
def test_every_case_gives_all_its_numbers_on_asyncio(selected):
    """A quick run of each case yields a positive headline and every column of its table."""
    metrics = measure(selected, "asyncio", QUICK).metrics

    assert metrics[selected.case.headline.key] > 0
    assert {metric.key for metric in selected.case.columns} <= metrics.keys()


@pytest.mark.parametrize("selected", [SWITCH, ECHO], ids=["switch", "tcp"])
def test_a_floor_gives_the_numbers_that_its_loops_give(selected):
    """The floor is measured by the same means as a loop."""
    floor = measure(selected, FLOOR, QUICK)

    assert floor.metrics.keys() == measure(selected, "asyncio", QUICK).metrics.keys()
    assert floor.loop is None


def test_a_sample_says_what_was_measured():
    """The loop's class is reported by the process that ran it."""
    measured = measure(SWITCH, "asyncio", QUICK)

    assert measured.loop is not None
    assert measured.loop["class"].startswith("asyncio.")


def test_hocket_runs_the_cases_too():
    """hocket is in the registry and measured by its own loop class."""
    measured = measure(SWITCH, "hocket", QUICK)

    assert measured.loop is not None
    assert measured.loop["class"].startswith("hocket.")


def test_latency_percentiles_and_cpu_time_are_consistent():
    """Percentiles rise, and user and system time add up to the whole."""
    metrics = measure(ECHO, "asyncio", QUICK).metrics

    assert 0 < metrics["p50_us"] <= metrics["p99_us"] <= metrics["p999_us"] <= metrics["max_us"] * 1.02
    assert metrics["user_us"] + metrics["system_us"] == pytest.approx(metrics["cpu_us"], abs=0.01)


def test_rounds_are_interleaved():
    """Every loop has its turn in a round before any has its next."""
    asked: list[str] = []

    def record(selected: Selected, loop: str, effort: object) -> Measured:
        asked.append(loop)
        return Measured({"cpu_ns": 1.0, "wall_ns": 1.0}, None)

    run_case(SWITCH, ["a", "b", "c"], rounds=2, effort=QUICK, measure=record)

    assert asked == ["a", "b", "c", "a", "b", "c"]


def test_a_loop_that_failed_is_not_asked_again_and_others_go_on():
    """One broken loop costs one sample, not one a round, and not the comparison of the rest."""
    asked: list[str] = []

    def record(selected: Selected, loop: str, effort: object) -> Measured:
        asked.append(loop)
        if loop == "bad":
            raise SampleFailed("crashed")
        return Measured({"cpu_ns": 1.0, "wall_ns": 1.0}, None)

    result = run_case(SWITCH, ["bad", "good"], rounds=3, effort=QUICK, measure=record)

    assert asked == ["bad", "good", "good", "good"]
    assert result.contenders["bad"].failures == ["crashed"]
    assert result.median("good") == 1.0


def test_an_exception_in_the_process_under_test_is_reported(broken_loops):
    """The last line of the traceback reaches the report."""
    with pytest.raises(SampleFailed, match=r"exit code 1: RuntimeError: no loop today"):
        measure(SWITCH, f"{broken_loops}:raises", QUICK)


def test_a_hanging_process_is_ended_and_reported(broken_loops, monkeypatch):
    """A sample has a lifetime, whatever the loop under test does."""
    monkeypatch.setattr(sample, "LIFETIME", 2)
    started = time.monotonic()

    with pytest.raises(SampleFailed, match="took longer than 2 s"):
        measure(SWITCH, f"{broken_loops}:hangs", QUICK)

    assert time.monotonic() - started < 20


def test_a_server_that_fails_to_start_is_reported(broken_loops):
    """Without a listening server there is no load, and the reason is given."""
    with pytest.raises(SampleFailed, match=r"exit code 1 before it listened: RuntimeError: no loop today"):
        measure(ECHO, f"{broken_loops}:raises", QUICK)


def test_a_server_that_crashes_under_load_is_reported(broken_loops):
    """The signal that ended the server is named."""
    with pytest.raises(SampleFailed, match="the server was killed by SIGKILL"):
        measure(ECHO, f"{broken_loops}:Crashing", QUICK)


def test_a_server_that_echoes_wrong_bytes_gives_no_number(broken_loops):
    """Every echoed byte is compared."""
    with pytest.raises(SampleFailed, match="wrong byte"):
        measure(ECHO, f"{broken_loops}:Corrupting", QUICK)


def test_a_server_that_never_answers_is_given_up(broken_loops):
    """The load generator does not wait for ever, and the server is ended although it still runs."""
    with pytest.raises(SampleFailed, match="did not answer for 5 seconds; the server is still running"):
        measure(ECHO, f"{broken_loops}:Silent", QUICK)


def test_a_failed_loop_makes_the_run_fail(broken_loops, capsys):
    """The exit code is 1, and the loop and the case are named, beside the results of the others."""
    code = main(["--quick", "--cases", "switch", "--loops", f"asyncio,{broken_loops}:raises", "--no-floor"])

    out, err = capsys.readouterr()
    assert code == 1
    assert f"{broken_loops}:raises failed in switch" in err
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  ")][:2] == ["loop", "asyncio"]


def test_an_unknown_loop_is_named_with_those_that_exist(capsys):
    """The message lists the registry; nothing is measured."""
    assert main(["--loops", "asyncoi"]) == 2

    assert "unknown loop 'asyncoi'" in (err := capsys.readouterr().err)
    assert all(name in err for name in REGISTRY)


def test_a_loop_that_is_not_installed_is_named(monkeypatch, capsys):
    """A registered loop whose package is missing is refused, not left out silently."""
    monkeypatch.setitem(REGISTRY, "absent", Loop("absent", "no_such_module_here"))

    assert main(["--loops", "asyncio,absent"]) == 2
    assert "loop 'absent' is not installed: no module named 'no_such_module_here'" in capsys.readouterr().err


def test_a_loop_can_be_given_as_module_and_factory():
    """A loop that is not registered needs no edit."""
    loop = find("asyncio:SelectorEventLoop").create()
    loop.close()

    assert isinstance(loop, asyncio.SelectorEventLoop)


def test_an_unknown_module_is_refused():
    """A module:factory whose module is missing is an error before anything runs."""
    with pytest.raises(UnknownLoop, match="no_such_package"):
        find("no_such_package.loops:new_event_loop")


def test_an_unknown_case_is_named_with_those_that_exist():
    """The message lists cases and variants."""
    with pytest.raises(UnknownCase, match=r"unknown case 'swich'.*switch.*tcp_protocol:10x1k"):
        select(["swich"])


def test_a_case_is_selected_with_all_its_variants_or_with_one():
    """`case` means every variant, `case:variant` only that."""
    everything = [selected.variant for selected in select(["tcp_protocol"])]

    assert everything == ["10x1k", "200x1k", "10x64k", "200x64k"]
    assert [selected.title for selected in select(["tcp_protocol:200x1k"])] == ["tcp_protocol:200x1k"]


def test_the_network_cases_cover_few_and_many_connections_and_both_sizes():
    """Protocol and streams are measured under the same four loads."""
    loads = {
        name: {(load.connections, load.size) for load in case.loads.values()}
        for name, case in discover().items()
        if isinstance(case, Echo)
    }

    assert loads["tcp_protocol"] == loads["tcp_streams"] == {(10, 1024), (200, 1024), (10, 65536), (200, 65536)}


def test_without_a_compiler_the_message_says_what_to_do(monkeypatch):
    """A missing compiler is a clear error."""
    monkeypatch.setenv("CC", "no-such-compiler")

    with pytest.raises(ToolchainError, match=r"need a C compiler, and there is no 'no-such-compiler'"):
        program("echo_load")


def test_a_case_whose_library_is_missing_is_named(tmp_path, monkeypatch, capsys):
    """Without OpenSSL's headers the TLS case is reported as not run, with what to install, and is no failure."""
    monkeypatch.setenv("HOCKET_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(VARIANTS, "echo_load_tls", ("echo_load", ("-DTLS",), ("-lno-such-library",)))

    assert main(["--quick", "--cases", "tls_protocol:10x1k", "--loops", "asyncio"]) == 0
    assert "tls_protocol:10x1k: not run: echo_load.c with -lno-such-library" in capsys.readouterr().out


def test_programs_are_compiled_once_and_outside_the_source(tmp_path, monkeypatch):
    """The second request is answered by the file that the first one left in the cache."""
    monkeypatch.setenv("HOCKET_BENCH_CACHE", str(tmp_path / "cache"))
    first = program("echo_server")
    stamp = first.stat().st_mtime_ns

    assert program("echo_server") == first
    assert first.stat().st_mtime_ns == stamp
    assert first.parent == tmp_path / "cache"
    assert list(first.parent.iterdir()) == [first]


def test_the_command_writes_tables_and_json(tmp_path):
    """`python -m bench` as a user runs it."""
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "bench", "--quick", "--cases", "switch,tcp_protocol:10x1k", "--loops", "asyncio"]

    finished = subprocess.run(
        [*command, "--json", report], cwd=sample.ROOT, capture_output=True, text=True, timeout=120, check=True
    )

    assert "switch: 1,000 tasks x asyncio.sleep(0)" in finished.stdout
    written = json.loads(report.read_text())
    assert written["schema"] == 1
    assert written["machine"]["python"].endswith(sys.version.split()[0])
    assert [(r["case"], r["variant"]) for r in written["results"]] == [("switch", ""), ("tcp_protocol", "10x1k")]
    assert all({loop["loop"] for loop in r["loops"]} == {FLOOR, "asyncio"} for r in written["results"])


def test_json_into_a_missing_directory_is_refused_before_anything_runs(tmp_path, capsys):
    """Minutes of measurement are not thrown away at the end."""
    assert main(["--json", str(tmp_path / "missing" / "report.json")]) == 2
    assert "there is no directory" in capsys.readouterr().err
