"""The test suites of other projects, run on hocket: ``python -m tests.peers [PROJECT...]``.

Each suite comes from the project's own source distribution and runs in an environment of its own, with hocket's loop in
place of asyncio's and uvloop's.  A test that fails is run again, then on asyncio's own loop: what fails there too is
the project's or the machine's affair, what fails on hocket alone fails the run.
"""
