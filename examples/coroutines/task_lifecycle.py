"""The life of a task: pending, running, then done with a result, done with an exception, or cancelled.

``done()``, ``cancelled()``, ``exception()`` and ``result()`` tell where it is.

Output::

    just created    done=False cancelled=False
    seen from inside: running as 'order-1'
    waiting         done=False cancelled=False
    finished        done=True cancelled=False result='order 1 processed'
    failed          done=True cancelled=False exception=ValueError('order 2 is invalid')
    cancelled       done=True cancelled=True
    asking a cancelled task for its result raises CancelledError
"""

import asyncio


async def process_order(order_id):
    if order_id == 1:
        print(f"seen from inside: running as {asyncio.current_task().get_name()!r}")
    await asyncio.sleep(0.05)
    if order_id == 2:
        raise ValueError(f"order {order_id} is invalid")
    return f"order {order_id} processed"


def state(task):
    return f"done={task.done()} cancelled={task.cancelled()}"


async def main():
    task = asyncio.create_task(process_order(1), name="order-1")
    print("just created   ", state(task))
    await asyncio.sleep(0)  # one turn of the loop: the task runs up to its first await
    print("waiting        ", state(task))
    await task
    print("finished       ", state(task), f"result={task.result()!r}")

    failing = asyncio.create_task(process_order(2))
    await asyncio.wait([failing])  # waits without raising what the task raised
    print("failed         ", state(failing), f"exception={failing.exception()!r}")

    unwanted = asyncio.create_task(process_order(3))
    await asyncio.sleep(0)
    unwanted.cancel()
    await asyncio.wait([unwanted])
    print("cancelled      ", state(unwanted))
    try:
        unwanted.result()
    except asyncio.CancelledError:
        print("asking a cancelled task for its result raises CancelledError")


if __name__ == "__main__":
    asyncio.run(main())
