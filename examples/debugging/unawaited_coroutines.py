"""Detect unawaited coroutines: Python warns when a coroutine is dropped that never ran.

The warning is a ``RuntimeWarning`` (filtering ``ResourceWarning``, as one sometimes reads, does not matter to it), and
goes to standard error.  In debug mode it also says where the coroutine was created.

Output::

    example() ended without an error

Standard error::

    ...RuntimeWarning: coroutine 'async_function' was never awaited
    ...
"""

import asyncio
import warnings

# This will warn about unawaited coroutines
warnings.simplefilter("always", RuntimeWarning)


async def async_function():
    pass


async def example():
    async_function()  # Warning: coroutine was never awaited


if __name__ == "__main__":
    asyncio.run(example())
    print("example() ended without an error")
