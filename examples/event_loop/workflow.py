"""The loop's workflow with two tasks: one runs at a time, and each ``await`` hands control to the other.

Output::

    1. Start Task A
    2. Task A hits 'await' -> suspended
    3. Start Task B
    4. Task B hits 'await' -> suspended
    5. Task A's I/O completes -> resumed
    6. Task A finishes
    7. Task B's I/O completes -> resumed
    8. Task B finishes -> all done
"""

import asyncio
import itertools

step = itertools.count(1)


def say(text):
    print(f"{next(step)}. {text}")


async def task(name, io_time, ending=""):
    say(f"Start Task {name}")
    say(f"Task {name} hits 'await' -> suspended")
    await asyncio.sleep(io_time)
    say(f"Task {name}'s I/O completes -> resumed")
    say(f"Task {name} finishes{ending}")


async def main():
    await asyncio.gather(task("A", 0.1), task("B", 0.2, " -> all done"))


if __name__ == "__main__":
    asyncio.run(main())
