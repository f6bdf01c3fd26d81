"""Concurrency: one chef and several dishes; while one thing boils, the chef does another.

One person, multiple tasks making progress.

Output::

    chef puts the pasta on
    chef starts the sauce
    chef chops vegetables
    chef stirs the sauce
    chef drains the pasta
    dinner by 1 chef
"""

import asyncio
import threading

chefs = set()


def chef(does):
    chefs.add(threading.get_ident())
    print("chef", does)


async def pasta():
    chef("puts the pasta on")
    await asyncio.sleep(0.2)  # I/O: waiting for water
    chef("drains the pasta")


async def sauce():
    chef("starts the sauce")
    await asyncio.sleep(0.1)  # I/O: waiting for the timer
    chef("stirs the sauce")


async def vegetables():
    chef("chops vegetables")  # CPU work


async def main():
    await asyncio.gather(pasta(), sauce(), vegetables())
    print(f"dinner by {len(chefs)} chef")


if __name__ == "__main__":
    asyncio.run(main())
