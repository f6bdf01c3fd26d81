"""Who is running, where Python 3.14 and later keep it: in a field of the thread's state that only asyncio's own task
writes.

A step of a task has to announce itself twice, and asyncio's function for that costs as much as a third of a step.  The
compiled twin looks for the field once, with the help of that function, and then writes it itself.  Uncompiled there is
nothing to find, and the function is called.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

#: The number of the calling thread.
this_thread = threading.get_ident


def find(swap: Callable[[Any, Any], Any], set_loop: Callable[[Any], None], get_loop: Callable[[], Any]) -> bool:
    """Look for the field; true if it was found, and `announce` works.

    *swap* announces a task on a loop, *set_loop* and *get_loop* say which loop runs in this thread.
    """
    return False


def announce(task: Any) -> None:
    """Announce *task* (None: nobody) as running in this thread, on the loop that runs in it."""
    raise RuntimeError("there is no field to be written")
