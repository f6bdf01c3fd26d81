"""CPython's own asyncio tests, run with hocket in place of asyncio's loop, tasks and futures.

The interpreter that runs this package brings its tests with it (`test.test_asyncio`); nothing of them is copied here.
README.md says how hocket is put in, how a verdict comes about and how to add a module.
"""
