"""Why a scope has raised `asyncio.CancelledError`: what is kept on the exception, and how to ask for it."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple


class Cancellation(NamedTuple):
    """Why a scope has raised `asyncio.CancelledError`: what `why_cancelled` tells.

    ``scope`` is the scope that will catch it, ``reason`` what its `CancelScope.cancel` was given, and ``canceller`` the
    name of the task that called it, ``"deadline"``, or None.
    """

    scope: Any
    reason: object
    canceller: str | None

    def __reduce__(self) -> Any:
        # Where it is sent to, there is no such scope.
        return Cancellation, (None, self.reason, self.canceller)


def why_cancelled(error: BaseException | None) -> Cancellation | None:
    """Which scope has raised *error*, and why; None if it is not the `asyncio.CancelledError` of a scope.

    To be asked where it is caught::

        except asyncio.CancelledError as error:
            if why := hocket.why_cancelled(error):
                log.info("gave up: %s", why.reason)
            raise
    """
    # No class of its own: asyncio asks, up to Python 3.12, whether what ended a block is exactly a CancelledError.
    return getattr(error, "cancellation", None) if isinstance(error, asyncio.CancelledError) else None


def is_of_scope(error: BaseException | None) -> bool:
    """Whether a scope has raised *error*."""
    return why_cancelled(error) is not None
