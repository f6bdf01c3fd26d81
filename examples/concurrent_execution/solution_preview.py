"""Three fetches that overlap: the total is one wait of 0.3 s, not three.

Output::

    Fetching http://api.example.com/1...
    Fetching http://api.example.com/2...
    Fetching http://api.example.com/3...
    Data from http://api.example.com/1
    Data from http://api.example.com/2
    Data from http://api.example.com/3
    ~0.30 s
"""

import asyncio
import time


async def fetch_data(url):
    print(f"Fetching {url}...")
    await asyncio.sleep(0.3)  # Non-blocking wait
    return f"Data from {url}"


async def main():
    # Run all fetches concurrently
    tasks = [
        fetch_data("http://api.example.com/1"),
        fetch_data("http://api.example.com/2"),
        fetch_data("http://api.example.com/3"),
    ]
    results = await asyncio.gather(*tasks)
    return results


if __name__ == "__main__":
    # Run the async code
    start = time.perf_counter()
    results = asyncio.run(main())
    print(*results, sep="\n")
    print(f"{time.perf_counter() - start:.2f} s")
