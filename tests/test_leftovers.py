"""That what is left behind is found, and what goes meanwhile is not."""

from __future__ import annotations

import os
import threading

import pytest

from .leftovers import no_new_descriptors, no_new_threads


def test_a_descriptor_left_open_is_found() -> None:
    """By its number and what it is."""
    reading, writing = os.pipe()
    try:
        with pytest.raises(AssertionError, match=r"left open: .*pipe:"), no_new_descriptors():
            left = os.dup(reading)
        os.close(left)
    finally:
        os.close(reading)
        os.close(writing)


def test_a_descriptor_that_goes_is_no_matter() -> None:
    """Garbage of earlier tests is closed whenever it is collected."""
    reading, writing = os.pipe()
    with no_new_descriptors():
        os.close(reading)
        os.close(writing)


def test_a_thread_that_is_still_there_is_found() -> None:
    """Not so one that was there before, whether it ends or not."""
    done = threading.Event()
    earlier = threading.Thread(target=done.wait)
    earlier.start()
    with no_new_threads():
        done.set()
        earlier.join()
    more = threading.Event()
    thread = threading.Thread(target=more.wait, name="forgotten")
    with pytest.raises(AssertionError, match="forgotten"), no_new_threads():
        thread.start()
    more.set()
    thread.join()
