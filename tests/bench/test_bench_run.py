"""The harness end to end: every case runs, rounds interleave, and what misbehaves is named instead of waited for."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time

import pytest

from bench import sample
from bench.bars import BARS
from bench.case import FLOOR, Echo, Selected, UnknownCase, discover, select
from bench.effort import QUICK
from bench.loops import REGISTRY, Loop, UnknownLoop, find
from bench.run import main, obstacle, run_case
from bench.sample import Measured, SampleFailed, measure
from bench.servers import ServerMissing, Servers
from bench.toolchain import VARIANTS, ToolchainError, program
from tests.unit.children import own_children

EVERY = [Selected(case, case.variants[0]) for case in discover().values()]
ECHO = Selected(discover()["tcp_protocol"], "10x1k")
SWITCH = Selected(discover()["switch"], "")


@pytest.fixture(scope="module")
def servers():
    started = Servers()
    yield started
    started.close()


@pytest.mark.parametrize("selected", EVERY, ids=[selected.title for selected in EVERY])
def test_every_case_gives_all_its_numbers(selected, servers):
    """A quick run of each case yields a positive headline and every column of its table, on asyncio if it can."""
    if (why := obstacle(selected, servers)) is not None:
        pytest.skip(why)
    metrics = measure(selected, "hocket-own" if getattr(selected.case, "own_only", False) else "asyncio", QUICK).metrics

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


def test_hockets_own_functions_are_a_contender_where_a_case_uses_some():
    """`hocket-own` runs the same case with `hocket.sleep`, and is left out where it would be the same thing twice."""
    own = REGISTRY["hocket-own"]

    assert measure(SWITCH, "hocket-own", QUICK).metrics["cpu_ns"] > 0
    assert own.api().__name__ == "hocket"
    assert own.suits(SWITCH.case.uses, network=False)
    assert not own.suits((), network=True)
    assert not own.suits(("no_such_function",), network=True)


def test_a_network_layer_is_measured_only_where_there_is_network():
    """aiofastnet runs over another loop, whose tasks and timers are measured under its own name."""
    layer = REGISTRY["aiofastnet-uvloop"]

    assert layer.suits((), network=True)
    assert not layer.suits((), network=False)


def test_absent_loops_are_named_and_are_no_error(monkeypatch, capsys):
    """A run of everything says which registered loops it could not measure."""
    registry = {name: REGISTRY[name] for name in ("asyncio",)} | {"absent": Loop("absent", "no_such_module_here")}
    monkeypatch.setattr("bench.loops.REGISTRY", registry)

    assert main(["--quick", "--cases", "lock"]) == 0
    assert "absent, not installed here: absent" in capsys.readouterr().out


def test_a_case_whose_package_is_missing_is_named(monkeypatch, capsys):
    """A framework that is not installed costs its case, not the run."""
    monkeypatch.setattr("bench.run.find_spec", lambda name: None)

    assert main(["--quick", "--cases", "http_aiohttp", "--loops", "asyncio"]) == 0
    assert "http_aiohttp:50: not run: no module named 'aiohttp'" in capsys.readouterr().out


def test_a_case_whose_server_is_missing_is_named(monkeypatch, capsys, tmp_path):
    """Without PostgreSQL its case is reported as not run, in the table and in the JSON, and is no failure."""
    monkeypatch.setattr("bench.run.find_spec", lambda name: "found")
    monkeypatch.setattr("bench.servers.ELSEWHERE", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("HOCKET_BENCH_POSTGRES", raising=False)

    assert main(["--quick", "--cases", "postgres", "--loops", "asyncio", "--json", str(tmp_path / "report.json")]) == 0
    assert "postgres: not run: postgres is not installed (Debian: apt install" in capsys.readouterr().out
    assert json.loads((tmp_path / "report.json").read_text())["not_run"].keys() == {"postgres"}


def test_a_server_is_ended_with_its_directory(monkeypatch):
    """What a run has started does not outlive it; the address is in the environment as long as it runs."""
    monkeypatch.delenv("HOCKET_BENCH_REDIS", raising=False)
    servers = Servers()
    try:
        servers.need("redis")
    except ServerMissing as missing:
        pytest.skip(str(missing))
    host, _, port = os.environ["HOCKET_BENCH_REDIS"].partition(":")
    socket.create_connection((host, int(port)), timeout=5).close()

    servers.close()

    assert "HOCKET_BENCH_REDIS" not in os.environ
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)


def test_a_server_that_runs_already_is_used(monkeypatch):
    """An address in the environment is taken as it is."""
    monkeypatch.setenv("HOCKET_BENCH_REDIS", "127.0.0.1:1")
    servers = Servers()
    servers.need("redis")
    servers.close()

    assert os.environ["HOCKET_BENCH_REDIS"] == "127.0.0.1:1"


def test_more_connections_than_files_may_be_open_are_named(monkeypatch, capsys):
    """A growth curve ends where the limit of the system is, and says so."""
    monkeypatch.setattr("bench.run.most_files", lambda: 1_000)

    assert main(["--quick", "--cases", "tcp_growth:1k", "--loops", "asyncio"]) == 0
    assert "tcp_growth:1k: not run: it needs 1,100 open files in one process" in capsys.readouterr().out


def test_a_run_that_is_bounded_by_time_ends_then(tmp_path, monkeypatch):
    """Every case has a round before any has its second; what there was no time for is named."""
    asked: list[str] = []

    def record(selected: Selected, loop: str, effort: object) -> Measured:
        asked.append(selected.title)
        clock[0] += 1.0
        return Measured({"cpu_ns": 1.0, "wall_ns": 1.0}, None)

    clock = [0.0]
    monkeypatch.setattr("bench.run.take_round.__defaults__", (record,))
    monkeypatch.setattr("bench.run.time.monotonic", lambda: clock[0])
    report = tmp_path / "report.json"
    command = ["--cases", "switch,lock,event", "--loops", "asyncio", "--no-floor", "--json", str(report), "--minutes"]

    assert main([*command, str(5 / 60)]) == 0
    assert asked == ["switch", "lock", "event", "switch", "lock"]
    assert json.loads(report.read_text())["not_run"] == {}

    asked.clear()
    assert main([*command, "1", "--quick"]) == 0
    assert asked == ["switch", "lock", "event"], "a quick run has one round"

    assert main([*command, str(2 / 60)]) == 0
    assert json.loads(report.read_text())["not_run"] == {"event": "the time was over"}


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


@pytest.mark.parametrize(
    ("case", "said"),
    [("http_aiohttp:50", "the body of the server's answer is another"), ("ws_websockets:50x1k", "another frame")],
)
def test_an_answer_of_the_right_length_is_not_enough(broken_loops, case, said):
    """The body of an HTTP answer is compared, and the head of a WebSocket frame."""
    (selected,) = select([case])
    for package in selected.case.packages:
        pytest.importorskip(package, reason=f"the case needs {package}, as `pip install --group bench` has it")

    with pytest.raises(SampleFailed, match=said):
        measure(selected, f"{broken_loops}:Answering", QUICK)


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


def test_another_build_is_measured_beside_this_one(tmp_path):
    """``name@DIRECTORY`` is the loop as found in that directory first."""
    (tmp_path / "other_loop.py").write_text("import asyncio\ndef make():\n    return asyncio.SelectorEventLoop()\n")

    with pytest.raises(UnknownLoop, match="other_loop"):
        find("other_loop:make")
    assert measure(SWITCH, f"other_loop:make@{tmp_path}", QUICK).metrics["cpu_ns"] > 0


def test_a_build_in_a_missing_directory_is_refused(tmp_path):
    """Before anything is run."""
    with pytest.raises(UnknownLoop, match="there is no directory"):
        find(f"hocket@{tmp_path / 'nowhere'}")


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


def test_a_compiler_may_be_several_words(tmp_path, monkeypatch):
    """CC names a command with its arguments, as make and distutils have it."""
    monkeypatch.setenv("HOCKET_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CC", "env LANG=C cc")

    assert program("echo_load").exists()


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

    assert "switch: 1,000 tasks x sleep(0)" in finished.stdout
    written = json.loads(report.read_text())
    assert written["schema"] == 1
    assert written["machine"]["python"].endswith(sys.version.split()[0])
    assert [(r["case"], r["variant"]) for r in written["results"]] == [("switch", ""), ("tcp_protocol", "10x1k")]
    assert all({loop["loop"] for loop in r["loops"]} == {FLOOR, "asyncio"} for r in written["results"])


def test_a_run_that_is_ended_gives_what_it_has(tmp_path):
    """SIGTERM in the middle: the tables and the JSON of the rounds so far, and the exit code of an interruption."""
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "bench", "--brief", "--cases", "call_soon", "--loops", "asyncio", "--minutes", "5"]
    running = subprocess.Popen(
        [*command, "--rounds", "9999", "--json", report], cwd=sample.ROOT, stdout=subprocess.PIPE
    )
    try:
        # The third child of its own: two samples are done.
        seen, deadline = set(), time.monotonic() + 60
        while len(seen) < 3:
            assert time.monotonic() < deadline, f"children: {seen}"
            seen |= own_children(running.pid)
            time.sleep(0.05)
        running.terminate()
        said, _ = running.communicate(timeout=60)
    finally:
        running.kill()

    assert running.returncode == 130
    assert b"call_soon: each callback schedules the next" in said
    (loop,) = json.loads(report.read_text())["results"][0]["loops"]
    assert loop["samples"]


def test_json_into_a_missing_directory_is_refused_before_anything_runs(tmp_path, capsys):
    """Minutes of measurement are not thrown away at the end."""
    assert main(["--json", str(tmp_path / "missing" / "report.json")]) == 2
    assert "there is no directory" in capsys.readouterr().err


def test_a_brief_run_has_every_case_with_a_bar_and_fewer_variants():
    """What is left out of `--brief` are variants, and the growth curves."""
    brief = {selected.title for selected in select(None, brief=True)}

    assert brief < {selected.title for selected in select(None)}
    assert BARS.keys() <= {title.partition(":")[0] for title in brief}
