"""Small programs that make asyncio complain, in debug mode and out of it: each by its name.

What they print is compared, with addresses and the like taken out, between asyncio's loop and hocket's.
"""

from __future__ import annotations

NEVER_AWAITED = """
async def forgotten():
    pass
async def main():
    forgotten()
    gc.collect()
run(main())
"""

REPORTS: dict[str, str] = {
    "a coroutine is never awaited": NEVER_AWAITED,
    "an exception is never retrieved from a task": """
async def fails():
    raise ValueError("nobody asks")
async def main():
    task = asyncio.create_task(fails(), name="failing")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()
run(main())
""",
    "an exception is never retrieved from a future": """
async def main():
    future = asyncio.get_running_loop().create_future()
    future.set_exception(ValueError("nobody asks"))
    del future
    gc.collect()
run(main())
""",
    "an exception that was retrieved": """
async def fails():
    raise ValueError("asked for")
async def main():
    task = asyncio.create_task(fails())
    print(repr(await asyncio.gather(task, return_exceptions=True)))
    del task
    gc.collect()
run(main())
""",
    "a task is destroyed though pending, on a loop that nobody runs": """
loop = new_loop()
async def waits():
    await loop.create_future()
task = asyncio.Task(waits(), loop=loop, name="left")
loop.call_soon(loop.stop)
loop.run_forever()
loop.close()
del task
gc.collect()
""",
    "main fails": """
async def main():
    raise ValueError("out of main")
run(main())
""",
    "a task fails under main": """
async def fails():
    raise ValueError("out of a task")
async def main():
    await asyncio.create_task(fails(), name="failing")
run(main())
""",
    "a group of tasks fails": """
async def fails(number):
    await asyncio.sleep(0)
    raise ValueError(number)
async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(fails(1))
        group.create_task(fails(2))
run(main())
""",
    "a callback fails": """
def callback(argument):
    raise ValueError(argument)
async def main():
    asyncio.get_running_loop().call_soon(callback, "in a callback")
    await asyncio.sleep(0)
run(main())
""",
    "a timer fails": """
def callback(argument):
    raise ValueError(argument)
async def main():
    asyncio.get_running_loop().call_at(0, callback, "in a timer")
    await asyncio.sleep(0.01)
run(main())
""",
    "a reader fails": """
def callback(loop, fd):
    loop.remove_reader(fd)
    raise ValueError("in a reader")
async def main():
    loop = asyncio.get_running_loop()
    reading, writing = os.pipe()
    os.write(writing, b"x")
    done = loop.create_future()
    loop.set_exception_handler(lambda _, context: print(sorted(context), repr(context["exception"])))
    loop.add_reader(reading, callback, loop, reading)
    await asyncio.sleep(0.01)
run(main())
""",
    "a done callback fails": """
def callback(future):
    raise ValueError("in a done callback")
async def main():
    future = asyncio.get_running_loop().create_future()
    future.add_done_callback(callback)
    future.set_result(None)
    await asyncio.sleep(0)
run(main())
""",
    "a callback from another thread fails": """
def callback():
    raise ValueError("from another thread")
async def main():
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(loop.call_soon_threadsafe, callback)
    await asyncio.sleep(0)
run(main())
""",
    "a protocol fails": """
import socket
class Failing(asyncio.Protocol):
    def data_received(self, data):
        raise ValueError("in a protocol")
async def main():
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    loop.set_exception_handler(lambda _, context: print(sorted(context), context["message"]))
    await loop.create_connection(Failing, sock=ours)
    theirs.send(b"x")
    await asyncio.sleep(0.02)
    theirs.close()
run(main())
""",
    "a slow callback": """
import functools
async def main():
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 0.5
    loop.call_soon(time.sleep, 0.7)
    loop.call_soon(functools.partial(time.sleep, 0.7))
    await asyncio.sleep(0)
run(main(), debug=True)
""",
    "a slow task": """
async def slow():
    time.sleep(0.7)
async def main():
    asyncio.get_running_loop().slow_callback_duration = 0.5
    await asyncio.create_task(slow(), name="slow")
run(main(), debug=True)
""",
    "a slow callback out of debug mode": """
async def main():
    asyncio.get_running_loop().slow_callback_duration = 0.001
    asyncio.get_running_loop().call_soon(time.sleep, 0.02)
    await asyncio.sleep(0)
run(main(), debug=False)
""",
    "call_soon from the wrong thread": """
async def main():
    loop = asyncio.get_running_loop()
    for call in (loop.call_soon, lambda f: loop.call_later(1, f), lambda f: loop.call_at(1, f)):
        try:
            handle = await asyncio.to_thread(call, int)  # it may run before it is cancelled
            handle.cancel()
        except RuntimeError as error:
            print(error)
run(main())
""",
    "finishing a future from the wrong thread": """
async def main():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    future.add_done_callback(lambda _: None)
    try:
        await asyncio.to_thread(future.set_result, None)
    except RuntimeError as error:
        print(error)
run(main(), debug=True)
""",
    "what is no callback": """
async def coroutine():
    pass
async def main():
    loop = asyncio.get_running_loop()
    for wrong in (None, 5, coroutine):
        for call in (loop.call_soon, loop.call_soon_threadsafe, lambda f: loop.call_later(0, f)):
            try:
                handle = call(wrong)
                handle.cancel()
                print("taken")
            except TypeError as error:
                print(error)
run(main(), debug=True)
""",
    "an exception handler is given everything": """
async def main():
    loop = asyncio.get_running_loop()
    def handler(loop, context):
        print({name: type(value).__name__ for name, value in sorted(context.items()) if name != "source_traceback"})
        print(context["message"].split(" at ")[0])
    loop.set_exception_handler(handler)
    loop.call_soon(int, "x")
    future = loop.create_future()
    future.set_exception(ValueError())
    del future
    gc.collect()
    async def fails():
        raise KeyError(1)
    task = loop.create_task(fails())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()
    loop.set_exception_handler(None)
    print(loop.get_exception_handler())
run(main())
""",
    "an exception handler fails": """
def handler(loop, context):
    raise KeyError("in the handler")
async def main():
    asyncio.get_running_loop().set_exception_handler(handler)
    asyncio.get_running_loop().call_soon(int, "x")
    await asyncio.sleep(0)
run(main())
""",
    "a callback fails with a cause while another exception is handled": """
def callback():
    try:
        int("x")
    except ValueError:
        raise KeyError("in the callback")
async def main():
    asyncio.get_running_loop().call_soon(callback)
    await asyncio.sleep(0)
try:
    raise OSError("outside")
except OSError:
    run(main())
""",
    "an exception handler is interrupted": """
def handler(loop, context):
    raise KeyboardInterrupt("in the handler")
async def main():
    asyncio.get_running_loop().set_exception_handler(handler)
    asyncio.get_running_loop().call_soon(int, "x")
    await asyncio.sleep(0)
try:
    run(main())
except KeyboardInterrupt as error:
    print("out", error)
""",
    "an exception handler in the context of the callback": """
import contextvars
variable = contextvars.ContextVar("variable", default="default")
async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: print(variable.get()))
    def callback():
        variable.set("set in the callback")
        1 / 0
    context = contextvars.copy_context()
    context.run(variable.set, "set before")
    loop.call_soon(callback, context=context)
    await asyncio.sleep(0)
run(main())
""",
    "a handler that is no handler": """
async def main():
    try:
        asyncio.get_running_loop().set_exception_handler(5)
    except TypeError as error:
        print(error)
run(main())
""",
    "call_exception_handler by hand": """
async def main():
    asyncio.get_running_loop().call_exception_handler({"message": "by hand", "detail": 5, "exception": ValueError(1)})
run(main())
""",
    "a loop is never closed": """
loop = new_loop()
loop.run_until_complete(asyncio.sleep(0))
del loop
gc.collect()
""",
    "a loop is closed while it runs": """
async def main():
    try:
        asyncio.get_running_loop().close()
    except RuntimeError as error:
        print(error)
run(main())
""",
    "a closed loop is used": """
loop = new_loop()
loop.close()
loop.close()
for use in (loop.run_forever, lambda: loop.call_soon(print), lambda: loop.call_later(0, print),
            lambda: loop.call_soon_threadsafe(print), lambda: loop.run_in_executor(None, print)):
    try:
        use()
    except RuntimeError as error:
        print(error)
""",
    "a nested run": """
async def main():
    loop = asyncio.get_running_loop()
    for run_it in (loop.run_forever, lambda: loop.run_until_complete(loop.create_future()),
                   lambda: new_loop().run_until_complete(loop.create_future())):
        try:
            run_it()
        except RuntimeError as error:
            print(error)
    await asyncio.sleep(0.001)
    print("went on")
run(main(), debug=False)
""",
    "the loop stops before its future is done": """
loop = new_loop()
loop.call_later(0.01, loop.stop)
async def waits():
    await loop.create_future()
try:
    loop.run_until_complete(waits())
except RuntimeError as error:
    print(error)
loop.close()
""",
    "a bad yield": """
import types
@types.coroutine
def bad():
    yield 5
async def main():
    await bad()
run(main())
""",
    "a future of another loop": """
other = new_loop()
async def main():
    await other.create_future()
try:
    run(main())
finally:
    other.close()
""",
    "a task awaits itself": """
async def main():
    await asyncio.current_task()
run(main())
""",
    "what is no coroutine": """
async def main():
    for wrong in (5, print, main):
        for make in (asyncio.create_task, asyncio.run_coroutine_threadsafe):
            try:
                make(wrong) if make is asyncio.create_task else make(wrong, asyncio.get_running_loop())
            except TypeError as error:
                print(error)
run(main())
""",
    "the reprs of everything": """
async def sleeper():
    await asyncio.sleep(30)
async def main():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    print(future)
    future.add_done_callback(print)
    print(future)
    future.set_result(5)
    print(future)
    task = asyncio.create_task(sleeper(), name="sleeper")
    print(task)
    await asyncio.sleep(0)
    print(task)
    task.cancel()
    print(task)
    await asyncio.wait([task])
    print(task)
    handle = loop.call_soon(print, 1, 2)
    print(handle)
    handle.cancel()
    print(handle)
    timer = loop.call_at(1e9, print, 3)
    print(timer)
    timer.cancel()
    print(timer)
    print(loop)
run(main())
""",
    "stacks of tasks": """
async def inner():
    await asyncio.sleep(30)
async def outer():
    await inner()
async def fails():
    raise ValueError(1)
async def main():
    task = asyncio.create_task(outer(), name="outer")
    failing = asyncio.create_task(fails(), name="failing")
    await asyncio.wait([failing])
    for it in (task, failing):
        print([frame.f_code.co_name for frame in it.get_stack()], len(it.get_stack(limit=1)))
        it.print_stack(file=sys.stdout)
    asyncio.current_task().print_stack(file=sys.stdout)
    failing.exception()
    task.cancel()
run(main())
""",
    "creation tracebacks": """
async def main():
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(asyncio.sleep(0))
    for it in (loop.create_future(), task, loop.call_soon(int), loop.call_later(0, int)):
        stack = it._source_traceback
        print(stack and [(frame.lineno, frame.name) for frame in stack if frame.filename == "<string>"][-1:])
    await asyncio.sleep(0.01)
run(main())
""",
    "an asynchronous generator is left": """
async def generator():
    try:
        yield 1
        yield 2
    finally:
        await asyncio.sleep(0)
        print("closed")
async def main():
    async for _ in generator():
        break
    kept.append(generator())
    await anext(kept[0])
kept = []
run(main())
""",
    "an asynchronous generator fails to close": """
async def generator():
    try:
        yield 1
    finally:
        raise ValueError("while closing")
async def main():
    kept.append(generator())
    await anext(kept[0])
kept = []
run(main())
""",
    "tasks are left when main returns": """
async def refuses():
    try:
        await asyncio.sleep(30)
    finally:
        raise ValueError("while being cancelled")
async def main():
    kept.append(asyncio.create_task(refuses(), name="refusing"))
    kept.append(asyncio.create_task(asyncio.sleep(30), name="sleeping"))
    await asyncio.sleep(0)
kept = []
run(main())
""",
    "the program ends with tasks pending and the loop open": """
loop = new_loop()
async def waits():
    try:
        await loop.create_future()
    finally:
        print("cleaned up")
task = loop.create_task(waits())
loop.run_until_complete(asyncio.sleep(0))
""",
    "a transport is never closed": """
import socket, warnings
async def main():
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    transport.pause_reading()
    theirs.close()
    await asyncio.sleep(0)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        del transport, _, ours
        gc.collect()
    print([str(warning.message) for warning in seen if "transport" in str(warning.message)])
run(main(), debug=False)
""",
}
