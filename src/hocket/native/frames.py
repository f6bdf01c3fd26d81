"""Which line of a program is calling hocket.

Every task remembers where it was made: the code object and how far it had come in it.  To ask Python for a frame would
cost a tenth of making a task; the compiled twin reads what the interpreter itself goes by.
"""

from __future__ import annotations

import sys
from types import CodeType, FrameType
from typing import Any

_globals_of_libraries: list[Any] = []


def pass_over(module_globals: dict[str, Any]) -> None:
    """Have `calling_code` pass over frames with these globals: their module makes tasks for those who call it."""
    if not any(known is module_globals for known in _globals_of_libraries):
        _globals_of_libraries.append(module_globals)


def calling_code() -> CodeType | None:
    """The code that is calling; None: none is.  What `pass_over` knows, and hocket itself, is passed over."""
    frame = _caller(sys._getframe(1))
    return None if frame is None else frame.f_code


def calling_offset() -> int:
    """How far, in bytes, the code has come that `calling_code` gives: to be asked for directly after it."""
    frame = _caller(sys._getframe(1))
    return 0 if frame is None else frame.f_lasti


def _caller(frame: FrameType | None) -> FrameType | None:
    while frame is not None and (
        frame.f_globals.get("__name__", "").partition(".")[0] == "hocket"
        or any(known is frame.f_globals for known in _globals_of_libraries)
    ):
        frame = frame.f_back
    return frame


def line_of(code: CodeType, offset: int) -> int:
    """The line of *code* at *offset*; the line at which it begins if that is not known."""
    for begin, end, line in code.co_lines():
        if begin <= offset < end and line is not None:
            return line
    return code.co_firstlineno
