/* SPDX-License-Identifier: Apache-2.0 */
/* The floor: the least that a server which pushes messages can do on this machine.
 *
 *     floor [-g] HOST:PORT
 *
 * Any GET becomes a WebSocket; the body of any POST is sent to all of them as one text frame that is
 * built once: one thread, one send() a delivery.  With -g the frames of all the requests that one
 * read brought go out together, one send() a socket.  What makes a server useful is left out: no
 * topics, no tokens, no log, no pings, no acknowledged disk write, and a socket whose buffer is full
 * loses the message.  A closed subscriber is noticed when it is next sent to. */
#include "bench.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    INPUT_BYTES_MAX =
        256 * 1024, /* what one read may bring, with what was left of the one before */
    FRAME_HEAD_BYTES = 10,
    EVENTS_A_TURN = 256,
};

/* The start of a request whose end has not arrived. */
struct partial {
    char *bytes;
    size_t len;
};

struct floor {
    int epoll;
    bool gathers;
    int *subscribers;
    unsigned subscriber_count;
    struct partial *partials; /* by descriptor */
    uint64_t descriptors_max;
    char *out; /* frames that have not been sent; each is smaller than its request plus its head */
    size_t out_len;
};

static size_t put_frame(char *out, const char *body, size_t len)
{
    size_t head = len < 126 ? 2 : len <= UINT16_MAX ? 4 : FRAME_HEAD_BYTES;

    out[0] = (char)0x81; /* the only frame of a text message */
    out[1] = (char)(head == 2 ? len : head == 4 ? 126 : 127);
    for (size_t i = head, rest = len; i > 2; i--, rest >>= 8)
        out[i - 1] = (char)rest;
    memcpy(out + head, body, len);
    return head + len;
}

static void send_to_all(struct floor *floor)
{
    for (unsigned i = 0; i < floor->subscriber_count && floor->out_len > 0;) {
        int fd = floor->subscribers[i];
        if (send(fd, floor->out, floor->out_len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
            errno == EAGAIN) {
            i++;
            continue;
        }
        close(fd);
        floor->subscribers[i] = floor->subscribers[--floor->subscriber_count];
    }
    floor->out_len = 0;
}

static void subscribe(struct floor *floor, int fd)
{
    static const char upgraded[] = "HTTP/1.1 101 Switching Protocols\r\n"
                                   "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

    epoll_ctl(floor->epoll, EPOLL_CTL_DEL, fd, NULL);
    if (send(fd, upgraded, sizeof(upgraded) - 1, MSG_NOSIGNAL) < 0) {
        close(fd);
        return;
    }
    floor->subscribers[floor->subscriber_count++] = fd;
}

/* Serves the requests that stand whole in `bytes`.  Returns the bytes they took, or -1 when the
 * connection is a subscriber from now on. */
static ssize_t serve(struct floor *floor, int fd, char *bytes, size_t len)
{
    static const char done[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    static const char length_name[] = "\r\nContent-Length:";
    size_t used = 0;
    char *blank;

    while ((blank = memmem(bytes + used, len - used, "\r\n\r\n", 4))) {
        if (bytes[used] == 'G') {
            subscribe(floor, fd);
            return -1;
        }
        *blank = '\0';
        const char *length = strcasestr(bytes + used, length_name);
        size_t body_len = length ? strtoul(length + sizeof(length_name) - 1, NULL, 10) : 0;
        *blank = '\r';
        size_t start = (size_t)(blank - bytes) + 4;
        if (len - start < body_len)
            break;
        floor->out_len += put_frame(floor->out + floor->out_len, bytes + start, body_len);
        if (!floor->gathers)
            send_to_all(floor);
        if (send(fd, done, sizeof(done) - 1, MSG_NOSIGNAL) < 0)
            return (ssize_t)len;
        used = start + body_len;
    }
    send_to_all(floor);
    return (ssize_t)used;
}

static void keep_partial(struct partial *partial, const char *bytes, size_t len)
{
    free(partial->bytes);
    *partial = (struct partial){0};
    if (len == 0)
        return;
    *partial = (struct partial){.bytes = bench_alloc(len, 1), .len = len};
    memcpy(partial->bytes, bytes, len);
}

static void read_requests(struct floor *floor, int fd)
{
    static char input[INPUT_BYTES_MAX];
    struct partial *partial = &floor->partials[fd];
    size_t kept = partial->len;

    if (kept == sizeof(input))
        bench_fail("a request is longer than %zu bytes", sizeof(input));
    if (kept > 0)
        memcpy(input, partial->bytes, kept);
    ssize_t got = recv(fd, input + kept, sizeof(input) - kept, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        keep_partial(partial, NULL, 0);
        close(fd);
        return;
    }
    size_t len = kept + (size_t)got;
    ssize_t used = serve(floor, fd, input, len);
    if (used < 0)
        keep_partial(partial, NULL, 0);
    else
        keep_partial(partial, input + used, len - (size_t)used);
}

static void accept_all(struct floor *floor, int listener)
{
    struct epoll_event event = {.events = EPOLLIN};
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if ((uint64_t)fd >= floor->descriptors_max)
            bench_fail("more connections than descriptors");
        event.data.fd = fd;
        epoll_ctl(floor->epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static int listen_on(const char *text)
{
    struct sockaddr_in address = bench_address(text);
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* inherited by what is accepted */
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4096) < 0)
        bench_fail("can't listen on %s: %s", text, strerror(errno));
    return fd;
}

int main(int argc, char **argv)
{
    struct floor floor = {.gathers = argc == 3 && strcmp(argv[1], "-g") == 0};
    struct epoll_event event = {.events = EPOLLIN};
    struct epoll_event events[EVENTS_A_TURN];

    if (argc != (floor.gathers ? 3 : 2)) {
        fputs("usage: floor [-g] HOST:PORT\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    floor.descriptors_max = bench_raise_descriptors();
    floor.subscribers = bench_alloc(floor.descriptors_max, sizeof(*floor.subscribers));
    floor.partials = bench_alloc(floor.descriptors_max, sizeof(*floor.partials));
    floor.out = bench_alloc(INPUT_BYTES_MAX, 1);
    int listener = listen_on(argv[argc - 1]);
    floor.epoll = epoll_create1(EPOLL_CLOEXEC);
    event.data.fd = listener;
    epoll_ctl(floor.epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(floor.epoll, events, EVENTS_A_TURN, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                accept_all(&floor, listener);
            else
                read_requests(&floor, events[i].data.fd);
        }
    }
}
