/* The floor of the echo cases: one thread, level-triggered epoll, recv into one buffer, send at once.
 *
 * usage: echo_server LIFETIME_SECONDS
 *        echo_server_unix LIFETIME_SECONDS    (compiled with -DUNIX: it listens on a Unix socket in /tmp)
 *
 * Prints {"address": PORT} and serves until it is killed, or until the lifetime is over. What a connection could not take at
 * once waits in a buffer of its own, and the connection is not read until that is gone: no bytes are ever dropped. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { READ_SIZE = 256 * 1024, MAX_FD = 1 << 18 };

struct connection {
    char *unsent;
    size_t length;
};

static struct connection connections[MAX_FD];
static char buffer[READ_SIZE];

static void die(const char *what) {
    fprintf(stderr, "echo_server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void drop(int fd) {
    free(connections[fd].unsent);
    connections[fd] = (struct connection){0};
    close(fd);
}

static void watch(int epoll, int operation, int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll, operation, fd, &event) < 0)
        die("epoll_ctl");
}

static void flush(int epoll, int fd) {
    struct connection *c = &connections[fd];
    ssize_t sent = send(fd, c->unsent, c->length, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR)
            drop(fd);
        return;
    }
    c->length -= (size_t)sent;
    memmove(c->unsent, c->unsent + sent, c->length);
    if (c->length == 0) {
        free(c->unsent);
        c->unsent = NULL;
        watch(epoll, EPOLL_CTL_MOD, fd, EPOLLIN);
    }
}

static void echo(int epoll, int fd) {
    ssize_t received = recv(fd, buffer, sizeof buffer, 0);
    if (received < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (received <= 0) {
        drop(fd);
        return;
    }
    ssize_t sent = send(fd, buffer, (size_t)received, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            drop(fd);
            return;
        }
        sent = 0;
    }
    if (sent < received) {
        struct connection *c = &connections[fd];
        c->length = (size_t)(received - sent);
        c->unsent = malloc(c->length);
        if (c->unsent == NULL)
            die("malloc");
        memcpy(c->unsent, buffer + sent, c->length);
        watch(epoll, EPOLL_CTL_MOD, fd, EPOLLOUT);
    }
}

static void accept_all(int epoll, int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
                return;
            die("accept");
        }
        if (fd >= MAX_FD) {
            close(fd);
            continue;
        }
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: echo_server LIFETIME_SECONDS\n");
        return 2;
    }
    alarm((unsigned)atoi(argv[1]));
#ifdef UNIX
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/bench-floor-%d.sock", (int)getpid());
    unlink(address.sun_path);
#else
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
#endif
    int listener = socket(((struct sockaddr *)&address)->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t length = sizeof address;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 1024) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        die("listen");
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        die("epoll_create1");
    watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN);
#ifdef UNIX
    printf("{\"address\": \"%s\"}\n", address.sun_path);
#else
    printf("{\"address\": %d}\n", ntohs(address.sin_port));
#endif
    fflush(stdout);

    struct epoll_event events[1024];
    for (;;) {
        int ready = epoll_wait(epoll, events, 1024, -1);
        if (ready < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                accept_all(epoll, listener);
            else if (connections[fd].unsent != NULL)
                flush(epoll, fd);
            else
                echo(epoll, fd);
        }
    }
}
