"""The cases, one file each. A module here has a ``CASE`` (or ``CASES``); ``bench.case.discover`` finds it."""
