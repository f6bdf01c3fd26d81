"""Compiled twin of ``sockets.py``: see there.

No call here ever blocks (``MSG_DONTWAIT``, whatever the socket's own mode is), so the interpreter's lock is kept: giving
it away and taking it back costs more than a call.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, Py_buffer, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from cpython.object cimport PyObject
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.errno cimport EAGAIN, EINTR, errno

from socket import socket

cdef extern from "sys/socket.h" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
    Py_ssize_t recvmsg(int fd, msghdr *message, int flags)
    Py_ssize_t recv(int fd, void *memory, size_t size, int flags)
    Py_ssize_t send(int fd, const void *memory, size_t size, int flags)
    Py_ssize_t sendmsg(int fd, const msghdr *message, int flags)
    enum:
        AF_INET
        AF_INET6
        AF_UNIX
        MSG_DONTWAIT
        MSG_NOSIGNAL
        SOCK_CLOEXEC
        SOCK_NONBLOCK
    ctypedef unsigned int socklen_t
    struct sockaddr:
        unsigned short sa_family
    struct sockaddr_storage:
        unsigned short ss_family
    int setsockopt(int fd, int level, int option, const void *value, socklen_t length)
    int getsockname(int fd, sockaddr *address, socklen_t *length)
    int accept4(int fd, sockaddr *address, socklen_t *length, int flags)

cdef extern from "netinet/tcp.h" nogil:
    enum:
        TCP_NODELAY

cdef extern from "netinet/in.h" nogil:
    enum:
        IPPROTO_TCP
    struct in_addr:
        unsigned int s_addr
    struct sockaddr_in:
        unsigned short sin_port
        in_addr sin_addr
    struct in6_addr:
        pass
    struct sockaddr_in6:
        unsigned short sin6_port
        unsigned int sin6_flowinfo
        in6_addr sin6_addr
        unsigned int sin6_scope_id
    unsigned short ntohs(unsigned short number)
    unsigned int ntohl(unsigned int number)

cdef extern from "arpa/inet.h" nogil:
    const char *inet_ntop(int family, const void *address, char *text, socklen_t size)

cdef extern from "sys/un.h" nogil:
    struct sockaddr_un:
        char sun_path[108]

cdef extern from "string.h" nogil:
    void *memcpy(void *memory, const void *source, size_t size)
    int memcmp(const void *one, const void *other, size_t size)
    void *memset(void *memory, int value, size_t size)
    size_t strnlen(const char *text, size_t most)

cdef extern from "unistd.h" nogil:
    int close(int fd)
    Py_ssize_t c_read "read"(int fd, void *memory, size_t size)

cdef extern from "Python.h":
    str PyUnicode_DecodeFSDefaultAndSize(const char *text, Py_ssize_t size)

cdef enum:
    PIECES = 64

MAX_PIECES = PIECES


cdef Py_ssize_t would_block() except -2:
    """After a failed call: -1 if it is to be tried again later, or else the kernel's error as an exception."""
    if errno == EAGAIN:
        return -1
    if errno == EINTR:
        PyErr_CheckSignals()
        return -1
    PyErr_SetFromErrno(OSError)
    return -2


cdef extern from *:
    """
    /* Makes an object that nobody else holds, and that was made for at least so many bytes, anew. */
    static inline void hocket_renew_bytes(PyObject *bytes, Py_ssize_t size) {
        Py_SET_SIZE((PyVarObject *)bytes, size);
    _Py_COMP_DIAG_PUSH
    _Py_COMP_DIAG_IGNORE_DEPR_DECLS
        ((PyBytesObject *)bytes)->ob_shash = -1;
    _Py_COMP_DIAG_POP
        PyBytes_AS_STRING(bytes)[size] = 0;
    }
    """
    void hocket_renew_bytes(object data, Py_ssize_t size) noexcept
    Py_ssize_t Py_REFCNT(object data)

cdef enum:
    # Smaller objects come from the interpreter's own pools, which are as fast.
    WORTH_REUSE = 480
    # From so many bytes on, reading in place saves more than the longer system call costs.
    WORTH_PLACING = 8192
    # So often in a row the spare may not fit before another takes its place.
    MISSES = 8


cdef object nothing(Py_ssize_t count):
    """What `read` returns if that many bytes came, which is none."""
    if count == 0:
        return b""
    would_block()
    return None


cdef class ReadBuffer:
    def __cinit__(self, Py_ssize_t size):
        self._memory = <char *>PyMem_Malloc(size)
        if self._memory == NULL:
            raise MemoryError()
        self.size = size
        self._spare = None
        self._capacity = 0

    def __dealloc__(self):
        PyMem_Free(self._memory)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self._memory, self.size, 0, flags)

    @property
    def view(self):
        return memoryview(self)

    cpdef read(self, int fd):
        cdef Py_ssize_t count
        self._taken = NULL
        if self._capacity >= WORTH_PLACING:
            return self._read_in_place(fd)
        count = recv(fd, self._memory, <size_t>self.size, MSG_DONTWAIT)
        if count <= 0:
            return nothing(count)
        if not self._capacity or not self._spare_fits(count):
            return PyBytes_FromStringAndSize(self._memory, count)
        memcpy(PyBytes_AS_STRING(self._spare), self._memory, <size_t>count)
        return self._take_spare(count)

    cdef object _read_in_place(self, int fd):
        cdef iovec vector[2]
        cdef msghdr message
        cdef Py_ssize_t count, capacity = self._capacity
        cdef char *place = PyBytes_AS_STRING(self._spare)
        memset(&message, 0, sizeof(message))
        vector[0].iov_base = place
        vector[0].iov_len = <size_t>capacity
        vector[1].iov_base = self._memory
        vector[1].iov_len = <size_t>max(self.size - capacity, <Py_ssize_t>0)
        message.msg_iov = vector
        message.msg_iovlen = 2
        count = recvmsg(fd, &message, MSG_DONTWAIT)
        if count <= 0:
            return nothing(count)
        if self._spare_fits(count):
            return self._take_spare(count)
        data = PyBytes_FromStringAndSize(NULL, count)
        memcpy(PyBytes_AS_STRING(data), place, <size_t>min(count, capacity))
        if count > capacity:
            memcpy(PyBytes_AS_STRING(data) + capacity, self._memory, <size_t>(count - capacity))
        return data

    cdef bint _spare_fits(self, Py_ssize_t count) noexcept:
        # Who keeps the object may not keep much more memory than it asked for.
        if count <= self._capacity and self._capacity - count <= count >> 2:
            self._misses = 0
            return True
        self._misses += 1
        return False

    cdef object _take_spare(self, Py_ssize_t count):
        data = self._spare
        self._spare = None
        self._taken = <PyObject *>data
        self._room = self._capacity
        self._capacity = 0
        hocket_renew_bytes(data, count)
        return data

    cpdef give_back(self, data):
        # One that was the spare has more room than it tells.
        cdef Py_ssize_t capacity = self._room if <PyObject *>data == self._taken else PyBytes_GET_SIZE(data)
        self._taken = NULL
        if Py_REFCNT(data) == 1 and capacity > WORTH_REUSE and (capacity > self._capacity or self._misses > MISSES):
            self._spare = data
            self._capacity = capacity
            self._misses = 0

    cpdef receive(self, int fd, Py_ssize_t limit):
        cdef Py_ssize_t count
        if limit < 0:
            raise ValueError(f"expected how many bytes to read at most, got {limit}")
        count = recv(fd, self._memory, <size_t>min(limit, self.size), MSG_DONTWAIT)
        if count < 0:
            would_block()
            return None
        return PyBytes_FromStringAndSize(self._memory, count)

    cpdef Py_ssize_t fill(self, int fd) except -2:
        cdef Py_ssize_t count = recv(fd, self._memory, <size_t>self.size, MSG_DONTWAIT)
        return would_block() if count < 0 else count

    cpdef read_file(self, int fd):
        cdef Py_ssize_t count
        # Without MSG_DONTWAIT: whoever shares the open file may have made it blocking again.
        with nogil:
            count = c_read(fd, self._memory, <size_t>self.size)
        if count < 0:
            would_block()
            return None
        return PyBytes_FromStringAndSize(self._memory, count)


cpdef Py_ssize_t receive_into(int fd, object buffer) except -2:
    cdef Py_buffer view
    cdef Py_ssize_t count
    PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
    try:
        if view.len == 0:
            return 0  # Nothing is asked for; the kernel would say that nothing is there yet.
        count = recv(fd, view.buf, <size_t>view.len, MSG_DONTWAIT)
        if count < 0:
            return would_block()
        return count
    finally:
        PyBuffer_Release(&view)


cpdef Py_ssize_t send_piece(int fd, object data) except -2:
    cdef Py_buffer view
    cdef Py_ssize_t count
    if PyBytes_CheckExact(data):
        count = send(fd, PyBytes_AS_STRING(data), <size_t>PyBytes_GET_SIZE(data), MSG_NOSIGNAL | MSG_DONTWAIT)
        return would_block() if count < 0 else count
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        count = send(fd, view.buf, <size_t>view.len, MSG_NOSIGNAL | MSG_DONTWAIT)
        return would_block() if count < 0 else count
    finally:
        PyBuffer_Release(&view)


cpdef Py_ssize_t send_pieces(int fd, list pieces) except -2:
    cdef Py_buffer views[PIECES]
    cdef iovec vector[PIECES]
    cdef msghdr message
    cdef Py_ssize_t count
    cdef int held = 0
    cdef int index
    cdef int wanted = min(len(pieces), <Py_ssize_t>PIECES)
    memset(&message, 0, sizeof(message))
    try:
        while held < wanted:
            PyObject_GetBuffer(pieces[held], &views[held], PyBUF_SIMPLE)
            vector[held].iov_base = views[held].buf
            vector[held].iov_len = <size_t>views[held].len
            held += 1
        message.msg_iov = vector
        message.msg_iovlen = <size_t>held
        count = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT)
        return would_block() if count < 0 else count
    finally:
        for index in range(held):
            PyBuffer_Release(&views[index])


cdef enum:
    # Where a Unix address's path begins.
    PATH = 2


# Connections come in runs from one address, which is told by one object.
cdef unsigned int last_ip
cdef object last_ip_text = None


cdef object dotted(unsigned int ip):
    """The usual way to write *ip*.  (inet_ntop() takes ten times as long.)"""
    cdef char text[16]
    cdef int length = 0, shift, byte
    for shift in range(24, -8, -8):
        byte = <int>((ip >> shift) & 255)
        if byte >= 100:
            text[length] = <char>(48 + byte // 100)
            length += 1
        if byte >= 10:
            text[length] = <char>(48 + byte // 10 % 10)
            length += 1
        text[length] = <char>(48 + byte % 10)
        text[length + 1] = 46
        length += 2
    return text[:length - 1].decode("ascii")


cpdef object address_from(object packed):
    if type(packed) is not int:
        return packed
    cdef unsigned long long number = packed
    return (dotted(<unsigned int>(number >> 16)), number & 65535)


cdef object address_of(const void *memory, unsigned int length):
    """The address as the socket module tells it; NotImplemented if it is neither of IP nor Unix."""
    global last_ip, last_ip_text
    cdef const sockaddr_storage *storage = <const sockaddr_storage *>memory
    cdef char text[64]
    cdef const sockaddr_in *v4
    cdef const sockaddr_in6 *v6
    cdef const sockaddr_un *local
    cdef Py_ssize_t size
    if length == 0:
        return None
    if storage.ss_family == AF_INET:
        v4 = <const sockaddr_in *>storage
        if v4.sin_addr.s_addr != last_ip or last_ip_text is None:
            last_ip_text = dotted(ntohl(v4.sin_addr.s_addr))
            last_ip = v4.sin_addr.s_addr
        return (last_ip_text, ntohs(v4.sin_port))
    if storage.ss_family == AF_INET6:
        v6 = <const sockaddr_in6 *>storage
        inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text))
        return (text.decode("ascii"), ntohs(v6.sin6_port), ntohl(v6.sin6_flowinfo), v6.sin6_scope_id)
    if storage.ss_family == AF_UNIX:
        local = <const sockaddr_un *>storage
        size = <Py_ssize_t>length - PATH
        if size > 0 and local.sun_path[0] == 0:
            return PyBytes_FromStringAndSize(local.sun_path, size)
        return PyUnicode_DecodeFSDefaultAndSize(local.sun_path, <Py_ssize_t>strnlen(local.sun_path, size))
    return NotImplemented


cpdef object accept(object listener, int fd, bint packed=False):
    cdef sockaddr_storage storage
    cdef socklen_t length = sizeof(storage)
    cdef int accepted = accept4(fd, <sockaddr *>&storage, &length, SOCK_CLOEXEC | SOCK_NONBLOCK)
    if accepted < 0:
        would_block()
        return None
    cdef const sockaddr_in *v4 = <const sockaddr_in *>&storage
    if packed and length > 0 and storage.ss_family == AF_INET:
        return accepted, (<unsigned long long>ntohl(v4.sin_addr.s_addr) << 16) | ntohs(v4.sin_port)
    try:
        address = address_of(&storage, length)
        if address is NotImplemented:
            connection = socket(fileno=accepted)
            try:
                address = connection.getpeername()
            finally:
                connection.detach()
        return accepted, address
    except BaseException:
        close(accepted)
        raise


# Most connections of a server have the same address on its side: it is told by one object.
cdef sockaddr_storage last_local
cdef socklen_t last_local_length = 0
cdef object last_local_address = None


cpdef object local_address(object sock, int fd):
    global last_local_length, last_local_address
    cdef sockaddr_storage storage
    cdef socklen_t length = sizeof(storage)
    if sock is not None and type(sock) is not socket:
        return sock.getsockname()
    if getsockname(fd, <sockaddr *>&storage, &length) < 0:
        PyErr_SetFromErrno(OSError)
    if length == last_local_length and memcmp(&storage, &last_local, length) == 0:
        return last_local_address
    address = address_of(&storage, length)
    if type(address) is tuple and length <= sizeof(storage):
        memcpy(&last_local, &storage, length)
        last_local_length = length
        last_local_address = address
    return sock.getsockname() if address is NotImplemented else address


cpdef object set_nodelay(int fd):
    cdef int on = 1
    if setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0:
        PyErr_SetFromErrno(OSError)


cpdef object close_descriptor(int fd):
    cdef int status
    with nogil:
        status = close(fd)
    # The descriptor is gone also where the call was interrupted.
    if status < 0 and errno != EINTR:
        PyErr_SetFromErrno(OSError)
