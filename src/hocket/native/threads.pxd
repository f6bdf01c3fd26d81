cdef enum:
    DEPTH = 16

cdef struct Spot:
    int line
    char file[256]
    char function[128]

cdef struct Stack:
    int depth
    Spot spots[DEPTH]  # the innermost first

cdef struct Meter:
    int clock
    bint has_clock
    int stat
    int schedstat

cdef struct Usage:
    unsigned long long cpu
    unsigned long long delay
    unsigned long long slices
    char state

# With the interpreter; NULL: there is no such thread.
cdef void *state_of(unsigned long thread) noexcept
cdef void open_meter(Meter *meter, void *state) noexcept
cdef void close_meter(Meter *meter) noexcept

# Without it, on what may change or go at any time.
cdef void *lock_holder() noexcept nogil
cdef unsigned long long switch_interval() noexcept nogil
cdef unsigned long thread_of(void *state) noexcept nogil
cdef size_t position(void *state) noexcept nogil
cdef void read_stack(void *state, Stack *stack) noexcept nogil
cdef bint peek(void *into, const void *at, size_t size) noexcept nogil
cdef void read_text(const void *text, char *into, int size) noexcept nogil
cdef void read_meter(Meter *meter, Usage *usage) noexcept nogil
