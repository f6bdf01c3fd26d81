/* The load of the echo cases: N connections, each with one request in flight, every echoed byte compared.
 *
 * usage: echo_load PORT SERVER_PID CONNECTIONS SIZE WARM_UP_SECONDS SECONDS MAX_REQUESTS
 *
 * After the warm-up it reads the clocks, counts until the time is over or MAX_REQUESTS have been answered, and reads the
 * clocks again. One of them is the CPU clock of the server's process, which the kernel lets anyone of the same user read
 * exactly and from outside, so a server needs no cooperation and pays nothing for being measured. The split in user and
 * system time comes from /proc/PID/stat; the kernel may only sample it (each timer tick), so it is coarser.
 *
 * Compiled with -DUDP it sends datagrams, each answered by one; one that is lost is a stall.
 *
 * Compiled with -DTLS (and -lssl -lcrypto) it speaks TLS and trusts any certificate; the handshakes are not measured.
 *
 * Prints one JSON object. Exits with 1 and a message if the server closes a connection, answers with a wrong byte,
 * or answers nothing at all for STALL_SECONDS. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifdef TLS
#include <openssl/ssl.h>
#endif

#ifdef UDP
#define KIND SOCK_DGRAM
#else
#define KIND SOCK_STREAM
#endif

enum {
    STALL_SECONDS = 5,
    SLOP = 4096, /* each request starts at another offset of the pattern, so a stale answer is a wrong answer */
    SUB_BITS = 6,
    SUB = 1 << SUB_BITS,
    BUCKETS = 64 * SUB,
    READ_SIZE = 256 * 1024,
};

struct client {
    int fd;
#ifdef TLS
    SSL *tls;
#endif
    int wants_write;
    uint32_t offset; /* where in the pattern the request in flight starts */
    size_t sent, received;
    uint64_t started;  /* ns */
    uint64_t answered; /* requests, in the measured time */
};

struct clocks {
    uint64_t wall, cpu;           /* ns */
    unsigned long user, system;   /* clock ticks */
};

static char *pattern;
static size_t size;
static char buffer[READ_SIZE];
static uint64_t latencies[BUCKETS]; /* log-linear: 64 steps for each power of two, 1.6 % wide */
static uint64_t longest;
static uint32_t random_state = 2463534242u;

static void die(const char *what) {
    fprintf(stderr, "echo_load: %s\n", what);
    exit(1);
}

static void die_errno(const char *what) {
    fprintf(stderr, "echo_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t read_clock(clockid_t clock) {
    struct timespec t;
    if (clock_gettime(clock, &t) < 0)
        die_errno("the server's CPU clock");
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t now(void) { return read_clock(CLOCK_MONOTONIC); }

static uint32_t next_random(void) { /* xorshift: the pattern only has to be irregular */
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

static struct clocks read_clocks(pid_t pid) {
    struct clocks c;
    clockid_t clock;
    char path[64], line[1024];
    if (clock_getcpuclockid(pid, &clock) != 0)
        die("the server's process is gone");
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *stat = fopen(path, "r");
    if (stat == NULL || fgets(line, sizeof line, stat) == NULL)
        die("the server's process is gone");
    fclose(stat);
    char *after_name = strrchr(line, ')'); /* the name itself may contain anything */
    if (after_name == NULL ||
        sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &c.user, &c.system) != 2)
        die("/proc/PID/stat is not as expected");
    c.cpu = read_clock(clock);
    c.wall = now();
    return c;
}

static unsigned bucket_of(uint64_t ns) {
    if (ns < SUB)
        return (unsigned)ns;
    unsigned power = 63u - (unsigned)__builtin_clzll(ns);
    return (power - SUB_BITS + 1) * SUB + (unsigned)((ns >> (power - SUB_BITS)) & (SUB - 1));
}

static double bucket_middle_us(unsigned bucket) {
    if (bucket < SUB)
        return bucket / 1e3;
    unsigned shift = bucket / SUB - 1;
    return ((double)((uint64_t)(SUB + bucket % SUB) << shift) + (double)((uint64_t)1 << shift) / 2) / 1e3;
}

static double percentile_us(uint64_t count, double fraction) {
    uint64_t rank = (uint64_t)(fraction * (double)count), seen = 0;
    for (unsigned b = 0; b < BUCKETS; b++) {
        seen += latencies[b];
        if (seen > rank)
            return bucket_middle_us(b);
    }
    return (double)longest / 1e3;
}

#ifdef TLS
static SSL_CTX *context;

static ssize_t outcome(struct client *c, int n) {
    if (n > 0)
        return n;
    int error = SSL_get_error(c->tls, n);
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}

static ssize_t put(struct client *c, const char *data, size_t count) {
    return outcome(c, SSL_write(c->tls, data, (int)count));
}

static ssize_t get(struct client *c) { return outcome(c, SSL_read(c->tls, buffer, sizeof buffer)); }

static void introduce(struct client *c) {
    if (context == NULL) {
        context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    c->tls = SSL_new(context);
    if (c->tls == NULL || !SSL_set_fd(c->tls, c->fd) || SSL_connect(c->tls) != 1)
        die("the TLS handshake with the server failed");
}
#else
static ssize_t put(struct client *c, const char *data, size_t count) { return send(c->fd, data, count, MSG_NOSIGNAL); }

static ssize_t get(struct client *c) { return recv(c->fd, buffer, sizeof buffer, 0); }

static void introduce(struct client *c) { (void)c; }
#endif

static void set_interest(int epoll, struct client *c, int wants_write) {
    struct epoll_event event = {.events = wants_write ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event) < 0)
        die_errno("epoll_ctl");
    c->wants_write = wants_write;
}

static void send_rest(int epoll, struct client *c) {
    while (c->sent < size) {
        ssize_t n = put(c, pattern + c->offset + c->sent, size - c->sent);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN)
                die_errno("send to the server");
            break;
        }
        c->sent += (size_t)n;
    }
    if (c->wants_write != (c->sent < size))
        set_interest(epoll, c, c->sent < size);
}

static void start_request(int epoll, struct client *c) {
    c->offset = next_random() % SLOP;
    c->sent = c->received = 0;
    c->started = now();
    send_rest(epoll, c);
}

/* Returns 1 when the request in flight has been answered. */
static int receive(struct client *c) {
    ssize_t n = get(c);
    if (n < 0) {
        if (errno == EAGAIN || errno == EINTR)
            return 0;
        die_errno("receive from the server");
    }
    if (n == 0)
        die("the server closed a connection");
    if (c->received + (size_t)n > c->sent)
        die("the server sent more than it had been sent");
    if (memcmp(buffer, pattern + c->offset + c->received, (size_t)n) != 0)
        die("the server echoed a wrong byte");
    c->received += (size_t)n;
    return c->received == size;
}

static struct client *connect_all(int epoll, int port, int count) {
    struct client *clients = calloc((size_t)count, sizeof *clients);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (clients == NULL)
        die("out of memory");
    for (int i = 0; i < count; i++) {
        struct client *c = &clients[i];
        c->fd = socket(AF_INET, KIND | SOCK_CLOEXEC, 0);
        if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0)
            die_errno("connect to the server");
#ifndef UDP
        int on = 1;
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
#endif
        introduce(c);
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
            die_errno("epoll_ctl");
    }
    return clients;
}

int main(int argc, char **argv) {
    if (argc != 8) {
        fprintf(stderr, "usage: echo_load PORT SERVER_PID CONNECTIONS SIZE WARM_UP_SECONDS SECONDS MAX_REQUESTS\n");
        return 2;
    }
    int port = atoi(argv[1]), count = atoi(argv[3]);
    pid_t pid = (pid_t)atoi(argv[2]);
    size = (size_t)atol(argv[4]);
    uint64_t warm_up = (uint64_t)(atof(argv[5]) * 1e9), duration = (uint64_t)(atof(argv[6]) * 1e9);
    uint64_t most = strtoull(argv[7], NULL, 10);
    if (count < 1 || size < 1)
        die("CONNECTIONS and SIZE must be at least 1");

    pattern = malloc(size + SLOP);
    if (pattern == NULL)
        die("out of memory");
    for (size_t i = 0; i < size + SLOP; i++)
        pattern[i] = (char)next_random();

    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        die_errno("epoll_create1");
    struct client *clients = connect_all(epoll, port, count);
    for (int i = 0; i < count; i++)
        start_request(epoll, &clients[i]);

    struct clocks begin = {0}, end;
    struct epoll_event events[1024];
    uint64_t answered = 0, limit = now() + warm_up;
    int measuring = 0, finished = 0;
    while (!finished) {
        int ready = epoll_wait(epoll, events, 1024, STALL_SECONDS * 1000);
        if (ready == 0)
            die("the server did not answer for 5 seconds");
        if (ready < 0 && errno != EINTR)
            die_errno("epoll_wait");
        for (int i = 0; i < ready; i++) {
            struct client *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                send_rest(epoll, c);
            if (!(events[i].events & ~(uint32_t)EPOLLOUT) || !receive(c))
                continue;
            if (measuring) {
                uint64_t took = now() - c->started;
                latencies[bucket_of(took)]++;
                longest = took > longest ? took : longest;
                answered++;
                c->answered++;
            }
            start_request(epoll, c);
        }
        if (measuring) {
            finished = answered >= most || now() >= limit;
        } else if (now() >= limit) {
            measuring = 1;
            begin = read_clocks(pid);
            limit = begin.wall + duration;
        }
    }
    end = read_clocks(pid);
    if (answered == 0)
        die("no request was answered in the measured time");

    uint64_t least = answered;
    for (int i = 0; i < count; i++)
        least = clients[i].answered < least ? clients[i].answered : least;

    double cpu = (double)(end.cpu - begin.cpu) / 1e3 / (double)answered;
    double ticks = (double)(end.user - begin.user + end.system - begin.system);
    double user = ticks > 0 ? cpu * (double)(end.user - begin.user) / ticks : 0.0;
    double seconds = (double)(end.wall - begin.wall) / 1e9;
    printf("{\"requests\": %llu, \"seconds\": %.6f, \"requests_per_s\": %.3f, \"cpu_us\": %.4f, \"user_us\": %.4f, "
           "\"system_us\": %.4f, \"server_busy\": %.4f, \"p50_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, "
           "\"max_us\": %.3f, \"least_share\": %.4f}\n",
           (unsigned long long)answered, seconds, (double)answered / seconds, cpu, user, cpu - user,
           (double)(end.cpu - begin.cpu) / (double)(end.wall - begin.wall), percentile_us(answered, 0.5),
           percentile_us(answered, 0.99), percentile_us(answered, 0.999), (double)longest / 1e3,
           (double)least * count / (double)answered);
    return 0;
}
