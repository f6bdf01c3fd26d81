"""Calling an async function runs nothing: it creates a coroutine object, which starts when the loop runs it.

Output::

    calling task() returns: coroutine
    nothing has run yet: []
    after asyncio.run(): ['started', 'finished'] -> 'result'
"""

import asyncio

log = []


async def task():
    log.append("started")
    await asyncio.sleep(0.01)
    log.append("finished")
    return "result"


if __name__ == "__main__":
    coroutine = task()
    print("calling task() returns:", type(coroutine).__name__)
    print("nothing has run yet:", log)

    result = asyncio.run(coroutine)
    print("after asyncio.run():", log, "->", repr(result))
