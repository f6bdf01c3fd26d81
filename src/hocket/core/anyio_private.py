"""What has to be known of anyio's scopes, so that clean-up which is written for anyio is not cut off.

Libraries on anyio (httpx, Starlette) close connections inside of ``CancelScope(shield=True)``, which anyio keeps for
itself: to everybody else the task is one that goes on to wait.  Private names of anyio's are here and nowhere else, and
without them nothing is shielded.
"""

from __future__ import annotations

import sys
from typing import Any

BACKEND = "anyio._backends._asyncio"


def scope_of(task: Any) -> Any:
    """The innermost scope of anyio's in which *task* is, or None."""
    states = getattr(sys.modules.get(BACKEND), "_task_states", None)
    return None if states is None else getattr(states.get(task), "cancel_scope", None)


def is_shielded(task: Any, beside: Any) -> bool:
    """Whether *task* is in a shield of anyio's that it has entered since *beside* was its innermost scope there."""
    scope = scope_of(task)
    while scope is not None and scope is not beside:
        if getattr(scope, "_shield", False):
            return True
        scope = getattr(scope, "_parent_scope", None)
    return False
