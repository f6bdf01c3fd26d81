"""``await x`` asks for an iterator with ``x.__await__()`` and drives it to the end; here by hand, without any loop.

What the iterator yields goes to whoever drives it (the loop, usually), what is sent in comes out of ``yield``, and
the value of ``StopIteration`` is the result of the ``await``.

Output::

    the awaitable yields: 'wake me when there is data'
    the driver sends: 'data'
    the await gives: 'data, processed'
"""


class Data:
    def __await__(self):
        answer = yield "wake me when there is data"
        return f"{answer}, processed"


async def consumer():
    return await Data()


def drive(coroutine):
    request = coroutine.send(None)  # runs up to the first suspension
    print(f"the awaitable yields: {request!r}")
    print("the driver sends: 'data'")
    try:
        coroutine.send("data")
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("the coroutine asked for more than one thing")


if __name__ == "__main__":
    print(f"the await gives: {drive(consumer())!r}")
