"""Compiled twin of ``method.py``: see there."""


# For Python callers: the tests hold the twins against each other.
def python_call_method(receiver, name, argument, context):
    return call_method(receiver, name, argument, context)


def python_copy_of(context):
    return copy_of(context)


def python_is_plain(candidate):
    return is_plain(candidate)
