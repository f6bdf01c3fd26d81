"""What `hocket.core.asyncio_private` relies on holds on the Python at hand."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import socket
import subprocess
import sys
import threading
import types
import warnings
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

import hocket
from hocket.core import asyncio_private as private

from .loops import OURS, hocket_selector, run, stock

# -- The names


@pytest.mark.parametrize("hook", private.LOOP_HOOKS)
def test_asyncios_loop_has_the_hook(hook: str) -> None:
    """Each hook that hocket's loop answers is a method of asyncio's: a hook that asyncio renamed would go unheard."""
    assert callable(getattr(asyncio.SelectorEventLoop, hook))
    assert callable(getattr(hocket.EventLoop, hook))


@pytest.mark.parametrize(
    "overridden",
    [
        "_run_once", "_check_closed", "_check_thread", "_add_reader", "_remove_reader", "_add_writer", "_remove_writer",
        "_add_callback", "_add_callback_signalsafe", "_call_soon", "_timer_handle_cancelled", "_make_socket_transport",
        "_make_ssl_transport", "_accept_connection", "_start_serving", "_write_to_self",
        "_make_subprocess_transport",
    ],
)  # fmt: skip
def test_hook_is_answered_by_hocket(overridden: str) -> None:
    """What is hocket's own comes first in the method resolution order."""
    assert overridden in private.LOOP_HOOKS
    assert getattr(hocket.EventLoop, overridden) is not getattr(asyncio.SelectorEventLoop, overridden)


def test_every_name_has_a_value() -> None:
    """No name of the module is missing on this Python; only the dictionary of running tasks may be absent."""
    absent = [name for name, value in vars(private).items() if value is None and not name.startswith("__")]
    assert absent == (["current_tasks"] if sys.version_info >= (3, 14) else [])


def test_streams_have_what_feeding_them_needs() -> None:
    """The attributes of asyncio's readers and protocols, and that their methods are known for theirs."""

    async def main() -> None:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        assert {"_buffer", "_eof", "_limit", "_loop", "_paused", "_transport", "_waiter"} <= vars(reader).keys()
        assert {"_stream_reader_wr", "_connection_lost", "_paused"} <= vars(protocol).keys()
        assert private.is_stock_stream(protocol, reader) and private.has_stock_waiting(protocol, reader)
        reader.feed_data = print  # type: ignore[method-assign,assignment]
        protocol._drain_helper = print  # type: ignore[attr-defined]
        assert not private.is_stock_stream(protocol, reader)
        assert not private.has_stock_waiting(protocol, reader)

    run(stock, main())


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("LOG_THRESHOLD_FOR_CONNLOST_WRITES", 1),
        ("ACCEPT_RETRY_DELAY", 0.01),
        ("SSL_HANDSHAKE_TIMEOUT", 1),
        ("SSL_SHUTDOWN_TIMEOUT", 1),
        ("MAXIMUM_POLL_TIMEOUT", 60),
    ],
)
def test_limits_are_positive_numbers(name: str, least: float) -> None:
    """asyncio's limits are numbers of the size that hocket takes them for."""
    assert getattr(private, name) >= least


def test_longest_wait_fits_every_poll() -> None:
    """The longest wait is one that epoll's milliseconds can express."""
    assert private.MAXIMUM_POLL_TIMEOUT * 1000 < 2**31


def test_loggers_are_asyncios() -> None:
    """Logs go to the logger called asyncio."""
    assert private.logger.name == private.base_events_logger().name == "asyncio"


def test_transport_socket_hides_the_real_one() -> None:
    """TransportSocket wraps a socket and knows its descriptor."""
    import socket

    with socket.socket() as sock:
        assert private.TransportSocket(sock).fileno() == sock.fileno()


def test_loop_sendfile_takes_a_flow_controlled_transport() -> None:
    """The class that a stream transport passes for is a transport of asyncio's."""
    assert issubclass(private.FlowControlledTransport, asyncio.Transport)


# -- How things are named


def test_future_repr_info_names_state_and_callbacks() -> None:
    """asyncio describes a future of hocket's by state, and by callback."""
    with private_loop() as loop:
        future = hocket.Future(loop=loop)
        assert private.future_repr_info(future)[0] == "pending"
        future.add_done_callback(print)
        assert any("print" in part for part in private.future_repr_info(future))
        future.set_result(7)
        assert private.future_repr_info(future)[:2] == ["finished", "result=7"]
        loop.call_soon(loop.stop)
        loop.run_forever()


def test_task_repr_info_names_the_task_and_its_coroutine() -> None:
    """asyncio describes a task of hocket's by name and coroutine."""

    async def wander() -> None: ...

    async def main() -> list[str]:
        task = hocket.Task(wander(), loop=asyncio.get_running_loop(), name="wanderer")
        info = private.task_repr_info(task)
        await task
        return [str(part) for part in info]

    info = " ".join(run(hocket_selector, main()))
    assert "wanderer" in info and "wander()" in info


def test_format_callback_names_function_and_line() -> None:
    """A callback is told with its name and where it is defined; arguments only where asyncio tells them."""

    def knock(visitor: str) -> None: ...

    for debug in (False, True):
        told = private.format_callback(knock, ("postman",), debug)
        assert "knock(" in told and "test_asyncio_private.py:" in told
        assert ("postman" in told) == (debug or sys.version_info < (3, 13))


def test_format_handle_names_the_callback() -> None:
    """A handle of hocket's is described like one of asyncio's."""
    with private_loop() as loop:
        assert "print" in private.format_handle(loop.call_soon(print))


def test_creation_stack_ends_at_the_caller() -> None:
    """The last frame of a creation stack is the caller's, not one of hocket's."""
    stack = private.creation_stack()
    assert stack[-1].name == "test_creation_stack_ends_at_the_caller"
    assert stack[-1].filename == __file__


def test_iscoroutine_takes_coroutines_only() -> None:
    """What asyncio takes for a coroutine: the result of an async function, not the function and no number."""

    async def nothing() -> None: ...

    coroutine = nothing()
    assert private.iscoroutine(coroutine)
    coroutine.close()
    assert not private.iscoroutine(nothing)
    assert private.iscoroutinefunction(nothing)
    assert not private.iscoroutinefunction(print)


# -- Which loop


def test_running_loop_is_set_and_read() -> None:
    """The thread's running loop is what was set."""
    with private_loop() as loop:
        assert private.running_loop() is None
        asyncio._set_running_loop(loop)
        try:
            assert private.running_loop() is asyncio.get_running_loop() is loop
        finally:
            asyncio._set_running_loop(None)
    assert private.running_loop() is None


def test_loop_for_future_is_the_running_one() -> None:
    """Without a loop a future belongs to the running one."""

    async def main() -> bool:
        return private.get_loop_for_future() is asyncio.get_running_loop() is hocket.Future().get_loop()

    assert run(hocket_selector, main())


def test_get_future_loop_reads_ours_and_asyncios() -> None:
    """asyncio's way to a future's loop works for both classes."""
    with private_loop() as loop:
        assert private.get_future_loop(hocket.Future(loop=loop)) is loop
        assert private.get_future_loop(asyncio.Future(loop=loop)) is loop


def test_set_result_unless_cancelled_leaves_a_cancelled_future() -> None:
    """A cancelled future stays cancelled; another gets its result."""
    with private_loop() as loop:
        cancelled, pending = hocket.Future(loop=loop), hocket.Future(loop=loop)
        cancelled.cancel()
        private.set_result_unless_cancelled(cancelled, 1)
        private.set_result_unless_cancelled(pending, 2)
        assert cancelled.cancelled() and pending.result() == 2


# -- Servers


def test_server_counts_what_is_attached() -> None:
    """A server is done waiting when everything that was attached is detached again."""

    class Transport:
        def __init__(self) -> None:
            self.closed = False

        def close(self) -> None:
            self.closed = True

    async def main() -> bool:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        transport = Transport()
        private.attach(server, transport)
        server.close()
        waiting = asyncio.ensure_future(server.wait_closed())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        private.detach(server, transport)
        await waiting
        return True

    assert run(hocket_selector, main())


# -- Task factories


def factory_arguments(loop: Any) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    def factory(loop: Any, coro: Any, **options: Any) -> Any:
        seen.update(options)
        return asyncio.Task(coro, loop=loop, **options)

    async def nothing() -> None: ...

    loop.set_task_factory(factory)
    context = contextvars.copy_context()
    task = loop.create_task(nothing(), name="given", context=context)
    assert task.get_name() == "given"
    seen["context"] = seen["context"] is context
    loop.run_until_complete(task)
    return seen


def test_task_factory_is_called_as_asyncio_calls_it() -> None:
    """A user's factory gets the arguments, and the task the name, that this Python's asyncio gives."""
    seen = []
    for make in (hocket_selector, stock):
        loop = make()
        seen.append(factory_arguments(loop))
        loop.close()
    assert seen[0] == seen[1]


# -- Who is running


def test_where_running_tasks_are_kept() -> None:
    """Up to 3.13 a dictionary that asyncio's own functions read; from 3.14 on the thread state."""
    assert (private.current_tasks is None) == (sys.version_info >= (3, 14))
    with private_loop() as loop:
        if private.current_tasks is not None:
            private.current_tasks[loop] = "somebody"
            assert asyncio.current_task(loop) == "somebody"
            del private.current_tasks[loop]
        assert asyncio.current_task(loop) is None


def test_swap_current_task_announces_and_returns_who_was() -> None:
    """Swapping announces the new task and returns the old; None leaves nobody."""
    found: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        me = asyncio.current_task()
        other = hocket.Task(asyncio.sleep(0), loop=loop)
        found.append(private.swap_current_task(loop, other) is me)
        found.append(asyncio.current_task() is other)
        found.append(private.swap_current_task(loop, None) is other)
        found.append(asyncio.current_task() is None)
        found.append(private.swap_current_task(loop, me) is None)
        found.append(asyncio.current_task() is me)
        await other

    run(hocket_selector, main())
    assert found == [True] * 6


def test_enter_and_leave_on_asyncios_loop() -> None:
    """A hocket task on asyncio's loop is the current one while it runs, through asyncio's own enter and leave."""

    async def who() -> Any:
        return asyncio.current_task()

    loop = stock()
    task = hocket.Task(who(), loop=loop)
    assert loop.run_until_complete(task) is task
    loop.close()


# -- Who is alive


@pytest.mark.parametrize("factory", [*OURS, stock], ids=lambda factory: factory.__name__)
def test_all_tasks_sees_hockets_tasks(factory: Any) -> None:
    """asyncio.all_tasks() holds the running task and those that wait, of both classes, and no finished one."""

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        waiting = hocket.Task(asyncio.sleep(60), loop=loop)
        foreign = asyncio.Task(asyncio.sleep(60), loop=loop)
        over = hocket.Task(asyncio.sleep(0), loop=loop)
        await over
        seen = asyncio.all_tasks()
        complete = {asyncio.current_task(), waiting, foreign} <= seen and over not in seen
        waiting.cancel()
        foreign.cancel()
        await asyncio.wait([waiting, foreign])
        return complete

    assert run(factory, main())


def test_all_tasks_tells_loops_apart() -> None:
    """all_tasks(loop) from outside holds that loop's tasks only, whichever thread asks."""
    one, other = hocket_selector(), hocket_selector()
    mine = [one.create_task(asyncio.sleep(0)) for _ in range(3)]
    theirs = [other.create_task(asyncio.sleep(0)) for _ in range(2)]
    seen: list[set[Any]] = []
    thread = threading.Thread(target=lambda: seen.extend([asyncio.all_tasks(one), asyncio.all_tasks(other)]))
    thread.start()
    thread.join()
    assert seen == [set(mine), set(theirs)]
    for loop, tasks in ((one, mine), (other, theirs)):
        loop.run_until_complete(asyncio.wait(tasks))
        assert asyncio.all_tasks(loop) == set()
        loop.close()


def test_all_tasks_while_eagerly_started() -> None:
    """A task in its eager first step is alive for asyncio already."""
    seen: list[bool] = []

    async def eager() -> None:
        seen.append(asyncio.current_task() in asyncio.all_tasks())

    async def main() -> None:
        hocket.Task(eager(), loop=asyncio.get_running_loop(), eager_start=True)

    run(hocket_selector, main())
    assert seen == [True]


def test_live_tasks_can_be_announced_again() -> None:
    """Announcing twice is harmless: the second source replaces the first."""
    from hocket.core.scheduler import live_tasks

    assert private.announce_live_tasks(list)
    assert private.announce_live_tasks(live_tasks)

    async def main() -> bool:
        return asyncio.current_task() in asyncio.all_tasks()

    assert run(hocket_selector, main())


def test_registry_is_found() -> None:
    """The set in which asyncio keeps tasks is where it is expected."""
    registry = private._find_task_registry()
    assert isinstance(registry, weakref.WeakSet)


def test_awaited_by_is_recorded_where_python_asks() -> None:
    """The functions that tell who awaits whom take two futures, on every Python."""
    with private_loop() as loop:
        one, other = asyncio.Future(loop=loop), asyncio.Future(loop=loop)
        private.future_add_to_awaited_by(one, other)
        recorded = getattr(one, "_asyncio_awaited_by", None)
        assert (recorded == {other}) == (sys.version_info >= (3, 14))
        private.future_discard_from_awaited_by(one, other)
        assert not getattr(one, "_asyncio_awaited_by", None)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="Python has call graphs from 3.14 on")
def test_call_graphs_ask_who_awaits_whom_by_names_that_hocket_replaced() -> None:
    """Each place from which asyncio takes the two functions, and the builder of graphs, is hocket's."""
    from hocket.core import future

    for module in (asyncio, asyncio.futures):
        assert module.future_add_to_awaited_by is future.add_to_awaited_by
        assert module.future_discard_from_awaited_by is future.discard_from_awaited_by
    assert asyncio.futures._c_future_add_to_awaited_by is future.add_to_awaited_by
    assert asyncio.futures._c_future_discard_from_awaited_by is future.discard_from_awaited_by
    assert "limit" in inspect.signature(asyncio.graph._build_graph_for_future).parameters


def test_what_a_future_calls_to_wake_a_task_is_known_by_its_name() -> None:
    """`woken_by` finds the task of each class, and none in other callbacks."""
    with private_loop() as loop:

        async def wait(future: Any) -> None:
            await future

        for kind in (asyncio.tasks._CTask, asyncio.tasks._PyTask):
            future = loop.create_future()
            task = kind(wait(future), loop=loop)
            loop.call_soon(loop.stop)
            loop.run_forever()
            ((callback, _),) = future._callbacks
            assert private.woken_by(callback) is task
            assert private.woken_by(task.cancel) is None
            future.set_result(None)
            loop.run_until_complete(task)


# -- Policies


def test_policies_do_not_warn() -> None:
    """hocket's policy is set and read without the warnings that the public names give from 3.14 on."""
    before = private.get_event_loop_policy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        private.set_event_loop_policy(hocket.EventLoopPolicy())
        try:
            loop = private.get_event_loop_policy().new_event_loop()
            assert isinstance(loop, hocket.EventLoop)
            loop.close()
        finally:
            private.set_event_loop_policy(before)


def test_install_does_not_warn() -> None:
    """install() works in a program that turns warnings into errors."""
    code = (
        "import asyncio, hocket; hocket.install(); hocket.install(); "
        "loop = asyncio.new_event_loop(); print(type(loop).__name__); loop.close()"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "EventLoop", "")


class private_loop:
    """A loop for a ``with`` statement."""

    def __enter__(self) -> Any:
        self.loop = hocket_selector()
        return self.loop

    def __exit__(self, *_: types.TracebackType | None) -> None:
        self.loop.close()


# -- Child processes


@pytest.mark.parametrize(
    "name",
    [
        "_start", "_connect_pipes", "_process_exited", "_wait", "_call_connection_lost", "_call", "_try_finish",
        "_check_proc", "_pipe_connection_lost", "_pipe_data_received",
    ],
)  # fmt: skip
def test_subprocess_transport_has_the_hook(name: str) -> None:
    """What hocket's transport of a child overrides or calls is a method of asyncio's."""
    assert callable(getattr(private.UnixSubprocessTransport, name))


def test_attributes_of_a_subprocess_transport(loop: asyncio.AbstractEventLoop) -> None:
    """hocket's transport of a child, which has a constructor of its own, has every attribute of asyncio's but one."""

    class Stock(private.UnixSubprocessTransport):  # type: ignore[misc]
        def _start(self, **options: Any) -> None:
            self._proc = SimpleNamespace(pid=1, stdin=None, stdout=None, stderr=None, returncode=0)

        async def _connect_pipes(self, waiter: Any) -> None:
            self._pending_calls = None

        def close(self) -> None:
            self._closed = True

    async def main() -> set[str]:
        stock = Stock(asyncio.get_running_loop(), asyncio.SubprocessProtocol(), ["true"], False, None, None, None, 0)
        stock.close()
        process = await asyncio.create_subprocess_exec("true")
        ours = process._transport  # type: ignore[attr-defined]
        attributes = vars(stock).keys() - vars(ours).keys()
        await process.wait()
        return attributes

    # The one is what those wait on who wait for the end, with which asyncio's other methods have nothing to do.
    assert loop.run_until_complete(main()) == {"_exit_waiters"}


def test_how_popen_starts_a_child() -> None:
    """`subprocess.Popen` starts a child by methods with these names and parameters."""
    seen: list[str] = []

    class Watched(private.STOCK_POPEN):  # type: ignore[misc]
        def _get_handles(self, *streams: Any) -> Any:
            seen.append(f"streams {len(streams)}")
            return super()._get_handles(*streams)

        def _execute_child(self, *arguments: Any) -> None:
            parameters = [*inspect.signature(private.STOCK_POPEN._execute_child).parameters]
            assert len(parameters) == 1 + len(arguments)
            seen.extend((" ".join(parameters[1:11]), " ".join(parameters[11:])))
            super()._execute_child(*arguments)

        def _close_pipe_fds(self, *handles: Any) -> None:
            super()._close_pipe_fds(*handles)
            seen.append(f"handles {len(handles)} {self._closed_child_pipe_fds}")

    process = Watched(["true"], stdin=subprocess.DEVNULL)
    assert process.wait() == 0
    assert process._child_created
    assert seen == [
        "streams 3",
        "args executable preexec_fn close_fds pass_fds cwd env startupinfo creationflags shell",
        "p2cread p2cwrite c2pread c2pwrite errread errwrite "
        "restore_signals gid gids uid umask start_new_session process_group",
        "handles 6 True",
    ]


def test_fork_exec_gets_what_popen_gives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`fork_exec` of 22 arguments calls what starts a child as `subprocess.Popen` itself does."""
    calls: list[tuple[Any, ...]] = []

    def refuse(*arguments: Any) -> int:
        calls.append(arguments)
        raise OSError("refused")

    monkeypatch.setattr(subprocess, "_fork_exec", refuse)
    with pytest.raises(OSError, match="refused"):
        private.STOCK_POPEN(["true"], cwd="/")
    (given,) = calls
    with pytest.raises(OSError, match="refused"):
        private.fork_exec(*given[:22])
    assert calls == [given, given]


def test_pipe_protocols_tell_their_process() -> None:
    """The protocols of a child's pipes know their number and whether they are disconnected, and pass on what comes."""
    heard: list[Any] = []

    class Process:
        def _pipe_data_received(self, fd: int, data: bytes) -> None:
            heard.append((fd, data))

        def _pipe_connection_lost(self, fd: int, exc: object) -> None:
            heard.append((fd, exc))

    for number, factory in ((0, private.WriteSubprocessPipeProto), (1, private.ReadSubprocessPipeProto)):
        protocol = factory(Process(), number)
        assert (protocol.fd, protocol.pipe, protocol.disconnected) == (number, None, False)
        if number:
            protocol.data_received(b"x")
        protocol.connection_lost(None)
        assert protocol.disconnected
    assert heard == [(0, None), (1, b"x"), (1, None)]


def test_nobody_has_asked_for_a_child_watcher(loop: asyncio.AbstractEventLoop) -> None:
    """A loop may watch its children as it likes, and asking about that makes no child watcher."""
    before = getattr(private.get_event_loop_policy(), "_watcher", None)
    assert private.child_watcher(loop) is None
    assert getattr(private.get_event_loop_policy(), "_watcher", None) is before


def test_socket_module_of_asyncios_loop() -> None:
    """asyncio's loop looks names up in the `socket` module, which it has under this name."""
    assert private.base_events_socket() is socket


def test_refused_coroutines_are_closed_where_asyncio_closes_them() -> None:
    """GROUP_CLOSES_REFUSED says what this Python's asyncio.TaskGroup does."""

    async def nothing() -> None:
        pass

    coroutine = nothing()
    with pytest.raises(RuntimeError, match="has not been entered"):
        asyncio.TaskGroup().create_task(coroutine)
    assert (inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED) == private.GROUP_CLOSES_REFUSED
    coroutine.close()


def test_unseen_exceptions_of_shielded_futures_are_reported() -> None:
    """report_unseen tells the loop's exception handler, in asyncio's words."""
    loop = asyncio.new_event_loop()
    reported: list[str] = []
    loop.set_exception_handler(lambda _, context: reported.append(context["message"]))
    future = loop.create_future()
    future.set_exception(ValueError("unseen"))
    private.report_unseen(future)
    loop.close()
    assert reported == ["ValueError exception in shielded future"]


def test_default_executor_is_the_one_of_run_in_executor() -> None:
    """It is made once, kept where asyncio keeps it, and refused after shutdown_default_executor()."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        executor = private.default_executor(loop)
        assert private.default_executor(loop) is executor
        names = await loop.run_in_executor(None, lambda: threading.current_thread().name)
        assert names.startswith("asyncio")
        assert executor._work_queue.qsize() == 0 and len(executor._threads) == 1
        await loop.shutdown_default_executor()
        with pytest.raises(RuntimeError):
            private.default_executor(loop)

    hocket.run(main())


def test_run_in_executor_of_a_subclass_is_told_from_asyncios() -> None:
    """Whoever overrides it is asked."""

    class Loop(hocket.EventLoop):
        def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
            raise NotImplementedError

    for factory, expected in ((hocket.EventLoop, True), (Loop, False)):
        loop = factory()
        assert private.runs_in_executor(loop) is expected
        loop.close()
