"""Programs under `hocket.serve` that are told to stop: how they end, and what they say."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from .processes import start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes there are not told to stop by signals")


def stopped(how: str, *signals: int, apart: float = 0.2) -> tuple[int, str, str, float]:
    """Exit code, output, standard error and how long it took to end."""
    with start("served.py", how) as program:
        assert program.stdout is not None
        try:
            assert program.stdout.readline() == "ready\n", program.stderr and program.stderr.read()
            time.sleep(0.1)
            began = time.monotonic()
            for number, one in enumerate(signals):
                if number:
                    time.sleep(apart)
                if program.poll() is not None:
                    break
                program.send_signal(one)
            output, errors = program.communicate(timeout=30)
        except (subprocess.TimeoutExpired, AssertionError):
            program.kill()
            raise
    return program.returncode, output, errors, time.monotonic() - began


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_drains_ends_with_0(number: int) -> None:
    """And says nothing."""
    assert stopped("tidy", number)[:3] == (0, "tidied up\n", "")


def test_what_main_raises_is_shown_as_by_python() -> None:
    """With the exit code 1."""
    code, _, errors, _ = stopped("failing", signal.SIGTERM)
    assert (code, errors.splitlines()[-1]) == (1, "ValueError: could not close")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_work_that_is_cancelled_makes_the_signal_the_exit_code(number: int, code: int) -> None:
    """And is named on standard error, with where it stood and where it was started."""
    ended, _, errors, _ = stopped("slow", number)
    assert ended == code
    assert "task slow at" in errors and "served.py" in errors and "in slow" in errors
    assert "Traceback" not in errors


def test_a_task_that_refuses_does_not_keep_the_process() -> None:
    """It ends by force, with the summary."""
    code, _, errors, seconds = stopped("stubborn", signal.SIGTERM)
    assert code == 143 and seconds < 10
    assert "task stubborn at" in errors and "force" in errors


def test_a_loop_that_is_blocked_does_not_keep_the_process() -> None:
    """It never hears of the signal; the last word says where it was."""
    code, _, errors, seconds = stopped("blocked", signal.SIGTERM)
    assert code == 143 and seconds < 10
    assert "the main thread is at" in errors and "in blocked" in errors


def test_a_thread_that_hangs_does_not_keep_the_process() -> None:
    """Python would wait for it for ever at the end."""
    code, _, errors, seconds = stopped("thread", signal.SIGTERM)
    assert code == 143 and seconds < 10
    assert "not over" in errors


def test_the_fourth_signal_ends_it_on_the_spot() -> None:
    """Whatever it does, and however long the budgets are."""
    # Those that come while it has no processor are one.
    code, _, errors, seconds = stopped("patient", *[signal.SIGINT] * 30)
    assert code == 130 and seconds < 10
    assert "the 4th" in errors
