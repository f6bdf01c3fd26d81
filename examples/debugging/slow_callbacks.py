"""Log slow callbacks: in debug mode the loop logs every step that took longer than 100 ms.

Output::

    done

Standard error::

    ...
    ...Executing <Task ...main()...> took ~0.15 seconds
    ...
"""

import asyncio
import logging
import time

logging.basicConfig(level=logging.DEBUG)


async def main():
    await asyncio.sleep(0.01)
    time.sleep(0.15)  # blocks the loop
    await asyncio.sleep(0.01)


if __name__ == "__main__":
    # Log callbacks taking > 100ms
    asyncio.run(main(), debug=True)
    print("done")
