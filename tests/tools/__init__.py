"""Tools that people already use with asyncio, at work on hocket: a file a tool.

Each file says in ``TOOL`` what it is about, and in ``PACKAGES`` which packages of the dependency group ``tools`` it
needs.  ``python -m tests.compatibility`` makes the table of the documentation from them.
"""
