"""A timeout prevents runaway work: the operation is cancelled, cleans up, and the caller goes on with a default.

Output::

    operation: cancelled by the timeout
    caller: default value
    operation: finished in time
    caller: real value
"""

import asyncio


async def operation(seconds):
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        print("operation: cancelled by the timeout")
        raise
    print("operation: finished in time")
    return "real value"


async def with_default(seconds):
    try:
        return await asyncio.wait_for(operation(seconds), timeout=1)
    except TimeoutError:
        return "default value"


async def main():
    print("caller:", await with_default(10))
    print("caller:", await with_default(0.01))


if __name__ == "__main__":
    asyncio.run(main())
