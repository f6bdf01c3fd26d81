"""How much memory a process occupies."""

from __future__ import annotations

import os


def resident(pid: int | str = "self") -> int:
    """Bytes. Linux only."""
    with open(f"/proc/{pid}/statm") as fields:
        return int(fields.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
