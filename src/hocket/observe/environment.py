"""What the environment asks to be observed, from the start of the process: ``HOCKET_OBSERVE`` and its kin.

``HOCKET_OBSERVE=1`` starts the agent, and the watchdog, which ``HOCKET_BLOCKED_AFTER=SECONDS`` starts without it.
"""

from __future__ import annotations

import os
import signal
import threading

from hocket.core import scheduler
from hocket.core.scheduler import Scheduler
from hocket.observe import agent, recorder, watchdog
from hocket.observe.looks import mishaps

#: Starts the agent with the first loop; with the value ``control``, one that lets tasks be cancelled from outside.
OBSERVE = "HOCKET_OBSERVE"

#: Starts the flight recorder with the first loop; its recordings go to the directory that the value names, or with
#: ``1`` to the current one.
RECORDER = "HOCKET_RECORDER"

_NO = ("", "0", "no", "off", "false")
_YES = ("1", "yes", "on", "true")


def obey() -> None:
    """Do what the environment asks for.  `import hocket` calls it if there is anything."""
    wanted = os.environ.get(OBSERVE, "").lower()
    if wanted not in _NO:
        agent.start_with_first_loop(allow_control=wanted == "control")
    if os.environ.get(RECORDER, "").lower() not in _NO:
        scheduler.on_create.append(_start_recorder)
    if wanted not in _NO or os.environ.get(watchdog.VARIABLE):
        watchdog.start()
        mishaps.start()


def _start_recorder(loop: Scheduler) -> None:
    scheduler.on_create.remove(_start_recorder)
    directory = os.environ.get(RECORDER, "")
    if recorder.current() is None:
        # Signals are the main thread's.
        in_main_thread = threading.current_thread() is threading.main_thread()
        recorder.start(
            directory=None if directory.lower() in (*_NO, *_YES) else directory,
            on_signal=getattr(signal, "SIGUSR2", None) if in_main_thread else None,
        )
