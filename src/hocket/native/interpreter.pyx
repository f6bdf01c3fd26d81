"""Compiled twin of ``interpreter.py``: see there."""

# A function of Python's own: to call it is to pass the point at which the interpreter looks around.
_pass = eval("lambda: None")


cdef int give_way() except -1:
    _pass()
    return 0


# The same name for Python callers: the tests hold the twins against each other.
def python_give_way():
    give_way()
