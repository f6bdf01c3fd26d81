"""Child processes: starting them, and learning that one has ended.

**One descriptor a child.**  Where the system has pidfds (Linux), the loop's driver watches one for each child, beside
all other descriptors: no thread, no signal handler, and every loop of every thread sees to its own children alone.
`asyncio` does so from Python 3.12 on; here all versions do.  Where a pidfd cannot be had (another system, a sandbox,
no descriptor left), one short-lived thread waits for that child.

**A pid belongs to its child until the loop has taken the exit code**, and that happens in one step with telling
everybody.  Nothing on the way polls the child, so no exit code is lost, and signals go through the pidfd: they cannot
hit a stranger that was given the pid of somebody reaped behind our back.

**`subprocess.Popen` runs on the loop's own thread.**  A child is started with ``vfork``: 0.1–0.2 ms, also from a
process of 2 GiB.  In a thread it would cost more than that, and be seen: ``PR_SET_PDEATHSIG`` kills the child when the
*thread* that started it ends.  ``preexec_fn`` alone makes it a ``fork``, which copies page tables: 40 ms at 2 GiB.

Up to Python 3.13 a program may set a child watcher with the event loop policy.  One that is set is used.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
from typing import Any

from hocket.core import asyncio_private
from hocket.core.handles import Handle
from hocket.net.spawn import Popen

#: What asyncio reports for a child that somebody else has reaped.
_UNKNOWN_EXIT_CODE = 255
#: There the end that writes into a pipe cannot be watched, and asyncio makes a pair of sockets.
_STDIN_IS_A_SOCKET = sys.platform.startswith("aix")
_NO_WATCHER: contextlib.nullcontext[None] = contextlib.nullcontext()


class ChildTransport(asyncio_private.UnixSubprocessTransport):  # type: ignore[misc]
    """The transport of one child, with what the newest `asyncio` does on every Python.

    `wait` returns when the child ends, whoever still holds its pipes; a signal is never sent to a pid that has been
    reaped; what fails or is cancelled while the pipes are being connected closes them.
    """

    # asyncio's, where the constructor is.
    _loop: Any
    _proc: Any
    _pid: int
    _protocol: Any
    _pipes: dict[int, Any]
    _pending_calls: Any
    _returncode: int | None
    _closed: bool

    def __init__(
        self,
        loop: Any,
        protocol: Any,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        *,
        waiter: Any,
        extra: dict[str, Any] | None,
        **kwargs: Any,
    ) -> None:
        self._extra = {} if extra is None else extra
        self._closed = False
        self._protocol = protocol
        self._loop = loop
        self._proc = None
        self._pid = -1
        self._returncode = None
        self._pending_calls = []
        self._pipes = {}
        if stdin == subprocess.PIPE:
            self._pipes[0] = None
        if stdout == subprocess.PIPE:
            self._pipes[1] = None
        if stderr == subprocess.PIPE:
            self._pipes[2] = None
        self._finished = False
        self._pidfd = -1
        self._waiters: set[Any] | None = None
        try:
            self._start(args=args, shell=shell, stdin=stdin, stdout=stdout, stderr=stderr, bufsize=bufsize, **kwargs)
        except BaseException:
            self.close()
            raise
        self._pid = self._proc.pid
        self._extra["subprocess"] = self._proc
        if loop.get_debug():
            program = args if isinstance(args, (bytes, str)) else args[0]
            asyncio_private.logger.debug("process %r created: pid %s", program, self._pid)
        if self._pipes:
            loop.create_task(self._connect_pipes(waiter))
        else:
            loop.call_soon(self._connected_none, waiter)

    def _start(self, args: Any, shell: bool, stdin: Any, stdout: Any, stderr: Any, bufsize: int, **kwargs: Any) -> None:
        if asyncio_private.popen_is_stock() and not _STDIN_IS_A_SOCKET:
            self._proc = Popen(args, shell=shell, stdin=stdin, stdout=stdout, stderr=stderr, bufsize=bufsize, **kwargs)
        else:
            super()._start(args, shell, stdin, stdout, stderr, bufsize, **kwargs)

    async def _connect_pipes(self, waiter: Any) -> None:
        loop, process, pipes = self._loop, self._proc, self._pipes
        streams = (process.stdin, process.stdout, process.stderr)
        try:
            for fd, stream in enumerate(streams):
                if stream is None:
                    continue
                if fd == 0:
                    _, pipes[fd] = await loop.connect_write_pipe(
                        lambda: asyncio_private.WriteSubprocessPipeProto(self, 0), stream
                    )
                else:
                    _, pipes[fd] = await loop.connect_read_pipe(
                        lambda fd=fd: asyncio_private.ReadSubprocessPipeProto(self, fd), stream
                    )
            loop.call_soon(self._protocol.connection_made, self)
            for callback, data in self._pending_calls:
                loop.call_soon(callback, *data)
            self._pending_calls = None
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._close_pipes()
            for stream in streams:
                if stream is not None:
                    stream.close()
            if waiter is not None and not waiter.cancelled():
                waiter.set_exception(error)
        else:
            if self._closed:
                # Whoever started the child gave up before its pipes were connected.
                self._close_pipes()
            if waiter is not None and not waiter.cancelled():
                waiter.set_result(None)

    def _connected_none(self, waiter: Any) -> None:
        """What `_connect_pipes` does for a child without pipes, in the same turn."""
        loop = self._loop
        loop.call_soon(self._protocol.connection_made, self)
        for callback, data in self._pending_calls:
            loop.call_soon(callback, *data)
        self._pending_calls = None
        if not waiter.cancelled():
            waiter.set_result(None)

    # -- The end of the child

    def _process_exited(self, returncode: int) -> None:
        if self._loop.get_debug():
            asyncio_private.logger.info("%r exited with return code %r", self, returncode)
        self._returncode = returncode
        if self._proc.returncode is None:
            self._proc.returncode = returncode
        self._call(self._protocol.process_exited)
        self._try_finish()
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(returncode)

    def _try_finish(self) -> None:
        if self._returncode is None:
            return
        for pipe in self._pipes.values():
            if pipe is None or not pipe.disconnected:
                return
        self._finished = True
        self._call(self._call_connection_lost, None)

    async def _wait(self) -> int | None:
        """Wait until the child has ended, and return its exit code."""
        if self._returncode is None:
            waiter = self._loop.create_future()
            if self._waiters is None:
                self._waiters = set()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                if self._waiters is not None:
                    self._waiters.discard(waiter)
        return self._returncode

    def _call_connection_lost(self, error: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._loop = None
            self._proc = None
            self._protocol = None

    # -- Closing, which kills

    def close(self) -> None:
        """Close the pipes, and kill the child if it still runs.  Its end is reported as always."""
        if self._closed:
            return
        self._closed = True
        self._close_pipes()
        if self._proc is None or self._returncode is not None or self._has_ended():
            return
        if self._loop.get_debug():
            asyncio_private.logger.warning("Close running child process: kill %r", self)
        # A child that runs with another user's rights may not be ours to kill.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            self._proc.kill()

    def _close_pipes(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            for pipe in self._pipes.values():
                if pipe is not None:
                    pipe.pipe.close()

    def _has_ended(self) -> bool:
        """Whether the child has ended.  Leaves its exit code to the loop."""
        if self._proc.returncode is not None:
            return True
        if not hasattr(os, "waitid"):
            return self._proc.poll() is not None
        try:
            return os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    # -- Signals

    def send_signal(self, number: int) -> None:
        """Send the signal *number* to the child; nothing if it has ended.

        Raises `ProcessLookupError` once `connection_lost` has been called, and `OSError` if the kernel refuses.
        """
        self._check_proc()
        if self._returncode is not None or self._proc.returncode is not None:
            return
        try:
            if self._pidfd < 0:
                os.kill(self._pid, number)
                return
            try:
                signal.pidfd_send_signal(self._pidfd, number)
            except ProcessLookupError:
                raise
            except OSError:
                # A sandbox may know the one call and not the other; if it is the kernel that refuses, it does so again.
                os.kill(self._pid, number)
        except ProcessLookupError:
            pass

    def terminate(self) -> None:
        """Send ``SIGTERM``; as `send_signal`."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send ``SIGKILL``; as `send_signal`."""
        self.send_signal(signal.SIGKILL)


class Processes:
    """The part of an event loop that has children; to be combined with `asyncio.SelectorEventLoop`, in front of it."""

    def __init__(self) -> None:
        # Those whose pidfd the driver watches.  A child that nobody else holds must not be forgotten while it runs.
        self._children: set[ChildTransport] = set()

    def close(self) -> None:
        super().close()  # type: ignore[misc]
        # The children live on, as with asyncio; a transport that nobody holds kills its child.
        while self._children:
            self._unwatch_child(self._children.pop())

    async def _make_subprocess_transport(
        self: Any,
        protocol: Any,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        extra: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> ChildTransport:
        chosen = asyncio_private.child_watcher(self)
        with _NO_WATCHER if chosen is None else asyncio_private.entered(chosen) as watcher:
            waiter = self.create_future()
            child = ChildTransport(
                self, protocol, args, shell, stdin, stdout, stderr, bufsize, waiter=waiter, extra=extra, **kwargs
            )
            try:
                if watcher is None:
                    self._watch_child(child)
                else:
                    watcher.add_child_handler(child.get_pid(), self._child_watcher_callback, child)
            except BaseException:
                # Nobody will tell of its end: it must not stay, running or as a zombie.
                process = child.get_extra_info("subprocess")
                child.close()
                process.wait()
                raise
            try:
                await waiter
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException:
                child.close()
                await asyncio.shield(child._wait())
                raise
        return child

    def _watch_child(self: Any, child: ChildTransport) -> None:
        """Have the end of *child* noticed: by the driver if it can be, by a thread otherwise."""
        try:
            child._pidfd = os.pidfd_open(child._pid)
            self._children.add(child)
            self._driver.add_reader(child._pidfd, Handle(self._child_ended, (child,), self, None))
        except (AttributeError, OSError):
            self._unwatch_child(child)
            self._watch_child_in_thread(child)

    def _unwatch_child(self: Any, child: ChildTransport) -> None:
        self._children.discard(child)
        pidfd, child._pidfd = child._pidfd, -1
        if pidfd >= 0:
            self._driver.remove_reader(pidfd)
            os.close(pidfd)

    def _child_ended(self: Any, child: ChildTransport) -> None:
        try:
            # Through the pidfd: somebody else may have reaped the child, and its pid been given to another one.
            status = os.waitid(os.P_PIDFD, child._pidfd, os.WEXITED | os.WNOHANG)
        except OSError:
            returncode = None
        else:
            if status is None:
                # A debugger that traces the child has a right to its status before we have.
                self._unwatch_child(child)
                self._watch_child_in_thread(child)
                return
            returncode = status.si_status if status.si_code == os.CLD_EXITED else -status.si_status
        self._unwatch_child(child)
        self._report_child(child, returncode)

    def _report_child(self: Any, child: ChildTransport, returncode: int | None) -> None:
        """Tell of the end of *child*.  None: somebody else has its exit code."""
        if returncode is None:
            # Perhaps its own `Popen`, which a program reaches by `get_extra_info` and may ask as it likes.
            returncode = child._proc.returncode
        if returncode is None:
            returncode = _UNKNOWN_EXIT_CODE
            asyncio_private.logger.warning(
                "child process pid %d exit status already read: will report returncode 255", child._pid
            )
        child._process_exited(returncode)

    # -- Without a pidfd

    def _watch_child_in_thread(self: Any, child: ChildTransport) -> None:
        thread = threading.Thread(
            target=_wait_for_child, name=f"hocket-waitpid-{child._pid}", args=(self, child), daemon=True
        )
        thread.start()

    def _reap_child(self: Any, child: ChildTransport) -> None:
        self._report_child(child, _take_exit_code(child._pid))


def _wait_for_child(loop: Any, child: ChildTransport) -> None:
    """What the thread of a child without a pidfd does."""
    pid = child._pid
    if hasattr(os, "waitid"):
        with contextlib.suppress(ChildProcessError):
            # The exit code stays where it is: whoever takes it frees the pid, and signals may be on their way to it.
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        report = functools.partial(loop._reap_child, child)
    else:
        report = functools.partial(loop._report_child, child, _take_exit_code(pid))
    try:
        loop.call_soon_threadsafe(report)
    except RuntimeError:
        # The loop has been closed.  Let no zombie be left.
        _take_exit_code(pid)
        asyncio_private.logger.warning("Loop %r that handles pid %r is closed", loop, pid)


def _take_exit_code(pid: int) -> int | None:
    """Wait for the child *pid*, and free the pid.  None if somebody else did."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status)
