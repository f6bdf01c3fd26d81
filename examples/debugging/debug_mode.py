"""Debug mode: ``asyncio.run(main(), debug=True)`` makes the loop check more, and tell more.

Output::

    debug mode: False
    call_soon() from another thread went unnoticed
    debug mode: True
    call_soon() from another thread: RuntimeError
"""

import asyncio


async def main():
    loop = asyncio.get_running_loop()
    print("debug mode:", loop.get_debug())
    try:
        # A mistake: only call_soon_threadsafe() may be called from another thread.
        await asyncio.to_thread(loop.call_soon, lambda: None)
        print("call_soon() from another thread went unnoticed")
    except RuntimeError as error:
        print("call_soon() from another thread:", type(error).__name__)


if __name__ == "__main__":
    asyncio.run(main())
    asyncio.run(main(), debug=True)
