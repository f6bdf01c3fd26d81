"""Signals and Ctrl-C: nothing that arrives is late or lost, and the loop can be used again afterwards."""

from __future__ import annotations

import sys

import pytest

from .scripts import printed, run_script

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")

both = pytest.mark.parametrize("loop", ["hocket", "stock"])
drivers = pytest.mark.parametrize("driver", ["epoll", "selector"])

#: `elsewhere(number)` sends this process a signal that another thread takes: the wait of the main thread is not
#: interrupted, exactly as by a signal that arrives just before the wait.
ELSEWHERE = """
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGUSR1, signal.SIGTERM])
def elsewhere(number):
    def send():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
        time.sleep(0.05)
        signal.pthread_kill(threading.get_ident(), number)
    thread = threading.Thread(target=send)
    thread.start()
    return thread
def quickly(begun):
    return time.monotonic() - begun < 10
"""


@drivers
def test_ctrl_c_that_does_not_interrupt_the_wait_still_ends_it(driver: str) -> None:
    """Ctrl-C between the last look for signals and the wait cancels the main task at once."""
    lines = printed(
        ELSEWHERE
        + """
async def main():
    thread = elsewhere(signal.SIGINT)
    try:
        await asyncio.sleep(30)
    finally:
        thread.join()
begun = time.monotonic()
try:
    run(main())
except KeyboardInterrupt:
    print("interrupted", quickly(begun))
""",
        HOCKET_DRIVER=driver,
    )
    assert lines == ["interrupted True"]


@drivers
def test_a_programs_own_handler_is_not_delayed_by_the_wait(driver: str) -> None:
    """What `signal.signal` set runs when the signal comes, though the loop has nothing to do for a long time."""
    lines = printed(
        ELSEWHERE
        + """
begun = time.monotonic()
signal.signal(signal.SIGUSR1, lambda *_: (print("handled", quickly(begun)), task.cancel()))
async def main():
    global task
    task = asyncio.current_task()
    thread = elsewhere(signal.SIGUSR1)
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        pass
    thread.join()
run(main())
""",
        HOCKET_DRIVER=driver,
    )
    assert lines == ["handled True"]


def test_after_the_last_handler_was_removed_signals_still_end_the_wait() -> None:
    """`remove_signal_handler` takes asyncio's wake-up back, but not that of the loop which runs."""
    lines = printed(
        ELSEWHERE
        + """
begun = time.monotonic()
async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, print)
    assert loop.remove_signal_handler(signal.SIGTERM)
    thread = elsewhere(signal.SIGINT)
    try:
        await asyncio.sleep(30)
    finally:
        thread.join()
try:
    run(main())
except KeyboardInterrupt:
    print("interrupted", quickly(begun))
"""
    )
    assert lines == ["interrupted True"]


def test_a_programs_own_wakeup_descriptor_stays() -> None:
    """Set before or during the run, it gets the signals, and is there afterwards."""
    lines = printed(
        """
import socket
reading, writing = socket.socketpair()
reading.setblocking(False)
writing.setblocking(False)
signal.signal(signal.SIGUSR1, lambda *_: None)
async def main(when):
    if when == "during":
        signal.set_wakeup_fd(writing.fileno())
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.sleep(0)
for when in ("before", "during"):
    signal.set_wakeup_fd(writing.fileno() if when == "before" else -1)
    run(main(when))
    print(when, list(reading.recv(10)) == [signal.SIGUSR1], signal.set_wakeup_fd(-1) == writing.fileno())
run(main("never"))
print(signal.set_wakeup_fd(-1))
"""
    )
    assert lines == ["before True True", "during True True", "-1"]


@both
def test_the_first_ctrl_c_cancels_and_the_second_raises(loop: str) -> None:
    """In `Runner`: a task that cleans up slowly is given time by the first Ctrl-C, and none by the second."""
    lines = printed(
        """
def press():
    os.kill(os.getpid(), signal.SIGINT)
async def main():
    try:
        asyncio.get_running_loop().call_later(0.01, press)
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        print("cancelled")
        asyncio.get_running_loop().call_later(0.01, press)
        try:
            await asyncio.sleep(30)
        finally:
            print("cleaned up")
try:
    run(main())
except KeyboardInterrupt:
    print("interrupted")
""",
        loop=loop,
    )
    assert lines == ["cancelled", "cleaned up", "interrupted"]


#: Each place raises in its own way inside of a run; whatever else was ready must still run when the loop runs again.
RAISING = """
import socket
loop = None
def press(*_):
    loop.remove_reader(reading)
    loop.remove_writer(writing)
    if KIND is None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0)
    else:
        raise KIND("pressed")
async def pressing():
    press()
async def awaiting(task):
    await task
class Pressing(asyncio.Protocol):
    def data_received(self, data):
        press()
class PressingBuffered(asyncio.BufferedProtocol):
    def get_buffer(self, hint):
        return bytearray(10)
    def buffer_updated(self, count):
        press()
class PressingFirst(asyncio.Protocol):
    def connection_made(self, transport):
        press()
class PressingAtEnd(asyncio.Protocol):
    def eof_received(self):
        press()
class PressingLast(asyncio.Protocol):
    def connection_lost(self, error):
        press()
def connected(protocol):
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    kept.append(theirs)
    theirs.send(b"x")
    if protocol in (PressingAtEnd, PressingLast):
        theirs.shutdown(socket.SHUT_WR)
    kept.append(loop.create_task(loop.create_connection(protocol, sock=ours)))
def done_callback():
    future = loop.create_future()
    future.add_done_callback(press)
    future.set_result(None)
def signal_handler():
    loop.add_signal_handler(signal.SIGUSR1, press)
    os.kill(os.getpid(), signal.SIGUSR1)
PLACES = {
    "callback": lambda: loop.call_soon(press),
    "timer": lambda: loop.call_later(0, press),
    "reader": lambda: loop.add_reader(reading, press),
    "writer": lambda: loop.add_writer(writing, press),
    "task": lambda: kept.append(loop.create_task(pressing())),
    "awaited task": lambda: kept.append(loop.create_task(awaiting(loop.create_task(pressing())))),
    "from another thread": lambda: loop.call_soon_threadsafe(press),
    "done callback": done_callback,
    "signal handler": signal_handler,
    "data_received": lambda: connected(Pressing),
    "buffer_updated": lambda: connected(PressingBuffered),
    "connection_made": lambda: connected(PressingFirst),
    "eof_received": lambda: connected(PressingAtEnd),
    "connection_lost": lambda: connected(PressingLast),
}
if sys.version_info >= (3, 12):
    PLACES["eager task"] = lambda: loop.call_soon(lambda: asyncio.Task(pressing(), loop=loop, eager_start=True))
for place, begin in PLACES.items():
    kept, others, reports, out = [], [], [], []
    loop = new_loop()
    loop.set_exception_handler(lambda _, context: reports.append(context["message"].partition("callback")[0]))
    reading, writing = socket.socketpair()
    writing.send(b"x")
    loop.call_soon(others.append, "before")
    begin()
    for number in range(3):
        loop.call_soon(others.append, number)
    for _ in range(4):
        try:
            loop.run_until_complete(asyncio.sleep(0.02))
        except BaseException as error:
            out.append(f"{type(error).__name__} {error}")
        assert not loop.is_running()
        assert asyncio._get_running_loop() is None
    kept = None
    gc.collect()
    loop.close()
    reading.close()
    writing.close()
    print(place, out, others, sorted(reports))
"""


def raising(kind: str, loop: str) -> list[str]:
    # What becomes of the coroutines that nobody awaits any more is not the question here.
    return printed(RAISING.replace("KIND", kind), "-W", "ignore", loop=loop)


@pytest.mark.parametrize("kind", ["None", "KeyboardInterrupt", "SystemExit"])
def test_an_interruption_leaves_the_loop_usable_and_loses_nothing(kind: str) -> None:
    """KeyboardInterrupt and SystemExit come out of the run, from wherever they are raised; what was ready runs in the
    next run; nothing is reported that asyncio does not report."""
    lines = raising(kind, "hocket")
    name = "KeyboardInterrupt " if kind == "None" else f"{kind} pressed"
    assert len(lines) >= 14
    for line in lines:
        assert name in line and "['before', 0, 1, 2]" in line, line
    assert lines == raising(kind, "stock")


@pytest.mark.parametrize("kind", ["GeneratorExit", "BaseException", "asyncio.CancelledError", "ValueError"])
def test_other_exceptions_are_reported_and_the_loop_goes_on(kind: str) -> None:
    """Only KeyboardInterrupt and SystemExit end a run.  What is reported is what asyncio reports."""
    lines = raising(kind, "hocket")
    assert len(lines) >= 14
    for line in lines:
        assert "[] ['before', 0, 1, 2]" in line, line
    assert lines == raising(kind, "stock")


@both
def test_an_interruption_in_a_finaliser_is_reported_by_the_interpreter(loop: str) -> None:
    """Ctrl-C inside ``__del__`` cannot be raised anywhere; Python says so, and the loop goes on."""
    ended = run_script(
        """
class Slow:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass
async def main():
    Slow()
    await asyncio.sleep(0.01)
    print("went on")
loop = new_loop()
loop.run_until_complete(main())
loop.close()
""",
        loop=loop,
    )
    assert (ended.code, ended.out) == (0, "went on\n"), ended
    assert "Exception ignored" in ended.err and "KeyboardInterrupt" in ended.err


@both
def test_ctrl_c_during_c_code(loop: str) -> None:
    """C code that looks for signals (a regular expression, a sleep) is left with KeyboardInterrupt by the handler."""
    lines = printed(
        """
async def main():
    begun = time.monotonic()
    try:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        time.sleep(30)
    except KeyboardInterrupt:
        print("interrupted", time.monotonic() - begun < 10)
signal.signal(signal.SIGINT, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
run(main())
""",
        loop=loop,
    )
    assert lines == ["interrupted True"]


@both
def test_a_handler_that_raises_during_the_wait(loop: str) -> None:
    """What a `signal.signal` handler raises while the loop waits comes out of the run, and the loop runs again."""
    lines = printed(
        """
class Mine(Exception):
    pass
def handler(*_):
    raise Mine
signal.signal(signal.SIGALRM, handler)
loop = new_loop()
ticks = []
loop.call_later(3, ticks.append, "late")
for _ in range(3):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        loop.run_until_complete(asyncio.sleep(30))
    except Mine:
        print("mine")
loop.run_until_complete(asyncio.sleep(3))
print(ticks)
loop.close()
""",
        loop=loop,
    )
    assert lines == ["mine", "mine", "mine", "['late']"]


@both
def test_signals_in_showers_interrupt_no_wait_wrongly(loop: str) -> None:
    """Hundreds of signals during waits (EINTR) neither end timers early nor lose callbacks."""
    lines = printed(
        """
count = 0
def handler(*_):
    global count
    count += 1
signal.signal(signal.SIGALRM, handler)
async def main():
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    rounds = 0
    while rounds < 20 or count <= 50:  # Signals that come while there is no processor are one.
        rounds += 1
        begun = time.monotonic()
        await asyncio.sleep(0.01)
        assert time.monotonic() - begun >= 0.009
    signal.setitimer(signal.ITIMER_REAL, 0)
run(main())
print(count > 50)
""",
        loop=loop,
    )
    assert lines == ["True"]


@both
def test_a_signal_comes_before_what_a_timer_wakes(loop: str) -> None:
    """If both are due in one turn: the handler is called, then the task goes on."""
    lines = printed(
        """
async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, print, "signal")
    timer = loop.create_future()
    def both():
        loop.call_later(0.01, timer.set_result, None)
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0.1)
    loop.call_soon(both)
    await timer
    print("timer")
run(main())
""",
        loop=loop,
    )
    assert lines == ["signal", "timer"]


@both
def test_add_and_remove_signal_handlers(loop: str) -> None:
    """Handlers run with their arguments and context, replace each other, and leave the default behind."""
    lines = printed(
        """
import contextvars
variable = contextvars.ContextVar("variable", default="default")
async def main():
    loop = asyncio.get_running_loop()
    variable.set("set")
    loop.add_signal_handler(signal.SIGUSR1, print, "replaced")
    loop.add_signal_handler(signal.SIGUSR1, lambda word: print(word, variable.get()), "hello")
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.sleep(0.01)
    print(loop.remove_signal_handler(signal.SIGUSR1), loop.remove_signal_handler(signal.SIGUSR1))
    print(signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL)
    loop.add_signal_handler(signal.SIGINT, print, "instead of Ctrl-C")
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(0.01)
    loop.add_signal_handler(signal.SIGUSR2, print)
loop = new_loop()
loop.run_until_complete(main())
print(signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL)
loop.close()
print(signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
print(signal.set_wakeup_fd(-1))
""",
        loop=loop,
    )
    assert lines == ["hello set", "True False", "True", "instead of Ctrl-C", "False", "True True", "-1"]


@both
@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("signal.SIGKILL, print", "RuntimeError: sig 9 cannot be caught"),
        ("signal.SIGSTOP, print", "RuntimeError: sig 19 cannot be caught"),
        ("10_000, print", "ValueError: invalid signal number 10000"),
        ("-1, print", "ValueError: invalid signal number -1"),
        ("'SIGINT', print", "TypeError: sig must be an int, not 'SIGINT'"),
        ("signal.SIGUSR1, coroutine", "TypeError: coroutines cannot be used with add_signal_handler()"),
    ],
)
def test_signals_that_cannot_be_handled(call: str, error: str, loop: str) -> None:
    """Each is refused in asyncio's words, and leaves no handler and no wake-up behind."""
    lines = printed(
        f"""
async def coroutine():
    pass
loop = new_loop()
try:
    loop.add_signal_handler({call})
except Exception as error:
    print(f"{{type(error).__name__}}: {{error}}")
print(signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL)
loop.close()
""",
        loop=loop,
    )
    assert lines == [error, "True"]


@both
def test_handlers_from_another_thread_and_on_loops_there(loop: str) -> None:
    """Only the main thread can handle signals: elsewhere RuntimeError; a loop there runs all the same."""
    lines = printed(
        """
def elsewhere():
    async def main():
        try:
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print)
        except RuntimeError:
            print("refused")
        await asyncio.sleep(0.001)
        print("ran")
    run(main())
thread = threading.Thread(target=elsewhere)
thread.start()
thread.join()
print(signal.set_wakeup_fd(-1))
""",
        loop=loop,
    )
    assert lines == ["refused", "ran", "-1"]


@both
def test_ctrl_c_reaches_the_main_thread_while_loops_run_elsewhere(loop: str) -> None:
    """A loop in another thread neither takes Ctrl-C nor delays it."""
    lines = printed(
        """
other = new_loop()
thread = threading.Thread(target=other.run_forever)
thread.start()
async def main():
    other.call_soon_threadsafe(os.kill, os.getpid(), signal.SIGINT)
    await asyncio.sleep(30)
try:
    run(main())
except KeyboardInterrupt:
    print("interrupted", other.is_running())
other.call_soon_threadsafe(other.stop)
thread.join()
other.close()
""",
        loop=loop,
    )
    assert lines == ["interrupted True"]
