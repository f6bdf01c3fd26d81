"""Work off the loop and the way back: processes, threads, context, exceptions, calls from foreign threads."""

import asyncio
import contextvars
import multiprocessing
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor

from results import show

user = contextvars.ContextVar("user", default="nobody")


def factorial(number: int) -> tuple[int, int]:
    result = 1
    for factor in range(2, number + 1):
        result *= factor
    return result % 1_000_007, os.getpid()


def fail() -> None:
    raise KeyError("from a worker")


def blocking() -> tuple[str, bool]:
    time.sleep(0.05)
    return user.get(), threading.current_thread() is threading.main_thread()


async def error_of(awaitable) -> str:
    try:
        await awaitable
    except KeyError as error:
        return repr(error)
    return ""


async def main() -> None:
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        results = await asyncio.gather(*(loop.run_in_executor(pool, factorial, n) for n in range(20)))
        process_error = await error_of(loop.run_in_executor(pool, fail))
    in_other_processes = os.getpid() not in {pid for _, pid in results}

    user.set("alice")
    name, in_main = await asyncio.to_thread(blocking)
    thread_error = await error_of(asyncio.to_thread(fail))
    started = time.monotonic()
    await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.5) for _ in range(4)))
    overlapped = time.monotonic() - started < 1.9

    called: asyncio.Queue[int] = asyncio.Queue()

    def foreign() -> None:
        for number in range(1000):
            loop.call_soon_threadsafe(called.put_nowait, number)

    thread = threading.Thread(target=foreign)
    thread.start()
    in_order = [await called.get() for _ in range(1000)] == list(range(1000))
    thread.join()

    async def answer() -> int:
        await asyncio.sleep(0.01)
        return 42

    from_thread = await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(answer(), loop).result(10))
    show(
        results=[value for value, _ in results] == [factorial(n)[0] for n in range(20)],
        in_other_processes=in_other_processes,
        process_error=process_error,
        context=name,
        in_main_thread=in_main,
        thread_error=thread_error,
        overlapped=overlapped,
        in_order=in_order,
        from_thread=from_thread,
    )


if __name__ == "__main__":
    asyncio.run(main())
