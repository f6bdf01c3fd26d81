"""Ports for servers that must be told one."""

from __future__ import annotations

import contextlib
import random
import socket


def free_ports(count: int) -> list[int]:
    """Different ports that nobody uses at the moment, for servers that must be told one.

    They are below the ports that the kernel chooses from, so that no connection takes one before the server is up.
    """
    found: list[int] = []
    for port in random.sample(range(20_000, 32_000), 1000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no free ports")


def free_port() -> int:
    """A port that nobody uses at the moment."""
    return free_ports(1)[0]
