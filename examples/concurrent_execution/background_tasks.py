"""Background tasks: keep a reference to each, hear when it ends, and cancel what is still running at the end.

asyncio's loop keeps only weak references to tasks, so that a task which nobody holds may vanish before it is done.
Holding them in a set, and letting each remove itself, is the usual remedy.

Output::

    3 tasks in the background
    'mail' ended: sent
    'report' ended: failed with RuntimeError('no data')
    still running: ['cleanup']
    'cleanup' ended: cancelled
    0 tasks in the background
"""

import asyncio

background = set()


def start(coroutine, name):
    task = asyncio.create_task(coroutine, name=name)
    background.add(task)
    task.add_done_callback(ended)
    return task


def ended(task):
    background.discard(task)
    if task.cancelled():
        outcome = "cancelled"
    elif task.exception():
        outcome = f"failed with {task.exception()!r}"
    else:
        outcome = task.result()
    print(f"{task.get_name()!r} ended: {outcome}")


async def send_mail():
    await asyncio.sleep(0.05)
    return "sent"


async def write_report():
    await asyncio.sleep(0.1)
    raise RuntimeError("no data")


async def clean_up():
    while True:
        await asyncio.sleep(1)


async def main():
    start(send_mail(), "mail")
    start(write_report(), "report")
    start(clean_up(), "cleanup")
    print(len(background), "tasks in the background")
    while len(background) > 1:
        await asyncio.sleep(0.05)

    print("still running:", [task.get_name() for task in background])
    for task in background:
        task.cancel()
    await asyncio.wait(background)
    await asyncio.sleep(0)  # callbacks run in the next turn
    print(len(background), "tasks in the background")


if __name__ == "__main__":
    asyncio.run(main())
