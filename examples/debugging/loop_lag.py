"""A lag gauge: ask to be woken at a time, and see how much later it happens; blocking code shows at once.

Output::

    healthy: lag ~0.00 s
    after a blocking call: lag ~0.20 s
"""

import asyncio
import time


class LagGauge:
    """Measures the loop's lag every ``interval`` seconds; ``worst`` is the largest since it was last taken."""

    def __init__(self, interval=0.02):
        self.interval = interval
        self.worst = 0.0

    async def run(self):
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self.interval
            await asyncio.sleep(self.interval)
            self.worst = max(self.worst, loop.time() - due)

    def take(self):
        worst, self.worst = self.worst, 0.0
        return worst


async def main():
    gauge = LagGauge()
    task = asyncio.create_task(gauge.run())

    await asyncio.sleep(0.1)
    print(f"healthy: lag {gauge.take():.2f} s")

    time.sleep(0.22)  # somebody blocks the loop for longer than the gauge's interval
    await asyncio.sleep(0.1)
    print(f"after a blocking call: lag {gauge.take():.2f} s")
    task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
