"""What a loop's exception handler is told of a protocol's callback that has failed."""

from __future__ import annotations

from contextvars import Context
from typing import Any

from hocket.core import asyncio_private


def report(transport: Any, scheduler: Any, error: BaseException, context: Context) -> None:
    """Tell the exception handler, as if a handle of asyncio's that ran in *context* had failed."""
    what = {
        "message": f"Exception in callback of {transport!r}",
        "exception": error,
        "transport": transport,
        "protocol": transport.get_protocol(),
    }
    if asyncio_private.HANDLER_RUNS_IN_CONTEXT:
        context.run(scheduler.call_exception_handler, what)
    else:
        scheduler.call_exception_handler(what)
