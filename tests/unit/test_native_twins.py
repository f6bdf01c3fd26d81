"""The modules of `hocket.native` and their Python twins: one behaviour, whichever of the two is asked.

Each test runs against the ``.py`` file, loaded by its path, and against the module that the package uses.  On the
uncompiled leg both are Python; on the compiled one the second is C.
"""

from __future__ import annotations

import contextvars
import errno
import gc
import importlib.util
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import hocket
from hocket.native import clock, epoll, sockets, step
from tests.leftovers import no_new_descriptors

NATIVE = Path(hocket.__file__).parent / "native"
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")


def by_path(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"python_twin_{name}", NATIVE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def functions_of_step(module: ModuleType) -> SimpleNamespace:
    """C functions have a name of their own for Python callers."""
    names = ("send", "throw", "call", "attempt", "copy_context", "copy_of", "is_current", "is_coroutine")
    found = {name: getattr(module, f"python_{name}", None) or getattr(module, name) for name in names}
    return SimpleNamespace(Returned=module.Returned, Raised=module.Raised, **found)


STEPS = [functions_of_step(by_path("step")), functions_of_step(step)]
SOCKETS = [by_path("sockets"), sockets]
TWINS = ["python", "package"]

either_step = pytest.mark.parametrize("native", STEPS, ids=TWINS)
either_sockets = pytest.mark.parametrize("native", SOCKETS, ids=TWINS)


def test_twins_are_what_they_are_taken_for() -> None:
    """The package's own modules are C on the compiled leg, and the file beside them is the source of the other."""
    for module in (clock, epoll, sockets, step):
        assert module.__file__ is not None
        assert module.__file__.endswith(".py") != hocket.is_compiled()
    assert hasattr(by_path("step"), "send")


@pytest.mark.parametrize("name", ["clock", "epoll", "freelist", "interpreter", "sockets", "step"])
def test_twins_offer_the_same_names(name: str) -> None:
    """Every public name of the Python twin that is not imported there exists in the package's module."""
    twin, own = by_path(name), sys.modules[f"hocket.native.{name}"]
    public = [
        key for key, it in vars(twin).items() if getattr(it, "__module__", None) == twin.__name__ and key[0] != "_"
    ]
    assert [key for key in public if not hasattr(own, key) and not hasattr(own, f"python_{key}")] == []


# -- A step


class Yield:
    def __init__(self, value: object) -> None:
        self.value = value

    def __await__(self) -> Any:
        return (yield self.value)


@either_step
@pytest.mark.parametrize("value", [None, 0, "text", StopIteration(1), ValueError()], ids=repr)
def test_what_is_yielded_is_handed_out(native: Any, value: object) -> None:
    """A yielded value comes out as itself, exceptions too."""

    async def child() -> None:
        await Yield(value)

    coroutine = child()
    assert native.send(coroutine, None) is value
    coroutine.close()


@either_step
@pytest.mark.parametrize("value", [None, 0, (), (1, 2), StopIteration(3), StopIteration, ValueError("value")], ids=repr)
@pytest.mark.parametrize("in_context", [True, False])
def test_what_is_returned_is_told(native: Any, value: object, in_context: bool) -> None:
    """A returned value comes out in Returned, also None, tuples and exceptions."""

    async def child() -> object:
        return value

    outcome = native.send(child(), contextvars.copy_context() if in_context else None)
    assert type(outcome) is native.Returned and outcome.value is value


@either_step
@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()], ids=repr)
@pytest.mark.parametrize("in_context", [True, False])
def test_what_is_raised_is_told_and_not_raised(native: Any, error: BaseException, in_context: bool) -> None:
    """Whatever the coroutine raises comes out in Raised: the very object, its traceback starting in the coroutine."""

    async def child() -> None:
        raise error

    error.__traceback__ = None
    outcome = native.send(child(), contextvars.copy_context() if in_context else None)
    assert type(outcome) is native.Raised and outcome.error is error
    assert traceback.extract_tb(error.__traceback__)[-1].name == "child"
    if not in_context:
        assert [frame.name for frame in traceback.extract_tb(error.__traceback__)] == ["child"]


@either_step
def test_stop_iteration_raised_inside_becomes_runtime_error(native: Any) -> None:
    """The interpreter turns StopIteration out of a coroutine into RuntimeError; nothing is mistaken for a return."""

    async def child() -> None:
        raise StopIteration(1)

    outcome = native.send(child(), None)
    assert type(outcome) is native.Raised and type(outcome.error) is RuntimeError


@either_step
def test_finished_coroutine_cannot_be_resumed(native: Any) -> None:
    """Resuming what is over is Raised(RuntimeError)."""

    async def child() -> None: ...

    coroutine = child()
    native.send(coroutine, None)
    outcome = native.send(coroutine, None)
    assert type(outcome) is native.Raised and "cannot reuse" in str(outcome.error)


@either_step
def test_generators_are_driven_too(native: Any) -> None:
    """A generator, as old coroutines are, steps like a coroutine."""

    def generator() -> Any:
        yield 1
        return 2

    it = generator()
    assert native.send(it, None) == 1
    assert native.send(it, contextvars.copy_context()).value == 2


@either_step
def test_objects_with_send_are_driven_too(native: Any) -> None:
    """A coroutine in all but type (Cython's, a mock's) is stepped by its send()."""

    class Coroutine:
        def __iter__(self) -> Any:
            return self

        def __next__(self) -> Any:
            return self.send(None)

        def send(self, value: object) -> Any:
            raise StopIteration("sent")

        def throw(self, error: BaseException) -> Any:
            raise error

    assert native.send(Coroutine(), None).value == "sent"
    error = ValueError()
    assert native.throw(Coroutine(), error, None).error is error


@either_step
def test_thrown_exception_arrives_at_the_await(native: Any) -> None:
    """throw() raises where the coroutine is suspended; what it comes to is told as by send()."""

    async def child(then: Callable[[], Any]) -> Any:
        try:
            await Yield("first")
        except ValueError as error:
            await Yield(error)
            return then()

    error = ValueError()
    coroutine = child(lambda: "caught")
    assert native.send(coroutine, None) == "first"
    assert native.throw(coroutine, error, None) is error
    assert native.send(coroutine, None).value == "caught"
    coroutine = child(lambda: 1)
    native.send(coroutine, None)
    other = KeyError()
    outcome = native.throw(coroutine, other, contextvars.copy_context())
    assert type(outcome) is native.Raised and outcome.error is other


@either_step
def test_steps_run_inside_the_context_and_leave_it(native: Any) -> None:
    """Every step and throw sees and changes the given context only; afterwards the caller's is the current one."""
    seen: list[str] = []

    async def child() -> None:
        seen.append(variable.get())
        variable.set("child")
        try:
            await Yield(None)
        except ValueError:
            seen.append(variable.get())
            raise

    context = contextvars.copy_context()
    context.run(variable.set, "given")
    coroutine = child()
    native.send(coroutine, context)
    native.throw(coroutine, ValueError(), context)
    assert seen == ["given", "child"]
    assert variable.get() == "outside" and context[variable] == "child"


@either_step
def test_context_that_is_entered_already(native: Any) -> None:
    """A context cannot be entered twice: send() tells so, call() raises, and no harm is done."""

    async def child() -> None: ...

    def again() -> Any:
        coroutine = child()
        outcome = native.send(coroutine, context)
        coroutine.close()
        with pytest.raises(RuntimeError, match="already entered"):
            native.call(print, (), context)
        return outcome

    context = contextvars.copy_context()
    outcome = context.run(again)
    assert type(outcome) is native.Raised and "already entered" in str(outcome.error)
    context.run(lambda: None)


@either_step
def test_no_context_is_the_current_one(native: Any) -> None:
    """With None a step changes the context of its caller."""

    async def child() -> None:
        variable.set("child")

    def caller() -> str:
        native.send(child(), None)
        return variable.get()

    assert contextvars.copy_context().run(caller) == "child"


@either_step
def test_call_runs_in_the_context(native: Any) -> None:
    """call() passes the arguments, returns the result, and enters and leaves the context."""

    def callback(*arguments: object) -> object:
        variable.set("callback")
        return arguments

    context = contextvars.copy_context()
    assert native.call(callback, (1, 2), context) == (1, 2)
    assert context[variable] == "callback" and variable.get() == "outside"


@either_step
@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), StopIteration(1)], ids=repr)
def test_call_lets_through_what_is_raised(native: Any, error: BaseException) -> None:
    """What the callback raises comes out as it is, and the context has been left."""

    def callback() -> None:
        raise error

    context = contextvars.copy_context()
    with pytest.raises(type(error)) as caught:
        native.call(callback, (), context)
    assert caught.value is error
    assert caught.traceback[-1].name == "callback"
    context.run(lambda: None)


@either_step
@pytest.mark.parametrize("error", [None, ValueError("x"), KeyboardInterrupt(), StopIteration(1)], ids=repr)
def test_an_attempt_gives_what_is_raised(native: Any, error: BaseException | None) -> None:
    """What the callback raises is given as it is, with no frame of ours; None if nothing is."""

    def callback(value: object) -> object:
        if error is not None:
            raise error
        return value

    context = contextvars.copy_context()
    assert native.attempt(callback, ("value",), context) is error
    if error is not None:
        assert error.__traceback__ is not None
        assert error.__traceback__.tb_frame.f_code.co_name == "callback"
    context.run(lambda: None)


@either_step
def test_copy_context_and_is_coroutine(native: Any) -> None:
    """copy_context() copies the current context; is_coroutine() knows what ``async def`` gives, and nothing else."""

    async def child() -> None: ...

    def generator() -> Any:
        yield

    token = variable.set("copied")
    copied = native.copy_context()
    variable.reset(token)
    assert copied[variable] == "copied"
    coroutine = child()
    assert native.is_coroutine(coroutine)
    coroutine.close()
    assert not any(map(native.is_coroutine, [child, generator(), None, 1]))


@either_step
def test_copy_of_a_context(native: Any) -> None:
    """copy_of() gives another context with the same values; what is set in one is not seen in the other."""
    context = contextvars.copy_context()
    context.run(variable.set, "before")
    copied = native.copy_of(context)
    context.run(variable.set, "after")
    assert (context[variable], copied[variable]) == ("after", "before")


@either_step
def test_is_current_is_never_true_of_another_context(native: Any) -> None:
    """A context that differs from the current one is told from it, in the outermost context and inside of others."""

    def look() -> None:
        taken = contextvars.copy_context()
        token = variable.set("changed")
        assert not native.is_current(taken)
        taken = contextvars.copy_context()
        variable.reset(token)
        assert not native.is_current(taken)
        variable.set("again")
        assert not native.is_current(taken)

    look()
    contextvars.copy_context().run(look)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()


@pytest.mark.skipif(not hocket.is_compiled(), reason="only compiled can it be told without comparing")
def test_is_current_knows_a_copy_of_the_current_context() -> None:
    """Nothing was set since: then the copy passes for another, and the mere reading of a variable changes nothing."""

    def look() -> bool:
        taken = contextvars.copy_context()
        variable.get()
        return bool(STEPS[1].is_current(taken))

    assert look()
    assert contextvars.copy_context().run(look)


@either_step
def test_no_reference_is_kept(native: Any) -> None:
    """Values, errors and coroutines are let go after a step, in the right number."""

    async def returns(it: object) -> object:
        return it

    async def raises(it: BaseException) -> None:
        raise it

    value, error, context = object(), ValueError(), contextvars.copy_context()
    before = sys.getrefcount(value), sys.getrefcount(error), sys.getrefcount(context)
    for _ in range(50):
        native.send(returns(value), context)
        native.send(raises(error), context)
        error.__traceback__ = None
        native.call(id, (value,), context)
    assert (sys.getrefcount(value), sys.getrefcount(error), sys.getrefcount(context)) == before


# -- Sockets


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    with one, other:
        yield one, other


@pytest.fixture
def tcp() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    one.setblocking(False)
    with one, other:
        yield one, other


@either_sockets
def test_nothing_to_read_is_an_answer(native: Any, pair: Any) -> None:
    """Would block: None from read, -1 from receive_into."""
    assert native.ReadBuffer(100).read(pair[0].fileno()) is None
    assert native.receive_into(pair[0].fileno(), bytearray(10)) == -1


@either_sockets
def test_reads_what_is_there_up_to_the_buffer(native: Any, pair: Any) -> None:
    """One read takes what there is, at most the buffer's size, as bytes of its own."""
    pair[1].send(b"0123456789")
    buffer = native.ReadBuffer(4)
    first = buffer.read(pair[0].fileno())
    assert [first, buffer.read(pair[0].fileno()), buffer.read(pair[0].fileno())] == [b"0123", b"4567", b"89"]
    assert first == b"0123" and type(first) is bytes


@either_sockets
def test_fills_itself(native: Any, pair: Any) -> None:
    """fill() leaves what has come at the start of `view` and says how many bytes; -1 for nothing yet, 0 for the end."""
    buffer = native.ReadBuffer(4)
    counts = [buffer.fill(pair[0].fileno())]
    pair[1].send(b"012345")
    counts.append(buffer.fill(pair[0].fileno()))
    whole = bytes(buffer.view)
    counts.append(buffer.fill(pair[0].fileno()))
    assert (whole, bytes(buffer.view)) == (b"0123", b"4523")
    pair[1].close()
    assert [*counts, buffer.fill(pair[0].fileno())] == [-1, 4, 2, 0]


@either_sockets
def test_a_view_keeps_its_memory(native: Any) -> None:
    """`view` can be written to, and may outlive the buffer."""
    view = native.ReadBuffer(4).view
    gc.collect()
    view[:] = b"abcd"
    assert bytes(view) == b"abcd"


@either_sockets
def test_reads_into_any_writable_buffer(native: Any, pair: Any) -> None:
    """receive_into() fills a bytearray or a part of one and says how many bytes."""
    target = bytearray(b"........")
    pair[1].send(b"abcdef")
    assert native.receive_into(pair[0].fileno(), memoryview(target)[2:5]) == 3
    assert native.receive_into(pair[0].fileno(), target) == 3
    assert target == b"defbc..."
    with pytest.raises((TypeError, BufferError)):
        native.receive_into(pair[0].fileno(), b"read-only")


@either_sockets
def test_end_of_stream(native: Any, pair: Any) -> None:
    """The end is empty bytes and 0."""
    pair[1].close()
    assert native.ReadBuffer(10).read(pair[0].fileno()) == b""
    assert native.receive_into(pair[0].fileno(), bytearray(10)) == 0


@either_sockets
def test_reset_is_the_kernels_error(native: Any, tcp: Any) -> None:
    """A connection that the peer resets is ConnectionResetError for readers and writers alike."""
    tcp[1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    tcp[1].close()
    select.select([tcp[0]], [], [], 10)
    with pytest.raises(ConnectionResetError) as caught:
        native.ReadBuffer(10).read(tcp[0].fileno())
    assert caught.value.errno == errno.ECONNRESET
    for write in (lambda fd: native.send_piece(fd, b"x"), lambda fd: native.send_pieces(fd, [b"x", b"y"])):
        with pytest.raises(BrokenPipeError):
            write(tcp[0].fileno())


@either_sockets
def test_closed_descriptor_is_the_kernels_error(native: Any, pair: Any) -> None:
    """A descriptor that is not open is EBADF from every function."""
    fd = pair[0].fileno()
    pair[0].close()
    for act in (
        lambda: native.ReadBuffer(10).read(fd),
        lambda: native.ReadBuffer(10).fill(fd),
        lambda: native.receive_into(fd, bytearray(10)),
        lambda: native.send_piece(fd, b"x"),
        lambda: native.send_pieces(fd, [b"x", b"y"]),
    ):
        with pytest.raises(OSError) as caught:
            act()
        assert caught.value.errno == errno.EBADF


@either_sockets
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_writes_every_kind_of_buffer(native: Any, pair: Any, kind: Any) -> None:
    """bytes, bytearrays and memoryviews are written as they are, alone and gathered; the count is in bytes."""
    fd = pair[0].fileno()
    assert native.send_piece(fd, kind(b"one")) == 3
    assert native.send_pieces(fd, [kind(b"two"), kind(b""), kind(b"three")]) == 8
    assert pair[1].recv(100) == b"onetwothree"


@either_sockets
def test_full_socket_is_an_answer(native: Any, pair: Any) -> None:
    """A big piece is taken in part, and -1 says that nothing is taken now; what was taken arrives whole."""
    big, sent = os.urandom(1 << 20), 0
    while (count := native.send_piece(pair[0].fileno(), memoryview(big)[sent:])) > 0:
        sent += count
    assert count == -1 and 0 < sent < len(big)
    assert native.send_pieces(pair[0].fileno(), [b"x", b"y"]) == -1
    received = b""
    while len(received) < sent:
        received += pair[1].recv(1 << 20)
    assert received == big[:sent]


@either_sockets
def test_gathers_so_many_pieces_and_no_more(native: Any, pair: Any) -> None:
    """One call takes the first MAX_PIECES; the rest is for the next call."""
    assert native.MAX_PIECES == 64
    for number in (1, 63, 64, 65, 1000):
        assert native.send_pieces(pair[0].fileno(), [b"%04d" % i for i in range(number)]) == 4 * min(number, 64)
        assert pair[1].recv(10_000) == b"".join(b"%04d" % i for i in range(min(number, 64)))


@either_sockets
def test_a_piece_that_is_no_buffer(native: Any, pair: Any) -> None:
    """What is not a buffer is a TypeError, and nothing of the call was written."""
    with pytest.raises(TypeError):
        native.send_piece(pair[0].fileno(), "text")
    with pytest.raises(TypeError):
        native.send_pieces(pair[0].fileno(), [b"x", "text"])
    with pytest.raises(BlockingIOError):
        pair[1].recv(10)


@either_sockets
def test_buffers_are_let_go(native: Any, pair: Any) -> None:
    """After a call, also a failed one, no buffer is held: a bytearray can be resized."""
    target = bytearray(b"xyz")
    native.send_piece(pair[0].fileno(), target)
    native.send_pieces(pair[0].fileno(), [target, target])
    native.receive_into(pair[0].fileno(), target)
    with pytest.raises(TypeError):
        native.send_pieces(pair[0].fileno(), [target, None])
    target.extend(b"more")
    assert len(target) == 7


# -- epoll


if hasattr(select, "epoll"):
    POLLERS = [by_path("epoll").Poller, epoll.Poller]
else:
    POLLERS = []

either_poller = pytest.mark.parametrize("make", POLLERS, ids=TWINS[: len(POLLERS)])


def seen(poller: Any, timeout: float = 0.0) -> set[tuple[int, int]]:
    return {(poller.fd(index), poller.events(index)) for index in range(poller.wait(timeout))}


@either_poller
def test_poller_reports_what_was_asked_for(make: Any, pair: Any) -> None:
    """Bits in, bits out: 1 readable, 2 writable; changed and taken back."""
    poller, fd = make(), pair[0].fileno()
    pair[1].send(b"x")
    poller.control(fd, 0, 1)
    assert seen(poller) == {(fd, 1)}
    poller.control(fd, 1, 3)
    assert seen(poller) == {(fd, 3)}
    poller.control(fd, 3, 2)
    assert seen(poller) == {(fd, 2)}
    poller.control(fd, 2, 0)
    assert seen(poller) == set()
    poller.close()


@either_poller
def test_poller_reports_the_end_as_both(make: Any, pair: Any) -> None:
    """A hang-up counts as readable and writable."""
    poller = make()
    poller.control(pair[0].fileno(), 0, 1)
    pair[1].close()
    assert seen(poller, 10.0) == {(pair[0].fileno(), 3)}
    poller.close()


@either_poller
def test_poller_tolerates_what_the_kernel_did_meanwhile(make: Any, pair: Any) -> None:
    """Registered already, or gone: both are put right. A descriptor that is not open is the kernel's error."""
    poller, fd = make(), pair[1].fileno()
    poller.control(fd, 0, 2)
    poller.control(fd, 0, 2)
    assert seen(poller) == {(fd, 2)}
    poller.control(fd, 2, 0)
    poller.control(fd, 2, 0)
    poller.control(fd, 1, 2)
    assert seen(poller) == {(fd, 2)}
    pair[1].close()
    poller.control(fd, 2, 0)
    with pytest.raises(OSError) as caught:
        poller.control(fd, 0, 1)
    assert caught.value.errno == errno.EBADF
    with pytest.raises(PermissionError), open(__file__, "rb") as file:
        poller.control(file.fileno(), 0, 1)
    poller.close()


@either_poller
def test_poller_waits_and_wakes(make: Any) -> None:
    """It waits at least so long; wake() from a thread or before the wait ends it, and bears the descriptor -1."""
    poller = make()
    before = time.monotonic()
    assert seen(poller, 0.0301) == set()
    assert time.monotonic() - before >= 0.03
    poller.wake()
    poller.wake()
    assert [fd for fd, _ in seen(poller, 10.0)] == [-1]
    assert seen(poller) == set()
    thread = threading.Timer(0.03, poller.wake)
    thread.start()
    assert [fd for fd, _ in seen(poller, -1.0)] == [-1]
    thread.join()
    poller.close()


@either_poller
def test_poller_lets_signal_handlers_run(make: Any) -> None:
    """What a signal handler raises comes out of wait()."""

    def ring(*_: object) -> None:
        raise InterruptedError("rang")

    poller = make()
    before = signal.signal(signal.SIGALRM, ring)
    try:
        with pytest.raises(InterruptedError, match="rang"):
            signal.setitimer(signal.ITIMER_REAL, 0.03)
            poller.wait(10.0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        poller.close()


@either_poller
def test_poller_closes_both_descriptors(make: Any) -> None:
    """close() may be called twice; then fileno() is -1, wake() harmless and control() a ValueError."""
    with no_new_descriptors():
        poller = make()
        assert poller.fileno() >= 0 and not os.get_inheritable(poller.fileno())
        poller.close()
        poller.close()
    assert poller.fileno() == -1
    poller.wake()
    with pytest.raises(ValueError, match="closed"):
        poller.control(0, 0, 1)


# -- The clock


@pytest.mark.parametrize("native", [by_path("clock"), clock], ids=TWINS)
def test_clock_has_pythons_resolution(native: Any) -> None:
    """The smallest step is that of time.monotonic."""
    assert time.get_clock_info("monotonic").resolution == native.RESOLUTION
