"""Where policies have their random numbers from, unless they are given a `random.Random` of their own.

One generator for all, made when it is first asked for: whoever seeds it makes a program's backoffs, jitters and
injected faults repeatable.
"""

from __future__ import annotations

import random

_generator: random.Random | None = None


def randomness() -> random.Random:
    """The generator that policies draw from.

    ``hocket.resilience.randomness().seed(7)`` makes the same program do the same again.
    """
    global _generator
    if _generator is None:
        _generator = random.Random()
    return _generator


def replace_randomness(generator: random.Random | None) -> random.Random | None:
    """Put *generator* in its place, for the whole process; None: a new one will be made.  Returns the one before."""
    global _generator
    before = _generator
    _generator = generator
    return before
