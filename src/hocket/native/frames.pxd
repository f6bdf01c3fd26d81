from cpython.object cimport PyObject

cdef extern from *:
    """
    #ifndef Py_BUILD_CORE
    #define Py_BUILD_CORE 1
    #endif
    #include "internal/pycore_frame.h"
    #if PY_VERSION_HEX >= 0x030E0000
    #include "internal/pycore_interpframe.h"
    #endif

    /* The code that runs at the top, without what *passed_over* holds the globals of; a new reference, or NULL. */
    static inline PyObject *hocket_caller(PyObject **passed_over, int count, int *offset) {
        PyThreadState *state = PyThreadState_Get();
    #if PY_VERSION_HEX >= 0x030D0000
        _PyInterpreterFrame *frame = state->current_frame;
    #else
        _PyInterpreterFrame *frame = state->cframe->current_frame;
    #endif
        for (; frame != NULL; frame = frame->previous) {
            PyObject *code;
            int known = 0;
            if (_PyFrame_IsIncomplete(frame))
                continue;
            for (int index = 0; index < count && !known; index++)
                known = passed_over[index] == frame->f_globals;
            if (known)
                continue;
    #if PY_VERSION_HEX >= 0x030D0000
            code = (PyObject *)_PyFrame_GetCode(frame);
    #else
            code = (PyObject *)frame->f_code;
    #endif
            *offset = _PyInterpreterFrame_LASTI(frame) * (int)sizeof(_Py_CODEUNIT);
            return Py_NewRef(code);
        }
        *offset = 0;
        return NULL;
    }
    /* Cython counts a returned object* as a new reference: exactly what we hold. */
    #define hocket_found(code) (code)
    """
    PyObject *hocket_caller(PyObject **passed_over, int count, int *offset)
    object hocket_found(PyObject *code)


cpdef object calling_code()
cpdef int calling_offset() noexcept
