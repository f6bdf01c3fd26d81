"""Compiled twin of ``openssl.py``: see there.

The functions are found by name in what the interpreter's ``_ssl`` module is linked with, so no headers of OpenSSL are
needed, and there is never a second copy of it in the process.  A session is ``_ssl._SSLSocket``, whose ``SSL *`` is
its second field; `_look` makes sure of that in several ways before anything is read through it.

OpenSSL reads and writes through a BIO.  Its own in memory clears what it gives back and all that it grows by, a seventh
of the cost of large messages; ours does not.  `ssl` gives the interpreter's lock away while it shakes hands, so what
OpenSSL calls here, `_bio_read` and the others, may not touch a Python object.

The interpreter's lock is kept: a record takes microseconds, and giving the lock away and taking it back costs as much.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.limits cimport INT_MAX
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove

from hocket.native.sockets cimport ReadBuffer

import os
import ssl

cdef extern from "Python.h":
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *memory, Py_ssize_t size) except NULL
    char *bytes_memory "PyBytes_AS_STRING"(PyObject *data)
    int _PyBytes_Resize(PyObject **data, Py_ssize_t size) except -1
    void Py_XDECREF(PyObject *data)
    # Cython counts a returned object as a new reference: exactly what we hold.
    bytes handed_over "(PyObject *)"(PyObject *data)

cdef extern from "dlfcn.h":
    void *dlopen(const char *name, int flags)
    void *dlsym(void *library, const char *name)
    int dlclose(void *library)
    int RTLD_NOW

ctypedef int (*ssl_read_t)(void *ssl, void *memory, int size) noexcept
ctypedef int (*ssl_write_t)(void *ssl, const void *memory, int size) noexcept
ctypedef int (*ssl_number_t)(const void *ssl) noexcept
ctypedef void (*ssl_set_bio_t)(void *ssl, void *incoming, void *outgoing) noexcept
ctypedef void *(*ssl_get_ex_data_t)(const void *ssl, int index) noexcept
ctypedef int (*bio_read_t)(void *bio, char *memory, int size) noexcept nogil
ctypedef int (*bio_write_t)(void *bio, const char *memory, int size) noexcept nogil
ctypedef long (*bio_ctrl_t)(void *bio, int command, long number, void *pointer) noexcept nogil
ctypedef int (*bio_get_new_index_t)() noexcept
ctypedef void *(*bio_meth_new_t)(int kind, const char *name) noexcept
ctypedef int (*bio_meth_set_t)(void *method, void *function) noexcept
ctypedef void *(*bio_new_t)(void *method) noexcept
ctypedef int (*bio_free_t)(void *bio) noexcept
ctypedef void (*bio_set_data_t)(void *bio, void *data) noexcept
ctypedef void *(*bio_get_data_t)(void *bio) noexcept nogil
ctypedef void (*bio_set_number_t)(void *bio, int number) noexcept nogil
ctypedef void (*err_clear_error_t)() noexcept
ctypedef unsigned long (*err_peek_last_error_t)() noexcept
ctypedef const char *(*err_reason_t)(unsigned long error) noexcept

cdef ssl_read_t SSL_read
cdef ssl_write_t SSL_write
cdef ssl_number_t SSL_want
cdef ssl_number_t SSL_get_shutdown
cdef ssl_number_t SSL_pending
cdef ssl_set_bio_t SSL_set_bio
cdef ssl_get_ex_data_t SSL_get_ex_data
cdef bio_new_t BIO_new
cdef bio_free_t BIO_free
cdef bio_free_t BIO_up_ref
cdef bio_set_data_t BIO_set_data
cdef bio_get_data_t BIO_get_data
cdef bio_set_number_t BIO_set_init
cdef bio_set_number_t BIO_set_flags
cdef bio_set_number_t BIO_clear_flags
cdef err_clear_error_t ERR_clear_error
cdef err_peek_last_error_t ERR_peek_last_error
cdef err_reason_t ERR_reason_error_string

cdef enum:
    BIO_TYPE_SOURCE_SINK = 0x0400
    BIO_CTRL_PENDING = 10
    BIO_CTRL_FLUSH = 11
    BIO_CTRL_WPENDING = 13
    BIO_FLAGS_READ = 1
    BIO_FLAGS_RWS = 7
    BIO_FLAGS_SHOULD_RETRY = 8
    SSL_READING = 3
    SSL_RECEIVED_SHUTDOWN = 2
    ERROR_SSL = 1
    ERROR_ZERO_RETURN = 6
    ERR_LIB_SSL = 20
    SSL_AD_REASON_OFFSET = 1000
    #: The most data in a record.
    RECORD = 16384

cdef str _why_not = None


cdef void *_symbol(void *library, const char *name) except NULL:
    cdef void *found = dlsym(library, name)
    if found == NULL:
        raise LookupError(f"the interpreter's OpenSSL has no {name.decode()}")
    return found


cdef _find_functions():
    global SSL_read, SSL_write, SSL_want, SSL_get_shutdown, SSL_pending, SSL_set_bio, SSL_get_ex_data
    global BIO_new, BIO_free, BIO_up_ref, BIO_set_data, BIO_get_data, BIO_set_init, BIO_set_flags, BIO_clear_flags
    global ERR_clear_error, ERR_peek_last_error, ERR_reason_error_string, _method
    import _ssl

    path = getattr(_ssl, "__file__", None)
    cdef bytes name = b"" if path is None else os.fsencode(path)
    # It is loaded already; searching it searches what it is linked with.  Built in, it is the program itself.
    cdef void *library = dlopen(NULL if path is None else <const char *>name, RTLD_NOW)
    if library == NULL:
        raise LookupError("the interpreter's _ssl module cannot be opened")
    SSL_read = <ssl_read_t>_symbol(library, b"SSL_read")
    SSL_write = <ssl_write_t>_symbol(library, b"SSL_write")
    SSL_want = <ssl_number_t>_symbol(library, b"SSL_want")
    SSL_get_shutdown = <ssl_number_t>_symbol(library, b"SSL_get_shutdown")
    SSL_pending = <ssl_number_t>_symbol(library, b"SSL_pending")
    SSL_set_bio = <ssl_set_bio_t>_symbol(library, b"SSL_set_bio")
    SSL_get_ex_data = <ssl_get_ex_data_t>_symbol(library, b"SSL_get_ex_data")
    BIO_new = <bio_new_t>_symbol(library, b"BIO_new")
    BIO_free = <bio_free_t>_symbol(library, b"BIO_free")
    BIO_up_ref = <bio_free_t>_symbol(library, b"BIO_up_ref")
    BIO_set_data = <bio_set_data_t>_symbol(library, b"BIO_set_data")
    BIO_get_data = <bio_get_data_t>_symbol(library, b"BIO_get_data")
    BIO_set_init = <bio_set_number_t>_symbol(library, b"BIO_set_init")
    BIO_set_flags = <bio_set_number_t>_symbol(library, b"BIO_set_flags")
    BIO_clear_flags = <bio_set_number_t>_symbol(library, b"BIO_clear_flags")
    ERR_clear_error = <err_clear_error_t>_symbol(library, b"ERR_clear_error")
    ERR_peek_last_error = <err_peek_last_error_t>_symbol(library, b"ERR_peek_last_error")
    ERR_reason_error_string = <err_reason_t>_symbol(library, b"ERR_reason_error_string")
    cdef bio_meth_set_t set_function
    cdef int kind = (<bio_get_new_index_t>_symbol(library, b"BIO_get_new_index"))()
    _method = (<bio_meth_new_t>_symbol(library, b"BIO_meth_new"))(kind | BIO_TYPE_SOURCE_SINK, b"hocket")
    if kind < 0 or _method == NULL:
        raise LookupError("the interpreter's OpenSSL makes no BIO method")
    set_function = <bio_meth_set_t>_symbol(library, b"BIO_meth_set_read")
    set_function(_method, <void *>&_bio_read)
    set_function = <bio_meth_set_t>_symbol(library, b"BIO_meth_set_write")
    set_function(_method, <void *>&_bio_write)
    set_function = <bio_meth_set_t>_symbol(library, b"BIO_meth_set_ctrl")
    set_function(_method, <void *>&_bio_ctrl)


# -- What OpenSSL calls, maybe without the interpreter's lock

cdef void *_method = NULL


cdef int _bio_read(void *bio, char *memory, int size) noexcept nogil:
    cdef Bytes *waiting = <Bytes *>BIO_get_data(bio)
    cdef Py_ssize_t count
    BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY)
    if waiting == NULL or memory == NULL or size <= 0:
        return 0
    count = min(<Py_ssize_t>size, waiting.end - waiting.start)
    if count == 0:
        waiting.starved = True
        BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
        return -1
    memcpy(memory, waiting.memory + waiting.start, <size_t>count)
    waiting.start += count
    waiting.inside += count
    return <int>count


cdef int _bio_write(void *bio, const char *memory, int size) noexcept nogil:
    cdef Bytes *waiting = <Bytes *>BIO_get_data(bio)
    BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY)
    if waiting == NULL or size < 0 or not _append(waiting, memory, size):
        return -1
    return size


cdef long _bio_ctrl(void *bio, int command, long number, void *pointer) noexcept nogil:
    cdef Bytes *waiting = <Bytes *>BIO_get_data(bio)
    if command == BIO_CTRL_FLUSH:
        return 1
    if command == BIO_CTRL_PENDING and waiting != NULL:
        return waiting.end - waiting.start
    return 0


cdef bint _append(Bytes *waiting, const char *memory, Py_ssize_t size) noexcept nogil:
    """False: there is no memory."""
    cdef Py_ssize_t held = waiting.end - waiting.start
    cdef Py_ssize_t wanted
    cdef char *larger
    if size == 0:
        return True
    if waiting.lent and waiting.end + size > waiting.size:
        return _move(waiting, held + size) and _append(waiting, memory, size)
    if waiting.start and (held == 0 or waiting.end + size > waiting.size):
        memmove(waiting.memory, waiting.memory + waiting.start, <size_t>held)
        waiting.start = 0
        waiting.end = held
    if waiting.end + size > waiting.size:
        # By half as much again, so that many small pieces are not copied each time.
        wanted = max(held + size, waiting.size + waiting.size // 2, 512)
        larger = <char *>realloc(waiting.memory, <size_t>wanted)
        if larger == NULL:
            return False
        waiting.memory = larger
        waiting.size = wanted
    memcpy(waiting.memory + waiting.end, memory, <size_t>size)
    waiting.end += size
    return True


cdef bint _move(Bytes *waiting, Py_ssize_t size) noexcept nogil:
    """From what is lent to memory of our own, of that size.  False: there is none."""
    cdef char *memory = <char *>realloc(NULL, <size_t>size)
    if memory == NULL:
        return False
    memcpy(memory, waiting.memory + waiting.start, <size_t>(waiting.end - waiting.start))
    waiting.memory = memory
    waiting.size = size
    waiting.end -= waiting.start
    waiting.start = 0
    waiting.lent = False
    return True


cdef void _emptied(Bytes *waiting) noexcept nogil:
    if not waiting.lent:
        free(waiting.memory)
    waiting.memory = NULL
    waiting.size = waiting.start = waiting.end = 0
    waiting.lent = False


# -- Where the interpreter keeps a session

cdef void *_look(session) except NULL:
    """The ``SSL *`` of *session*, an `ssl.SSLObject`."""
    inner = session._sslobj
    # object header, weak reference to a socket, SSL *, context
    cdef void **fields = <void **><void *>inner
    cdef Py_ssize_t header = sizeof(object_header) // sizeof(void *)
    if type(inner).__basicsize__ < (header + 3) * <Py_ssize_t>sizeof(void *):
        raise LookupError("the interpreter's sessions are too small to be what is expected")
    if fields[header + 2] != <void *>inner.context:
        raise LookupError("the interpreter's sessions are laid out otherwise than expected")
    cdef void *found = fields[header + 1]
    if found == NULL or <uintptr_t>found % sizeof(void *):
        raise LookupError("the interpreter's sessions are laid out otherwise than expected")
    # The interpreter notes its object in OpenSSL's.
    if SSL_get_ex_data(found, 0) != <void *>inner:
        raise LookupError("the interpreter's OpenSSL sessions do not lead back to its own")
    return found


cdef extern from "Python.h":
    ctypedef struct object_header "PyObject":
        pass


cdef _check():
    """Try everything once: two sessions shake hands and exchange a word."""
    global _why_not
    if os.environ.get("HOCKET_NO_OPENSSL", "") not in ("", "0"):
        _why_not = "HOCKET_NO_OPENSSL is set"
        return
    try:
        _find_functions()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        session = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
        records = _records(session)
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            pass
        hello = records.take()
        if hello[:1] != b"\x16" or records.outgoing():
            raise LookupError("the interpreter's sessions do not use hocket's buffers")
        # An alert: "handshake failure".
        records.feed(b"\x15\x03\x03\x00\x02\x02\x28", 7)
        try:
            session.do_handshake()
        except ssl.SSLError as error:
            if "HANDSHAKE_FAILURE" not in (error.reason or ""):
                raise
        else:
            raise LookupError("the interpreter's sessions do not read from hocket's buffers")
    except Exception as error:
        _why_not = str(error) or type(error).__name__


cdef Records _records(session):
    cdef Records records = Records.__new__(Records)
    cdef void *incoming
    cdef void *outgoing
    records._ssl = _look(session)
    incoming = BIO_new(_method)
    outgoing = BIO_new(_method)
    if incoming == NULL or outgoing == NULL:
        BIO_free(incoming)
        BIO_free(outgoing)
        raise MemoryError()
    # One reference is the session's, the other ours: either may be gone first.
    BIO_up_ref(incoming)
    BIO_up_ref(outgoing)
    BIO_set_init(incoming, 1)
    BIO_set_init(outgoing, 1)
    BIO_set_data(incoming, &records._incoming)
    BIO_set_data(outgoing, &records._outgoing)
    records._incoming_bio = incoming
    records._outgoing_bio = outgoing
    SSL_set_bio(records._ssl, incoming, outgoing)
    records._session = session
    # As TLS 1.3 has it: a header, the kind, and the tag.
    records._overhead = 5 + 1 + 16
    return records


cpdef Records attach(session):
    if _why_not is not None or type(session) is not ssl.SSLObject:
        return None
    return _records(session)


def describe():
    return f"{ssl.OPENSSL_VERSION}, directly" if _why_not is None else f"the interpreter's ssl module: {_why_not}"


cdef bint _is_alert(unsigned long code) noexcept:
    """Whether that error is the peer's, which ends the session as its goodbye does."""
    return (code >> 23) & 0xff == ERR_LIB_SSL and code & 0x7fffff >= SSL_AD_REASON_OFFSET


cdef class Records:
    def __dealloc__(self):
        # The session may live on: with buffers that are empty and take nothing.
        if self._incoming_bio != NULL:
            BIO_set_data(self._incoming_bio, NULL)
            BIO_set_data(self._outgoing_bio, NULL)
            BIO_free(self._incoming_bio)
            BIO_free(self._outgoing_bio)
        _emptied(&self._incoming)
        _emptied(&self._outgoing)
        Py_XDECREF(self._parcel)

    cpdef feed(self, data, Py_ssize_t size):
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if size < 0 or size > view.len:
                raise ValueError(f"expected up to {view.len} bytes, got {size}")
            if not _append(&self._incoming, <char *>view.buf, size):
                raise MemoryError()
        finally:
            PyBuffer_Release(&view)

    cpdef lend(self, ReadBuffer buffer, Py_ssize_t size):
        if size < 0 or size > buffer.size:
            raise ValueError(f"expected up to {buffer.size} bytes, got {size}")
        if self._incoming.start != self._incoming.end:
            # Something is waiting already.
            if not _append(&self._incoming, buffer._memory, size):
                raise MemoryError()
            return
        _emptied(&self._incoming)
        self._incoming.memory = buffer._memory
        self._incoming.size = self._incoming.end = size
        self._incoming.lent = True

    cpdef Py_ssize_t fed(self) except -1:
        return self._incoming.end - self._incoming.start

    cpdef bytes take(self):
        cdef PyObject *data = self._parcel
        cdef Py_ssize_t size = self._outgoing.end - self._outgoing.start
        if not self._outgoing.lent:
            data = new_bytes(self._outgoing.memory + self._outgoing.start, size)
            self._drop_parcel()
            return handed_over(data)
        self._parcel = NULL
        _emptied(&self._outgoing)
        if PyBytes_GET_SIZE(<object>data) != size:
            _PyBytes_Resize(&data, size)
        return handed_over(data)

    cpdef Py_ssize_t outgoing(self) except -1:
        return self._outgoing.end - self._outgoing.start

    cpdef bint has_pending(self) except -1:
        return self._incoming.end > self._incoming.start or SSL_pending(self._ssl) > 0

    cpdef Py_ssize_t decrypt(self, buffer) except -1:
        cdef Py_buffer view
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        try:
            return self._fill(<char *>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    cpdef bytes decrypt_all(self, Py_ssize_t most):
        cdef PyObject *data
        cdef Py_ssize_t filled
        # Data is shorter than the records it is in: those waiting, and what OpenSSL has of one that is not whole.
        cdef Py_ssize_t room = self._incoming.end - self._incoming.start + self._incoming.inside + SSL_pending(self._ssl)
        try:
            room = max(0, min(room, most))
            data = new_bytes(NULL, room)
            try:
                filled = self._fill(bytes_memory(data), room)
            except BaseException:
                Py_XDECREF(data)
                raise
            if filled < room:
                _PyBytes_Resize(&data, filled)
            return handed_over(data)
        finally:
            if self._incoming.lent and not _move(&self._incoming, self._incoming.end - self._incoming.start):
                raise MemoryError()

    cdef Py_ssize_t _fill(self, char *memory, Py_ssize_t size) except -1:
        cdef Py_ssize_t filled = 0
        cdef int count
        self.error = None
        self.at_end = False
        while filled < size and self.has_pending():
            self._incoming.starved = False
            count = SSL_read(self._ssl, memory + filled, <int>min(size - filled, INT_MAX))
            if count <= 0:
                self._failed(count)
                break
            self._incoming.inside = 0
            filled += count
        if self._incoming.start == self._incoming.end:
            _emptied(&self._incoming)
        return filled

    cpdef Py_ssize_t encrypt(self, data) except -2:
        cdef Py_buffer view
        if PyBytes_CheckExact(data):
            return self._encrypt(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            return self._encrypt(<char *>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    cdef Py_ssize_t _encrypt(self, const char *memory, Py_ssize_t size) except -2:
        cdef Py_ssize_t taken = 0
        cdef Py_ssize_t before = self._outgoing.end - self._outgoing.start
        cdef Py_ssize_t records = (size + RECORD - 1) // RECORD
        cdef int count
        self.error = None
        self.at_end = False
        if size and not before:
            self._new_parcel(size + records * self._overhead)
        # One record at a time, 16 KiB.
        while taken < size:
            self._incoming.starved = False
            count = SSL_write(self._ssl, memory + taken, <int>min(size - taken, INT_MAX))
            if count <= 0:
                self._failed(count)
                if self._outgoing.start == self._outgoing.end:
                    self._drop_parcel()
                if self.at_end:
                    self.error = ssl.SSLZeroReturnError(ERROR_ZERO_RETURN, "TLS/SSL connection has been closed (EOF)")
                return taken if self.error is None else -1
            taken += count
        if records:
            self._overhead = max(
                self._overhead, (self._outgoing.end - self._outgoing.start - before - size + records - 1) // records
            )
        return taken

    cdef _new_parcel(self, Py_ssize_t size):
        """Have what is encrypted next written to where it can be handed out from."""
        self._drop_parcel()
        self._parcel = new_bytes(NULL, size)
        self._outgoing.memory = bytes_memory(self._parcel)
        self._outgoing.size = size
        self._outgoing.lent = True

    cdef _drop_parcel(self):
        cdef PyObject *parcel = self._parcel
        _emptied(&self._outgoing)
        self._parcel = NULL
        Py_XDECREF(parcel)

    cdef _failed(self, int result):
        # Not by SSL_get_error(): the errors of others who use OpenSSL in this thread mislead it, unless they are cleared
        # before each call, and that costs a tenth of a small message.
        cdef unsigned long code
        cdef const char *text
        if self._incoming.starved and SSL_want(self._ssl) == SSL_READING:
            # The peer has to say more.
            return
        code = ERR_peek_last_error()
        if result == 0 and SSL_get_shutdown(self._ssl) & SSL_RECEIVED_SHUTDOWN and not _is_alert(code):
            self.at_end = True
            return
        text = ERR_reason_error_string(code) if code else NULL
        reason = "unknown error" if text == NULL else text.decode("ascii", "replace")
        # Newer ones speak of "ssl/tls alert"; the interpreter's name for it has stayed.
        name = reason.upper().replace("SSL/TLS", "SSLV3").replace(" ", "_")
        self.error = ssl.SSLError(ERROR_SSL, f"[SSL: {name}] {reason}")
        self.error.library = "SSL"
        self.error.reason = name
        ERR_clear_error()


_check()
