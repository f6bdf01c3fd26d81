"""Why a step takes so long: `hocket.observe.evidence`."""

from __future__ import annotations

import pytest

from hocket.observe import evidence
from hocket.observe.sighting import Evidence

SECOND = 1_000_000_000
SWITCH = 5_000_000


def cause(limit: int = 0, **parts: int) -> str:
    return Evidence(**parts, limit=limit).cause


def test_a_position_that_moves_is_python_code():
    """Who computes, and comes from one line to the next, executes Python code."""
    assert cause(computing=SECOND, moved=5, samples=10) == "python"


def test_a_position_that_stays_is_a_call():
    """Who computes in one and the same place is inside of a call into C."""
    assert cause(computing=SECOND, moved=0, samples=10) == "blocking-call"


def test_who_sleeps_is_in_a_call():
    """A thread that is not on a processor and does not want one waits in a call."""
    assert cause(computing=SECOND // 10, waiting=SECOND, moved=1, samples=10) == "blocking-call"


def test_the_collector():
    """Time that the collector took is not the program's."""
    assert cause(computing=SECOND // 3, collecting=SECOND, moved=9, samples=10) == "garbage-collector"


@pytest.mark.parametrize(("part", "name"), [("interpreter", "interpreter-lock"), ("machine", "starved-machine")])
def test_others_are_to_blame_for_what_a_step_would_not_take_by_itself(part: str, name: str):
    """A short step that is kept waiting is not to blame; one that takes too long anyway is, however long it waits."""
    assert cause(limit=SECOND, computing=SECOND // 2, moved=9, samples=10, **{part: 2 * SECOND}) == name
    assert cause(limit=SECOND, computing=SECOND, moved=9, samples=10, **{part: 2 * SECOND}) == "python"


def test_a_thread_that_has_the_lock_for_ever_is_to_blame():
    """However long the step would have taken by itself, if that is little of the whole."""
    assert cause(limit=SECOND, waiting=SECOND, interpreter=9 * SECOND) == "interpreter-lock"
    assert cause(limit=SECOND, waiting=SECOND, interpreter=7 * SECOND) == "blocking-call"


def test_shares_come_in_order_and_add_up_to_one():
    """What took most comes first; what took nothing is left out."""
    assert Evidence(computing=1, waiting=3).shares() == {"waiting in a call": 0.75, "computing": 0.25}
    assert Evidence().shares() == {}


def test_who_waits_for_the_lock_keeps_waking_up():
    """A thread that wants the interpreter's lock asks for it once in every switch interval."""
    assert evidence.rest_went_to(SECOND, True, 200, True, SWITCH) == evidence.INTERPRETER


def test_who_sleeps_in_a_call_does_not_wake_up():
    """That another thread has the lock meanwhile is no reason to blame it."""
    assert evidence.rest_went_to(SECOND, True, 1, True, SWITCH) == evidence.CALL


def test_nobody_waits_for_a_lock_that_is_free():
    """A thread that wakes up often while nobody has the lock waits for something else."""
    assert evidence.rest_went_to(SECOND, True, 200, False, SWITCH) == evidence.CALL


def test_a_thread_that_is_ready_all_the_time_waits_for_the_machine():
    """The kernel counts the wait for a processor only when it is over."""
    assert evidence.rest_went_to(SECOND, False, 0, True, SWITCH) == evidence.MACHINE


def test_a_thread_that_is_ready_again_waits_for_the_machine():
    """That it has run in between explains no more than the time in which it slept."""
    assert evidence.rest_went_to(SECOND, False, 2, True, SWITCH) == evidence.MACHINE
    assert evidence.rest_went_to(2 * SWITCH, False, 2, True, SWITCH) == evidence.INTERPRETER
