"""A queue-based worker pool: a fixed number of workers take jobs from one queue until it is empty.

A job that fails is recorded and does not take its worker down.

Output::

    9 jobs by 3 workers: 8 done, 1 failed
    failed: job 4 (ZeroDivisionError)
    every worker had jobs: True
    9 jobs of 0.05 s in 3 rounds: ~0.15 s
"""

import asyncio
import time
from collections import Counter


async def handle(job):
    await asyncio.sleep(0.05)
    return 100 / (job - 4)


async def worker(name, queue, results, jobs_of):
    while True:
        job = await queue.get()
        try:
            results[job] = await handle(job)
        except Exception as error:
            results[job] = error
        finally:
            jobs_of[name] += 1
            queue.task_done()


async def main():
    start = time.perf_counter()
    queue, results, jobs_of = asyncio.Queue(), {}, Counter()
    for job in range(9):
        queue.put_nowait(job)

    workers = [asyncio.create_task(worker(f"worker-{n}", queue, results, jobs_of)) for n in range(3)]
    await queue.join()  # until task_done() was called for every job
    for task in workers:
        task.cancel()
    await asyncio.gather(*workers, return_exceptions=True)

    failed = {job: error for job, error in results.items() if isinstance(error, Exception)}
    print(f"{len(results)} jobs by {len(workers)} workers: {len(results) - len(failed)} done, {len(failed)} failed")
    for job, error in failed.items():
        print(f"failed: job {job} ({type(error).__name__})")
    print("every worker had jobs:", len(jobs_of) == len(workers))
    print(f"9 jobs of 0.05 s in 3 rounds: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
