"""``asyncio.to_thread()`` for blocking libraries: four reads of 0.1 s overlap, each in a thread.

Context variables travel along into the thread.

Output::

    ['contents of a.pdf', 'contents of b.pdf', 'contents of c.pdf', 'contents of d.pdf']
    one after another: ~0.40 s
    with to_thread: ~0.10 s
    the thread sees the request id: 42
"""

import asyncio
import contextvars
import time

request_id = contextvars.ContextVar("request_id")


def read_large_pdf(path):
    time.sleep(0.1)  # a library that knows nothing of async
    return f"contents of {path}"


async def main():
    paths = ["a.pdf", "b.pdf", "c.pdf", "d.pdf"]

    start = time.perf_counter()
    sequential = [read_large_pdf(path) for path in paths]  # and the loop stands still
    blocked = time.perf_counter() - start

    start = time.perf_counter()
    contents = await asyncio.gather(*(asyncio.to_thread(read_large_pdf, path) for path in paths))
    threads = time.perf_counter() - start

    assert contents == sequential
    print(contents)
    print(f"one after another: {blocked:.2f} s")
    print(f"with to_thread: {threads:.2f} s")

    request_id.set(42)
    print("the thread sees the request id:", await asyncio.to_thread(request_id.get))


if __name__ == "__main__":
    asyncio.run(main())
