"""The parts of ``examples/aggregator.py``: a service to fetch from, three ways to fetch, and what is printed."""
