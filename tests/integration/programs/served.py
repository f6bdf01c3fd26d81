"""A service under `hocket.serve`, in several states of distress: ``served.py HOW``, and then signals."""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
import time

import hocket

BUDGETS = {"stop": 0.2, "drain": 0.3, "cancel": 0.3, "force": 0.3, "linger": 0.1}


async def tidy() -> None:
    asyncio.create_task(asyncio.sleep(0.1))
    await hocket.service().wait_stopping()
    print("tidied up", flush=True)


async def failing() -> None:
    await hocket.service().wait_stopping()
    raise ValueError("could not close")


async def slow() -> None:
    asyncio.create_task(asyncio.sleep(1000), name="slow")
    await hocket.service().wait_stopping()


async def stubborn() -> None:
    async def refuse() -> None:
        while True:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                pass

    asyncio.create_task(refuse(), name="stubborn")
    await hocket.service().wait_stopping()


async def blocked() -> None:
    await asyncio.sleep(0)
    while True:
        time.sleep(0.1)


async def thread() -> None:
    asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
    await hocket.service().wait_stopping()


async def patient() -> None:
    try:
        await asyncio.sleep(1000)
    finally:
        time.sleep(1000)


async def main(how: str) -> None:
    print("ready", flush=True)
    await globals()[how]()


if __name__ == "__main__":
    how = sys.argv[1]
    if how == "stubborn":
        # Force is what is looked at, and a busy machine may take longer than the last word of a program waits.
        importlib.import_module("hocket.structured.serve").MARGIN = 10  # type: ignore[attr-defined]
    budgets = BUDGETS if how not in ("patient", "tidy", "failing") else {}
    sys.exit(hocket.serve(main, how, **budgets))
