cpdef Py_ssize_t write_file(int fd, object data) except -2
cpdef Py_ssize_t write_file_pieces(int fd, list pieces) except -2
