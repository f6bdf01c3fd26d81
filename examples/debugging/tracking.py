"""What to track in an async system: task latency, queue length, loop lag and pending tasks, sampled while it works.

Thirty jobs of 0.02 s come at once for five workers: six rounds.  The queue and the latencies show the wait.

Output::

    jobs done: 30
    queue length at the start: 30, at the end: 0
    pending tasks while working: 7
    latency of the first job: ~0.02 s
    latency of the last job: ~0.12 s
    worst loop lag: ~0.00 s
"""

import asyncio
import time


class Tracker:
    """Collects the numbers; a real system would hand them to Prometheus or OpenTelemetry."""

    def __init__(self):
        self.latencies = []
        self.queue_lengths = []
        self.pending = []
        self.lags = []

    async def sample(self, queue):
        while True:
            due = time.perf_counter() + 0.01
            await asyncio.sleep(0.01)
            self.lags.append(time.perf_counter() - due)
            self.queue_lengths.append(queue.qsize())
            self.pending.append(len(asyncio.all_tasks()))


async def worker(queue, tracker):
    while True:
        arrived = await queue.get()
        await asyncio.sleep(0.02)
        tracker.latencies.append(time.perf_counter() - arrived)
        queue.task_done()


async def main():
    tracker, queue = Tracker(), asyncio.Queue()
    for _ in range(30):
        queue.put_nowait(time.perf_counter())
    tracker.queue_lengths.append(queue.qsize())

    workers = [asyncio.create_task(worker(queue, tracker)) for _ in range(5)]
    sampler = asyncio.create_task(tracker.sample(queue))
    await queue.join()
    tracker.queue_lengths.append(queue.qsize())
    for task in (*workers, sampler):
        task.cancel()
    await asyncio.wait([*workers, sampler])

    print("jobs done:", len(tracker.latencies))
    print(f"queue length at the start: {tracker.queue_lengths[0]}, at the end: {tracker.queue_lengths[-1]}")
    print("pending tasks while working:", max(tracker.pending))
    print(f"latency of the first job: {tracker.latencies[0]:.2f} s")
    print(f"latency of the last job: {tracker.latencies[-1]:.2f} s")
    print(f"worst loop lag: {max(tracker.lags):.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
