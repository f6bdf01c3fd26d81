"""`run_until_signal` and what `serve` does with it: phases in order, their budgets, signals, and what is told in the
end.

In virtual time, and signals are sent to this process itself.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Any

import pytest

import hocket
from hocket.structured.shutdown import Ending, run_until_signal, service
from tests.virtual import run


def stop_it() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def ended(main: Any, *args: Any, **budgets: Any) -> Ending:
    return run(run_until_signal(main, *args, **budgets))


def names(ending: Ending, phase: str) -> list[str]:
    return [one.name for found in ending.phases if found.name == phase for one in found.remaining]


def phases(ending: Ending) -> list[tuple[str, str]]:
    return [(phase.name, phase.ended) for phase in ending.phases]


def test_a_main_that_ends_is_all_there_is() -> None:
    """Its result is the ending's; an int is the exit code."""

    async def main(code: int) -> int:
        return code

    ending = ended(main, 3)
    assert (ending.result, ending.exit_code, ending.reason, ending.drained) == (3, 3, None, True)


def test_what_main_raises_is_the_error() -> None:
    """And the exit code is 1."""

    async def main() -> None:
        raise ValueError("no port")

    ending = ended(main)
    assert (repr(ending.error), ending.exit_code) == ("ValueError('no port')", 1)


def test_a_signal_stops_a_main_that_waits_for_it() -> None:
    """At once, drained, exit code 0, and the reason is the signal's name."""

    async def main() -> str:
        asyncio.get_running_loop().call_later(5, stop_it)
        await service().wait_stopping()
        return "closed"

    ending = ended(main)
    assert (ending.reason, ending.signal, ending.result) == ("SIGTERM", signal.SIGTERM, "closed")
    assert (ending.drained, ending.exit_code) == (True, 0)
    assert phases(ending) == [("stop", "done"), ("drain", "done"), ("cancel", "done")]


def test_work_under_way_goes_on_to_its_end() -> None:
    """Also what it starts while it does; and main."""
    log = []

    async def work(number: int) -> None:
        await asyncio.sleep(3)
        log.append(number)
        if number < 3:
            asyncio.create_task(work(number + 1))

    async def main() -> None:
        asyncio.create_task(work(1))
        service().stop("a test")
        await service().wait_stopping()
        await asyncio.sleep(1)
        log.append(0)

    ending = ended(main)
    assert log == [0, 1, 2, 3]
    assert (ending.reason, ending.exit_code) == ("a test", 0)
    assert ending.phases[1].seconds == pytest.approx(9)


def test_what_is_not_over_by_the_end_of_the_drain_is_cancelled() -> None:
    """And is named, with where it stood and where it was started; its clean-up is waited for."""
    log = []

    async def forever() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1)
            log.append("cleaned up")

    async def main() -> None:
        asyncio.create_task(forever(), name="slow")
        stop_it()
        await service().wait_stopping()

    ending = ended(main, drain=7)
    assert log == ["cleaned up"]
    assert phases(ending) == [("stop", "done"), ("drain", "budget"), ("cancel", "done")]
    [slow] = ending.phases[1].remaining
    assert slow.name == "slow"
    assert "test_shutdown.py" in str(slow.where) and str(slow.where).endswith("forever")
    assert str(slow.made_at).endswith("main")
    assert (ending.drained, ending.exit_code) == (False, 143)
    assert "slow" in str(ending) and "budget used up" in str(ending)


def test_what_refuses_to_end_is_forced_and_told() -> None:
    """It is cancelled again and again, and is `stuck` in the end."""
    refused = 0
    over = False

    async def stubborn() -> None:
        nonlocal refused
        while not over:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                refused += 1

    async def main() -> None:
        asyncio.create_task(stubborn(), name="stubborn")
        stop_it()

    async def outer() -> Ending:
        nonlocal over
        ending = await run_until_signal(main, drain=1, cancel=2, force=3)
        over = True
        return ending

    ending = run(outer())
    assert phases(ending)[1:] == [("drain", "budget"), ("cancel", "budget"), ("force", "budget")]
    assert [one.name for one in ending.stuck] == ["stubborn"]
    assert refused > 10
    assert sum(phase.seconds for phase in ending.phases) == pytest.approx(6, abs=0.5)


@pytest.mark.parametrize(("signals", "last"), [(2, "drain"), (3, "cancel")])
def test_more_signals_hurry(signals: int, last: str) -> None:
    """The second cuts the drain short, the third the cancelling."""

    async def forever() -> None:
        while True:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                await asyncio.sleep(100)
                raise

    async def main() -> None:
        asyncio.create_task(forever(), name="slow")
        for number in range(signals):
            asyncio.get_running_loop().call_later(number, stop_it)
        await service().wait_stopping()

    async def outer() -> Ending:
        ending = await run_until_signal(main, drain=500, cancel=500, force=0)
        await asyncio.sleep(200)
        return ending

    ending = run(outer())
    assert (last, "hurried") in phases(ending)
    assert sum(phase.seconds for phase in ending.phases) < 200


def test_callbacks_are_called_first_and_the_last_one_first() -> None:
    """Awaited if they are coroutines; one that fails is told, and stops nobody."""
    log: list[object] = []

    async def leave(name: str) -> None:
        await asyncio.sleep(0.1)
        log.append(name)

    def fail() -> None:
        raise OSError("registry is down")

    async def main() -> None:
        service().on_stop(leave, "first")
        service().on_stop(fail)
        service().on_stop(log.append, "last")
        asyncio.create_task(leave("work"))
        stop_it()
        await service().wait_stopping()
        log.append(service().stopping)

    ending = ended(main)
    assert set(log[:2]) == {"last", True} and set(log[2:]) == {"first", "work"}
    assert [str(error) for error in ending.failures] == ["registry is down"]
    assert ending.drained


def test_idle_connections_may_linger_and_are_then_dismissed() -> None:
    """A task that waits for work is cancelled after that time, and nothing waits for it; one that gets some answers."""
    log = []
    loop_time = []

    async def connection(name: str, requests: asyncio.Queue[str]) -> None:
        try:
            while True:
                with service().idle():
                    request = await requests.get()
                await asyncio.sleep(4)
                log.append(f"{name}: {request}")
        except asyncio.CancelledError:
            loop_time.append(asyncio.get_running_loop().time())
            raise

    async def main() -> None:
        loop = asyncio.get_running_loop()
        quiet: asyncio.Queue[str] = asyncio.Queue()
        busy: asyncio.Queue[str] = asyncio.Queue()
        asyncio.create_task(connection("quiet", quiet))
        asyncio.create_task(connection("busy", busy))
        await asyncio.sleep(0)
        loop_time.append(loop.time())
        stop_it()
        loop.call_later(1, busy.put_nowait, "late")
        await service().wait_stopping()

    ending = ended(main, linger=2)
    assert log == ["busy: late"]
    began, first, second = loop_time
    assert (first - began, second - began) == (pytest.approx(2), pytest.approx(5))
    assert ending.drained


def test_background_goes_last() -> None:
    """What others need is there until they have ended, and then it is not waited for."""
    log = []

    async def pool() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            log.append("pool")

    async def work() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1)
            log.append("work")

    async def main() -> None:
        service().start_background(pool)
        asyncio.create_task(work())
        stop_it()
        await service().wait_stopping()

    assert not ended(main, drain=1).drained
    assert log == ["work", "pool"]


def test_a_background_task_alone_is_no_work() -> None:
    """The drain is over at once."""

    async def main() -> None:
        service().start_background(asyncio.sleep, 1000)
        stop_it()
        await service().wait_stopping()

    ending = ended(main)
    assert ending.drained and ending.phases[1].seconds == 0


def test_listening_sockets_are_closed_and_connections_are_not() -> None:
    """Whoever has connected is answered, also one whom the loop has not accepted yet."""
    answered: list[bytes] = []
    listeners: list[threading.Thread] = []
    closed = hocket.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        await closed.wait()
        writer.write(b"hello " + line)
        writer.close()
        await writer.wait_closed()

    def client(port: int) -> None:
        import socket

        with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
            sock.sendall(b"you\n")
            listener = threading.Thread(target=hear, args=(sock.dup(),))
            listener.start()
            listeners.append(listener)

    def hear(sock: Any) -> None:
        with sock:
            answered.append(sock.recv(100))

    async def main() -> int:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        # In the kernel's queue when the signal comes: this blocks the loop.
        client(port)
        client(port)
        stop_it()
        await service().wait_stopping()
        while server.sockets:
            await asyncio.sleep(0)
        count = len(answered)
        closed.set()
        return count

    ending = hocket.run(run_until_signal(main))
    assert ending.drained, str(ending)
    assert ending.result == 0  # closed before the first was answered
    for listener in listeners:
        listener.join(20)
    assert answered == [b"hello you\n"] * 2


def test_a_server_that_serves_forever_is_a_main() -> None:
    """asyncio ends `serve_forever` with a cancellation when the server closes: that is no error."""

    async def main() -> None:
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        asyncio.get_running_loop().call_soon(stop_it)
        async with server:
            await server.serve_forever()

    ending = hocket.run(run_until_signal(main))
    assert (ending.error, ending.exit_code, ending.drained) == (None, 0, True)


def test_it_tells_what_it_is_doing() -> None:
    """The phase and for how long, why, and what still works."""
    seen: list[tuple[Any, ...]] = []

    def look() -> None:
        found = service().statistics()
        seen.append((found.phase, round(found.seconds, 3), found.reason, found.working, found.idle, found.background))

    async def wait_for_work() -> None:
        with service().idle():
            await asyncio.sleep(1000)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        service().start_background(asyncio.sleep, 1000)
        asyncio.create_task(wait_for_work())
        await asyncio.sleep(1)
        look()
        loop.call_later(3, look)
        service().stop("a test")
        await asyncio.sleep(5)

    ended(main, linger=1)
    assert seen == [("running", 1.0, None, 2, 1, 1), ("drain", 3.0, "a test", 1, 0, 1)]


def test_handlers_of_signals_are_put_back() -> None:
    """Whoever handled them before does so again."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    async def main() -> None:
        assert signal.getsignal(signal.SIGTERM) is not before[0]

    assert ended(main).error is None
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_other_threads_say_that_they_want_no_signals() -> None:
    """RuntimeError otherwise."""
    errors: list[BaseException] = []
    results = []

    async def main() -> int:
        return 5

    def work() -> None:
        try:
            hocket.run(run_until_signal(main))
        except RuntimeError as error:
            errors.append(error)
        results.append(hocket.run(run_until_signal(main, signals=())).exit_code)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    assert "main thread" in str(errors[0])
    assert results == [5]


@pytest.mark.parametrize(
    ("budgets", "error"),
    [({"drain": -1}, ValueError), ({"stop": "1"}, TypeError), ({"force": float("nan")}, ValueError)],
)
def test_budgets_that_are_none_are_refused(budgets: dict[str, Any], error: type[Exception]) -> None:
    """Before main has begun, with the name of the budget."""

    async def main() -> None:
        raise AssertionError("it has begun")

    with pytest.raises(error, match=next(iter(budgets))):
        ended(main, **budgets)


def test_there_is_one_service() -> None:
    """A second inside of it is refused, and outside of all there is none."""

    async def nothing() -> None:
        pass

    async def main() -> None:
        with pytest.raises(RuntimeError, match="runs here already"):
            await run_until_signal(nothing)

    assert ended(main).error is None
    with pytest.raises(RuntimeError, match="no service here"):
        service()


def test_to_cancel_it_cancels_main() -> None:
    """And waits for its clean-up."""
    log = []

    async def main() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1)
            log.append("cleaned up")

    async def outer() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run_until_signal(main), 10)

    run(outer())
    assert log == ["cleaned up"]
