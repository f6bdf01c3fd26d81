"""The smallest async program, and the flow through it: start, pause at ``await``, resume, finish.

Output::

    1. asyncio.run() started the loop, and the loop started main()
    2. main() awaits greet(), which runs at once
    Hello
    3. asyncio.sleep() suspended both; the loop waited and came back
    Async World
    4. main() has the result: done
"""

import asyncio


async def greet():
    print("Hello")
    await asyncio.sleep(0.1)
    print("3. asyncio.sleep() suspended both; the loop waited and came back")
    print("Async World")
    return "done"


async def main():
    print("1. asyncio.run() started the loop, and the loop started main()")
    print("2. main() awaits greet(), which runs at once")
    result = await greet()
    print("4. main() has the result:", result)


if __name__ == "__main__":
    asyncio.run(main())
