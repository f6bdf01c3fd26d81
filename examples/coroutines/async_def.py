"""``async def`` makes coroutines: with arguments, awaiting each other, as methods, and recognisable as such.

Output::

    say_after is a coroutine function: True
    say_after(...) is a coroutine: True
    hello
    world
    methods can be async too: 3 greetings
"""

import asyncio
import inspect


async def say_after(delay, what):
    await asyncio.sleep(delay)
    print(what)


class Greeter:
    def __init__(self):
        self.count = 0

    async def greet(self):
        await asyncio.sleep(0.01)
        self.count += 1


async def main():
    print("say_after is a coroutine function:", inspect.iscoroutinefunction(say_after))
    coroutine = say_after(0.05, "hello")
    print("say_after(...) is a coroutine:", inspect.iscoroutine(coroutine))
    await coroutine
    await say_after(0.01, "world")

    greeter = Greeter()
    for _ in range(3):
        await greeter.greet()
    print("methods can be async too:", greeter.count, "greetings")


if __name__ == "__main__":
    asyncio.run(main())
