/* SPDX-License-Identifier: Apache-2.0 */
/* epoll, and an eventfd for wake-ups.
 *
 * The flag `dozing` and the published work are a pair of Dekker's: the loop sets the flag, then looks for work;
 * a waker publishes work, then looks at the flag.  All changes of the flag are exchanges, so each reads from the one
 * before it: a waker that comes first is synchronized with by the doze that follows, which then sees its work; one
 * that comes later sees the doze and writes.  It also takes the flag down, so that of many wakers one writes. */
#include "os/loop.h"

#include "base/assert.h"
#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The tag of the eventfd; no caller may use it. */
#define TAG_WAKE UINT64_MAX

struct td_loop {
    int epoll, event;
    _Atomic bool dozing;
    struct epoll_event events[TD_LOOP_EVENTS_MAX];
};

static int control(struct td_loop *loop, int op, int fd, uint32_t events, uint64_t tag)
{
    struct epoll_event event = {.events = events, .data.u64 = tag};

    return epoll_ctl(loop->epoll, op, fd, &event) < 0 ? -errno : 0;
}

int td_loop_new(struct td_loop **ret_loop)
{
    struct td_loop *loop = calloc(1, sizeof *loop);
    int err;

    if (!loop)
        return -ENOMEM;
    loop->event = -1;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0)
        goto error;
    loop->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->event < 0)
        goto error;
    /* Edge-triggered: each write is an edge, so that the counter need never be read. */
    err = control(loop, EPOLL_CTL_ADD, loop->event, EPOLLIN | EPOLLET, TAG_WAKE);
    if (err < 0)
        goto error_control;
    *ret_loop = loop;
    return 0;

error:
    err = -errno;
error_control:
    td_loop_free(loop);
    return err;
}

void td_loop_free(struct td_loop *loop)
{
    if (!loop)
        return;
    if (loop->event >= 0)
        close(loop->event);
    if (loop->epoll >= 0)
        close(loop->epoll);
    free(loop);
}

int td_loop_add(struct td_loop *loop, int socket, uint64_t tag)
{
    TD_ASSERT(tag != TAG_WAKE);
    return control(loop, EPOLL_CTL_ADD, socket, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, tag);
}

int td_loop_add_listener(struct td_loop *loop, int socket, uint64_t tag)
{
    TD_ASSERT(tag != TAG_WAKE);
    return control(loop, EPOLL_CTL_ADD, socket, EPOLLIN, tag);
}

int td_loop_pause(struct td_loop *loop, int socket, uint64_t tag, bool paused)
{
    return control(loop, EPOLL_CTL_MOD, socket, paused ? 0 : EPOLLIN, tag);
}

void td_loop_doze(struct td_loop *loop)
{
    (void)atomic_exchange(&loop->dozing, true);
}

void td_loop_undoze(struct td_loop *loop)
{
    (void)atomic_exchange(&loop->dozing, false);
}

static unsigned translate(uint32_t events)
{
    unsigned what = 0;

    if (events & EPOLLIN)
        what |= TD_IO_READ;
    if (events & EPOLLOUT)
        what |= TD_IO_WRITE;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        what |= TD_IO_HANGUP;
    return what;
}

int td_loop_wait(struct td_loop *loop, struct td_io_event *ret_events, int max, int timeout_ms)
{
    int n = epoll_wait(loop->epoll, loop->events, TD_MIN(max, TD_LOOP_EVENTS_MAX), timeout_ms);
    int kept = 0;

    td_loop_undoze(loop);
    TD_ASSERT(n >= 0 || errno == EINTR);
    for (int i = 0; i < n; i++) {
        if (loop->events[i].data.u64 == TAG_WAKE)
            continue;
        ret_events[kept].tag = loop->events[i].data.u64;
        ret_events[kept].what = translate(loop->events[i].events);
        kept++;
    }
    return kept;
}

void td_loop_wake(struct td_loop *loop)
{
    uint64_t one = 1;

    if (!atomic_exchange(&loop->dozing, false))
        return;
    /* -EAGAIN only after 2^64 - 2 unread wakes. */
    while (write(loop->event, &one, sizeof one) < 0)
        TD_ASSERT(errno == EINTR);
}

int td_loop_fd(const struct td_loop *loop)
{
    return loop->epoll;
}
