"""Pattern 2: try again when an unstable operation fails, a limited number of times.

The operation fails seven times in ten, by chance.  Chance is seeded here (``--seed N`` chooses another), so that the
example shows the same every time: two failures and a success.  Without luck the last error reaches the caller.

Output::

    Attempt 1 failed, retrying...
    Attempt 2 failed, retrying...
    Success
"""

import asyncio
import random
import sys


async def unstable_operation():
    if random.random() < 0.7:
        raise Exception("Failed!")
    return "Success"


async def retry_operation(max_attempts=3):
    for attempt in range(max_attempts):
        try:
            return await unstable_operation()
        except Exception:
            if attempt == max_attempts - 1:
                raise
            print(f"Attempt {attempt + 1} failed, retrying...")
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    random.seed(int(sys.argv[2]) if sys.argv[1:2] == ["--seed"] else 11)
    try:
        print(asyncio.run(retry_operation()))
    except Exception as error:
        print(f"All attempts failed: {error}")
