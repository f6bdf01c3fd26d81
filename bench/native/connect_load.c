/* The load of the cases about connections themselves: opened, used once and closed, or opened and held.
 *
 * usage: connect_load PORT SERVER_PID SLOTS SIZE WARM_UP_SECONDS SECONDS MAX_CONNECTIONS
 *        connect_load PORT SERVER_PID COUNT hold
 *
 * The first form keeps SLOTS connections under way. Each connects, sends SIZE bytes, receives as many, and closes; then
 * its slot connects again. Compiled with -DTLS (and -lssl -lcrypto) each makes a full handshake first, and SIZE may be 1.
 * A connection is one operation: CPU time is the server process's, a latency is that from connect() to the last byte.
 *
 * The second form opens COUNT connections, exchanges one byte on each, and prints what they have added to the memory of
 * the server's process, for each connection.
 *
 * Clients come from 127.0.x.y in turn, so that ports in TIME_WAIT do not run out. */
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
#include <time.h>
#include <unistd.h>

#ifdef TLS
#include <openssl/ssl.h>
static SSL_CTX *context;
#endif

enum { STALL_SECONDS = 5, MOST_SIZE = 65536, MOST_LATENCIES = 1 << 20 };

struct slot {
    int fd;
    size_t sent, received;
    uint64_t started; /* ns */
    uint32_t interest;
#ifdef TLS
    SSL *tls;
    int introduced;
#endif
};

static int port, epoll;
static size_t size = 1;
static uint32_t source;
static char message[MOST_SIZE], buffer[MOST_SIZE];
static uint32_t latencies[MOST_LATENCIES]; /* us */

static void die(const char *what) {
    fprintf(stderr, "connect_load: %s\n", what);
    exit(1);
}

static void die_errno(const char *what) {
    fprintf(stderr, "connect_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t read_clock(clockid_t clock) {
    struct timespec t;
    if (clock_gettime(clock, &t) < 0)
        die_errno("a clock");
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t now(void) { return read_clock(CLOCK_MONOTONIC); }

static uint64_t cpu_of(pid_t pid, unsigned long *user, unsigned long *system) {
    char path[64], line[1024];
    clockid_t clock;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *stat = fopen(path, "r");
    if (clock_getcpuclockid(pid, &clock) != 0 || stat == NULL || fgets(line, sizeof line, stat) == NULL)
        die("the server's process is gone");
    fclose(stat);
    char *after_name = strrchr(line, ')');
    if (after_name == NULL ||
        sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", user, system) != 2)
        die("/proc/PID/stat is not as expected");
    return read_clock(clock);
}

static double resident(pid_t pid) { /* bytes */
    char path[64];
    unsigned long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *statm = fopen(path, "r");
    if (statm == NULL || fscanf(statm, "%*u %lu", &pages) != 1)
        die("the server's process is gone");
    fclose(statm);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void watch(struct slot *s, int operation, uint32_t interest) {
    struct epoll_event event = {.events = interest, .data.ptr = s};
    if (epoll_ctl(epoll, operation, s->fd, &event) < 0)
        die_errno("epoll_ctl");
    s->interest = interest;
}

static void dial(struct slot *s) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001u + source++ % 4000u)};
    int on = 1;
    memset(s, 0, sizeof *s);
    s->started = now();
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        die_errno("socket");
    setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(s->fd, (struct sockaddr *)&from, sizeof from) < 0 ||
        (connect(s->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS))
        die_errno("connect to the server");
#ifdef TLS
    s->tls = SSL_new(context);
    if (s->tls == NULL || !SSL_set_fd(s->tls, s->fd))
        die("SSL_new");
    SSL_set_connect_state(s->tls);
#endif
    watch(s, EPOLL_CTL_ADD, EPOLLOUT);
}

static void hang_up(struct slot *s) {
#ifdef TLS
    SSL_shutdown(s->tls);
    SSL_free(s->tls);
#endif
    close(s->fd);
}

#ifdef TLS
static ssize_t outcome(struct slot *s, int n) {
    if (n > 0)
        return n;
    int error = SSL_get_error(s->tls, n);
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}

static ssize_t put(struct slot *s) { return outcome(s, SSL_write(s->tls, message + s->sent, (int)(size - s->sent))); }
static ssize_t get(struct slot *s) { return outcome(s, SSL_read(s->tls, buffer, sizeof buffer)); }

/* Returns 1 when the handshake is over. */
static int introduce(struct slot *s) {
    if (s->introduced)
        return 1;
    int n = SSL_do_handshake(s->tls);
    if (n == 1)
        return s->introduced = 1;
    int error = SSL_get_error(s->tls, n);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        die("the TLS handshake with the server failed");
    uint32_t interest = error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT;
    if (interest != s->interest)
        watch(s, EPOLL_CTL_MOD, interest);
    return 0;
}
#else
static ssize_t put(struct slot *s) { return send(s->fd, message + s->sent, size - s->sent, MSG_NOSIGNAL); }
static ssize_t get(struct slot *s) { return recv(s->fd, buffer, sizeof buffer, 0); }
static int introduce(struct slot *s) {
    (void)s;
    return 1;
}
#endif

/* Does what can be done now. Returns 1 when everything that was sent has come back. */
static int advance(struct slot *s) {
    if (!introduce(s))
        return 0;
    while (s->sent < size) {
        ssize_t n = put(s);
        if (n < 0 && errno == EAGAIN) {
            if (s->interest != EPOLLOUT)
                watch(s, EPOLL_CTL_MOD, EPOLLOUT);
            return 0;
        }
        if (n < 0)
            die_errno("send to the server");
        s->sent += (size_t)n;
    }
    if (s->interest != EPOLLIN)
        watch(s, EPOLL_CTL_MOD, EPOLLIN);
    ssize_t n = get(s);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n < 0)
        die_errno("receive from the server");
    if (n == 0)
        die("the server closed a connection before it had answered");
    if (s->received + (size_t)n > size || memcmp(buffer, message + s->received, (size_t)n) != 0)
        die("the server echoed a wrong byte");
    s->received += (size_t)n;
    return s->received == size;
}

static int wait_for_events(struct epoll_event *events, int most) {
    int ready = epoll_wait(epoll, events, most, STALL_SECONDS * 1000);
    if (ready == 0)
        die("the server did not answer for 5 seconds");
    if (ready < 0 && errno != EINTR)
        die_errno("epoll_wait");
    return ready;
}

static void hold(pid_t pid, int count) {
    struct epoll_event events[256];
    struct slot *slots = calloc((size_t)count, sizeof *slots);
    int dialled = 0, done = 0;
    if (slots == NULL)
        die("out of memory");
    double before = resident(pid);
    while (done < count) {
        while (dialled < count && dialled - done < 100)
            dial(&slots[dialled++]);
        int ready = wait_for_events(events, 256);
        for (int i = 0; i < ready; i++) {
            struct slot *s = events[i].data.ptr;
            if (s->received < size && advance(s))
                done++;
        }
    }
    usleep(200000);
    printf("{\"bytes\": %.1f, \"connections\": %d}\n", (resident(pid) - before) / count, count);
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void churn(pid_t pid, int count, double warm_up, double seconds, uint64_t most) {
    struct epoll_event events[256];
    struct slot *slots = calloc((size_t)count, sizeof *slots);
    unsigned long user = 0, system = 0, user_end, system_end;
    uint64_t done = 0, cpu = 0, begin = 0, limit = now() + (uint64_t)(warm_up * 1e9);
    int measuring = 0, finished = 0;
    if (slots == NULL)
        die("out of memory");
    for (int i = 0; i < count; i++)
        dial(&slots[i]);
    while (!finished) {
        int ready = wait_for_events(events, 256);
        for (int i = 0; i < ready; i++) {
            struct slot *s = events[i].data.ptr;
            if (!advance(s))
                continue;
            if (measuring && done < MOST_LATENCIES)
                latencies[done++] = (uint32_t)((now() - s->started) / 1000);
            hang_up(s);
            dial(s);
        }
        if (measuring) {
            finished = done > 0 && (done >= most || done == MOST_LATENCIES || now() >= limit);
        } else if (now() >= limit) {
            measuring = 1;
            cpu = cpu_of(pid, &user, &system);
            begin = now();
            limit = begin + (uint64_t)(seconds * 1e9);
        }
    }
    double used = (double)(cpu_of(pid, &user_end, &system_end) - cpu) / 1e3;
    double took = (double)(now() - begin) / 1e9, ticks = (double)(user_end - user + system_end - system);
    double share = ticks > 0 ? (double)(user_end - user) / ticks : 0, each = used / (double)done;
    qsort(latencies, done, sizeof *latencies, ascending);
    printf("{\"requests\": %llu, \"seconds\": %.6f, \"requests_per_s\": %.3f, \"cpu_us\": %.4f, \"user_us\": %.4f, "
           "\"system_us\": %.4f, \"server_busy\": %.4f, \"p50_us\": %u, \"p99_us\": %u, \"p999_us\": %u, \"max_us\": %u}\n",
           (unsigned long long)done, took, (double)done / took, each, each * share, each * (1 - share),
           used / 1e6 / took, latencies[done / 2], latencies[done * 99 / 100], latencies[done * 999 / 1000],
           latencies[done - 1]);
}

int main(int argc, char **argv) {
    int holds = argc == 5 && strcmp(argv[4], "hold") == 0;
    if (!holds && argc != 8) {
        fprintf(stderr, "usage: connect_load PORT SERVER_PID SLOTS SIZE WARM_UP_SECONDS SECONDS MAX_CONNECTIONS\n"
                        "       connect_load PORT SERVER_PID COUNT hold\n");
        return 2;
    }
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    port = atoi(argv[1]);
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (char)(i * 31 + i / 251);
    epoll = epoll_create1(EPOLL_CLOEXEC);
#ifdef TLS
    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        die("SSL_CTX_new");
#endif
    if (holds) {
        hold((pid_t)atoi(argv[2]), atoi(argv[3]));
        return 0;
    }
    size = (size_t)atol(argv[4]);
    if (size < 1 || size > MOST_SIZE || atoi(argv[3]) < 1)
        die("SLOTS must be at least 1, and SIZE 1 to 65536");
    churn((pid_t)atoi(argv[2]), atoi(argv[3]), atof(argv[5]), atof(argv[6]), strtoull(argv[7], NULL, 10));
    return 0;
}
