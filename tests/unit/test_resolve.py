"""Name lookups: what is answered at once, and what goes to the loop's own threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import hocket
from hocket.net import resolve

from .children import until
from .loops import EVERY, OURS, run

NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


def resolver_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("hocket-resolver-")]


def threads_of_this_process() -> set[str]:
    """By the kernel's count where it can be read, which shows also what Python does not know of."""
    if sys.platform.startswith("linux"):
        return set(os.listdir("/proc/self/task"))
    return {str(thread.ident) for thread in threading.enumerate()}


@pytest.fixture(autouse=True)
def no_threads_of_other_tests() -> None:
    """Threads of loops that have been closed end by themselves, soon: wait for them."""
    deadline = time.monotonic() + 10
    while resolver_threads():
        assert time.monotonic() < deadline, "threads of a closed loop have not ended within 10 s"
        time.sleep(0.001)


class Stuck:
    """A `socket.getaddrinfo` that hangs for hosts called *.hang until it is released; others it answers at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.released = threading.Event()
        self.asked: list[str] = []
        self.peak = 0
        self._under_way = 0
        self._lock = threading.Lock()
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: Any, port: Any, *rest: Any, **options: Any) -> list[Any]:
        with self._lock:
            self.asked.append(host)
            self._under_way += 1
            self.peak = max(self.peak, self._under_way)
        try:
            if str(host).endswith(".hang"):
                assert self.released.wait(30)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]
        finally:
            with self._lock:
                self._under_way -= 1


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stuck]:
    made = Stuck(monkeypatch)
    yield made
    made.released.set()


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returns, or the kind of its error, its number and its text."""
    try:
        return call()
    except Exception as error:
        return type(error), error.args


# -- Literal addresses

LITERALS: list[tuple[Any, ...]] = [
    ("127.0.0.1", 80),
    ("127.0.0.1", "80"),
    ("127.0.0.1", b"80"),
    ("127.0.0.1", None),
    (b"127.0.0.1", 80),
    ("::1", 80),
    (b"::1", 80),
    ("::ffff:127.0.0.1", 80),
    ("fe80::1%lo", 80),
    ("fe80::1%1", 80),
    ("fe80::1%nosuchinterface", 80),
    ("127.1", 80),
    ("0x7f000001", 80),
    ("2130706433", 80),
    ("010.0.0.1", 80),
    (None, 80),
    (None, "80"),
    (None, None),
    (None, 0, 0, 0, 0, socket.AI_PASSIVE),
    ("127.0.0.1", 80, socket.AF_INET),
    ("127.0.0.1", 80, socket.AF_INET6),
    ("127.0.0.1", 80, socket.AF_INET6, 0, 0, socket.AI_V4MAPPED),
    ("::1", 80, socket.AF_INET),
    ("127.0.0.1", 80, 0, socket.SOCK_STREAM),
    ("127.0.0.1", 80, 0, socket.SOCK_DGRAM, 17),
    ("127.0.0.1", 80, 0, socket.SOCK_STREAM, 17),
    ("127.0.0.1", 80, 0, 0, 0, socket.AI_CANONNAME),
    ("127.0.0.1", 80, 0, 0, 0, socket.AI_ADDRCONFIG),
    ("127.0.0.1", 80, 0, 0, 0, 1 << 30),
    ("127.0.0.1", 80, 12345),
    ("127.0.0.1", -1),
    ("127.0.0.1", 1 << 20),
    ("localhost", 80, 0, 0, 0, socket.AI_NUMERICHOST),
    ("127.0.0.1", "http", 0, 0, 0, socket.AI_NUMERICSERV),
]

#: What must be looked up, or be refused, by the real function in a thread.
NAMES: list[tuple[Any, ...]] = [
    ("localhost", 80),
    ("127.0.0.1", "http"),
    ("", 80),
    ("127.0.0.1 x", 80),
    ("127.0.0.1\n", 80),
    (" 127.0.0.1", 80),
    ("1.2.3.4.5", 80),
    ("::1::", 80),
    ("a\0b", 80),
    (b"\xff", 80),
    (127, 80),
    ("127.0.0.1", 8.0),
    ("127.0.0.1", "８０"),
    ("１２７.0.0.1", 80),
]


@pytest.mark.parametrize("arguments", LITERALS, ids=repr)
@pytest.mark.parametrize("factory", OURS)
def test_literal_is_answered_in_the_loops_thread(factory: Any, arguments: tuple[Any, ...]) -> None:
    """With an address for a host and a number for a port the answer is `socket.getaddrinfo`'s, and no thread is."""
    host, port, *rest = arguments
    options = dict(zip(("family", "type", "proto", "flags"), rest, strict=False))

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        coroutine = loop.getaddrinfo(host, port, **options)
        try:
            coroutine.send(None)
        except StopIteration as done:
            return done.value
        except Exception as error:
            return type(error), error.args
        raise AssertionError("the loop has to wait for the answer")

    expected = outcome(lambda: socket.getaddrinfo(*arguments))
    threads = threads_of_this_process()
    assert run(factory, main()) == expected
    # Those of tests before this may be about to end.
    assert threads_of_this_process() <= threads


@pytest.mark.parametrize("arguments", NAMES, ids=ascii)
def test_names_are_looked_up_in_a_thread(loop: asyncio.AbstractEventLoop, arguments: tuple[Any, ...]) -> None:
    """What is not an address and a number is answered, or refused, by `socket.getaddrinfo` in a thread."""
    expected = outcome(lambda: socket.getaddrinfo(*arguments))

    async def main() -> Any:
        try:
            return await loop.getaddrinfo(*arguments)
        except Exception as error:
            return type(error), error.args

    found = loop.run_until_complete(main())
    if any(result[:1] == (socket.gaierror,) and result[1][0] == socket.EAI_AGAIN for result in (found, expected)):
        assert found[0] is expected[0]  # A name server has not answered one of the two.
    else:
        assert found == expected
    assert len(resolver_threads()) == 1


@pytest.mark.parametrize("factory", EVERY)
def test_getnameinfo(factory: Any) -> None:
    """The names of a socket address, as `socket.getnameinfo` has them."""

    async def main() -> tuple[Any, Any]:
        loop = asyncio.get_running_loop()
        address = ("127.0.0.1", 80)
        return await loop.getnameinfo(address, NUMERIC), await loop.getnameinfo(address, socket.NI_NUMERICHOST)

    expected = ("127.0.0.1", "80"), socket.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST)
    assert run(factory, main()) == expected


def test_numeric_getnameinfo_needs_no_thread(loop: asyncio.AbstractEventLoop) -> None:
    """If nothing but numbers is asked for, there is nothing to look up; errors are the same."""

    async def main() -> None:
        assert await loop.getnameinfo(("::1", 80), NUMERIC) == ("::1", "80")
        with pytest.raises(TypeError):
            await loop.getnameinfo("nonsense", NUMERIC)  # type: ignore[arg-type]

    loop.run_until_complete(main())
    assert resolver_threads() == []


@pytest.mark.parametrize("debug", [False, True])
def test_function_that_a_program_put_in_its_place_is_called(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch, debug: bool
) -> None:
    """A replaced `socket.getaddrinfo` or `getnameinfo` is called for everything, in a thread: it may block."""
    called: list[Any] = []

    def replaced(*arguments: Any) -> Any:
        called.append((arguments[0], threading.current_thread() is threading.main_thread()))
        return [] if isinstance(arguments[0], str) else ("name", "port")

    monkeypatch.setattr(socket, "getaddrinfo", replaced)
    monkeypatch.setattr(socket, "getnameinfo", replaced)
    loop.set_debug(debug)

    async def main() -> None:
        assert await loop.getaddrinfo("127.0.0.1", 80) == []
        assert await loop.getnameinfo(("127.0.0.1", 80), NUMERIC) == ("name", "port")

    loop.run_until_complete(main())
    assert called == [("127.0.0.1", False), (("127.0.0.1", 80), False)]


def test_errors_of_a_lookup_are_raised(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a lookup raises is raised where it is awaited, and leaves no reference behind."""

    def fail(*arguments: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    async def main() -> None:
        with pytest.raises(socket.gaierror, match="Temporary failure"):
            await loop.getaddrinfo("name.test", 80)

    loop.run_until_complete(main())


@pytest.mark.parametrize("factory", EVERY)
def test_slow_lookups_are_logged_in_debug_mode(
    factory: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In debug mode each lookup is logged with the time that it took, a slow one as information; as asyncio."""

    def slow(*arguments: Any) -> list[Any]:
        time.sleep(0.03)
        return []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = 0.02
        monkeypatch.setattr(socket, "getaddrinfo", slow)
        await loop.getaddrinfo("slow.test", 80, type=socket.SOCK_STREAM)
        loop.set_debug(False)

    caplog.set_level("DEBUG", "asyncio")
    run(factory, main())
    (record,) = [record for record in caplog.records if "Getting address info" in record.message]
    assert record.levelname == "INFO"
    assert record.message.startswith("Getting address info slow.test:80, type=<SocketKind.SOCK_STREAM: 1> took ")


# -- The threads


def test_hanging_lookups_delay_neither_threads_nor_lookups(loop: asyncio.AbstractEventLoop, stuck: Stuck) -> None:
    """Forty names that nobody answers for: `to_thread` and another lookup go on as if nothing were."""

    async def main() -> None:
        hanging = [asyncio.create_task(loop.getaddrinfo(f"{number}.hang", 1)) for number in range(40)]
        await until(lambda: len(stuck.asked) == 40, "forty lookups are under way")
        await asyncio.wait_for(asyncio.to_thread(int), 10)
        await asyncio.wait_for(loop.getaddrinfo("name.test", 80), 10)
        assert not any(task.done() for task in hanging)
        stuck.released.set()
        await asyncio.gather(*hanging)

    loop.run_until_complete(main())


def test_busy_threads_do_not_delay_a_lookup(loop: asyncio.AbstractEventLoop) -> None:
    """Sixty jobs keep all threads of the default executor busy: a lookup goes on as if nothing were."""
    released = threading.Event()

    async def main() -> None:
        busy = [asyncio.create_task(asyncio.to_thread(released.wait, 30)) for _ in range(60)]
        await asyncio.sleep(0.01)
        addresses = await asyncio.wait_for(loop.getaddrinfo("localhost", 80), 10)
        assert addresses
        assert not any(task.done() for task in busy)
        released.set()
        await asyncio.gather(*busy)

    try:
        loop.run_until_complete(main())
    finally:
        released.set()


def test_pool_has_no_more_threads_than_asked_for(stuck: Stuck) -> None:
    """More lookups than ``resolver_threads`` wait their turn, and all are answered."""
    loop = hocket.new_event_loop(resolver_threads=3)

    async def main() -> None:
        lookups = [asyncio.create_task(loop.getaddrinfo(f"{number}.hang", number)) for number in range(10)]
        await until(lambda: len(stuck.asked) == 3, "three lookups are under way")
        assert len(resolver_threads()) == 3
        # In whatever order three threads come to say so.
        assert set(stuck.asked) == {"0.hang", "1.hang", "2.hang"}
        stuck.released.set()
        answers = await asyncio.gather(*lookups)
        assert [answer[0][4][1] for answer in answers] == list(range(10))

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    assert stuck.peak == 3
    assert sorted(stuck.asked) == [f"{number}.hang" for number in range(10)]


def test_idle_thread_is_used_again(loop: asyncio.AbstractEventLoop, stuck: Stuck) -> None:
    """One lookup after another needs one thread, once that is idle again."""

    async def main() -> None:
        for number in range(10):
            await loop.getaddrinfo(f"{number}.test", 80)
            await until(lambda: loop._lookups._idle == 1, "the thread is idle")  # type: ignore[attr-defined]
        assert len(resolver_threads()) == 1

    loop.run_until_complete(main())


def test_idle_threads_end(loop: asyncio.AbstractEventLoop, stuck: Stuck, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that had nothing to do for a while end, and later lookups start new ones."""
    monkeypatch.setattr(resolve, "IDLE_SECONDS", 0.05)

    async def main() -> None:
        for _ in range(2):
            await asyncio.gather(*(loop.getaddrinfo("name.test", 80) for _ in range(8)))
            await until(lambda: resolver_threads() == [], "all threads have ended")

    loop.run_until_complete(main())
    assert len(stuck.asked) == 16


def test_cancelled_lookup_frees_its_waiter(stuck: Stuck) -> None:
    """Cancelling does not wait for the lookup; one that had not begun is not made at all."""
    loop = hocket.new_event_loop(resolver_threads=1)

    async def main() -> None:
        begun = asyncio.create_task(loop.getaddrinfo("begun.hang", 80))
        await until(lambda: stuck.asked == ["begun.hang"], "the first lookup is under way")
        waiting = asyncio.create_task(loop.getaddrinfo("waiting.hang", 80))
        await asyncio.sleep(0)
        for task in (begun, waiting):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 10)
        assert not stuck.released.is_set()
        stuck.released.set()
        await loop.getaddrinfo("later.test", 80)

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    assert stuck.asked == ["begun.hang", "later.test"]


def test_closing_with_lookups_under_way_is_quiet(stuck: Stuck, capfd: pytest.CaptureFixture[str]) -> None:
    """`close` waits for no lookup, and what comes of it later disturbs nobody; what waits is dropped."""
    loop = hocket.new_event_loop(resolver_threads=2)
    futures = [loop.create_task(loop.getaddrinfo(f"{number}.hang", 80)) for number in range(4)]
    loop.run_until_complete(until(lambda: len(stuck.asked) == 2, "two lookups are under way"))
    for future in futures:
        future.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    begun = time.monotonic()
    loop.close()
    assert time.monotonic() - begun < 60
    threads = resolver_threads()
    stuck.released.set()
    for thread in threads:
        thread.join(10)
    assert resolver_threads() == []
    assert len(stuck.asked) == 2
    assert capfd.readouterr().err == ""


def test_closed_loop_looks_nothing_up() -> None:
    """A lookup on a closed loop raises RuntimeError, and so does not wait for ever."""
    loop = hocket.new_event_loop()
    loop.close()
    coroutine = loop.getaddrinfo("name.test", 80)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        coroutine.send(None)


def test_no_thread_can_be_started(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any thread a lookup fails at once; later ones go on."""

    async def main() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", _refuse)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                await loop.getaddrinfo("localhost", 80)
        assert await loop.getaddrinfo("localhost", 80)

    loop.run_until_complete(main())


def test_no_more_threads_can_be_started(
    loop: asyncio.AbstractEventLoop, stuck: Stuck, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The threads that there are do the work if the system allows no more."""

    async def main() -> None:
        first = asyncio.create_task(loop.getaddrinfo("first.hang", 80))
        await until(lambda: len(stuck.asked) == 1, "the first lookup is under way")
        monkeypatch.setattr(threading.Thread, "start", _refuse)
        second = asyncio.create_task(loop.getaddrinfo("second.test", 80))
        await asyncio.sleep(0)
        stuck.released.set()
        await asyncio.wait_for(asyncio.gather(first, second), 10)

    loop.run_until_complete(main())
    assert stuck.asked == ["first.hang", "second.test"]


def _refuse(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_default_executor_has_no_part_in_lookups(loop: asyncio.AbstractEventLoop) -> None:
    """`set_default_executor` is for `run_in_executor` and `to_thread`; lookups go their own way."""

    class Counting(concurrent.futures.ThreadPoolExecutor):
        jobs = 0

        def submit(self, *args: Any, **kwargs: Any) -> Any:
            self.jobs += 1
            return super().submit(*args, **kwargs)

    executor = Counting(1)
    loop.set_default_executor(executor)
    loop.run_until_complete(loop.getaddrinfo("localhost", 80))
    assert executor.jobs == 0
    loop.run_until_complete(loop.shutdown_default_executor())


def test_program_ends_although_a_lookup_hangs() -> None:
    """Neither `hocket.run` nor the interpreter waits for a lookup that nobody answers."""
    program = """
import asyncio, socket, sys, threading, time
import hocket

begun = threading.Event()

def hang(*arguments):
    begun.set()
    time.sleep(600)

socket.getaddrinfo = hang

async def main():
    loop = asyncio.get_running_loop()
    asyncio.create_task(loop.getaddrinfo("name.hang", 80))
    while not begun.is_set():
        await asyncio.sleep(0.001)

hocket.run(main())
print("ended", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("ended\n", "", 0)


# -- The option


def test_resolver_threads_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """``HOCKET_RESOLVER_THREADS`` is the size where the program says none; without it there is a default."""
    sizes = []
    for value in (None, "", "5"):
        monkeypatch.delenv("HOCKET_RESOLVER_THREADS", raising=False)
        if value is not None:
            monkeypatch.setenv("HOCKET_RESOLVER_THREADS", value)
        for chosen in (None, 7):
            loop = hocket.new_event_loop(resolver_threads=chosen)
            sizes.append(loop._lookups.size)
            loop.close()
    assert sizes == [resolve.DEFAULT_THREADS, 7, resolve.DEFAULT_THREADS, 7, 5, 7]


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0, ValueError, "resolver_threads: expected a number of threads, at least 1, got 0"),
        (-3, ValueError, "resolver_threads: expected a number of threads, at least 1, got -3"),
        (True, TypeError, "resolver_threads: expected a number of threads, at least 1, got True"),
        (2.5, TypeError, "resolver_threads: expected a number of threads, at least 1, got 2.5"),
        ("4", TypeError, "resolver_threads: expected a number of threads, at least 1, got '4'"),
    ],
)
def test_nonsense_for_resolver_threads(value: Any, error: type[Exception], text: str) -> None:
    """A size that is none is refused before anything is made, by name."""
    with pytest.raises(error) as raised:
        hocket.new_event_loop(resolver_threads=value)
    assert str(raised.value) == text


@pytest.mark.parametrize("value", ["many", "0", "-1", "1.5"])
def test_nonsense_in_the_environment(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """The error names the variable and what it holds."""
    monkeypatch.setenv("HOCKET_RESOLVER_THREADS", value)
    with pytest.raises(ValueError, match="HOCKET_RESOLVER_THREADS: expected a number of threads") as raised:
        hocket.new_event_loop()
    assert value in str(raised.value)
