"""examples/aggregator.py without arguments: three ways to fetch, compared; and its service never outlives it."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.examples.conftest import COMMAND, LIMIT, Result, environment, run
from tests.examples.documented import EXAMPLES

AGGREGATOR = str(EXAMPLES / "aggregator.py")
WAYS = ("one after another", "all at once", "bounded")


def table(out: str) -> dict[str, list[str]]:
    """The rows of the comparison: name, and the cell of each column."""
    lines = out.split("─\n")[1].splitlines()
    rows = (
        re.split(r" {3,}", line.strip()) for line in lines[: next(i for i, x in enumerate(lines) if "Latency" in x)]
    )
    return {name: cells for name, *cells in rows}


def count(cell: str) -> int:
    return 0 if cell == "-" else int(cell)


def rows_of(out: str, way: str) -> list[str]:
    """What is drawn for each resource in one timeline: cells of time, without the name and the result."""
    part = re.split(rf"\n  {way}[^\n]*\n[^\n]* 0 s", out)[1].split("in flight")[0]
    return [line[12:] for line in part.splitlines() if re.match(r" +/\d+ ", line)]


@pytest.fixture(scope="module")
def demonstration() -> Result:
    """The demonstration as `make run` shows it, with nothing made smaller; run once for the tests below."""
    start = time.monotonic()
    result = Result(run("aggregator.py", COLUMNS="120"))
    result.seconds = time.monotonic() - start
    return result


def test_it_ends_well_and_in_time(demonstration: Result) -> None:
    """Exit code 0, nothing on standard error, and at most the 30 s that a demonstration may take."""
    assert (demonstration.code, demonstration.err) == (0, "")
    seconds = demonstration.seconds
    for _ in range(2):  # A busy machine may have been slow once.
        if seconds >= 30:
            start = time.monotonic()
            run("aggregator.py")
            seconds = time.monotonic() - start
    assert seconds < 30


def test_it_says_which_loop_it_runs_on(demonstration: Result) -> None:
    """A reader who compares hocket with asyncio sees which of them is at work."""
    module = "asyncio" if len(COMMAND) == 1 else "hocket"
    assert demonstration.out.startswith(f"The loop is {module}.")


def test_it_reports_progress_in_plain_lines(demonstration: Result) -> None:
    """Where standard output is no terminal, progress comes in lines of its own, and in none that rewrite themselves."""
    assert re.search(r"^ +\d+ of 40 done, +\d+ failed, +1 in flight", demonstration.out, re.MULTILINE)
    assert "\r" not in demonstration.out
    assert "\x1b" not in demonstration.out


def test_every_resource_is_accounted_for(demonstration: Result) -> None:
    """In each column the successes and the failures add up to what was asked for, and the kinds to the failures."""
    rows = table(demonstration.out)
    assert rows["resources"] == ["40 of 300", "300", "300"]
    for column, asked in enumerate((40, 300, 300)):
        assert count(rows["ok"][column]) + count(rows["failed"][column]) == asked
        kinds = [name for name in ("timeout", "5xx", "4xx", "connection", "other") if name in rows]
        assert sum(count(rows[kind][column]) for kind in kinds) == count(rows["failed"][column])


def test_the_service_fails_in_several_ways(demonstration: Result) -> None:
    """Requests that hang, errors and dropped connections all show up in the runs that do not retry."""
    rows = table(demonstration.out)
    for kind in ("timeout", "5xx", "connection"):
        assert count(rows[kind][0]) + count(rows[kind][1]) > 0


def test_overlapping_waits_are_many_times_faster(demonstration: Result) -> None:
    """All at once, and bounded, take less than a third of what one after another would take for all."""
    sequential, at_once, bounded = (
        float(re.sub(r"[^\d.]", "", cell)) for cell in table(demonstration.out)["time for all 300"]
    )
    assert at_once < sequential / 3
    assert bounded < sequential / 3


def test_retries_within_a_bound_lose_the_fewest(demonstration: Result) -> None:
    """The bounded run retries, and fewer resources fail in it than all at once."""
    rows = table(demonstration.out)
    assert [count(cell) for cell in rows["retries"]][:2] == [0, 0]
    assert count(rows["retries"][2]) > 0
    assert count(rows["failed"][2]) < count(rows["failed"][1])


def test_the_semaphore_bounds_requests_and_not_tasks(demonstration: Result) -> None:
    """One, 300 and 40 requests in flight at most; a task for each resource in both concurrent runs."""
    rows = table(demonstration.out)
    assert rows["most requests in flight"] == ["1", "300", "40"]
    one, at_once, bounded = (int(cell) for cell in rows["most tasks alive"])
    assert one < 10
    assert at_once >= 300
    assert bounded >= 300


def test_latencies_are_ordered(demonstration: Result) -> None:
    """The 99th percentile is above the median in every column."""
    rows = table(demonstration.out)
    for median, tail in zip(rows["latency p50"], rows["latency p99"], strict=True):
        assert int(median.removesuffix(" ms")) < int(tail.removesuffix(" ms"))


def spans(rows: list[str]) -> list[tuple[int, int]]:
    """First and last cell of the requests in each row."""
    found = [[i for i, cell in enumerate(row[:90]) if cell in "█▒✗"] for row in rows]
    return [(cells[0], cells[-1]) for cells in found]


def test_the_timeline_of_the_sequence_is_a_staircase(demonstration: Result) -> None:
    """One after another: each request begins where the one before ended."""
    steps = spans(rows_of(demonstration.out, WAYS[0]))
    assert len(steps) >= 5
    assert all(later[0] >= earlier[1] for earlier, later in itertools.pairwise(steps))


def test_the_timeline_of_all_at_once_overlaps(demonstration: Result) -> None:
    """All at once: every request has begun before most have ended.  (One that is refused ends on the spot.)"""
    rows = rows_of(demonstration.out, WAYS[1])
    assert len(rows) == 12
    assert max(first for first, _ in spans(rows)) <= sorted(last for _, last in spans(rows))[6]


def test_the_timeline_of_the_bounded_run_shows_turns_and_retries(demonstration: Result) -> None:
    """Bounded: requests wait for their turn, and some pause before another try."""
    drawn = "\n".join(rows_of(demonstration.out, WAYS[2]))
    assert "·█" in drawn or "·▒" in drawn
    assert "✗╌" in drawn


def test_no_line_of_a_timeline_is_wider_than_the_terminal(demonstration: Result) -> None:
    """Drawings keep to the width that COLUMNS tells."""
    drawn = demonstration.out.split("When was each request")[1].split("One after another")[0]
    assert max(map(len, drawn.splitlines())) <= 120


@contextmanager
def started() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The demonstration while it runs the first strategy, and the port of its service."""
    process = subprocess.Popen(
        [*COMMAND, AGGREGATOR],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment(),
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        port = None
        for line in process.stdout:
            if found := re.search(r"http://\S+", line):
                port = urlsplit(found.group().rstrip(",")).port
            if "of 40 done" in line:
                break
        assert port is not None
        assert listens(port)
        yield process, port
    finally:
        process.kill()
        process.communicate()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def stops_listening(port: int) -> bool:
    deadline = time.monotonic() + 10
    while listens(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_ctrl_c_ends_it_in_one_line_and_stops_the_service() -> None:
    """Ctrl-C, which goes to the whole process group: exit code 130, one line, no traceback, no service left."""
    with started() as (process, port):
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=LIMIT)
        assert (process.returncode, err) == (130, "aggregator.py: interrupted\n")
        assert not listens(port)


def test_the_service_ends_even_if_the_program_is_killed() -> None:
    """Nothing can be cleaned up after SIGKILL; the service notices that its parent is gone."""
    with started() as (process, port):
        process.kill()
        process.wait(timeout=LIMIT)
        assert stops_listening(port)


def test_a_reader_that_leaves_is_no_reason_for_a_traceback() -> None:
    """As in `… | head -1`: the program ends quietly, and its service with it."""
    with started() as (process, port):
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdout = None
        assert process.stderr.read() == ""
        assert process.wait(timeout=LIMIT) == 1
        assert not listens(port)
