"""Looking into coroutines that are suspended: what awaits what, and what their frames hold.

Nothing of the program's runs for it, and nothing of it changes.
"""

from __future__ import annotations

import dis
import gc
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import (
    AsyncGeneratorType,
    CellType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
)
from typing import Any

from hocket.observe.facts import Place

#: What the interpreter puts between two of them, and does not let one look through.
_WRAPPERS = ("async_generator_asend", "async_generator_athrow", "anext_awaitable", "coroutine_wrapper")
_INNER = (CoroutineType, GeneratorType, AsyncGeneratorType)
_LONGEST = 10_000


def chain(awaited: Any) -> Iterator[Any]:
    """*awaited*, what that awaits, and so on: coroutines and generators, and at last what is waited for."""
    for _ in range(_LONGEST):
        if awaited is None:
            return
        if type(awaited).__name__ not in _WRAPPERS:
            yield awaited
        awaited = _awaited_by(awaited)


def _awaited_by(awaiting: Any) -> Any:
    kind = type(awaiting)
    if kind is CoroutineType:
        return awaiting.cr_await
    if kind is GeneratorType:
        return awaiting.gi_yieldfrom
    if kind is AsyncGeneratorType:
        return awaiting.ag_await
    if kind.__name__ in _WRAPPERS:
        return next((found for found in gc.get_referents(awaiting) if _may_stand_there(found)), None)
    # Coroutines that Cython has compiled.
    return getattr(awaiting, "cr_await", None)


def _may_stand_there(awaited: Any) -> bool:
    return isinstance(awaited, _INNER) or type(awaited).__name__ in _WRAPPERS


def frame_of(awaiting: Any) -> FrameType | None:
    """The frame of a coroutine or generator; None of anything else, or if it has ended."""
    kind = type(awaiting)
    if kind is CoroutineType:
        frame = awaiting.cr_frame
    elif kind is GeneratorType:
        frame = awaiting.gi_frame
    elif kind is AsyncGeneratorType:
        frame = awaiting.ag_frame
    else:
        frame = getattr(awaiting, "cr_frame", None)
    return frame if isinstance(frame, FrameType) else None


def place_of(frame: FrameType) -> Place:
    """Where *frame* stands."""
    code = frame.f_code
    return Place(code.co_filename, frame.f_lineno or code.co_firstlineno, code.co_qualname)


def stack_of(awaited: Any) -> tuple[Place, ...]:
    """Where *awaited* stands, and what it awaits; the innermost place last."""
    return tuple(place_of(frame) for frame in map(frame_of, chain(awaited)) if frame is not None)


_LIBRARIES = ("hocket", "asyncio")


def is_library(frame: FrameType) -> bool:
    """Whether *frame* is of asyncio's code or hocket's, not of the program's."""
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0] in _LIBRARIES


def place_in_program(awaited: Any) -> Place | None:
    """Where *awaited* stands, in the innermost code that is neither asyncio's nor hocket's."""
    found = outermost = None
    for frame in map(frame_of, chain(awaited)):
        if frame is not None:
            outermost = outermost or frame
            if not is_library(frame):
                found = frame
    found = found or outermost
    return None if found is None else place_of(found)


def locals_of(frame: FrameType) -> dict[str, Any]:
    """The local variables of *frame*, which need not be suspended."""
    names = frame.f_locals
    found = dict(names)
    # Up to Python 3.12 the frame keeps the dictionary that it gave, with all that is in it, as long as it lives.
    kept = sys.version_info < (3, 13) and frame.f_code.co_flags & inspect.CO_OPTIMIZED and frame.f_trace is None
    if kept and sys.getrefcount(names) <= _REFERENCES:
        names.clear()
    return found


#: The frame's own to the dictionary, the variable's, and the argument's: nobody else has asked for it.
_REFERENCES = 3

#: Functions that may look at any local variable.
_SEE_ALL = frozenset({"locals", "eval", "exec", "vars", "dir"})


@dataclass(slots=True)
class _Uses:
    """At which offsets *code* looks at which variables, and its jumps backwards: from where, and to where."""

    code: CodeType
    loads: list[tuple[int, frozenset[str]]]
    jumps: list[tuple[int, int]]


#: Of the code that was asked for, by its number: to hash it would take longer than to look at it.
_known: dict[int, _Uses] = {}
_MOST_KNOWN = 4096


def _uses_of(code: CodeType) -> _Uses:
    uses = _known.get(id(code))
    if uses is None:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        uses = _known[id(code)] = _look_through(code)
    return uses


def _look_through(code: CodeType) -> _Uses:
    loads: list[tuple[int, frozenset[str]]] = []
    jumps = []
    for instruction in dis.get_instructions(code):
        name, value = instruction.opname, instruction.argval
        if "LOAD" in name and ("FAST" in name or "DEREF" in name or "CLOSURE" in name):
            loads.append((instruction.offset, frozenset(value if isinstance(value, tuple) else (value,))))
        elif name in ("LOAD_GLOBAL", "LOAD_NAME") and value in _SEE_ALL:
            loads.append((instruction.offset, frozenset(_all_names(code))))
        elif instruction.opcode in dis.hasjrel and isinstance(value, int) and value < instruction.offset:
            jumps.append((instruction.offset, value))
    return _Uses(code, loads, jumps)


def _all_names(code: CodeType) -> tuple[str, ...]:
    return code.co_varnames + code.co_cellvars + code.co_freevars


def names_in_use(frame: FrameType) -> set[str]:
    """The local variables that *frame* may still look at when it goes on: those that are named in what may run then.

    Exception handlers stand behind what they guard, so only jumps backwards lead to what stands before.
    """
    uses = _uses_of(frame.f_code)
    start = frame.f_lasti
    while True:
        earlier = min((target for source, target in uses.jumps if source >= start > target), default=start)
        if earlier == start:
            break
        start = earlier
    names: set[str] = set()
    for offset, some in uses.loads:
        if offset >= start:
            names |= some
    return names


def held_by(awaiting: Any) -> list[Any]:
    """What a suspended coroutine or generator can still reach by itself: the local variables that it may still look at
    and what else its frame holds."""
    frame = frame_of(awaiting)
    is_function = frame is not None and frame.f_code.co_flags & inspect.CO_OPTIMIZED
    # Before its referents are asked for: the dictionary that the frame may keep is empty then, and nobody else has it.
    variables = locals_of(frame) if frame is not None and is_function else {}
    held = [value for value in gc.get_referents(awaiting) if type(value) not in (FrameType, CodeType)]
    if frame is None or not is_function:
        return held
    in_use = names_in_use(frame)
    for name, value in variables.items():
        if name not in in_use:
            _remove(held, value)
    # A function has its module's variables, which are looked at elsewhere, and what it encloses is among the locals.
    return [value for value in held if not (type(value) is FunctionType and value.__code__ is frame.f_code)]


def _remove(held: list[Any], value: Any) -> None:
    for index, other in enumerate(held):
        if other is value or (type(other) is CellType and _contents(other) is value):
            del held[index]
            return


def _contents(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def running_frames(frame: FrameType | None) -> Iterator[FrameType]:
    """*frame* and those that have called it."""
    while frame is not None:
        yield frame
        frame = frame.f_back


#: The types of what may lie there as the ``__aexit__`` that is to be called: nobody else is asked for its name.
_METHODS = frozenset(
    {"method", "function", "builtin_function_or_method", "method_descriptor", "cython_function_or_method"}
)


def primitives_entered(awaited: Any) -> list[Any]:
    """What the ``async with`` blocks are of in which *awaited* and what it awaits stand: the objects whose
    ``__aexit__`` is to be called.  An object that is just being entered is among them."""
    entered = []
    for awaiting in chain(awaited):
        if frame_of(awaiting) is None:
            continue
        values = gc.get_referents(awaiting)
        for index, value in enumerate(values):
            if type(value).__name__ not in _METHODS or value.__name__ != "__aexit__":
                continue
            owner = getattr(value, "__self__", None)
            if owner is None and index + 1 < len(values):
                owner = values[index + 1]  # From Python 3.14 on the function and the object lie side by side.
            if owner is not None:
                entered.append(owner)
    return entered
