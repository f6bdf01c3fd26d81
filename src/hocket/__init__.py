"""hocket: an async/await runtime for Python.  asyncio's API on a scheduler of its own.

    import hocket

    async def main():
        ...

    hocket.run(main())

`install` puts every later ``asyncio.run()`` on hocket; ``hocket run SCRIPT`` does so for a program that cannot be
changed.
"""

from hocket.core import task as _task
from hocket.core.future import Future
from hocket.core.task import Task
from hocket.loop import EventLoop, EventLoopPolicy, Runner, install, new_event_loop, run

__version__ = "0.1.0"

__all__ = [
    "EventLoop",
    "EventLoopPolicy",
    "Future",
    "Runner",
    "Task",
    "__version__",
    "install",
    "is_compiled",
    "new_event_loop",
    "run",
]


def is_compiled() -> bool:
    """True if the engine is compiled; False if the same files run as ordinary Python."""
    return not _task.__file__.endswith(".py")
