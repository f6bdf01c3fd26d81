"""The profiles of hypothesis that these tests know."""

from . import profiles  # noqa: F401  # so that --hypothesis-profile finds them
