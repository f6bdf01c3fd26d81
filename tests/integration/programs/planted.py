"""Six mistakes in one program, each of which the doctor has to find.  Runs for three seconds."""

import asyncio


async def takes_both(first: asyncio.Lock, second: asyncio.Lock) -> None:
    async with first:
        await asyncio.sleep(0.01)
        async with second:  # takes both
            pass


async def nobody_feeds() -> None:
    await asyncio.Queue().get()  # nobody feeds


async def child(lock: asyncio.Lock) -> None:
    async with lock:  # child
        pass


async def gathers_itself(lock: asyncio.Lock) -> None:
    async with lock:
        await asyncio.gather(asyncio.create_task(child(lock), name="child"))  # gathers itself


async def lost() -> None:
    await asyncio.Event().wait()  # lost


async def loses() -> None:
    try:
        task = asyncio.create_task(lost(), name="lost")
        raise ValueError("before anybody awaits it")
        await task
    except Exception:
        pass


async def swallows(over: asyncio.Event) -> None:
    while not over.is_set():
        try:
            await asyncio.sleep(0.05)  # swallows
        except BaseException:
            pass


async def nobody_resolves() -> None:
    await asyncio.get_running_loop().create_future()  # nobody resolves


def plant(coroutine) -> None:
    # As a framework keeps them: not at all.
    asyncio.create_task(coroutine, name=coroutine.__name__)


async def main() -> None:
    one, other = asyncio.Lock(), asyncio.Lock()
    tasks = [
        asyncio.create_task(takes_both(one, other), name="one, other"),
        asyncio.create_task(takes_both(other, one), name="other, one"),
        asyncio.create_task(gathers_itself(asyncio.Lock()), name="gathers itself"),
    ]
    plant(nobody_feeds())
    plant(nobody_resolves())
    await loses()
    over = asyncio.Event()
    stubborn = asyncio.create_task(swallows(over), name="swallows")
    await asyncio.sleep(0.1)
    stubborn.cancel()
    await asyncio.sleep(3)
    over.set()
    await stubborn
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
