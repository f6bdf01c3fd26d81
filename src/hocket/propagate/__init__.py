"""Deadlines over the network: how much time is left goes along with each request, and the service that gets it stops
when nobody waits for the answer any more.

What is sent is the remaining *duration*, because clocks differ, as a number of milliseconds in a header:
``X-Request-Timeout-Ms: 350``.  By another name it is what Envoy (``x-envoy-expected-rq-timeout-ms``), Connect
(``Connect-Timeout-Ms``) and userver (``X-YaTaxi-Client-TimeoutMs``) send; ``grpc-timeout`` is written and read as gRPC
does.

==================================  ==================================================================================
`hocket.propagate.asgi`             a middleware for FastAPI, Starlette and every other ASGI application
`hocket.propagate.aiohttp_server`   a middleware for `aiohttp.web`
`hocket.propagate.aiohttp_client`   a middleware for `aiohttp.ClientSession`
`hocket.propagate.httpx`            a transport for `httpx.AsyncClient`
==================================  ==================================================================================

Each is a module of its own, which is imported, with its library, when it is used.  For all others there are `write` and
`read`.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from hocket.propagate.header import HEADER, LEFT_HEADER, read, write

_INTEGRATIONS = ("aiohttp_client", "aiohttp_server", "asgi", "httpx")
__all__ = ["HEADER", "LEFT_HEADER", "read", "write"]


def __getattr__(name: str) -> ModuleType:
    if name not in _INTEGRATIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_INTEGRATIONS})
