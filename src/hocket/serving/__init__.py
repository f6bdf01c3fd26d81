"""Servers of others under `hocket.serve`, one a file: what each has to be told so that no request is lost when it
stops."""

from __future__ import annotations

import importlib
from types import ModuleType

_SERVERS = ("uvicorn",)


def __getattr__(name: str) -> ModuleType:
    if name not in _SERVERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SERVERS})
