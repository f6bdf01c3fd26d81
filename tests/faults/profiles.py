"""How much hypothesis tries: the same cases every time, or, with ``--hypothesis-profile=thorough``, many new ones."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

settings.register_profile("thorough", max_examples=5000, derandomize=False)


def machine(examples: int, steps: int = 25) -> settings:
    """The settings of a state machine which usually tries *examples*."""
    thorough = settings.get_current_profile_name() == "thorough"
    return settings(
        max_examples=5000 if thorough else examples,
        stateful_step_count=steps,
        derandomize=not thorough,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],  # To explain a failure it traces every line, which takes minutes.
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
