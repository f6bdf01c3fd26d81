"""Every private part of asyncio that hocket relies on, in one place.

asyncio is the contract, and most of it is public.  What is listed here is not, and may change with any Python version:
``tests/unit/test_asyncio_private.py`` checks each of these names and behaviours on the Python at hand, so that a
change shows there first and not in a user's service.  The engine uses these names only from here.  (The hooks that
`asyncio.SelectorEventLoop` calls on itself, and that `hocket.loop.EventLoop` overrides or calls, are in `LOOP_HOOKS`.)
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import importlib
import inspect
import sys
import warnings
import weakref
from asyncio import (
    base_events,
    base_futures,
    base_subprocess,
    base_tasks,
    constants,
    coroutines,
    events,
    format_helpers,
    futures,
    log,
    runners,
    sslproto,
    taskgroups,
    tasks,
    timeouts,
    transports,
    trsock,
    unix_events,
)
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from hocket.native import frames, running

if TYPE_CHECKING:
    from traceback import StackSummary

#: What the loop that we inherit from calls on itself and `EventLoop` answers, or the other way round.
LOOP_HOOKS = (
    "_run_once",
    "_check_closed",
    "_check_running",
    "_check_thread",
    "_check_callback",
    "_check_default_executor",
    "_add_reader",
    "_remove_reader",
    "_add_writer",
    "_remove_writer",
    "_add_callback",
    "_add_callback_signalsafe",
    "_call_soon",
    "_timer_handle_cancelled",
    "_make_socket_transport",
    "_make_ssl_transport",
    "_make_subprocess_transport",
    "_child_watcher_callback",
    "_getaddrinfo_debug",
    "_accept_connection",
    "_accept_connection2",
    "_start_serving",
    "_ensure_fd_no_transport",
    "_ensure_resolved",
    "_check_sendfile_params",
    "_sendfile_native",
    "_sock_sendfile_native",
    "_write_to_self",
)

# -- Limits and constants

LOG_THRESHOLD_FOR_CONNLOST_WRITES: int = constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES
ACCEPT_RETRY_DELAY: float = constants.ACCEPT_RETRY_DELAY
SSL_HANDSHAKE_TIMEOUT: float = constants.SSL_HANDSHAKE_TIMEOUT
SSL_SHUTDOWN_TIMEOUT: float = constants.SSL_SHUTDOWN_TIMEOUT
#: How `asyncio.Transport.write` names what it takes, in this Python's words: programs match them.
BYTES_LIKE = "bytes, bytearray, or memoryview" if sys.version_info >= (3, 13, 9) else "bytes-like"
#: Whether a loop's exception handler is called in the context of the callback that failed.
HANDLER_RUNS_IN_CONTEXT = sys.version_info >= (3, 12)
SENDFILE_TRY_NATIVE: Any = constants._SendfileMode.TRY_NATIVE
SENDFILE_FALLBACK: Any = constants._SendfileMode.FALLBACK
#: In bytes.
SSL_READ_HIGH_WATER: int = constants.FLOW_CONTROL_HIGH_WATER_SSL_READ * 1024
SSL_WRITE_HIGH_WATER: int = constants.FLOW_CONTROL_HIGH_WATER_SSL_WRITE * 1024
MAXIMUM_POLL_TIMEOUT: float = base_events.MAXIMUM_SELECT_TIMEOUT  # type: ignore[attr-defined]
logger = log.logger


def base_events_logger() -> Any:
    """The logger of asyncio's loop, by the name that programs' tests replace."""
    return base_events.logger  # type: ignore[attr-defined]


def base_events_socket() -> Any:
    """The `socket` module of asyncio's loop, by the name that programs' tests replace."""
    return base_events.socket  # type: ignore[attr-defined]


TransportSocket = trsock.TransportSocket
#: What `loop.sendfile` takes for a transport that can be held back.
FlowControlledTransport: Any = transports._FlowControlMixin


class FlowControlledDatagramTransport(transports._FlowControlMixin, asyncio.DatagramTransport):
    """What asyncio's datagram transports are from Python 3.12 on; before, they are no `asyncio.DatagramTransport`."""


#: What programs take for a transport that is encrypted.
SSLProtocolTransport: Any = sslproto._SSLProtocolTransport

# -- How asyncio names things in logs and reprs

future_repr_info: Callable[[Any], list[str]] = base_futures._future_repr_info
task_repr_info: Callable[[Any], list[str]] = base_tasks._task_repr_info
task_get_stack: Callable[[Any, int | None], list[Any]] = base_tasks._task_get_stack
task_print_stack: Callable[[Any, int | None, Any], None] = base_tasks._task_print_stack
iscoroutine: Callable[[object], bool] = coroutines.iscoroutine
get_future_loop: Callable[[Any], Any] = futures._get_loop  # type: ignore[attr-defined]
iscoroutinefunction: Callable[[object], bool] = getattr(
    coroutines, "_iscoroutinefunction", coroutines.iscoroutinefunction
)
format_handle: Callable[[Any], str] = base_events._format_handle  # type: ignore[attr-defined]
#: What `call_soon_threadsafe` returns, from Python 3.14 on.
ThreadSafeHandle: type[asyncio.Handle] = getattr(events, "_ThreadSafeHandle", asyncio.Handle)
running_loop: Callable[[], Any] = events._get_running_loop
set_nodelay: Callable[[Any], None] = base_events._set_nodelay  # type: ignore[attr-defined]
check_ssl_socket: Callable[[Any], None] = base_events._check_ssl_socket  # type: ignore[attr-defined]


def get_loop_for_future() -> Any:
    """The loop of a future or task that was given none: as asyncio's own classes choose it on this Python."""
    if sys.version_info < (3, 12):
        return events._get_event_loop()  # type: ignore[attr-defined]
    return events.get_event_loop()


def format_callback(callback: Any, args: Any, debug: bool) -> str:
    """A callback and where it is defined, for log messages; arguments only in debug mode, as of Python 3.13."""
    if sys.version_info < (3, 13):
        return format_helpers._format_callback_source(callback, args)
    return format_helpers._format_callback_source(callback, args, debug=debug)


def creation_stack(depth: int = 1) -> StackSummary:
    """Where an object is being created, for the debug mode: the caller's stack without frames of hocket's own."""
    frame = sys._getframe(depth)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("hocket."):
        frame = frame.f_back
    return format_helpers.extract_stack(frame)


# -- Servers, which count their connections, and what a new connection is made of

set_result_unless_cancelled: Callable[[Any, Any], None] = futures._set_result_unless_cancelled  # type: ignore[attr-defined]
_ATTACH_TAKES_TRANSPORT = len(inspect.signature(base_events.Server._attach).parameters) > 1  # type: ignore[attr-defined]


def attach(server: Any, transport: Any) -> None:
    """Count *transport* among the connections of *server*."""
    if _ATTACH_TAKES_TRANSPORT:
        server._attach(transport)
    else:
        server._attach()


def detach(server: Any, transport: Any) -> None:
    """Undo `attach`."""
    if _ATTACH_TAKES_TRANSPORT:
        server._detach(transport)
    else:
        server._detach()


def stream_reader_buffer(protocol: Any) -> bytearray:
    """What the reader of an `asyncio.StreamReaderProtocol` has received and nobody has read."""
    reader = protocol._stream_reader
    return bytearray() if reader is None else reader._buffer


DATA_RECEIVED = asyncio.StreamReaderProtocol.data_received
DRAIN_HELPER: Callable[[Any], Any] = asyncio.StreamReaderProtocol._drain_helper  # type: ignore[attr-defined]
FEED_DATA = asyncio.StreamReader.feed_data
WAKEUP_WAITER = asyncio.StreamReader._wakeup_waiter  # type: ignore[attr-defined]
WAIT_FOR_DATA = asyncio.StreamReader._wait_for_data  # type: ignore[attr-defined]


def is_stock_stream(protocol: Any, reader: Any) -> bool:
    """True if both take what has come by asyncio's methods: nobody has replaced one on them or on their classes.

    Whoever feeds the reader in their place relies on ``_stream_reader_wr`` of the protocol, and on ``_buffer``,
    ``_eof``, ``_limit``, ``_paused``, ``_transport`` and ``_waiter`` of the reader.
    """
    return (
        _is(protocol.data_received, DATA_RECEIVED)
        and _is(reader.feed_data, FEED_DATA)
        and _is(reader._wakeup_waiter, WAKEUP_WAITER)
    )


def has_stock_waiting(protocol: Any, reader: Any) -> bool:
    """True if both wait by asyncio's private methods.

    Whoever waits in their place relies on what `is_stock_stream` names, and on ``_connection_lost`` and ``_paused`` of
    the protocol.
    """
    return _is(protocol._drain_helper, DRAIN_HELPER) and _is(reader._wait_for_data, WAIT_FOR_DATA)


def _is(method: Any, function: Any) -> bool:
    return getattr(method, "__func__", None) is function


#: From Python 3.13 on, `asyncio.TaskGroup.create_task` closes a coroutine that it refuses.
GROUP_CLOSES_REFUSED = sys.version_info >= (3, 13)


def _report_unseen(inner: Any) -> None:
    if inner.cancelled():
        return
    error = inner.exception()
    if error is None:
        return
    context = {
        "message": f"{type(error).__name__} exception in shielded future",
        "exception": error,
        "future": inner,
    }
    if inner._source_traceback:
        context["source_traceback"] = inner._source_traceback
    inner.get_loop().call_exception_handler(context)


#: What reports, in the end, the exception of a shielded future that nobody waits for any more; asyncio's from 3.14 on.
report_unseen: Callable[[Any], None] = getattr(tasks, "_log_on_exception", _report_unseen)

# -- Who makes tasks, and who awaits whom

_FACTORY_TAKES_OPTIONS = any(
    parameter.kind is parameter.VAR_KEYWORD
    for parameter in inspect.signature(base_events.BaseEventLoop.create_task).parameters.values()
)


def call_task_factory(
    factory: Callable[..., Any], loop: Any, coro: Any, name: object, context: Any, options: dict[str, Any]
) -> Any:
    """Have a user's task factory make a task, with the arguments that this Python's asyncio gives it."""
    if context is not None:
        options["context"] = context
    if _FACTORY_TAKES_OPTIONS:
        if name is not None:
            options["name"] = name
        return factory(loop, coro, **options)
    task = factory(loop, coro, **options)
    if name is not None:
        task.set_name(name)
    return task


def _ignore(future: Any, waiter: Any, /) -> None:
    """Before Python 3.14 nobody asks who awaits whom."""


#: asyncio's own, which record nothing where a future or task of another class is concerned.
future_add_to_awaited_by: Callable[[Any, Any], None] = getattr(futures, "future_add_to_awaited_by", _ignore)
future_discard_from_awaited_by: Callable[[Any, Any], None] = getattr(futures, "future_discard_from_awaited_by", _ignore)

#: Which tasks of ours said that they wait for a future of asyncio's class, which has no room for them.
_foreign_awaited_by: weakref.WeakKeyDictionary[Any, weakref.WeakSet[Any]] = weakref.WeakKeyDictionary()


def add_foreign_to_awaited_by(future: Any, waiter: Any, waiter_is_ours: bool) -> None:
    """Record that *waiter* awaits *future*, which is of asyncio's own class."""
    if waiter_is_ours:
        _foreign_awaited_by.setdefault(future, weakref.WeakSet()).add(waiter)
    else:
        future_add_to_awaited_by(future, waiter)


def discard_foreign_from_awaited_by(future: Any, waiter: Any, waiter_is_ours: bool) -> None:
    """Undo `add_foreign_to_awaited_by`."""
    if waiter_is_ours:
        waiters = _foreign_awaited_by.get(future)
        if waiters is not None:
            waiters.discard(waiter)
    else:
        future_discard_from_awaited_by(future, waiter)


#: The method by which a future wakes a task, as asyncio's C class, its Python class and hocket's own call it.
_WAKEUPS = ("task_wakeup", "_Task__wakeup", "__wakeup", "_wakeup")


def woken_by(callback: Any) -> Any:
    """The task that *callback*, of a future, wakes; None if it does something else."""
    if getattr(callback, "__name__", None) not in _WAKEUPS:
        return None
    task = getattr(callback, "__self__", None)
    return task if hasattr(task, "get_coro") else None


def _foreign_waiters(future: Any) -> set[Any]:
    """The tasks that wait for *future*, of asyncio's class, and that it does not name itself."""
    waiters = set(_foreign_awaited_by.get(future, ()))
    for callback, _ in future._callbacks or ():
        task = woken_by(callback)
        if task is not None:
            waiters.add(task)
    return waiters - (future._asyncio_awaited_by or set())


def replace_awaited_by(add: Callable[[Any, Any], None], discard: Callable[[Any, Any], None]) -> None:
    """Have asyncio record with *add* and *discard* who awaits whom, and show it in its call graphs."""
    if sys.version_info < (3, 14):
        return
    graph: Any = importlib.import_module("asyncio.graph")
    build = graph._build_graph_for_future

    def _build_graph_for_future(future: Any, *, limit: int | None = None) -> Any:
        built = build(future, limit=limit)
        if not issubclass(type(future), futures.Future):  # one of ours, which has named everybody
            return built
        ours = tuple(_build_graph_for_future(waiter, limit=limit) for waiter in _foreign_waiters(future))
        return graph.FutureCallGraph(future, built.call_stack, built.awaited_by + ours) if ours else built

    for module in (futures, asyncio):
        for name, replacement in (("future_add_to_awaited_by", add), ("future_discard_from_awaited_by", discard)):
            setattr(module, name, replacement)
            if hasattr(module, f"_c_{name}"):  # the same once more, for whoever asks for the fast one
                setattr(module, f"_c_{name}", replacement)
    graph._build_graph_for_future = _build_graph_for_future


# -- Who is running: asyncio.current_task()

#: The dictionary loop → running task, up to Python 3.13; from 3.14 on the thread state holds it, and this is None.
current_tasks: dict[Any, Any] | None = getattr(tasks, "_current_tasks", None) if sys.version_info < (3, 14) else None
enter_task: Callable[[Any, Any], None] = tasks._enter_task
leave_task: Callable[[Any, Any], None] = tasks._leave_task


for _module in (base_events, runners, taskgroups, tasks, timeouts):
    frames.pass_over(vars(_module))  # They make tasks for those who call them.

#: Whether `hocket.native.running` can announce tasks itself.
announces_natively: bool = current_tasks is None and running.find(
    tasks._swap_current_task,  # type: ignore[attr-defined]
    events._set_running_loop,
    events._get_running_loop,
)


def swap_current_task(loop: Any, task: Any) -> Any:
    """Announce *task* (None: nobody) as running on *loop*; return who was."""
    if current_tasks is None:
        return tasks._swap_current_task(loop, task)  # type: ignore[attr-defined]
    previous = current_tasks.get(loop)
    if task is None:
        current_tasks.pop(loop, None)
    else:
        current_tasks[loop] = task
    return previous


def forget_running_task(loop: Any) -> None:
    """In the child of a fork: no task of *loop* runs in this thread any more, and neither does *loop*."""
    if current_tasks is not None:
        current_tasks.pop(loop, None)
    else:
        # It answers only for the running loop, and asyncio may have announced already that there is none.
        events._set_running_loop(loop)
        tasks._swap_current_task(loop, None)  # type: ignore[attr-defined]
    events._set_running_loop(None)


# -- Who is alive: asyncio.all_tasks()

register_task: Callable[[Any], None] = tasks._register_task
unregister_task: Callable[[Any], None] = tasks._unregister_task
register_eager_task: Callable[[Any], None] = getattr(tasks, "_register_eager_task", register_task)
unregister_eager_task: Callable[[Any], None] = getattr(tasks, "_unregister_eager_task", unregister_task)


class _Probe:
    """Registered for a moment, to find out where asyncio keeps what was registered."""


class _LiveReferences(set[Any]):
    """The weak references of asyncio's set of tasks, and behind them those to every live task of hocket's loops.

    asyncio finds tasks by iterating over a `weakref.WeakSet`.  Entering each task there costs more than the task
    itself; instead the set's own table is one that asks our loops when it is read.
    """

    live: Callable[[], Iterable[Any]]

    def __iter__(self) -> Iterator[Any]:
        yield from list(super().__iter__())
        for task in _LiveReferences.live():
            yield weakref.ref(task)

    def copy(self) -> Any:
        """What `weakref.WeakSet` iterates over from Python 3.14 on."""
        return list(self)


def _find_task_registry() -> weakref.WeakSet[Any] | None:
    probe = _Probe()
    register_task(probe)
    try:
        for reference in weakref.getweakrefs(probe):
            registry = (getattr(reference.__callback__, "__defaults__", None) or (lambda: None,))[0]()
            if isinstance(registry, weakref.WeakSet) and probe in registry:
                return registry
    finally:
        unregister_task(probe)
    return None


def announce_live_tasks(live: Callable[[], Iterable[Any]]) -> bool:
    """Make `asyncio.all_tasks` see what *live* returns.  False: it can't, and tasks must be registered one by one."""
    registry = _find_task_registry()
    if registry is None or type(registry.data) not in (set, _LiveReferences):  # type: ignore[attr-defined]
        return False
    _LiveReferences.live = staticmethod(live)
    if type(registry.data) is set:  # type: ignore[attr-defined]
        registry.data = _LiveReferences(registry.data)  # type: ignore[attr-defined]
    return True


# -- What a runner does with the tasks that are left over

_cancelling_listeners: list[Callable[[Any], object]] = []
_cancel_all_tasks: Callable[[Any], None] = runners._cancel_all_tasks  # type: ignore[attr-defined]


def _tell_and_cancel_all(loop: Any) -> None:
    for listener in list(_cancelling_listeners):
        listener(loop)
    _cancel_all_tasks(loop)


def before_cancelling_all(listener: Callable[[Any], object]) -> None:
    """Call *listener* with each loop whose tasks `asyncio.run` or a runner is about to cancel because it ends."""
    _cancelling_listeners.append(listener)
    runners._cancel_all_tasks = _tell_and_cancel_all  # type: ignore[attr-defined]


def not_before_cancelling_all(listener: Callable[[Any], object]) -> None:
    """Undo `before_cancelling_all`."""
    _cancelling_listeners.remove(listener)
    if not _cancelling_listeners and runners._cancel_all_tasks is _tell_and_cancel_all:  # type: ignore[attr-defined]
        runners._cancel_all_tasks = _cancel_all_tasks  # type: ignore[attr-defined]


# -- Policies: deprecated from Python 3.14 on, and the public names warn there

if sys.version_info >= (3, 14):
    DefaultEventLoopPolicy: Any = unix_events._DefaultEventLoopPolicy  # type: ignore[attr-defined]
    set_event_loop_policy: Callable[[Any], None] = events._set_event_loop_policy  # type: ignore[attr-defined]
    get_event_loop_policy: Callable[[], Any] = events._get_event_loop_policy  # type: ignore[attr-defined]
else:
    DefaultEventLoopPolicy = asyncio.DefaultEventLoopPolicy
    set_event_loop_policy = asyncio.set_event_loop_policy
    get_event_loop_policy = asyncio.get_event_loop_policy


# -- Child processes, and who a program says is to watch them

UnixSubprocessTransport: Any = unix_events._UnixSubprocessTransport  # type: ignore[attr-defined]
WriteSubprocessPipeProto: Any = base_subprocess.WriteSubprocessPipeProto
ReadSubprocessPipeProto: Any = base_subprocess.ReadSubprocessPipeProto


#: The class of the child watcher that asyncio takes if nobody has set one; empty where there are no such classes.
_DEFAULT_CHILD_WATCHERS: tuple[type, ...] = ()
if sys.version_info < (3, 14):
    _DEFAULT_CHILD_WATCHERS = (asyncio.ThreadedChildWatcher,)
    if sys.version_info >= (3, 12) and unix_events.can_use_pidfd():
        _DEFAULT_CHILD_WATCHERS = (asyncio.PidfdChildWatcher,)


def child_watcher(loop: Any) -> Any:
    """The child watcher that *loop* has to use while it starts a child, to be entered; None if it may do as it likes.

    Up to Python 3.13 that is what the program has set with its policy, if it is not of the kind that asyncio takes by
    itself.  From 3.14 on, where nothing can be set, it is asyncio's own on a system without pidfds.
    """
    if sys.version_info >= (3, 14):
        watcher = loop._watcher
        return watcher if isinstance(watcher, unix_events._ThreadedChildWatcher) else None  # type: ignore[attr-defined]
    return _policy_child_watcher()


@contextlib.contextmanager
def entered(watcher: Any) -> Iterator[Any]:
    """Within it, children may be started for *watcher*, which `child_watcher` gave.  `RuntimeError` if not active."""
    if sys.version_info >= (3, 14):
        yield watcher
        return
    with watcher as entered:
        if sys.version_info < (3, 12):
            watcher = entered
        if not watcher.is_active():
            raise RuntimeError("asyncio.get_child_watcher() is not activated, subprocess support is not installed.")
        yield watcher


def _policy_child_watcher() -> Any:
    policy = get_event_loop_policy()
    if getattr(type(policy), "get_child_watcher", None) is DefaultEventLoopPolicy.get_child_watcher:
        # Not asked: it would make one.  And one of the kind that it makes may come from another loop of the process.
        watcher = policy._watcher  # type: ignore[attr-defined]
        return None if type(watcher) in _DEFAULT_CHILD_WATCHERS else watcher
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return policy.get_child_watcher()
    except NotImplementedError:
        return None


# -- Children, by the `subprocess` module

#: The module, as asyncio has it.  (The core starts no children itself.)
_subprocess: Any = base_subprocess.subprocess  # type: ignore[attr-defined]
#: `subprocess.Popen`, whatever a program puts in its place later.
STOCK_POPEN: Any = _subprocess.Popen
_EXECUTE_CHILD: Any = STOCK_POPEN._execute_child


def popen_is_stock() -> bool:
    """True if nobody has put something else in the place of `subprocess.Popen` or of how it starts a child."""
    return _subprocess.Popen is STOCK_POPEN and STOCK_POPEN._execute_child is _EXECUTE_CHILD


def fork_exec(*arguments: Any) -> int:
    """What `subprocess.Popen` starts a child with; debuggers put theirs in its place.  Returns the child's pid."""
    if sys.version_info < (3, 14):
        arguments = (*arguments, _subprocess._USE_VFORK)
    pid: int = _subprocess._fork_exec(*arguments)
    return pid


# -- The default executor

_RUN_IN_EXECUTOR: Any = base_events.BaseEventLoop.run_in_executor


def runs_in_executor(loop: Any) -> bool:
    """True if `run_in_executor` of *loop* is asyncio's own."""
    return getattr(loop.run_in_executor, "__func__", None) is _RUN_IN_EXECUTOR


def default_executor(loop: Any) -> Any:
    """What `run_in_executor` takes for None; made if there is none yet.  `RuntimeError` once it was shut down."""
    loop._check_closed()
    executor = loop._default_executor
    loop._check_default_executor()
    if executor is None:
        executor = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="asyncio")
        loop._default_executor = executor
    return executor
