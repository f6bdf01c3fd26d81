"""Method 3: an event loop managed by hand, for special cases.

Often seen with ``asyncio.get_event_loop()`` at top level.  Without a running loop that call made one silently, warned
about it from Python 3.12 on and raises since 3.14; ``asyncio.new_event_loop()`` says what is meant and works on all.

Output::

    Result
    loop closed: True
"""

import asyncio


async def main():
    return "Result"


if __name__ == "__main__":
    # Manual event loop management
    loop = asyncio.new_event_loop()
    try:
        result = loop.run_until_complete(main())
        print(result)
    finally:
        loop.close()
    print("loop closed:", loop.is_closed())
