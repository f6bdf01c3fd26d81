"""Structured concurrency: a ``TaskGroup`` ends only when all its tasks have, and one failure cancels the siblings.

Output::

    {1: 'item 1', 2: 'item 2', 3: 'item 3'}
    fetch 4 cancelled
    failed with 1 error: ValueError('item -1 does not exist')
    tasks left over: 0
"""

import asyncio


async def fetch_one(i):
    try:
        await asyncio.sleep(0.02 if i < 0 else 0.6)
    except asyncio.CancelledError:
        print(f"fetch {i} cancelled")
        raise
    if i < 0:
        raise ValueError(f"item {i} does not exist")
    return f"item {i}"


async def run_batch(ids):
    results = {}
    async with asyncio.TaskGroup() as tg:
        tasks = {i: tg.create_task(fetch_one(i)) for i in ids}
    for i, t in tasks.items():
        results[i] = t.result()
    return results


async def main():
    print(await run_batch([1, 2, 3]))
    try:
        await run_batch([4, -1])
    except* ValueError as group:
        print(f"failed with {len(group.exceptions)} error: {group.exceptions[0]!r}")
    print("tasks left over:", len(asyncio.all_tasks()) - 1)


if __name__ == "__main__":
    asyncio.run(main())
