"""Stands in for the ``cython`` module where Cython is not installed.

Engine files that use an inline C function ask ``cython.compiled`` which leg they run on.  Compiled, Cython answers
the question itself and no module is imported; uncompiled, the answer is here.
"""

from __future__ import annotations

compiled = False
