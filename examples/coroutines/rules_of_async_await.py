"""The three rules: ``await`` in async functions only, async functions return coroutines, ``await`` needs an awaitable.

What the rules forbid is run here too, and the error shown.

Output::

    rule 1: await in a regular function is a SyntaxError: 'await' outside async function
    rule 1: await in an async function works
    rule 2: example() is a coroutine, asyncio.run(example()) is 42
    rule 3: a coroutine gives 'value', sleep gives None, a task gives 'value'
    rule 3: awaiting the result of a regular function is a TypeError
    rule 3: awaiting 42 is a TypeError
"""

import asyncio

WRONG = """
def regular_function():
    await something()
"""


async def something():
    return "value"


async def example():
    return 42


def regular_function():
    return "value"


async def rule_1():
    try:
        compile(WRONG, "wrong.py", "exec")
    except SyntaxError as error:
        print("rule 1: await in a regular function is a SyntaxError:", error.msg)
    await something()
    print("rule 1: await in an async function works")


def rule_2():
    coroutine = example()
    print(f"rule 2: example() is a {type(coroutine).__name__}, asyncio.run(example()) is {asyncio.run(coroutine)}")


async def rule_3():
    results = await something(), await asyncio.sleep(0.01), await asyncio.create_task(something())
    print("rule 3: a coroutine gives {!r}, sleep gives {!r}, a task gives {!r}".format(*results))
    try:
        await regular_function()
    except TypeError:
        print("rule 3: awaiting the result of a regular function is a TypeError")
    try:
        await 42
    except TypeError:
        print("rule 3: awaiting 42 is a TypeError")


if __name__ == "__main__":
    asyncio.run(rule_1())
    rule_2()
    asyncio.run(rule_3())
