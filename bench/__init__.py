"""Benchmarks: the same work on several event loops, interleaved, each sample in a fresh process.

``python -m bench`` runs them; ``bench/README.md`` says how to read the numbers and how to add a case or a loop.
"""
