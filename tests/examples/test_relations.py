"""How the times and orders that examples print relate to each other.

A wait never ends early, so lower bounds are close.  Upper bounds compare two measurements of one run, which may be
repeated, or leave a wide margin, because a busy machine is slow.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

import pytest

from tests.examples.conftest import Result, run

Example = Callable[[str], Result]


def measured(test: Callable[..., None]) -> Callable[..., None]:
    """Measure anew, twice at most, what compares two times: a busy machine may have taken time from one of the two.

    What is wrong with an example is wrong each time.
    """

    @functools.wraps(test)
    def tried(*, example: Example, **arguments: object) -> None:
        for take in (example, anew, anew):
            try:
                return test(example=take, **arguments)
            except AssertionError as error:
                failure = error
        raise failure

    def anew(name: str) -> Result:
        return Result(run(name))

    return tried


# file, text before the time that is the sum of waits and that sum, text before the time that is one wait and that wait
SUM_AND_LONGEST = [
    ("coroutines/async_vs_normal.py", "normal: ", 0.2, "async: ", 0.1),
    ("coroutines/task_vs_coroutine.py", "after the other: ", 0.2, "create_task(): ", 0.1),
    ("mixing_sync_async/to_thread.py", "one after another: ", 0.4, "with to_thread: ", 0.1),
    (
        "pitfalls/blocking_operations.py",
        "wrong, twice at the same time: ",
        0.2,
        "correct, twice at the same time: ",
        0.1,
    ),
    ("pitfalls/not_using_gather.py", "slow: ('first', 'second') in ", 0.2, "fast: ('first', 'second') in ", 0.1),
    ("performance/io_bound.py", "Sync: ", 0.5, "Async: ", 0.005),
    (
        "performance/blocking_io_problem.py",
        "blocking: client 3 served after ",
        0.3,
        "async: client 3 served after ",
        0.1,
    ),
    ("patterns/semaphore.py", "limit 1: at most 1 at once, ", 0.6, "limit 6: at most 6 at once, ", 0.1),
]


@measured
@pytest.mark.parametrize(("name", "summed", "total", "overlapped", "longest"), SUM_AND_LONGEST)
def test_waits_in_sequence_add_up_and_overlapping_ones_do_not(
    name: str, summed: str, total: float, overlapped: str, longest: float, example: Example
) -> None:
    """In sequence the total is at least the sum of the waits; overlapped at least the longest, and clearly less."""
    result = example(name)
    sequential, concurrent = result.number(summed), result.number(overlapped)
    assert sequential >= 0.95 * total
    assert longest * 0.95 <= concurrent < 0.8 * sequential


# file, text before the measured time, the longest wait, the sum of all waits
OVERLAPPED = [
    ("concurrent_execution/gather.py", "three waits of 0.1 s: ", 0.1, 0.3),
    ("concurrent_execution/multiple_tasks.py", "all in thread MainThread, ", 0.1, 0.3),
    ("concurrent_execution/solution_preview.py", "Data from http://api.example.com/3\n", 0.3, 0.9),
    ("performance/concurrent_io.py", "Total time: ", 0.1, 0.3),
    ("iterators/async_iteration.py", "in the time of the slower feed: ", 0.3, 0.55),
    ("libraries/aiohttp_many_urls.py", "three pages of 0.1 s each: ", 0.1, 0.3),
    ("libraries/aiohttp_pattern.py", "10 pages, 5 at a time: ", 0.2, 1.0),
    ("patterns/rate_limiting.py", "Fetched 10 URLs\n", 0.4, 1.0),
    ("patterns/worker_pool.py", "9 jobs of 0.05 s in 3 rounds: ", 0.15, 0.45),
    ("patterns/api_parallel_calls.py", "10 s, answer after: ", 1.0, 10.3),
]


@measured
@pytest.mark.parametrize(("name", "before", "longest", "total"), OVERLAPPED)
def test_overlapping_waits_take_the_longest_of_them(
    name: str, before: str, longest: float, total: float, example: Example
) -> None:
    """What waits together ends with the longest wait, before the sum of the waits is over."""
    assert 0.95 * longest <= example(name).number(before) < total


SEQUENTIAL = [
    ("coroutines/sequential_awaits.py", "0.1 s + 0.2 s = ", 0.3),
    ("performance/synchronous_io.py", "Total time: ", 0.3),
]


@pytest.mark.parametrize(("name", "before", "total"), SEQUENTIAL)
def test_one_await_after_another_takes_the_sum(name: str, before: str, total: float, example: Example) -> None:
    """Waits in sequence take at least their sum."""
    assert example(name).number(before) >= 0.95 * total


@measured
def test_a_limit_decides_how_many_rounds_there_are(example: Example) -> None:
    """Six jobs of 0.1 s need six, three and one round with limits of 1, 2 and 6."""
    result = example("patterns/semaphore.py")
    times = [result.number(f"limit {limit}: at most {limit} at once, ") for limit in (1, 2, 6)]
    assert times[0] >= 0.57
    assert times[1] >= 0.28
    assert times == sorted(times, reverse=True)


def bars(text: str, character: str) -> dict[str, tuple[int, int]]:
    """Where each bar begins and ends, in order of drawing: the name, then the name again with primes."""
    found: dict[str, tuple[int, int]] = {}
    for name, blanks, bar in re.findall(rf"(\w):? \|( *)({character}*)", text):
        while name in found:
            name += "'"
        found[name] = (len(blanks), len(blanks) + len(bar))
    return found


@measured
def test_the_visualizer_draws_overlapping_and_sequential_runs(example: Example) -> None:
    """With gather() all bars begin together; one by one each begins where the one before ended."""
    result = example("event_loop/visualizer.py")
    drawn = bars(result.out, "=")
    together = drawn["A"], drawn["B"], drawn["C"]
    assert max(start for start, _ in together) < min(end for _, end in together)
    assert drawn["A'"][0] < drawn["A'"][1] <= drawn["B'"][0] < drawn["B'"][1] <= drawn["C'"][0]
    concurrent, sequential = (float(text) for text in re.findall(r"total (\S+) s", result.out))
    assert 0.19 <= concurrent < sequential
    assert sequential >= 0.38


def test_the_visualizer_takes_other_sleeps(run_example: Callable[..., Result]) -> None:
    """Numbers on the command line become the sleeps of that many coroutines."""
    result = run_example("event_loop/visualizer.py", "0.02", "0.06")
    drawn = bars(result.out, "=")
    assert sorted(drawn) == ["A", "A'", "B", "B'"]
    assert drawn["A"][1] < drawn["B"][1]


@measured
def test_the_comparison_draws_sequence_concurrency_and_parallelism(example: Example) -> None:
    """In sequence each bar begins where the last ended; concurrent and parallel ones overlap."""
    drawn = bars(example("performance/visual_comparison.py").out, "#")
    assert drawn["A"][1] <= drawn["B"][0] + 1
    assert drawn["B"][1] <= drawn["C"][0] + 1
    for prime in ("'", "''"):
        starts = [drawn[name + prime][0] for name in "ABC"]
        ends = [drawn[name + prime][1] for name in "ABC"]
        assert max(starts) < min(ends)


@measured
def test_blocking_code_stops_the_heartbeat_and_async_code_does_not(example: Example) -> None:
    """time.sleep(0.2) leaves a gap of at least that; asyncio.sleep() and to_thread() leave clearly shorter ones."""
    result = example("pitfalls/blocking_inside_async.py")
    frozen = result.number("incorrect, time.sleep(): the heartbeat stopped for ")
    assert frozen >= 0.19
    assert result.number("correct, asyncio.sleep(): the heartbeat stopped for ") < frozen / 2
    assert result.number("correct, to_thread(time.sleep): the heartbeat stopped for ") < frozen / 2


@measured
def test_the_lag_gauge_shows_the_blocking_call(example: Example) -> None:
    """A block of 0.22 s shows as a lag of about 0.2 s, far above that of the healthy loop."""
    result = example("debugging/loop_lag.py")
    lag = result.number("after a blocking call: lag ")
    assert lag >= 0.18
    assert result.number("healthy: lag ") < lag / 2


@measured
def test_latency_grows_with_the_queue(example: Example) -> None:
    """The last of thirty jobs, in the sixth round, waited about six times as long as the first."""
    result = example("debugging/tracking.py")
    first, last = result.number("latency of the first job: "), result.number("latency of the last job: ")
    assert last >= 0.11
    assert last > 2 * first


def test_a_slow_step_is_logged_with_its_duration(example: Example) -> None:
    """The loop's debug mode reports a step of 0.15 s with a duration of at least that."""
    found = re.search(r"Executing .*main\(\).* took (\d+\.\d+) seconds", example("debugging/slow_callbacks.py").err)
    assert found is not None
    assert float(found.group(1)) >= 0.145


@measured
def test_processes_share_a_computation_that_threads_do_not(example: Example) -> None:
    """Threads give CPU-bound work nothing: they are not twice as fast as doing it in sequence."""
    result = example("performance/cpu_bound.py")
    sequential = result.number("sequential: 4 results, ")
    assert result.number("async with threads: the same 4 results, ") > sequential / 2
    assert result.number("processes: the same 4 results, ") > 0


def test_items_are_consumed_in_order_after_they_are_produced(example: Example) -> None:
    """However the lines mix, each side keeps its order, and nothing is consumed before it exists."""
    lines = example("patterns/producer_consumer.py").out.splitlines()
    assert [line for line in lines if line.startswith("P")] == [f"Produced: {n}" for n in range(5)]
    assert [line for line in lines if line.startswith("C")] == [f"Consumed: {n}" for n in range(5)]
    assert all(lines.index(f"Produced: {n}") < lines.index(f"Consumed: {n}") for n in range(5))


@pytest.mark.parametrize(("seed", "last"), [("11", "Success"), ("1", "Success"), ("3", "All attempts failed: Failed!")])
def test_retries_end_with_success_or_with_the_last_error(
    seed: str, last: str, run_example: Callable[..., Result]
) -> None:
    """Chance decides, and both ends are orderly: a result, or the error after the last attempt."""
    result = run_example("patterns/retry.py", "--seed", seed)
    assert result.out.splitlines()[-1] == last
    assert result.code == 0


@pytest.mark.parametrize("name", ["context_managers/http_session.py", "libraries/aiohttp_many_urls.py"])
def test_examples_that_fetch_take_urls_from_the_command_line(name: str, run_example: Callable[..., Result]) -> None:
    """With URLs as arguments no local server is started: a refused connection shows that they were asked."""
    result = run_example(name, "http://127.0.0.1:9/")
    assert result.code == 1
    assert "127.0.0.1:9" in result.err
