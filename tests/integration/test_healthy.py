"""Programs that are well raise no warning: no deadlock, no leaked task, nothing of any of the thirteen kinds.

And one that is ill, to see that the same doctor finds everything that is wrong with it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from .processes import PROGRAMS, start

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

#: Real programs: servers with their clients, pools, groups, streams, threads and processes, busy and idle.
HEALTHY = [
    *(
        PROGRAMS / f"{name}.py"
        for name in (
            "executors",
            "http_aiohttp",
            "idle_servers",
            "local",
            "signals",
            "subprocesses",
            "tls",
            "udp",
            "websocket_chat",
        )
    ),
    *(
        EXAMPLES / f"{name}.py"
        for name in (
            "best_practices/cancellation",
            "cancellation/nested_budgets",
            "cancellation/stream_consumer",
            "concurrent_execution/background_tasks",
            "concurrent_execution/task_group",
            "exercises/resource_pool",
            "exercises/retry_with_backoff",
            "iterators/async_generators",
            "libraries/aiohttp_many_urls",
            "patterns/bounded_queue",
            "patterns/producer_consumer",
            "patterns/worker_pool",
        )
    ),
]

#: Healthy as well, but they answer a burst all at once, where one step in a hundred is right to wait for 0.1 seconds.
BURSTS = [PROGRAMS / "fastapi_uvicorn.py", PROGRAMS / "http_httpx.py"]

#: Only how long a step takes is not the program's alone, but also this machine's: seconds that no machine needs.  With
#: HOCKET_HEALTHY_DEFAULTS=1, for a machine that has nothing else to do, the thresholds are those that a user gets.
WIDE = "blocked-loop=5 long-step=5 never-yields=5 sched-delay=5 cancel-swallowed=5"
FOR_HEALTHY = "" if os.environ.get("HOCKET_HEALTHY_DEFAULTS") else WIDE


def examined(program: Path, rules: str, directory: Path) -> dict[str, Any]:
    """What the doctor, who looks three times a second and when it is over, says of *program*."""
    report = directory / "report.json"
    with start("examined.py", str(report), rules, str(program)) as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    answer: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    assert answer["looks"] >= 1
    return answer


@pytest.mark.slow
@pytest.mark.parametrize("program", HEALTHY, ids=lambda path: path.stem)
def test_a_healthy_program_raises_no_warning(program: Path, tmp_path: Path) -> None:
    """From its beginning to its end."""
    assert told(program, FOR_HEALTHY, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("program", BURSTS, ids=lambda path: path.stem)
def test_a_burst_is_no_trouble_either(program: Path, tmp_path: Path) -> None:
    """For whoever does not mind that some have to wait."""
    assert told(program, WIDE, tmp_path) == []


def told(program: Path, rules: str, directory: Path) -> list[tuple[str, str, Any]]:
    """The troubles of *program*."""
    return [(one["name"], one["what"], one["evidence"]) for one in examined(program, rules, directory)["troubles"]]


def test_there_are_twenty() -> None:
    """Or more."""
    assert len(HEALTHY) >= 20
    assert all(program.is_file() for program in HEALTHY)


def test_planted_mistakes_are_found(tmp_path: Path) -> None:
    """Each with the tasks' names and the line at which they stand, and nothing else."""
    planted = PROGRAMS / "planted.py"
    lines = planted.read_text(encoding="utf-8").splitlines()

    def line_of(comment: str) -> int:
        return next(number for number, line in enumerate(lines, 1) if line.endswith(f"  # {comment}"))

    troubles = examined(planted, f"{WIDE} cancel-swallowed=0.2", tmp_path)["troubles"]
    found = {(one["name"], one["place"]["line"]): "\n".join((one["what"], *one["evidence"])) for one in troubles}
    expected = {
        ("await-cycle", line_of("takes both")): ["one, other (takes_both)", "other, one (takes_both)"],
        ("await-cycle", line_of("gathers itself")): ["gathers itself (", "child (", f":{line_of('child')} in child"],
        ("task-leak", line_of("nobody feeds")): ["nobody_feeds", "waits for queue"],
        ("task-leak", line_of("nobody resolves")): ["nobody_resolves", "waits for future"],
        ("task-leak", line_of("lost")): ["lost", "in loses"],
        ("cancel-swallowed", line_of("swallows")): ["task 'swallows' was cancelled once"],
    }
    assert set(found) == set(expected)
    assert [(key, word) for key, words in expected.items() for word in words if word not in found[key]] == []
