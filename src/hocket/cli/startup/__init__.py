"""The directory that ``hocket run`` puts first on ``PYTHONPATH``, for the ``sitecustomize`` in it."""

# Carries what the hook has to know from `hocket run` to the interpreter that takes its place.
VARIABLE = "HOCKET_RUN"
