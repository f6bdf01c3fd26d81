"""Starting a child: `subprocess.Popen` with a short way through what it does for every child.

Half of the time that a process spends on a child goes by in the Python code of `subprocess.Popen`: it is run once a
child, cold.  `Popen` here does the same in fewer steps, with the same ``fork_exec``, the same audit event and the same
pipe by which a child says that it could not execute its program.  **What goes wrong is left to the original**, which
tries again and knows what to say; and so is what is asked for seldom (`preexec_fn`, `env`, `pass_fds`, `executable`).

The interpreter's own ``posix_spawn``, which newer Pythons take where they can, is no faster.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

from hocket.core import asyncio_private

_SHELL = "/system/bin/sh" if hasattr(sys, "getandroidapilevel") else "/bin/sh"
_INHERITED = (-1, -1, -1, -1, -1, -1)


class Popen(asyncio_private.STOCK_POPEN):  # type: ignore[misc]
    """A child, as `subprocess.Popen`."""

    def _get_handles(self, stdin: Any, stdout: Any, stderr: Any) -> Any:
        if stdin is None and stdout is None and stderr is None:
            return _INHERITED
        return super()._get_handles(stdin, stdout, stderr)

    def _execute_child(self, *given: Any) -> None:
        (
            args,
            executable,
            preexec_fn,
            close_fds,
            pass_fds,
            cwd,
            env,
            _,
            _,
            shell,
            p2cread,
            p2cwrite,
            c2pread,
            c2pwrite,
            errread,
            errwrite,
            restore_signals,
            gid,
            gids,
            uid,
            umask,
            start_new_session,
            process_group,
        ) = given
        arguments = [_SHELL, "-c", args] if shell else list(args)
        program: Any = arguments[0] if arguments else None
        plain = executable is None and preexec_fn is None and env is None and not pass_fds and type(program) is str
        if not plain:
            super()._execute_child(*given)
            return
        reading, writing = os.pipe()
        try:
            try:
                # Otherwise it has one of the numbers of the child's own streams.
                plain = writing > 2
                if plain:
                    sys.audit("subprocess.Popen", program, arguments, cwd, None)
                    self.pid = asyncio_private.fork_exec(
                        arguments,
                        (os.fsencode(program),) if "/" in program else _candidates(program),
                        close_fds,
                        (writing,),
                        cwd,
                        None,
                        p2cread,
                        p2cwrite,
                        c2pread,
                        c2pwrite,
                        errread,
                        errwrite,
                        reading,
                        writing,
                        restore_signals,
                        start_new_session,
                        process_group,
                        gid,
                        gids,
                        uid,
                        umask,
                        None,
                    )
                    self._child_created = True
            finally:
                os.close(writing)
            if plain and os.read(reading, 1):
                # It could not execute the program.
                plain = False
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(self.pid, 0)
                self._child_created = False
        finally:
            os.close(reading)
        if not plain:
            super()._execute_child(*given)
        elif given[10:16] == _INHERITED:
            self._closed_child_pipe_fds = True
        else:
            self._close_pipe_fds(*given[10:16])


def _candidates(program: str) -> tuple[bytes, ...]:
    """Where *program*, a name without a directory, may be: in each directory of ``PATH``."""
    name = os.fsencode(program)
    return tuple(os.path.join(os.fsencode(directory), name) for directory in os.get_exec_path())
