/* A library to be preloaded which makes system calls fail, or do less than they were asked to, now and then.
 *
 * Nothing happens until a rule is set: faults_rule("send", ENOBUFS, 20) has 20 of 1000 calls fail, and SHORT (-1) in
 * place of an error has them take a part of the bytes.  The choice follows from faults_seed() and from nothing else, so
 * that a single-threaded program meets the same faults again.  Only calls that would not block without it are touched:
 * what is refused has not been done.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SHORT (-1)
#define RULES 64

static struct { char call[24]; int error; int permille; long hits; } rules[RULES];
static int rule_count;
static uint64_t state = 88172645463325252u;

static unsigned draw(unsigned below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)((state >> 16) % below);
}

void faults_seed(unsigned long seed) { state = seed * 2654435761u + 88172645463325252u; }

void faults_clear(void) { rule_count = 0; }

void faults_rule(const char *call, int error, int permille) {
    if (rule_count == RULES) return;
    strncpy(rules[rule_count].call, call, sizeof rules[0].call - 1);
    rules[rule_count].error = error;
    rules[rule_count].permille = permille;
    rules[rule_count].hits = 0;
    rule_count++;
}

long faults_hits(int rule) { return rule < rule_count ? rules[rule].hits : -1; }

/* 0: go on; SHORT: do less; else the error, which errno has been set to. */
static int fault(const char *call) {
    for (int i = 0; i < rule_count; i++) {
        if (strcmp(rules[i].call, call) == 0 && (int)draw(1000) < rules[i].permille) {
            rules[i].hits++;
            if (rules[i].error != SHORT) errno = rules[i].error;
            return rules[i].error;
        }
    }
    return 0;
}

static size_t part(size_t size) { return size > 1 ? 1 + draw((unsigned)(size > 1 << 20 ? 1 << 20 : size) - 1) : size; }

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t recv(int fd, void *memory, size_t size, int flags) {
    REAL(recv);
    int f = fault("recv");
    if (f > 0) return -1;
    return real(fd, memory, f == SHORT ? part(size < 4096 ? size : 4096) : size, flags);
}

/* What a Python built with _FORTIFY_SOURCE calls. */
ssize_t __recv_chk(int fd, void *memory, size_t size, size_t room, int flags) {
    (void)room;
    return recv(fd, memory, size, flags);
}

ssize_t recvfrom(int fd, void *memory, size_t size, int flags, struct sockaddr *from, socklen_t *length) {
    REAL(recvfrom);
    if (fault("recvfrom") > 0) return -1;
    return real(fd, memory, size, flags, from, length);
}

ssize_t __recvfrom_chk(int fd, void *m, size_t s, size_t room, int flags, struct sockaddr *from, socklen_t *length) {
    (void)room;
    return recvfrom(fd, m, s, flags, from, length);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    REAL(recvmsg);
    if (fault("recvmsg") > 0) return -1;
    return real(fd, message, flags);
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout) {
    REAL(recvmmsg);
    int f = fault("recvmmsg");
    if (f > 0) return -1;
    return real(fd, messages, f == SHORT ? (unsigned)part(count) : count, flags, timeout);
}

ssize_t send(int fd, const void *memory, size_t size, int flags) {
    REAL(send);
    int f = fault("send");
    if (f > 0) return -1;
    return real(fd, memory, f == SHORT ? part(size) : size, flags);
}

ssize_t sendto(int fd, const void *memory, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
    REAL(sendto);
    if (fault("sendto") > 0) return -1;
    return real(fd, memory, size, flags, to, length);
}

static ssize_t short_vector(struct iovec *vector, size_t count, struct iovec *out) {
    /* Whole pieces up to somewhere, then a part of one. */
    size_t last = count > 1 ? draw((unsigned)count) : 0;
    memcpy(out, vector, (last + 1) * sizeof *out);
    out[last].iov_len = part(out[last].iov_len);
    return (ssize_t)(last + 1);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    REAL(sendmsg);
    int f = fault("sendmsg");
    if (f > 0) return -1;
    struct iovec vector[1024];
    struct msghdr less = *message;
    if (f == SHORT && message->msg_iovlen && message->msg_iovlen <= 1024 && !message->msg_name) {
        less.msg_iovlen = (size_t)short_vector(message->msg_iov, message->msg_iovlen, vector);
        less.msg_iov = vector;
    }
    return real(fd, &less, flags);
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    REAL(sendmmsg);
    int f = fault("sendmmsg");
    if (f > 0) return -1;
    return real(fd, messages, f == SHORT ? (unsigned)part(count) : count, flags);
}

ssize_t sendfile(int out, int in, off_t *offset, size_t count) {
    REAL(sendfile);
    int f = fault("sendfile");
    if (f > 0) return -1;
    return real(out, in, offset, f == SHORT ? part(count) : count);
}

ssize_t sendfile64(int out, int in, off64_t *offset, size_t count) {
    REAL(sendfile64);
    int f = fault("sendfile");
    if (f > 0) return -1;
    return real(out, in, offset, f == SHORT ? part(count) : count);
}

/* Of read(), write(), readv() and writev() only those on pipes and sockets: everything else goes through them too. */
static const char *on(int fd, const char *pipe, const char *sock) {
    struct stat status;
    int before = errno, known = rule_count && fstat(fd, &status) == 0;
    errno = before;
    return !known ? "" : S_ISFIFO(status.st_mode) ? pipe : S_ISSOCK(status.st_mode) ? sock : "";
}

ssize_t read(int fd, void *memory, size_t size) {
    REAL(read);
    int f = fault(on(fd, "read", "recv"));
    if (f > 0) return -1;
    return real(fd, memory, f == SHORT ? part(size < 4096 ? size : 4096) : size);
}

ssize_t write(int fd, const void *memory, size_t size) {
    REAL(write);
    int f = fault(on(fd, "write", "send"));
    if (f > 0) return -1;
    return real(fd, memory, f == SHORT ? part(size) : size);
}

ssize_t readv(int fd, const struct iovec *pieces, int count) {
    REAL(readv);
    if (fault(on(fd, "read", "recv")) > 0) return -1;
    return real(fd, pieces, count);
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    REAL(writev);
    struct iovec vector[1024];
    int f = fault(on(fd, "write", "sendmsg"));
    if (f > 0) return -1;
    if (f == SHORT && count > 0 && count <= 1024)
        return real(fd, vector, (int)short_vector((struct iovec *)pieces, (size_t)count, vector));
    return real(fd, pieces, count);
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
    REAL(accept4);
    if (fault("accept4") > 0) return -1;
    return real(fd, address, length, flags);
}

int accept(int fd, struct sockaddr *address, socklen_t *length) {
    REAL(accept);
    if (fault("accept4") > 0) return -1;
    return real(fd, address, length);
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
    REAL(connect);
    if (fault("connect") > 0) return -1;
    return real(fd, address, length);
}

int epoll_wait(int fd, struct epoll_event *events, int count, int milliseconds) {
    REAL(epoll_wait);
    int f = fault("epoll_wait");
    if (f > 0) return -1;
    return real(fd, events, f == SHORT ? 1 : count, milliseconds);
}

int epoll_ctl(int fd, int operation, int target, struct epoll_event *event) {
    REAL(epoll_ctl);
    if (operation != EPOLL_CTL_DEL && fault("epoll_ctl") > 0) return -1;
    return real(fd, operation, target, event);
}
