"""Process results as they finish, with progress, errors in their place, and a limit on the whole wait.

Output::

    1/4 page 3: 30 words
    2/4 failed: page 2 is missing
    3/4 page 1: 10 words
    time is up, 1 page given up
"""

import asyncio

DELAYS = {1: 0.15, 2: 0.1, 3: 0.05, 4: 5.0}


async def load(page):
    await asyncio.sleep(DELAYS[page])
    if page == 2:
        raise LookupError(f"page {page} is missing")
    return page, page * 10


async def main():
    tasks = [asyncio.create_task(load(page)) for page in DELAYS]
    number = 0
    try:
        for next_done in asyncio.as_completed(tasks, timeout=1):
            try:
                page, words = await next_done
            except LookupError as error:
                number += 1
                print(f"{number}/{len(tasks)} failed: {error}")
            else:
                number += 1
                print(f"{number}/{len(tasks)} page {page}: {words} words")
    except TimeoutError:
        # as_completed() gives up waiting, not the tasks: those are still ours to cancel.
        given_up = [task for task in tasks if task.cancel()]
        print(f"time is up, {len(given_up)} page given up")
        await asyncio.wait(given_up)


if __name__ == "__main__":
    asyncio.run(main())
