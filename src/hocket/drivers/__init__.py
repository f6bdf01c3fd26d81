"""The ways in which a loop waits, and the choice between them.

``epoll`` is native and for Linux; ``selector`` works wherever the standard `selectors` module does.  ``auto`` takes the
first of them that this system has.
"""

from __future__ import annotations

import os
import select

from hocket.core.driver import Driver

NAMES = ("auto", "epoll", "selector")


def available() -> list[str]:
    """The drivers that this system has, the preferred one first."""
    return ["epoll", "selector"] if hasattr(select, "epoll") and hasattr(os, "eventfd") else ["selector"]


def make(name: str | None = None) -> Driver:
    """Make the driver called *name*; None asks the environment variable ``HOCKET_DRIVER``, and that failing, ``auto``.

    Raises `ValueError` for a name that does not exist and `RuntimeError` for a driver that this system lacks.
    """
    asked_by = "driver" if name is not None else "HOCKET_DRIVER"
    name = name if name is not None else os.environ.get("HOCKET_DRIVER") or "auto"
    if name not in NAMES:
        raise ValueError(f"{asked_by}: there is no driver {name!r}; choose one of {', '.join(NAMES)}")
    if name == "auto":
        name = available()[0]
    if name not in available():
        raise RuntimeError(f"{asked_by}: this system has no {name}; choose one of auto, {', '.join(available())}")
    if name == "epoll":
        from hocket.drivers.epoll import EpollDriver

        return EpollDriver()
    from hocket.drivers.selector import SelectorDriver

    return SelectorDriver()
