"""Pitfall 1: without ``await`` one gets a coroutine object, and nothing is executed.

Output::

    wrong: a coroutine object, executed 0 times
    correct: 'result', executed 1 times
"""

import asyncio

executed = 0


async def async_function():
    global executed
    executed += 1
    await asyncio.sleep(0.01)
    return "result"


# Wrong - returns coroutine, doesn't execute
async def wrong():
    result = async_function()  # Missing await!
    return result


# Correct
async def correct():
    result = await async_function()
    return result


async def main():
    result = await wrong()
    print(f"wrong: a {type(result).__name__} object, executed {executed} times")
    result.close()  # Python would warn: coroutine 'async_function' was never awaited

    result = await correct()
    print(f"correct: {result!r}, executed {executed} times")


if __name__ == "__main__":
    asyncio.run(main())
