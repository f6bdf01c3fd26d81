"""Signals: handlers on the loop, several signals, removal, a signal that wakes an idle loop."""

import asyncio
import os
import signal
import threading
import time

from results import show


async def main() -> None:
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[str] = asyncio.Queue()
    for name in ("SIGUSR1", "SIGUSR2", "SIGTERM", "SIGHUP"):
        loop.add_signal_handler(getattr(signal, name), arrived.put_nowait, name)

    os.kill(os.getpid(), signal.SIGTERM)
    at_once = await arrived.get()

    started = time.monotonic()
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGHUP)).start()
    while_idle = await arrived.get()
    waited = time.monotonic() - started

    for _ in range(3):
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        await asyncio.sleep(0.02)
    several = sorted(arrived.get_nowait() for _ in range(arrived.qsize()))

    removed = [loop.remove_signal_handler(signal.SIGTERM) for _ in range(2)]
    try:
        loop.add_signal_handler(signal.SIGKILL, print)
        kill_refused = False
    except (RuntimeError, ValueError, OSError):
        kill_refused = True
    show(
        at_once=at_once,
        while_idle=while_idle,
        in_time=0.05 < waited < 10,
        several=several,
        removed=removed,
        default_restored=signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
        kill_refused=kill_refused,
    )


if __name__ == "__main__":
    asyncio.run(main())
