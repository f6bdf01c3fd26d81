"""The layers of an async program: your coroutine, a task around it, the loop, the operating system, and back.

A thousand tasks wait at the same time, in one thread, and the program never blocks: it ends after the longest wait.

Output::

    coroutine -> task -> event loop -> operating system -> event loop -> task -> coroutine
    1000 tasks waiting in 1 thread
    1000 waits of 0.1 s took less than 2 s: True
"""

import asyncio
import threading
import time

layers = []


async def coroutine(port):
    loop = asyncio.get_running_loop()
    layers.append("coroutine")
    layers.append("task" if asyncio.current_task() is not None else "no task")
    layers.append("event loop" if loop.is_running() else "no loop")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)  # the operating system answers
    layers.append("operating system")
    await reader.read()
    layers.extend(["event loop", "task", "coroutine"])
    writer.close()
    await writer.wait_closed()


async def answer(_reader, writer):
    writer.close()


async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        await asyncio.create_task(coroutine(port))
    print(" -> ".join(layers))

    start = time.perf_counter()
    waiting = [asyncio.create_task(asyncio.sleep(0.1)) for _ in range(1000)]
    print(len(waiting), "tasks waiting in", threading.active_count(), "thread")
    await asyncio.gather(*waiting)
    print("1000 waits of 0.1 s took less than 2 s:", time.perf_counter() - start < 2)


if __name__ == "__main__":
    asyncio.run(main())
