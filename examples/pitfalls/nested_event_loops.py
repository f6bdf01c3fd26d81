"""A loop inside a running loop is an error: in async code one awaits; from a thread one may run another loop.

Output::

    asyncio.run() in async code: RuntimeError
    loop.run_until_complete() in async code: RuntimeError
    await: result
    asyncio.run() in a thread: result
"""

import asyncio


async def work():
    await asyncio.sleep(0.01)
    return "result"


async def main():
    coroutine = work()
    try:
        asyncio.run(coroutine)
    except RuntimeError as error:
        print("asyncio.run() in async code:", type(error).__name__)
    finally:
        coroutine.close()

    coroutine = work()
    try:
        asyncio.get_running_loop().run_until_complete(coroutine)
    except RuntimeError as error:
        print("loop.run_until_complete() in async code:", type(error).__name__)
    finally:
        coroutine.close()

    print("await:", await work())
    print("asyncio.run() in a thread:", await asyncio.to_thread(lambda: asyncio.run(work())))


if __name__ == "__main__":
    asyncio.run(main())
