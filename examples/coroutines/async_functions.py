"""A regular function returns its value; an async function returns a coroutine object, and awaiting that the value.

Output::

    result1: Hello
    result2: coroutine object
    result3: Hello
"""

import asyncio


# Regular function
def regular_function():
    return "Hello"


# Async function (coroutine)
async def async_function():
    return "Hello"


if __name__ == "__main__":
    # Calling them
    result1 = regular_function()  # Returns "Hello"
    result2 = async_function()  # Returns coroutine object (not "Hello"!)
    print("result1:", result1)
    print("result2:", type(result2).__name__, "object")
    result2.close()  # never awaited on purpose: closing it says so, and Python does not warn

    # To get the result, you must await it
    result3 = asyncio.run(async_function())  # Returns "Hello"
    print("result3:", result3)
