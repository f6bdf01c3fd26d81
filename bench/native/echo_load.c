/* The load of the echo cases: N connections, each with one request in flight, every echoed byte compared.
 *
 * usage: echo_load ADDRESS SERVER_PID CONNECTIONS SIZE WARM_UP_SECONDS SECONDS MAX_REQUESTS
 *
 * After the warm-up it reads the clocks, counts until the time is over or MAX_REQUESTS have been answered, and reads the
 * clocks again. One of them is the CPU clock of the server's process, which the kernel lets anyone of the same user read
 * exactly and from outside, so a server needs no cooperation and pays nothing for being measured. The split in user and
 * system time comes from /proc/PID/stat; the kernel may only sample it (each timer tick), so it is coarser.
 *
 * ADDRESS is a port of 127.0.0.1, or the path of a Unix socket.
 *
 * Compiled with -DHTTP it asks for "/" over HTTP/1.1 and kept connections, SIZE is that of the body, and an answer has to
 * have status 200, a Content-Length, and "Hello, world!" for a body.
 *
 * Compiled with -DWEBSOCKET it upgrades each connection to a WebSocket and sends binary messages of SIZE bytes, a frame
 * each, masked with the key 0: the server works as for any key, and the bytes are those that it has to send back.
 *
 * Where there are many connections they come from several addresses, 127.0.0.1 and following, as one has not enough ports.
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
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
    PORTS = 20000, /* connections from one address */
    PACE = 100,    /* connections opened before the server has answered on one of them */
    SLOP = 4096, /* each request starts at another offset of the pattern, so a stale answer is a wrong answer */
    SUB_BITS = 6,
    SUB = 1 << SUB_BITS,
    BUCKETS = 64 * SUB,
    READ_SIZE = 256 * 1024,
};

#ifdef WEBSOCKET
enum { HEAD = 10 }; /* of a frame, at most, without the mask */
static unsigned char request_head[HEAD + 4], answer_head[HEAD];
static size_t request_head_size, answer_head_size;
#endif

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
#ifdef HTTP
    char answer[4096];
#endif
#ifdef WEBSOCKET
    unsigned char head[HEAD];
    size_t head_received;
#endif
};

struct clocks {
    uint64_t wall, cpu;           /* ns */
    unsigned long user, system;   /* clock ticks */
};

static char *pattern;
static size_t size;
#ifdef HTTP
static const char hello[] = "Hello, world!";
static size_t body_size;
#endif
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

#ifdef WEBSOCKET
/* `sent` counts the head of the frame too. */
#define WHOLE (request_head_size + size)

static ssize_t put(struct client *c) {
    struct iovec parts[2] = {{request_head, request_head_size}, {pattern + c->offset, size}};
    size_t skip = c->sent < request_head_size ? c->sent : request_head_size;
    parts[0].iov_base = request_head + skip;
    parts[0].iov_len -= skip;
    parts[1].iov_base = pattern + c->offset + (c->sent - skip);
    parts[1].iov_len -= c->sent - skip;
    return writev(c->fd, parts, 2);
}

static ssize_t get(struct client *c) { return recv(c->fd, buffer, sizeof buffer, 0); }

/* The head of a frame with a binary message of SIZE bytes. Returns its length. */
static size_t frame_head(unsigned char *head) {
    size_t length = size < 126 ? 0 : size < 65536 ? 2 : 8;
    head[0] = 0x82;
    head[1] = (unsigned char)(length == 0 ? size : length == 2 ? 126 : 127);
    for (size_t i = 0; i < length; i++)
        head[2 + i] = (unsigned char)((uint64_t)size >> 8 * (length - 1 - i));
    return 2 + length;
}

static void introduce(struct client *c) {
    static const char upgrade[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    char answer[4096];
    size_t received = 0;
    if (send(c->fd, upgrade, sizeof upgrade - 1, MSG_NOSIGNAL) != (ssize_t)(sizeof upgrade - 1))
        die_errno("send to the server");
    do {
        ssize_t n = recv(c->fd, answer + received, sizeof answer - 1 - received, 0);
        if (n <= 0)
            die("the server did not answer the upgrade to a WebSocket");
        received += (size_t)n;
        answer[received] = 0;
    } while (received < 4 || strcmp(answer + received - 4, "\r\n\r\n") != 0);
    if (strncmp(answer, "HTTP/1.1 101", 12) != 0 || strstr(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == NULL)
        die("the server refused the upgrade to a WebSocket");
    if (request_head_size == 0) {
        answer_head_size = frame_head(answer_head);
        memcpy(request_head, answer_head, sizeof answer_head);
        request_head[1] |= 0x80;
        request_head_size = answer_head_size + 4;
    }
}
#elif defined TLS
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

static ssize_t put(struct client *c) {
    return outcome(c, SSL_write(c->tls, pattern + c->offset + c->sent, (int)(size - c->sent)));
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
static ssize_t put(struct client *c) {
    return send(c->fd, pattern + c->offset + c->sent, size - c->sent, MSG_NOSIGNAL);
}

static ssize_t get(struct client *c) { return recv(c->fd, buffer, sizeof buffer, 0); }

static void introduce(struct client *c) { (void)c; }
#endif

#ifndef WHOLE
#define WHOLE size
#endif

static void set_interest(int epoll, struct client *c, int wants_write) {
    struct epoll_event event = {.events = wants_write ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event) < 0)
        die_errno("epoll_ctl");
    c->wants_write = wants_write;
}

static void send_rest(int epoll, struct client *c) {
    while (c->sent < WHOLE) {
        ssize_t n = put(c);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN)
                die_errno("send to the server");
            break;
        }
        c->sent += (size_t)n;
    }
    if (c->wants_write != (c->sent < WHOLE))
        set_interest(epoll, c, c->sent < WHOLE);
}

static void start_request(int epoll, struct client *c) {
#ifndef HTTP
    c->offset = next_random() % SLOP;
#endif
    c->sent = c->received = 0;
#ifdef WEBSOCKET
    c->head_received = 0;
#endif
    c->started = now();
    send_rest(epoll, c);
}

#ifdef HTTP
/* Returns 1 when the answer is complete: its head is kept until it has been read to the end. */
static int check(struct client *c, size_t n) {
    if (c->received + n >= sizeof c->answer)
        die("the server's answer is longer than expected");
    memcpy(c->answer + c->received, buffer, n);
    c->received += n;
    c->answer[c->received] = 0;
    char *body = strstr(c->answer, "\r\n\r\n");
    if (body == NULL)
        return 0;
    char *length = strcasestr(c->answer, "\r\ncontent-length:");
    if (strncmp(c->answer, "HTTP/1.1 200", 12) != 0 || length == NULL || length > body)
        die("the server's answer is not a 200 with a Content-Length");
    if ((size_t)atol(length + 17) != body_size)
        die("the body of the server's answer is not as long as expected");
    if (c->received < (size_t)(body + 4 - c->answer) + body_size)
        return 0;
    if (c->received > (size_t)(body + 4 - c->answer) + body_size || memcmp(body + 4, hello, body_size) != 0)
        die("the body of the server's answer is another");
    return 1;
}
#else
static int check(struct client *c, size_t n) {
    const char *data = buffer;
#ifdef WEBSOCKET
    while (n > 0 && c->head_received < answer_head_size) {
        c->head[c->head_received++] = (unsigned char)*data++;
        n--;
    }
    if (c->head_received == answer_head_size && memcmp(c->head, answer_head, answer_head_size) != 0)
        die("the server answered with another frame");
#endif
    if (c->received + n > size)
        die("the server sent more than it had been sent");
    if (memcmp(data, pattern + c->offset + c->received, n) != 0)
        die("the server echoed a wrong byte");
    c->received += n;
    return c->received == size;
}
#endif

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
    return check(c, (size_t)n);
}

/* One request and its answer on a socket that blocks: the server has accepted everything until here. */
static void converse(int epoll, struct client *c) {
    struct timeval most = {.tv_sec = STALL_SECONDS};
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    start_request(epoll, c);
    while (!receive(c))
        if (now() - c->started > STALL_SECONDS * 1000000000ull)
            die("the server did not answer for 5 seconds");
}

static struct client *connect_all(int epoll, const char *where, int count) {
    struct client *clients = calloc((size_t)count, sizeof *clients);
    union {
        struct sockaddr any;
        struct sockaddr_in inet;
        struct sockaddr_un local;
    } address = {0};
    socklen_t length = sizeof address.inet;
    if (clients == NULL)
        die("out of memory");
    if (strchr(where, '/') != NULL) {
        address.local.sun_family = AF_UNIX;
        strncpy(address.local.sun_path, where, sizeof address.local.sun_path - 1);
        length = sizeof address.local;
    } else {
        address.inet.sin_family = AF_INET;
        address.inet.sin_port = htons((uint16_t)atoi(where));
        address.inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    for (int i = 0; i < count; i++) {
        struct client *c = &clients[i];
        c->fd = socket(address.any.sa_family, KIND | SOCK_CLOEXEC, 0);
        if (c->fd < 0)
            die_errno("socket");
        if (i >= PORTS && address.any.sa_family == AF_INET) {
            struct sockaddr_in from = {.sin_family = AF_INET};
            int late = 1;
            from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(i / PORTS));
            setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof late);
            if (bind(c->fd, (struct sockaddr *)&from, sizeof from) < 0)
                die_errno("bind to another address of loopback");
        }
        if (connect(c->fd, &address.any, length) < 0)
            die_errno("connect to the server");
#ifndef UDP
        int on = 1;
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
#endif
        introduce(c);
        if (i % PACE == PACE - 1)
            converse(epoll, c);
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
            die_errno("epoll_ctl");
    }
    return clients;
}

int main(int argc, char **argv) {
    if (argc != 8) {
        fprintf(stderr, "usage: echo_load ADDRESS SERVER_PID CONNECTIONS SIZE WARM_UP_SECONDS SECONDS MAX_REQUESTS\n");
        return 2;
    }
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    int count = atoi(argv[3]);
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
#ifdef HTTP
    static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n";
    body_size = size;
    if (size > sizeof hello - 1)
        die("SIZE must be that of the greeting");
    size = sizeof request - 1;
    memcpy(pattern, request, size);
#endif

    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        die_errno("epoll_create1");
    struct client *clients = connect_all(epoll, argv[1], count);
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
            finished = answered > 0 && (answered >= most || now() >= limit);
        } else if (now() >= limit) {
            measuring = 1;
            begin = read_clocks(pid);
            limit = begin.wall + duration;
        }
    }
    end = read_clocks(pid);

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
