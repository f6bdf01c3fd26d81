"""The solution: the same three waits overlap, and the total is the longest of them.

Output::

    Total time: ~0.10s
    ['Data from url1', 'Data from url2', 'Data from url3']
"""

import asyncio
import time


async def fetch_data_async(url):
    await asyncio.sleep(0.1)  # Simulate async network delay
    return f"Data from {url}"


async def async_example():
    start = time.time()

    # All calls start simultaneously
    results = await asyncio.gather(
        fetch_data_async("url1"),
        fetch_data_async("url2"),
        fetch_data_async("url3"),
    )

    print(f"Total time: {time.time() - start:.2f}s")  # ~0.1 second
    return results


if __name__ == "__main__":
    # Run it
    print(asyncio.run(async_example()))
