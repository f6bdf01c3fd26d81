"""hocket with something looking at it: what that costs is measured like any other loop.

Each starts what it is named after as its users do, and makes a loop.
"""

from __future__ import annotations

import asyncio
import threading
import urllib.request

import hocket

__version__ = hocket.__version__
is_compiled = hocket.is_compiled


def recorder() -> asyncio.AbstractEventLoop:
    """The flight recorder, in memory."""
    from hocket.observe import recorder

    recorder.start()
    return hocket.new_event_loop()


def watchdog() -> asyncio.AbstractEventLoop:
    """The watchdog, with its usual threshold."""
    from hocket.observe import watchdog

    watchdog.start(0.1)
    return hocket.new_event_loop()


def agent() -> asyncio.AbstractEventLoop:
    """The agent, as under HOCKET_OBSERVE=1; nobody asks it anything."""
    from hocket.observe import start_agent

    start_agent()
    return hocket.new_event_loop()


def metrics() -> asyncio.AbstractEventLoop:
    """Metrics, with a scrape each second: fifteen times as many as Prometheus asks for by default."""
    from hocket.observe.sinks.prometheus import serve

    url = serve(0).url

    def scrape() -> None:
        over = threading.Event()
        while not over.wait(1.0):
            with urllib.request.urlopen(url) as response:
                response.read()

    threading.Thread(target=scrape, daemon=True).start()
    return hocket.new_event_loop()
