"""All the ways to use ``asyncio.wait()``: until the first result, the first error, all of them, or a time is over.

It never raises what a task raised and never cancels: the caller decides about both sets.

Output::

    FIRST_COMPLETED: done ['fast'], pending ['broken', 'slow']
    FIRST_EXCEPTION: done ['broken', 'fast'], pending ['slow']
    timeout: done ['broken', 'fast'], pending ['slow']
    ALL_COMPLETED: done ['broken', 'fast', 'slow'], pending []
    fast gave 'fast', broken raised 'broken', slow gave 'slow'
"""

import asyncio


async def work(name, delay):
    await asyncio.sleep(delay)
    if name == "broken":
        raise ValueError(name)
    return name


def report(how, done, pending):
    def names(tasks):
        return sorted(task.get_name() for task in tasks)

    print(f"{how}: done {names(done)}, pending {names(pending)}")


async def main():
    delays = {"fast": 0.05, "broken": 0.6, "slow": 1.5}
    tasks = [asyncio.create_task(work(name, delay), name=name) for name, delay in delays.items()]

    report("FIRST_COMPLETED", *await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED))
    report("FIRST_EXCEPTION", *await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION))
    report("timeout", *await asyncio.wait(tasks, timeout=0.02))
    report("ALL_COMPLETED", *await asyncio.wait(tasks))

    fast, broken, slow = tasks
    print(f"fast gave {fast.result()!r}, broken raised {str(broken.exception())!r}, slow gave {slow.result()!r}")


if __name__ == "__main__":
    asyncio.run(main())
