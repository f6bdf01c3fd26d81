"""What ``hocket run`` was asked to run: checked before anything of it is executed, and put in Python's words."""

from __future__ import annotations

import importlib.machinery
import os
import re
import sys
from collections.abc import Sequence

from hocket.cli.errors import UsageError

FUNCTION = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")


def python_arguments(program: Sequence[str]) -> list[str]:
    """Return the arguments with which ``python`` runs `program`: a file, ``-m MODULE`` or ``MODULE:FUNCTION``."""
    first, *rest = program
    if first.startswith("-m"):
        words = rest if first == "-m" else [first[2:], *rest]
        if not words or not words[0]:
            raise UsageError("run: -m needs the name of a module")
        module, *arguments = words
        check_module(module)
        return ["-m", module, *arguments]
    if FUNCTION.fullmatch(first) and not os.path.exists(first):
        return ["-m", "hocket.cli.function", first, *rest]
    if first != "-":
        check_script(first)
    return ["--", first, *rest] if first.startswith("-") and first != "-" else [first, *rest]


def check_script(path: str) -> None:
    """Raise UsageError if `path` cannot be run.  It is not opened: it may be a pipe, which can be read only once."""
    try:
        os.stat(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot open {path!r}: {getattr(error, 'strerror', error)}") from None
    if not os.access(path, os.R_OK):
        raise UsageError(f"cannot open {path!r}: Permission denied")
    if os.path.isdir(path) and not any(os.path.exists(os.path.join(path, f"__main__.{end}")) for end in ("py", "pyc")):
        raise UsageError(f"cannot run the directory {path!r}: there is no __main__.py in it")


def check_module(module: str) -> None:
    """Raise UsageError if `module` is certainly not there.

    It is looked for without importing anything, because an import here would run the packages around the module a
    second time.  Where only an import could tell (a package that changes its ``__path__``), the judgement is Python's.
    """
    name = ""
    path = list(sys.path) if sys.flags.safe_path else [os.getcwd(), *sys.path]
    parts = module.split(".")
    while parts:
        part = parts.pop(0)
        name = f"{name}.{part}" if name else part
        try:
            spec = find(name, path) if part else None
        except Exception:  # whatever a finder cannot say without an import
            return
        if spec is None:
            raise UsageError(f"no module named {name!r}" + (f" (looking for {module!r})" if name != module else ""))
        if spec.submodule_search_locations is None:
            if parts:
                raise UsageError(f"no module named {module!r}: {name!r} is not a package")
            return
        if changes_its_path(spec):
            return
        path = list(spec.submodule_search_locations)
        if not parts and part != "__main__":
            if not find(f"{name}.__main__", path):
                raise UsageError(f"cannot run the package {name!r}: there is no {name}.__main__")
            return


def find(name: str, path: list[str]) -> importlib.machinery.ModuleSpec | None:
    for finder in sys.meta_path:
        spec = finder.find_spec(name, path)
        if spec is not None:
            return spec
    return None


def changes_its_path(spec: importlib.machinery.ModuleSpec) -> bool:
    """Whether a package may find more modules, once imported, than its directory holds."""
    if spec.name in sys.modules or not spec.has_location or spec.origin is None:
        return spec.name in sys.modules
    try:
        with open(spec.origin, "rb") as source:
            return b"__path__" in source.read()
    except OSError:
        return True
