"""Four ways to handle errors of concurrent work, and what each does with the work that did not fail.

Output::

    in the coroutine: ['data 1', 'default', 'data 3']
    return_exceptions: ['data 1', ConnectionError('source 2 is down'), 'data 3']
    first error only: source 2 is down
    exception group: 2 errors: source 2 is down, source 4 is down
"""

import asyncio


async def fetch(source):
    await asyncio.sleep(0.01)
    if source % 2 == 0:
        raise ConnectionError(f"source {source} is down")
    return f"data {source}"


async def fetch_or_default(source):
    try:
        return await fetch(source)
    except ConnectionError:
        return "default"


async def main():
    print("in the coroutine:", await asyncio.gather(*(fetch_or_default(source) for source in (1, 2, 3))))

    print("return_exceptions:", await asyncio.gather(*(fetch(s) for s in (1, 2, 3)), return_exceptions=True))

    try:
        await asyncio.gather(fetch(1), fetch(2), fetch(4))
    except ConnectionError as error:
        print("first error only:", error)

    try:
        async with asyncio.TaskGroup() as group:
            for source in (1, 2, 4):
                group.create_task(fetch(source))
    except* ConnectionError as errors:
        print(f"exception group: {len(errors.exceptions)} errors:", ", ".join(map(str, errors.exceptions)))


if __name__ == "__main__":
    asyncio.run(main())
