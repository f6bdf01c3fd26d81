"""Tests that hocket cannot pass because they look inside asyncio: one entry a test, each with its reason.

Only a test of asyncio's private parts belongs here (an attribute or hook with an underscore that is not part of any
documented interface, or a mock of one). A test of documented behaviour that fails is a bug of hocket's.

`KNOWN_BUGS` is the other list: what hocket does not do yet and will. It is counted apart in every report, and it is
meant to be empty.

The tests of both lists run all the same: an entry whose test passes, or does not exist, is reported and fails the run.
"""

from dataclasses import dataclass

import hocket

ALL = ("3.11", "3.12", "3.13", "3.14")


@dataclass(frozen=True)
class Exclusion:
    """`test` is `module.Class.method`, without the `test.test_asyncio.` in front."""

    test: str
    reason: str
    versions: tuple[str, ...] = ALL
    # A test that takes the whole process down is not run at all.
    never_run: bool = False
    # Where it is needed if not on both legs: "compiled" or "uncompiled".
    leg: str = ""


# Attributes of asyncio's loop that hocket's has no counterpart of.
_READY = "reads or writes the loop's private _ready deque or _scheduled heap; hocket's queues are other objects"
_SELECTOR = "mocks the private _selector and _process_events; hocket waits through its driver"
_DELETION = "deletes private attributes of asyncio's C class"
_PURE_PYTHON_TASKS = (
    "installs asyncio's private pure-Python bookkeeping (_py_current_task, _py_all_tasks, _py__set_running_loop), "
    "which sees only asyncio's own pure-Python tasks; the loop's tasks are hocket's"
)
_STRONG_REFERENCE = (
    "lets a pending task be collected, which asyncio's private weak registry allows; hocket's loop keeps its live tasks"
)
_TASK_CALLS_SOON = "expects Task() to go through a mocked loop.call_soon; hocket puts the task itself in its ready ring"

_TYPE_NAMES = (
    "compares the interpreter's own words about a class, which names compiled classes with their module, and their "
    "methods without the class"
)

_NO_FRAME = (
    "expects the frames of asyncio's own coroutines in the call graph; hocket's operations have none, the graph shows "
    "the tasks that wait without them"
)

_ITERATOR_THROW = (
    "calls throw() on a future's own iterator, which nobody drives by hand; hocket's has none, so that the "
    "interpreter raises at the await itself, with no frame of hocket's in the traceback"
)

_ON_PURE_PYTHON_TASKS = (
    "test_capture_call_graph_generator_keeps_caller_frames",
    "test_stack_as_completed",
    "test_stack_as_completed_timeout",
    "test_stack_async_gen",
    "test_stack_future",
    "test_stack_gather",
    "test_stack_shield",
    "test_stack_task",
    "test_stack_tgroup",
    "test_stack_timeout",
    "test_stack_wait",
    "test_stack_wait_for_non_positive_timeout",
)

_HOCKET_TASKS_ON_HOCKET_LOOP = (
    "HocketTask_CFuture_OnHocketLoop_Tests",
    "HocketTask_HocketFuture_OnHocketLoop_Tests",
    "HocketTask_HocketFuture_OnHocketLoop_SubclassTests",
)

EXCLUSIONS: tuple[Exclusion, ...] = (
    *(
        Exclusion(f"test_base_events.HocketEventLoopTests.{name}", _READY)
        for name in (
            "test__add_callback_handle",
            "test__run_once",
            "test__run_once_cancelled_event_cleanup",
            "test__run_once_schedule_handle",
            "test_call_later",
            "test_call_soon",
        )
    ),
    *(
        Exclusion(f"test_base_events.HocketEventLoopTests.{name}", _SELECTOR)
        for name in ("test_run_forever_pre_stopped", "test_single_selecter_event_callback_after_stopping")
    ),
    Exclusion(
        "test_base_events.HocketEventLoopTests.test_custom_run_forever_integration",
        "counts calls of a mocked private _process_events, and waits for ever without it",
        ("3.13", "3.14"),
        never_run=True,
    ),
    Exclusion(
        "test_base_events.HocketEventLoopTests.test_not_implemented",
        "asserts that private hooks of the abstract base class are abstract; a real loop implements them",
    ),
    *(
        Exclusion(f"test_futures.{owner}.test_future_del_segfault", _DELETION)
        for owner in ("HocketFutureTests", "HocketFutureOnHocketLoopTests")
    ),
    *(
        Exclusion(f"test_futures.{owner}.test_future_iter_throw", _ITERATOR_THROW)
        for owner in (
            "HocketFutureTests",
            "HocketFutureOnHocketLoopTests",
            "HocketSubFutureTests",
            "HocketSubFutureOnHocketLoopTests",
        )
    ),
    *(
        Exclusion(f"test_futures.{owner}.test_future_cancel_message_setter", _DELETION, ("3.14",))
        for owner in (
            "HocketFutureTests",
            "HocketFutureOnHocketLoopTests",
            "HocketSubFutureTests",
            "HocketSubFutureOnHocketLoopTests",
        )
    ),
    *(
        Exclusion(f"test_tasks.{owner}.test_del__log_destroy_pending_segfault", _DELETION)
        for owner in ("HocketTask_HocketFuture_Tests", "HocketTask_HocketFuture_OnHocketLoop_Tests")
    ),
    *(
        Exclusion(f"test_tasks.{owner}.{name}", reason)
        for owner in _HOCKET_TASKS_ON_HOCKET_LOOP
        for name, reason in (
            ("test_error_in_call_soon", _TASK_CALLS_SOON),
            ("test_log_destroyed_pending_task", _STRONG_REFERENCE),
        )
    ),
    Exclusion("test_unix_events.SelectorEventLoopUnixSockSendfileTests.test_sock_sendfile_blocking_error", _SELECTOR),
    Exclusion(
        "test_unix_events.SelectorEventLoopUnixSockSendfileTests.test_sock_sendfile_not_available",
        "takes os.sendfile away from asyncio.unix_events alone and calls a private method; hocket's is elsewhere",
    ),
    Exclusion(
        "test_ssl.TestSSL.test_remote_shutdown_receives_trailing_data_on_slow_socket",
        "reads and replaces _read_ready_cb and _sock of asyncio's private selector transport, and hangs without them",
        ("3.14",),
        never_run=True,
    ),
    Exclusion(
        "test_sslproto.SslProtoHandshakeTests.test_connection_lost_when_busy",
        "calls the private _make_socket_transport and expects a mocked socket's send() within write(); hocket gathers "
        "a turn's writes and sends them when it ends",
        ("3.14",),
    ),
    *(
        Exclusion(f"test_events.TestPyGetEventLoop.{name}", _PURE_PYTHON_TASKS, ("3.14",), leg="uncompiled")
        for name in (
            "test_get_event_loop_new_process",
            "test_get_event_loop_returns_running_loop",
            "test_get_event_loop_returns_running_loop2",
            "test_get_running_loop_already_running",
        )
    ),
    *(Exclusion(f"test_graph.TestCallStackPy.{name}", _PURE_PYTHON_TASKS, ("3.14",)) for name in _ON_PURE_PYTHON_TASKS),
    *(
        Exclusion(
            f"test_free_threading.{owner}.test_all_tasks_from_other_thread_includes_eager_tasks",
            _PURE_PYTHON_TASKS,
            ("3.14",),
        )
        for owner in ("TestPyFreeThreading", "TestEagerPyFreeThreading")
    ),
)


#: Tests that look inside asyncio's primitives, which are hocket's with `--accelerated`.
ACCELERATED: tuple[Exclusion, ...] = (
    *(
        Exclusion(f"test_locks.{name}", _TYPE_NAMES, leg="compiled")
        for name in (
            "LockTests.test_lock",
            "LockTests.test_lock_by_with_statement",
            "LockTests.test_lock_doesnt_accept_loop_parameter",
            "SemaphoreTests.test_semaphore",
        )
    ),
    *(
        Exclusion(f"test_graph.TestCallStackC.{name}", _NO_FRAME, ("3.14",))
        for name in ("test_stack_as_completed", "test_stack_as_completed_timeout", "test_stack_tgroup")
    ),
)

KNOWN_BUGS: tuple[Exclusion, ...] = ()


def for_module(module: str, version: str, *, accelerated: bool = False) -> dict[str, Exclusion]:
    """Exclusions of one module on one Python version, by full test id; *accelerated*: of that mode, too."""
    return _chosen((*EXCLUSIONS, *ACCELERATED) if accelerated else EXCLUSIONS, module, version)


def known_bugs(module: str, version: str) -> dict[str, Exclusion]:
    """Known bugs that show in one module on one Python version, by full test id."""
    return _chosen(KNOWN_BUGS, module, version)


def _chosen(entries: tuple[Exclusion, ...], module: str, version: str) -> dict[str, Exclusion]:
    return {
        f"test.test_asyncio.{entry.test}": entry
        for entry in entries
        if entry.test.partition(".")[0] == module and version in entry.versions
        if entry.leg != ("uncompiled" if hocket.is_compiled() else "compiled")
    }
