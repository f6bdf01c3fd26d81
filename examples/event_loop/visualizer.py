"""Draws how the loop schedules three coroutines, with ``gather()`` and one by one.

Concurrent, the total is the longest sleep; one by one it is the sum.  Give other sleeps to try:
``python examples/event_loop/visualizer.py 0.1 0.5 0.2``.

Output::

    gather()
      A |==========                              |
      B |====================                    |
      C |==========                              |
      total ~0.20 s
    one by one
      A |==========                              |
      B |          ====================          |
      C |                              ==========|
      total ~0.40 s
"""

import asyncio
import sys
import time


async def work(name, sleep, spans, start):
    begin = time.perf_counter() - start
    await asyncio.sleep(sleep)
    spans[name] = (begin, time.perf_counter() - start)


async def concurrent(sleeps, spans, start):
    await asyncio.gather(*(work(name, sleep, spans, start) for name, sleep in sleeps.items()))


async def sequential(sleeps, spans, start):
    for name, sleep in sleeps.items():
        await work(name, sleep, spans, start)


def draw(spans, total, width=40):
    for name, (begin, end) in sorted(spans.items()):
        first, last = round(begin / total * width), round(end / total * width)
        print(f"  {name} |{' ' * first}{'=' * (last - first):{width - first}}|")


async def main():
    numbers = [float(text) for text in sys.argv[1:]] or [0.1, 0.2, 0.1]
    sleeps = {chr(ord("A") + i): number for i, number in enumerate(numbers)}
    for title, strategy in (("gather()", concurrent), ("one by one", sequential)):
        spans, start = {}, time.perf_counter()
        await strategy(sleeps, spans, start)
        total = time.perf_counter() - start
        print(title)
        draw(spans, sum(sleeps.values()))
        print(f"  total {total:.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
