"""Runs ``MODULE:FUNCTION`` for ``hocket run``, in the interpreter that took the place of the command.

An ``async def`` without required arguments is run to its end by ``hocket.run``.  An int that it returns is the exit
code, as for a console script; every other result, also True and False, is ignored and means 0.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Coroutine
from types import FrameType, TracebackType
from typing import Any, NoReturn

import hocket
from hocket.cli.errors import UsageError
from hocket.cli.main import USAGE_ERROR
from hocket.observe import report


def main() -> int:
    """Run the function that ``sys.argv[1]`` names; what follows is for the program to find in ``sys.argv``."""
    del sys.argv[0]
    try:
        function = load(sys.argv[0])
    except UsageError as error:
        report.stop()
        print(f"hocket: {error}", file=sys.stderr)
        return USAGE_ERROR
    result = hocket.run(function())
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def load(target: str) -> Callable[[], Coroutine[Any, Any, object]]:
    """Return the async function that `target` names; raise UsageError if there is none that can be called."""
    module_name, _, path = target.partition(":")
    try:
        __import__(module_name)
    except ModuleNotFoundError as error:
        # Only if the module itself, or a package it is in, is not there; an import inside it that fails is the user's.
        packages = module_name.split(".")
        looked_for = {".".join(packages[: i + 1]) for i in range(len(packages))}
        if error.name in looked_for and trimmed(error.__traceback__) is None:
            raise UsageError(f"cannot run {target!r}: {error}") from None
        raise
    found: Any = sys.modules[module_name]
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise UsageError(f"cannot run {target!r}: {module_name} has no {path!r}") from None
    if not inspect.iscoroutinefunction(found):
        raise UsageError(f"cannot run {target!r}: {path} is not an async function (async def) but {describe(found)}")
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise UsageError(
            f"cannot run {target!r}: it must be callable without arguments ({error}); "
            "the command line's are in sys.argv"
        ) from None
    return found  # type: ignore[no-any-return]


def describe(value: object) -> str:
    if inspect.isasyncgenfunction(value):
        return "an async generator"
    if inspect.isfunction(value):
        return "an ordinary function"
    return f"an object of type {type(value).__name__}"


def is_ours(frame: FrameType) -> bool:
    """Whether a frame belongs to what runs the program, and not to the program."""
    module = str(frame.f_globals.get("__name__"))
    return module.partition(".")[0] in ("hocket", "asyncio") or frame.f_globals is globals()


def trimmed(traceback: TracebackType | None) -> TracebackType | None:
    """Return `traceback` from the program's first frame on, or None if there is none of the program."""
    while traceback is not None and is_ours(traceback.tb_frame):
        traceback = traceback.tb_next
    return traceback


def run() -> None:
    """Exit with what :func:`main` says; an exception of the program is shown from its own first frame on."""
    try:
        code = main()
    except SystemExit:
        raise
    except BaseException as error:
        show(error)
    else:
        sys.exit(code)


def show(error: BaseException) -> NoReturn:
    """Let Python end the process as for any exception nobody caught, except for the traceback that it shows."""
    traceback = trimmed(error.__traceback__)
    hook = sys.excepthook

    def excepthook(kind: type[BaseException], value: BaseException, _: TracebackType | None) -> None:
        hook(kind, value.with_traceback(traceback), traceback)

    sys.excepthook = excepthook
    raise error


if __name__ == "__main__":
    run()
