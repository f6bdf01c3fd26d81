"""What a fork does to the loops of the process: they stay the parent's.

An epoll instance, and every socket that it watches, is shared by both sides of a fork: one ``epoll_ctl`` in the child
changes what the *parent's* loop is told of, and bytes written there mix with the parent's.  In the child, every loop
that was made before the fork is therefore closed to all use, with an error that says what to do; its own descriptors
are closed at once, without a word to the kernel about what they watched; and what it held (tasks, callbacks,
transports) is kept as it is, because to destroy it would run the parent's clean-up a second time.

It costs a running loop nothing: the flag that says so is the one that says "closed".
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import Any

from hocket.core import asyncio_private

#: In a child, the loops that came with the fork, each with what it held: neither is to be destroyed here.
_inherited: list[tuple[Any, Any]] = []

#: For each thread that forks: its process, and the loops that exist.  (Held from before the fork on: after it, asyncio
#: lets go of the thread's loop, which might then be closed as the parent's is, with everything that we avoid.)
_forking: dict[int, tuple[int, list[Any]]] = {}


def refusal(owner: int) -> str:
    """Why a loop of the process *owner* cannot be used in this one."""
    return (
        f"This event loop belongs to process {owner}, from which process {os.getpid()} was forked: it cannot be used "
        "here. Make a new loop in the child, with hocket.run() or hocket.new_event_loop()"
    )


def forget(loop: Any) -> None:
    """Let go of what *loop*, which came with a fork, held in the parent."""
    _inherited[:] = [entry for entry in _inherited if entry[0] is not loop]


def watch(loops: Any) -> None:
    """Have each loop of *loops()* disowned in every child that is forked from now on."""

    def before() -> None:
        _forking[threading.get_ident()] = (os.getpid(), loops())

    def in_parent() -> None:
        _forking.pop(threading.get_ident(), None)

    def in_child() -> None:
        owner, inherited = _forking.pop(threading.get_ident(), (os.getppid(), []))
        _forking.clear()
        for loop in inherited:
            _disown(loop, owner)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


def _disown(loop: Any, owner: int) -> None:
    if loop.is_running():
        asyncio_private.forget_running_task(loop)
    self_pipe = [end for end in (getattr(loop, "_ssock", None), getattr(loop, "_csock", None)) if end is not None]
    _release_wakeup({end.fileno() for end in self_pipe})
    _inherited.append((loop, loop.disown(owner)))
    for transport in list(getattr(loop, "_transports", {}).values()):
        if hasattr(transport, "disown"):
            transport.disown()
    for end in self_pipe:
        end.close()


def _release_wakeup(descriptors: set[int]) -> None:
    """Have no signal of this process written into the parent's loop.  (asyncio sees to it from Python 3.12 on.)"""
    with contextlib.suppress(ValueError, OSError):
        current = signal.set_wakeup_fd(-1)
        if current not in descriptors:
            signal.set_wakeup_fd(current)
