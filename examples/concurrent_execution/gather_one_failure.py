"""What one failure does to the others: nothing under ``gather()``, cancellation under ``TaskGroup``.

It is often said that one failure in ``gather()`` cancels all.  It does not: the first exception reaches the caller at
once, and the siblings go on unobserved.  A ``TaskGroup`` cancels them and waits until they ended.

Output::

    gather: the caller sees 'B failed'
    gather: A went on and finished
    task group: A was cancelled
    task group: the caller sees 'B failed'
"""

import asyncio


async def good(where):
    try:
        await asyncio.sleep(0.6)
        print(f"{where}: A went on and finished")
    except asyncio.CancelledError:
        print(f"{where}: A was cancelled")
        raise


async def bad():
    await asyncio.sleep(0.02)
    raise ValueError("B failed")


async def main():
    try:
        await asyncio.gather(good("gather"), bad())
    except ValueError as error:
        print(f"gather: the caller sees {str(error)!r}")
    await asyncio.sleep(0.8)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(good("task group"))
            group.create_task(bad())
    except* ValueError as errors:
        print(f"task group: the caller sees {str(errors.exceptions[0])!r}")


if __name__ == "__main__":
    asyncio.run(main())
