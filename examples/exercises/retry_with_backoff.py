"""Exercise 1, async retry with backoff: a decorator that tries again, waiting twice as long each time.

The wait is capped and may vary by chance (jitter), so that many clients do not come back at the same moment.  Only
the given exceptions are worth another try, and cancellation always passes.

Output::

    recovers: 'data' after 4 attempts
    waits doubled: 0.02, 0.04, 0.08
    capped: 0.02, 0.04, 0.05, 0.05
    jitter keeps the waits between half and whole: True
    gives up: ConnectionError after 3 attempts
    not worth a retry: ValueError after 1 attempts
    cancelled while waiting: True
"""

import asyncio
import functools
import random


def retry(
    *, attempts=3, base=0.02, factor=2.0, limit=1.0, jitter=0.0, on=(ConnectionError, TimeoutError), before_wait=None
):
    """Retry an async function up to ``attempts`` times in all.

    The n-th wait is ``base * factor ** n`` seconds, at most ``limit``, less a random part of up to ``jitter`` (0 to 1)
    of it.  ``on`` are the exceptions worth a retry; the last one reaches the caller.  ``before_wait(delay)`` is told.
    """

    def decorate(function):
        @functools.wraps(function)
        async def wrapper(*args, **kwargs):
            for attempt in range(attempts):
                try:
                    return await function(*args, **kwargs)
                except on:
                    if attempt == attempts - 1:
                        raise
                delay = min(base * factor**attempt, limit)
                delay *= 1 - jitter * random.random()
                if before_wait is not None:
                    before_wait(delay)
                await asyncio.sleep(delay)

        return wrapper

    return decorate


class Flaky:
    """Fails a number of times, then answers."""

    def __init__(self, failures, error=ConnectionError):
        self.failures = failures
        self.error = error
        self.attempts = 0

    async def fetch(self):
        self.attempts += 1
        await asyncio.sleep(0.001)
        if self.attempts <= self.failures:
            raise self.error
        return "data"


async def main():
    service, waits = Flaky(failures=3), []
    result = await retry(attempts=5, before_wait=waits.append)(service.fetch)()
    print(f"recovers: {result!r} after {service.attempts} attempts")
    print("waits doubled:", ", ".join(f"{wait:.2f}" for wait in waits))

    waits.clear()
    await retry(attempts=5, limit=0.05, before_wait=waits.append)(Flaky(failures=4).fetch)()
    print("capped:", ", ".join(f"{wait:.2f}" for wait in waits))

    waits.clear()
    await retry(attempts=9, base=0.004, factor=1, jitter=0.5, before_wait=waits.append)(Flaky(failures=8).fetch)()
    print("jitter keeps the waits between half and whole:", all(0.002 <= wait <= 0.004 for wait in waits))

    for title, service in (
        ("gives up", Flaky(failures=10)),
        ("not worth a retry", Flaky(failures=10, error=ValueError)),
    ):
        try:
            await retry(attempts=3)(service.fetch)()
        except (ConnectionError, ValueError) as error:
            print(f"{title}: {type(error).__name__} after {service.attempts} attempts")

    task = asyncio.create_task(retry(base=10, limit=10)(Flaky(failures=10).fetch)())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait([task])
    print("cancelled while waiting:", task.cancelled())


if __name__ == "__main__":
    asyncio.run(main())
