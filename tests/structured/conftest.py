"""How long an example takes says something of the machine that day, and nothing of hocket."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
