"""Compiled twin of ``frames.py``: see there."""

cdef enum:
    MOST = 32

cdef PyObject *_passed_over[32]
cdef int _count = 0
cdef int _offset = 0
_kept = []  # what is passed over stays where it is


def pass_over(dict module_globals not None):
    global _count
    if any(known is module_globals for known in _kept):
        return
    if _count == MOST:
        raise RuntimeError(f"expected at most {MOST} modules that make tasks for others")
    _kept.append(module_globals)
    _passed_over[_count] = <PyObject *>module_globals
    _count += 1


cpdef object calling_code():
    cdef PyObject *code = hocket_caller(_passed_over, _count, &_offset)
    return None if code == NULL else hocket_found(code)


cpdef int calling_offset() noexcept:
    return _offset


def line_of(code, int offset):
    for begin, end, line in code.co_lines():
        if begin <= offset < end and line is not None:
            return line
    return code.co_firstlineno
