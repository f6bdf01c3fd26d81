"""Name tasks and put the request into every log line, so that a log of concurrent work can be read.

Output::

    fetch-user-41 [request a] started
    fetch-user-42 [request b] started
    alive: fetch-user-41, fetch-user-42, main
    fetch-user-42 [request b] finished
    fetch-user-41 [request a] finished
"""

import asyncio
import contextvars
import logging
import sys

request = contextvars.ContextVar("request")


class TaskFilter(logging.Filter):
    """Adds the name of the current task and its request to each record."""

    def filter(self, record):
        record.task = asyncio.current_task().get_name()
        record.request = request.get("-")
        return True


log = logging.getLogger("example")
handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(logging.Formatter("%(task)s [request %(request)s] %(message)s"))
log.addHandler(handler)
log.addFilter(TaskFilter())
log.setLevel(logging.INFO)


async def fetch_user(request_id, delay):
    request.set(request_id)  # each task has its own context
    log.info("started")
    await asyncio.sleep(delay)
    log.info("finished")


async def main():
    asyncio.current_task().set_name("main")
    first = asyncio.create_task(fetch_user("a", 0.2), name="fetch-user-41")
    second = asyncio.create_task(fetch_user("b", 0.1), name="fetch-user-42")
    await asyncio.sleep(0.02)
    print("alive:", ", ".join(sorted(task.get_name() for task in asyncio.all_tasks())))
    await asyncio.gather(first, second)


if __name__ == "__main__":
    asyncio.run(main())
