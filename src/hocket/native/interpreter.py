"""What the interpreter does between two lines of Python, and therefore not while compiled code calls compiled code."""

from __future__ import annotations


def give_way() -> None:
    """Let another thread have the interpreter if one waits for it, and run the handlers of signals that have arrived.

    What such a handler raises comes out.  Uncompiled there is nothing to do: the interpreter does so all the time.
    """
