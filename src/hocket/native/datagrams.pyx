"""Compiled twin of ``datagrams.py``: see there.

No call here ever blocks (``MSG_DONTWAIT``), so the interpreter's lock is kept.
"""

from cpython.buffer cimport PyBUF_SIMPLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_SetFromErrno
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset, strlen

from socket import socket

from hocket.native.sockets cimport address_of, would_block

cdef extern from "sys/socket.h" nogil:
    int recvmmsg(int fd, mmsghdr *messages, unsigned int count, int flags, void *timeout)
    Py_ssize_t send(int fd, const void *memory, size_t size, int flags)
    Py_ssize_t c_sendto "sendto"(
        int fd, const void *memory, size_t size, int flags, const sockaddr *address, socklen_t length
    )
    enum:
        AF_INET
        AF_INET6
        AF_UNIX
        MSG_DONTWAIT
        MSG_NOSIGNAL

cdef extern from "netinet/in.h" nogil:
    struct in_addr:
        unsigned int s_addr
    struct sockaddr_in:
        unsigned short sin_family
        unsigned short sin_port
        in_addr sin_addr
    struct in6_addr:
        pass
    struct sockaddr_in6:
        unsigned short sin6_family
        unsigned short sin6_port
        in6_addr sin6_addr
        unsigned int sin6_scope_id
    unsigned short htons(unsigned short number)
    unsigned short ntohs(unsigned short number)

cdef extern from "arpa/inet.h" nogil:
    int inet_pton(int family, const char *text, void *address)

cdef extern from "Python.h":
    int PySys_Audit(const char *event, const char *format, ...) except -1
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef enum:
    # Shared by as many datagrams as the largest that a family may send leaves room for.
    MEMORY = 1 << 20
    UNIX_SLOTS = 4
    # Powers of two.
    PEERS = 64
    PLACES = 256

BATCH = SLOTS

# Whom datagrams have come from lately: most senders send again, and most are answered. Each has one tuple for its
# address, by which it is found when it is sent something.
cdef struct Peer:
    # Of IPv4 or IPv6, whose ports have the same place.
    sockaddr_in6 address
    socklen_t length

cdef Peer peers[PEERS]
cdef list peer_addresses = [None] * PEERS
# By the place of the tuple in memory, where its peer is.
cdef unsigned char places[PLACES]


cdef object sender(const void *memory, socklen_t length):
    """The address in *memory*, as the socket module tells it."""
    cdef const sockaddr_in *v4 = <const sockaddr_in *>memory
    cdef const sockaddr_in6 *v6 = <const sockaddr_in6 *>memory
    cdef unsigned int place
    if length == sizeof(sockaddr_in) and v4.sin_family == AF_INET:
        place = (ntohs(v4.sin_port) ^ (v4.sin_addr.s_addr >> 24)) & (PEERS - 1)
    elif length == sizeof(sockaddr_in6) and v6.sin6_family == AF_INET6:
        place = ntohs(v6.sin6_port) & (PEERS - 1)
    else:
        return address_of(memory, length)
    if peers[place].length != length or memcmp(&peers[place].address, memory, length) != 0:
        address = address_of(memory, length)
        memcpy(&peers[place].address, memory, length)
        peers[place].length = length
        peer_addresses[place] = address
    else:
        address = peer_addresses[place]
    places[(<size_t><void *>address >> 4) & (PLACES - 1)] = <unsigned char>place
    return address


cdef inline socklen_t recall(int family, object address, sockaddr_storage *target) noexcept:
    """Fill *target* if *address* is what `sender` said of a socket of *family*; returns its length, 0 otherwise."""
    cdef unsigned int place = places[(<size_t><void *>address >> 4) & (PLACES - 1)]
    if not peers[place].length or <void *>peer_addresses[place] != <void *>address:
        return 0
    if peers[place].address.sin6_family != family:
        return 0
    memcpy(target, &peers[place].address, peers[place].length)
    return peers[place].length


cpdef int known_family(object sock) except -1:
    cdef int family
    if type(sock) is not socket:
        return 0
    family = sock.family
    return family if family == AF_INET or family == AF_INET6 or family == AF_UNIX else 0


cdef class DatagramBuffer:
    def __cinit__(self):
        # Of a block of this size the system gives only what is written to: for small datagrams a page a slot.
        self._memory = <char *>malloc(MEMORY)
        if self._memory == NULL:
            raise MemoryError()
        memset(self._messages, 0, sizeof(self._messages))
        self._divide(SLOTS)

    def __dealloc__(self):
        free(self._memory)

    cdef void _divide(self, int slots) noexcept:
        cdef int index
        self._slots = slots
        for index in range(slots):
            self._vectors[index].iov_base = self._memory + index * (MEMORY // slots)
            self._vectors[index].iov_len = <size_t>(MEMORY // slots)
            self._messages[index].msg_hdr.msg_name = &self._addresses[index]
            self._messages[index].msg_hdr.msg_namelen = sizeof(sockaddr_storage)
            self._messages[index].msg_hdr.msg_iov = &self._vectors[index]
            self._messages[index].msg_hdr.msg_iovlen = 1

    cpdef list receive(self, object sock, int fd, int family):
        cdef list received = []
        cdef mmsghdr *message
        cdef int count, index, slots
        if not family:
            try:
                received.append(sock.recvfrom(MEMORY // UNIX_SLOTS))
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                received.append(error)
            return received
        slots = UNIX_SLOTS if family == AF_UNIX else SLOTS
        if slots != self._slots:
            self._divide(slots)
        count = recvmmsg(fd, self._messages, <unsigned int>slots, MSG_DONTWAIT, NULL)
        if count < 0:
            if errno == EAGAIN:
                return received
            if errno == EINTR:
                would_block()
                return received
            try:
                PyErr_SetFromErrno(OSError)
            except OSError as error:
                received.append(error)
            return received
        for index in range(count):
            message = &self._messages[index]
            received.append((
                PyBytes_FromStringAndSize(<char *>self._vectors[index].iov_base, <Py_ssize_t>message.msg_len),
                sender(message.msg_hdr.msg_name, message.msg_hdr.msg_namelen),
            ))
            message.msg_hdr.msg_namelen = sizeof(sockaddr_storage)
        return received


cpdef bint send_datagram(object sock, int fd, int family, object data) except -1:
    cdef Py_buffer view
    if not family:
        try:
            sock.send(data)
        except (BlockingIOError, InterruptedError):
            return False
        return True
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return send(fd, view.buf, <size_t>view.len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 or would_block() >= 0
    finally:
        PyBuffer_Release(&view)


cpdef bint send_datagram_to(object sock, int fd, int family, object data, object address) except -1:
    cdef Py_buffer view
    cdef sockaddr_storage target
    cdef socklen_t length = recall(family, address, &target)
    if not length:
        length = parse(family, address, &target)
    if not length:
        # A name, a path, or something wrong: the socket module knows what to do and what to say.
        try:
            sock.sendto(data, address)
        except (BlockingIOError, InterruptedError):
            return False
        return True
    PySys_Audit("socket.sendto", "OO", <void *>sock, <void *>address)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return (
            c_sendto(fd, view.buf, <size_t>view.len, MSG_DONTWAIT | MSG_NOSIGNAL, <sockaddr *>&target, length) >= 0
            or would_block() >= 0
        )
    finally:
        PyBuffer_Release(&view)


cdef socklen_t parse(int family, object address, sockaddr_storage *target) except? 0:
    """Fill *target*; returns its length, 0 if *address* is not a plain numeric one of *family*."""
    cdef sockaddr_in *v4 = <sockaddr_in *>target
    cdef sockaddr_in6 *v6 = <sockaddr_in6 *>target
    cdef const char *host
    cdef Py_ssize_t size, parts
    cdef long long port, scope = 0
    if (family != AF_INET and family != AF_INET6) or type(address) is not tuple:
        return 0
    parts = len(<tuple>address)
    if parts < 2 or parts > (2 if family == AF_INET else 4):
        return 0
    if type((<tuple>address)[0]) is not str or not (<str>(<tuple>address)[0]).isascii():
        return 0
    port = small((<tuple>address)[1])
    if port < 0 or port > 65535:
        return 0
    host = PyUnicode_AsUTF8AndSize((<tuple>address)[0], &size)
    if strlen(host) != <size_t>size:
        return 0
    if family == AF_INET:
        memset(v4, 0, sizeof(sockaddr_in))
        if inet_pton(AF_INET, host, &v4.sin_addr) != 1:
            return 0
        v4.sin_family = AF_INET
        v4.sin_port = htons(<unsigned short>port)
        return sizeof(sockaddr_in)
    if parts > 2 and small((<tuple>address)[2]) != 0:
        return 0
    if parts > 3:
        scope = small((<tuple>address)[3])
        if scope < 0 or scope > 0xFFFFFFFF:
            return 0
    memset(v6, 0, sizeof(sockaddr_in6))
    if inet_pton(AF_INET6, host, &v6.sin6_addr) != 1:
        return 0
    v6.sin6_family = AF_INET6
    v6.sin6_port = htons(<unsigned short>port)
    v6.sin6_scope_id = <unsigned int>scope
    return sizeof(sockaddr_in6)


cdef long long small(object number) except? -1:
    """The value of a small int that is nothing else; -1 for anything else."""
    if type(number) is not int or not 0 <= number <= 0xFFFFFFFF:
        return -1
    return number
