"""Why a step takes so long: what is concluded from what was seen of its thread, sample by sample.

The time between two samples has gone to one of five things.  The kernel says how long the thread was on a processor and
how long it was ready without one; the collector says when it was at work.  What is left, the thread slept: inside of a
call that waits for something, or for the interpreter's lock.  Who waits for the lock wakes up every few milliseconds,
the interpreter's switch interval, to ask for it again; who sleeps in a call does not.

Compiled, all of it works without the interpreter, which may be just what is not to be had.
"""

from __future__ import annotations

#: Python code that computes.
PYTHON = _PYTHON = 0
#: A call that does not return: it waits, or computes in C.
CALL = _CALL = 1
#: The garbage collector.
COLLECTOR = _COLLECTOR = 2
#: Another thread has the interpreter's lock.
INTERPRETER = _INTERPRETER = 3
#: The machine has no processor for this thread.
MACHINE = _MACHINE = 4

#: Names of the causes, in this order.
CAUSES = ("python", "blocking-call", "garbage-collector", "interpreter-lock", "starved-machine")


def rest_went_to(rest: int, slept: bool, slices: int, lock_elsewhere: bool, switch_interval: int) -> int:
    """Where *rest* nanoseconds went that a thread was neither on a processor nor known to wait for one.

    *slept*: whether the thread sleeps at the end of them; *slices*: how often it got a processor meanwhile;
    *lock_elsewhere*: whether another thread has the interpreter's lock; *switch_interval* is in nanoseconds.
    """
    if lock_elsewhere and slices * 3 * switch_interval >= rest:
        return _INTERPRETER
    # Who is ready has been so for a while: the kernel adds it up when the thread gets a processor.
    return _CALL if slept else _MACHINE


def cause_of(
    computing: int, waiting: int, collecting: int, interpreter: int, machine: int, moved: int, samples: int, limit: int
) -> int:
    """The cause of a step that has spent so many nanoseconds *computing*, *waiting* in calls, *collecting* garbage,
    waiting for the *interpreter* and for the *machine*.  Its position *moved* in so many of the *samples* in which it
    computed.

    It is what took most; but others are to blame only for what the step would not have taken by itself: *limit* is how
    long it may take.  A thread that has kept the lock for far longer than all of that is to blame all the same.
    """
    own = computing + waiting + collecting
    most = collecting
    cause = _COLLECTOR
    if interpreter > 8 * own and interpreter > machine:
        return _INTERPRETER
    if own < limit:
        if machine > most:
            most = machine
            cause = _MACHINE
        if interpreter > most:
            most = interpreter
            cause = _INTERPRETER
    if waiting > most:
        most = waiting
        cause = _CALL
    if computing > most:
        # A position that stays is inside of one call all the time.
        cause = _PYTHON if moved * 8 >= samples else _CALL
    return cause
