"""The problem: synchronous calls wait one after another, and the total is the sum of all waits.

Output::

    Total time: ~0.30s
    ['Data from url1', 'Data from url2', 'Data from url3']
"""

import time


def fetch_data(url):
    time.sleep(0.1)  # Simulate network delay
    return f"Data from {url}"


def synchronous_example():
    start = time.time()

    # Each call waits for the previous to complete
    data1 = fetch_data("url1")  # Wait 0.1s
    data2 = fetch_data("url2")  # Wait 0.1s
    data3 = fetch_data("url3")  # Wait 0.1s

    print(f"Total time: {time.time() - start:.2f}s")  # ~0.3 seconds
    return [data1, data2, data3]


if __name__ == "__main__":
    print(synchronous_example())
