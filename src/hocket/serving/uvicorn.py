"""uvicorn under `hocket.serve`: FastAPI, Starlette and every other ASGI application.

    sys.exit(hocket.serve(hocket.serving.uvicorn.main(app, port=8080)))

uvicorn handles signals itself and closes idle connections at once; a request that is on its way to it on one of those
is lost.  Here the phases are `hocket.serve`'s.  Connections that are idle when it stops may still bring a request
(``linger``): it is answered, with ``Connection: close``, so that the client knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import uvicorn

from hocket.structured.shutdown import Service, service


class Server(uvicorn.Server):  # type: ignore[misc]
    """A `uvicorn.Server` that stops when the service does."""

    def __init__(self, config: uvicorn.Config, running: Service) -> None:
        super().__init__(config)
        self._running = running
        running.on_stop(self._exit_soon)

    def _exit_soon(self) -> None:
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to `hocket.serve`."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """What uvicorn does at the end, after those who are connected have had their chance; what asks for it is
        uvicorn."""
        for server in self.servers:
            server.close()
        # Whatever answer begins from now on is the last one on its connection, and says so.  A connection whose answer
        # has begun already is told with the next: to close it would lose a request that is on its way.
        state = self.server_state
        state.default_headers = [*state.default_headers, (b"connection", b"close")]
        for connection in list(state.connections):
            cycle = getattr(connection, "cycle", None)
            if cycle is not None and not cycle.response_started:
                cycle.default_headers = state.default_headers
        loop = asyncio.get_running_loop()
        end = loop.time() + self._running.linger
        while state.connections and loop.time() < end:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(min(0.02, max(end - loop.time(), 0.0)))
        await super().shutdown(sockets)


def main(
    app: Any, /, *, sockets: list[socket.socket] | None = None, **config: Any
) -> Callable[[], Coroutine[Any, Any, None]]:
    """The main of a service that serves *app*, an ASGI application or where to import one (``"package.module:app"``).

    *sockets* are listening ones that are open already; they are closed when it stops.  *config* is `uvicorn.Config`'s;
    ``loop``, ``workers`` and ``reload`` are of no use here.  What a service knows, such as
    ``hocket.service().stopping``, *app* can ask.
    """
    made = uvicorn.Config(app, **{"loop": "none", **config})

    async def main() -> None:
        await Server(made, service()).serve(sockets)

    return main
