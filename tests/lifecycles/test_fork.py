"""Forks: the parent's loop cannot be used in a child, nothing there reaches the parent, and a new loop works."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .scripts import printed, run_file, run_script

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")

#: `in_child(f)` runs f in a forked child and returns its exit code; `complaint(f)` tells what f raises; `watched()`
#: what the kernel reports to this process, by every epoll instance that it has.
FORKING = """
import re, socket
MAIN = os.getpid()
def in_child(function):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
def complaint(function, *args):
    try:
        function(*args)
    except RuntimeError as error:
        text = str(error)
        assert f"belongs to process {MAIN}" in text and f"process {os.getpid()} was forked" in text, text
        assert "hocket.new_event_loop()" in text, text
        return "refused"
    except BaseException as error:
        return repr(error)
    return "done"
def epolls():
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            if "eventpoll" in os.readlink(f"/proc/self/fd/{fd}"):
                found.append(int(fd))
        except OSError:
            pass
    return found
def watched():
    return {fd: sorted(re.findall(r"tfd:.*", open(f"/proc/self/fdinfo/{fd}").read())) for fd in epolls()}
"""

ACTIONS = {
    "run_forever": "loop.run_forever()",
    "run_until_complete": "loop.run_until_complete(future)",
    "call_soon": "loop.call_soon(print)",
    "call_soon_threadsafe": "loop.call_soon_threadsafe(print)",
    "call_later": "loop.call_later(1, print)",
    "call_at": "loop.call_at(1, print)",
    "create_task": "loop.create_task(coroutine)",
    "add_reader": "loop.add_reader(spare, print)",
    "add_writer": "loop.add_writer(spare, print)",
    "add_signal_handler": "loop.add_signal_handler(signal.SIGUSR1, print)",
    "run_in_executor": "loop.run_in_executor(None, print)",
    "waking a task": "future.set_result(None)",
    "transport.write": "transport.write(b'x')",
    "transport.write, much": "transport.write(bytes(100_000))",
    "transport.writelines": "transport.writelines([b'x'])",
    "transport.resume_reading": "transport.resume_reading()",
}


@pytest.mark.parametrize("driver", ["epoll", "selector"])
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_a_child_cannot_use_the_parents_loop(running: bool, driver: str) -> None:
    """Whatever needs the loop raises RuntimeError naming both processes; the kernel's lists stay as they were, and
    the parent goes on as if nothing had been."""
    actions = "\n".join(f"    print({name!r}, complaint(lambda: {code}))" for name, code in ACTIONS.items())
    lines = printed(
        FORKING
        + f"""
loop = new_loop()
future = loop.create_future()
ours, theirs = socket.socketpair()
other = socket.socketpair()
spare = os.dup(0)
async def waiting():
    await future
coroutine = waiting()
def attempts():
{actions}
async def main():
    global transport
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    transport.pause_reading()
    loop.add_reader(other[0], print)
    task = loop.create_task(waiting())
    await asyncio.sleep(0)
    return task
task = loop.run_until_complete(main())
before = watched()
async def forking():
    assert in_child(attempts) == 0
if {running}:
    loop.run_until_complete(forking())
else:
    assert in_child(attempts) == 0
assert watched() == before and before, (before, watched())
loop.call_later(0.01, future.set_result, None)
loop.run_until_complete(task)
transport.write(b"from the parent")
loop.run_until_complete(asyncio.sleep(0.01))
theirs.setblocking(False)
print(theirs.recv(1000).decode())
transport.close()
loop.remove_reader(other[0])
loop.run_until_complete(asyncio.sleep(0.01))
loop.run_until_complete(coroutine)
loop.close()
for end in (*other, theirs):
    end.close()
""",
        HOCKET_DRIVER=driver,
    )
    assert lines == [f"{name} refused" for name in ACTIONS] + ["from the parent"]


@pytest.mark.parametrize("driver", ["epoll", "selector"])
@pytest.mark.parametrize("how", ["loop.close()", "del loop; gc.collect()", "transport.close()", "transport.abort()"])
def test_closing_in_the_child_frees_descriptors_and_leaves_the_parent_alone(how: str, driver: str) -> None:
    """The loop's own descriptors are gone in the child; what the parent watches and has yet to send is untouched."""
    lines = printed(
        FORKING
        + f"""
loop = new_loop()
first = sorted(os.listdir("/proc/self/fd"))
ours, theirs = socket.socketpair()
def close():
    global loop, transport
    assert epolls() == []
    {how}
    gc.collect()
    if "transport." in {how!r}:
        assert ours.fileno() == -1
        transport.close()
        assert transport.is_closing()
async def main():
    global transport
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    await asyncio.sleep(0)
    transport.write(b"once")  # leaves when the turn ends
    before = watched()
    assert in_child(close) == 0
    assert watched() == before and before
    await asyncio.sleep(0.01)
    transport.close()
    await asyncio.sleep(0)
loop.run_until_complete(main())
loop.close()
theirs.settimeout(5)
print(theirs.recv(100).decode(), theirs.recv(100))
""",
        HOCKET_DRIVER=driver,
    )
    assert lines == ["once b''"]


@pytest.mark.parametrize("driver", ["epoll", "selector"])
@pytest.mark.parametrize("how", ["close()", "abort()", "write_eof()", "forgotten"])
def test_datagrams_and_pipes_stay_the_parents(how: str, driver: str) -> None:
    """In the child an endpoint or a pipe sends nothing, with the error that says why; its end is quiet and closes the
    child's descriptor; and in the parent what was buffered is sent, and the transports work on."""
    lines = printed(
        FORKING
        + f"""
loop = new_loop()
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
ours.setblocking(False)
theirs.settimeout(5)
class Protocol(asyncio.DatagramProtocol, asyncio.Protocol):
    def datagram_received(self, data, address):
        print("received", data.decode())
    def data_received(self, data):
        print("read", data.decode())
def child():
    global transports, ours, reading, writing
    print(complaint(endpoint.sendto, b"x"), complaint(writer.write, b"x"))
    print(complaint(endpoint.resume_reading), complaint(reader.resume_reading))
    descriptors = [ours.fileno(), reading.fileno(), writing.fileno()]
    if {how!r} == "forgotten":
        loop.close()
    else:
        for transport in transports:
            stream_only = {how!r} == "write_eof()" and transport is not writer
            ending = transport.close if stream_only else getattr(transport, {how!r}[:-2], transport.close)
            ending()
            ending()
            assert transport.is_closing()
        assert [ours.fileno(), reading.closed, writing.closed] == [-1, True, True]
async def main():
    global transports, endpoint, reader, writer, reading, writing
    endpoint, _ = await loop.create_datagram_endpoint(Protocol, sock=ours)
    reading, writing = [open(fd, mode, 0) for fd, mode in zip(os.pipe(), ("rb", "wb"))]
    reader, _ = await loop.connect_read_pipe(Protocol, reading)
    writer, _ = await loop.connect_write_pipe(Protocol, writing)
    transports = [endpoint, reader, writer]
    await asyncio.sleep(0)
    endpoint.pause_reading()
    reader.pause_reading()
    sent = 0
    while not endpoint.get_write_buffer_size():
        endpoint.sendto(b"%d" % sent)
        sent += 1
    before = watched()
    assert in_child(child) == 0
    assert watched() == before and before
    for number in range(sent):
        await asyncio.sleep(0)
        assert theirs.recv(100) == b"%d" % number
    await asyncio.sleep(0.01)
    endpoint.resume_reading()
    reader.resume_reading()
    theirs.send(b"by the parent")
    writer.write(b"by the parent")
    await asyncio.sleep(0.02)
    for transport in transports:
        transport.close()
    await asyncio.sleep(0.01)
loop.run_until_complete(main())
loop.close()
theirs.close()
""",
        HOCKET_DRIVER=driver,
    )
    assert sorted(lines) == ["read by the parent", "received by the parent", "refused refused", "refused refused"]


def test_the_childs_side_of_a_running_turn_ends_with_the_error() -> None:
    """A child that returns into the loop which was running runs none of the parent's tasks: it gets the error."""
    ended = run_script(
        FORKING
        + """
ran = []
async def main():
    asyncio.get_running_loop().call_soon(lambda: ran.append(os.getpid()))
    if os.fork():
        os.wait()
    await asyncio.sleep(0)
try:
    loop = new_loop()
    loop.run_until_complete(main())
except RuntimeError as error:
    print("child" if os.getpid() != MAIN else "parent", "belongs to process" in str(error), ran, flush=True)
    os._exit(0)
print("parent", ran == [MAIN])
loop.close()
"""
    )
    assert (ended.code, ended.out.splitlines()) == (0, ["child True []", "parent True"]), ended


@pytest.mark.parametrize("loop", ["hocket", "stock"])
@pytest.mark.parametrize("made", ["hocket.run(child())", "asyncio.run(child())", "run(child())"])
def test_a_new_loop_works_in_the_child_of_a_running_one(made: str, loop: str) -> None:
    """A child forked inside a task runs a loop of its own, of either kind, with tasks, timers and threads."""
    lines = printed(
        FORKING
        + f"""
import hocket
async def child():
    assert asyncio.current_task() is not None and len(asyncio.all_tasks()) == 1
    await asyncio.sleep(0.001)
    print(await asyncio.to_thread(lambda: "in the child"))
async def main():
    task = asyncio.create_task(asyncio.sleep(0.01))
    assert in_child(lambda: {made}) == 0
    await task
    assert asyncio.current_task() is not None
    print("in the parent")
run(main())
""",
        loop=loop,
    )
    assert lines == ["in the child", "in the parent"]


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing_from_a_task(method: str, tmp_path: Path) -> None:
    """`multiprocessing` starts children from inside a running loop, and they run loops of their own."""
    script = tmp_path / "program.py"
    script.write_text(f"""
import asyncio, multiprocessing, hocket
async def in_child(queue):
    await asyncio.sleep(0.001)
    queue.put("from the child")
def child(queue):
    hocket.run(in_child(queue))
async def main():
    context = multiprocessing.get_context({method!r})
    queue = context.SimpleQueue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    print(await asyncio.to_thread(queue.get))
    process.join(20)
    print(process.exitcode)
if __name__ == "__main__":
    hocket.run(main())
""")
    ended = run_file(script, "-W", "ignore::DeprecationWarning")
    assert (ended.code, ended.out, ended.err) == (0, "from the child\n0\n", "")


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_process_pool_under_a_loop(method: str) -> None:
    """`run_in_executor` with a `ProcessPoolExecutor` of every start method."""
    lines = printed(
        f"""
import concurrent.futures, math, multiprocessing
async def main():
    loop = asyncio.get_running_loop()
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context({method!r})) as pool:
        print(*await asyncio.gather(*(loop.run_in_executor(pool, math.factorial, n) for n in range(5))))
run(main())
""",
        "-W",
        "ignore::DeprecationWarning",
    )
    assert lines == ["1 1 2 6 24"]


def test_forking_in_another_thread_than_the_loops() -> None:
    """A loop that runs in one thread is the parent's also in the child that another thread forks."""
    lines = printed(
        FORKING
        + """
loop = new_loop()
thread = threading.Thread(target=loop.run_forever)
thread.start()
while not loop.is_running():
    time.sleep(0.001)
def child():
    print(complaint(loop.call_soon_threadsafe, print), loop.is_running(), loop.is_closed())
    loop.close()
    run(asyncio.sleep(0.001))
assert in_child(child) == 0
print(loop.is_running())
loop.call_soon_threadsafe(loop.stop)
thread.join()
loop.close()
""",
        "-W",
        "ignore::DeprecationWarning",
    )
    assert lines == ["refused False True", "True"]


def test_pty_fork() -> None:
    """`pty.fork` is a fork like any other."""
    lines = printed(
        FORKING
        + """
import pty
loop = new_loop()
pid, fd = pty.fork()
if pid == 0:
    print(complaint(loop.call_soon, print), flush=True)
    run(asyncio.sleep(0.001))
    os._exit(0)
text = b""
try:
    while piece := os.read(fd, 1000):
        text += piece
except OSError:
    pass
os.waitpid(pid, 0)
os.close(fd)
loop.close()
print(text.decode().strip())
"""
    )
    assert lines == ["refused"]


def test_a_loop_made_after_daemonizing_works() -> None:
    """The double fork of a daemon before there is a loop changes nothing."""
    lines = printed(
        """
reading, writing = os.pipe()
if os.fork():
    os.close(writing)
    os.wait()
    print(os.read(reading, 100).decode())
else:
    os.setsid()
    if os.fork():
        os._exit(0)
    run(asyncio.sleep(0.001))
    os.write(writing, b"works")
    os._exit(0)
"""
    )
    assert lines == ["works"]


def test_a_loop_made_before_daemonizing_or_preforking_says_who_made_it() -> None:
    """Two forks later the error still names the process in which the loop was made."""
    lines = printed(
        FORKING
        + """
loop = new_loop()
asyncio.set_event_loop(loop)
def child():
    assert in_child(grandchild) == 0
def grandchild():
    try:
        loop.run_forever()
    except RuntimeError as error:
        print(f"belongs to process {MAIN}, from which process {os.getpid()} was forked" in str(error))
assert in_child(child) == 0
loop.close()
"""
    )
    assert lines == ["True"]


@pytest.mark.parametrize("loop", ["hocket", "stock"])
def test_subprocesses_with_a_preexec_fn(loop: str) -> None:
    """Python code between fork and exec runs beside a running loop, and does the loop no harm."""
    lines = printed(
        """
async def main():
    for _ in range(5):
        process = await asyncio.create_subprocess_exec("true", preexec_fn=os.setsid)
        assert await process.wait() == 0
    await asyncio.sleep(0.001)
    print("fine")
run(main())
""",
        "-W",
        "ignore::DeprecationWarning",
        loop=loop,
    )
    assert lines == ["fine"]


def test_signals_of_the_child_do_not_reach_the_parents_loop() -> None:
    """A handler of the parent's loop does not run because a child was sent the signal."""
    lines = printed(
        FORKING
        + """
async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, print, "handled")
    assert in_child(lambda: (os.kill(os.getpid(), signal.SIGUSR1), time.sleep(0.01))) == 0
    await asyncio.sleep(0.05)
    print("nothing came")
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.sleep(0.01)
run(main())
"""
    )
    assert lines == ["nothing came", "handled"]


def test_closing_the_parents_loop_in_the_child_gives_signals_their_defaults_back() -> None:
    """As closing does in the process that made the loop; the parent keeps its handlers."""
    lines = printed(
        FORKING
        + """
loop = new_loop()
loop.add_signal_handler(signal.SIGUSR1, print)
def child():
    loop.close()
    print(signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL)
assert in_child(child) == 0
print(signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL)
loop.close()
"""
    )
    assert lines == ["True", "False"]


def test_a_child_that_ends_like_any_program_reports_nothing_of_the_parents() -> None:
    """No complaints about pending tasks, unclosed transports or loops that are the parent's business."""
    ended = run_script(
        FORKING
        + """
loop = new_loop()
ours, theirs = socket.socketpair()
async def main():
    global transport, task
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    task = loop.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)
loop.run_until_complete(main())
sys.stdout.flush()
if os.fork() == 0:
    theirs.close()
    del loop, transport, task, main
    gc.collect()
    sys.exit(3)
print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
task.cancel()
transport.close()
loop.run_until_complete(asyncio.sleep(0.01))
theirs.close()
loop.close()
""",
        "-X",
        "dev",
    )
    assert ended.out == "3\n" and ended.err == "", ended
