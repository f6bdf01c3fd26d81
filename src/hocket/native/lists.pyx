"""Compiled twin of ``lists.py``: see there."""


# The same name for Python callers: the tests hold the twins against each other.
def python_exchange(list one, Py_ssize_t here, list other, Py_ssize_t there):
    exchange(one, here, other, there)
