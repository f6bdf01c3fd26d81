"""The one way in which a verb says that it was asked for something that cannot be done."""

from __future__ import annotations


class UsageError(Exception):
    """Shown to the user as one line on stderr, with exit code 2 and no traceback."""
