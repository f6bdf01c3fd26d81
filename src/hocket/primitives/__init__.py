"""asyncio's own API, compiled: what tasks use to wait for time, for each other and for their turn.

Names, signatures and behaviour are asyncio's of the newest Python.  What waits is an `Operation`
(`native/operation.py`) where it is hot and an ordinary coroutine (`coroutines.py`) where it is not.  Everything also
works on loops that are not hocket's: then the futures are that loop's.
"""
