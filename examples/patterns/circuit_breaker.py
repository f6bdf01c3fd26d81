"""Capacity control: a circuit breaker stops calling a service that keeps failing, and probes it after a pause.

Closed, it lets calls through; after three failures in a row it opens and refuses at once; after the pause one call
may try, and closes it again if it succeeds.

Output::

    call 1: failed
    call 2: failed
    call 3: failed
    call 4: refused at once, circuit open
    call 5: refused at once, circuit open
    call 6: answered
    call 7: answered
    the service was called 5 times
"""

import asyncio


class CircuitOpen(Exception):
    pass


class CircuitBreaker:
    def __init__(self, failures, pause):
        self.limit = failures
        self.pause = pause
        self.failures = 0
        self.retry_at = 0.0

    async def call(self, function):
        now = asyncio.get_running_loop().time()
        if self.failures >= self.limit:
            if now < self.retry_at:
                raise CircuitOpen
            self.retry_at = now + self.pause  # one probe; the others are refused until it is back
        try:
            result = await function()
        except Exception:
            self.failures += 1
            self.retry_at = asyncio.get_running_loop().time() + self.pause
            raise
        self.failures = 0
        return result


class Service:
    calls = 0
    healthy = False

    async def answer(self):
        self.calls += 1
        await asyncio.sleep(0.01)
        if not self.healthy:
            raise ConnectionError


async def main():
    service, breaker = Service(), CircuitBreaker(failures=3, pause=0.2)
    for number in range(1, 8):
        if number == 6:
            service.healthy = True
            await asyncio.sleep(0.25)
        try:
            await breaker.call(service.answer)
            print(f"call {number}: answered")
        except CircuitOpen:
            print(f"call {number}: refused at once, circuit open")
        except ConnectionError:
            print(f"call {number}: failed")
    print(f"the service was called {service.calls} times")


if __name__ == "__main__":
    asyncio.run(main())
