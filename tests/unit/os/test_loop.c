/* SPDX-License-Identifier: Apache-2.0 */
/* The loop over loopback sockets, and no wake-up lost between it and another thread. */
#include "os/loop.h"

#include "loopback.h"
#include "os/net.h"
#include "os/process.h"
#include "os/thread.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_MS 10000
#define WAKES       20000

/* Waits until an event with `tag` shows all of `what`. */
static void expect(struct td_loop *loop, uint64_t tag, unsigned what)
{
    struct td_io_event events[8];
    unsigned seen = 0;

    while ((seen & what) != what) {
        int n = td_loop_wait(loop, events, 8, DEADLINE_MS);

        assert_true(n > 0);
        for (int i = 0; i < n; i++)
            if (events[i].tag == tag)
                seen |= events[i].what;
    }
}

static void sockets_give_edges(void **state)
{
    struct td_io_event events[8];
    struct td_loop *loop;
    char bound[TD_ADDR_LEN_MAX + 1];
    struct td_addr peer;
    char byte;
    int listener = td_net_listen("127.0.0.1:0", true, bound), client, server;

    assert_true(listener >= 0);
    assert_int_equal(td_loop_new(&loop), 0);
    assert_int_equal(td_loop_add_listener(loop, listener, 1), 0);
    assert_int_equal(td_loop_pause(loop, listener, 1, true), 0);
    client = connect_to(bound);
    assert_true(client >= 0);
    assert_int_equal(td_loop_wait(loop, events, 8, 0), 0);
    assert_int_equal(td_loop_pause(loop, listener, 1, false), 0);
    expect(loop, 1, TD_IO_READ);

    server = td_net_accept(listener, &peer);
    assert_true(server >= 0);
    assert_int_equal(td_net_accept(listener, NULL), -EAGAIN);
    assert_int_equal(td_loop_add(loop, server, 2), 0);
    expect(loop, 2, TD_IO_WRITE);
    assert_int_equal(td_net_recv(server, &byte, 1), -EAGAIN);
    assert_int_equal(td_net_send(client, "x", 1), 1);
    expect(loop, 2, TD_IO_READ);
    assert_int_equal(td_loop_wait(loop, events, 8, 0), 0); /* an edge is told once */
    assert_int_equal(td_net_recv(server, &byte, 1), 1);
    td_net_shutdown(client);
    expect(loop, 2, TD_IO_HANGUP);
    assert_int_equal(td_net_recv(server, &byte, 1), 0);

    td_net_close(client);
    td_net_close(server);
    td_net_close(listener);
    td_loop_free(loop);
}

static void a_wake_without_doze_leaves_nothing(void **state)
{
    struct td_io_event events[8];
    struct td_loop *loop;

    assert_int_equal(td_loop_new(&loop), 0);
    td_loop_wake(loop);
    td_loop_doze(loop);
    td_loop_undoze(loop);
    td_loop_wake(loop);
    assert_int_equal(td_loop_wait(loop, events, 8, 0), 0);
    td_loop_free(loop);
}

struct shared {
    struct td_loop *loop;
    _Atomic unsigned published, seen;
};

static void publish(void *arg)
{
    struct shared *shared = arg;

    for (unsigned i = 1; i <= WAKES; i++) {
        atomic_store_explicit(&shared->published, i, memory_order_release);
        td_loop_wake(shared->loop);
        /* In step, so that nearly each wake meets a loop that is about to sleep. */
        while (atomic_load(&shared->seen) < i)
            sched_yield();
    }
}

static void no_wake_is_lost(void **state)
{
    struct shared shared = {0};
    struct td_io_event events[8];
    struct td_thread thread;
    unsigned seen = 0;

    assert_int_equal(td_loop_new(&shared.loop), 0);
    assert_int_equal(td_thread_start(&thread, "publisher", publish, &shared), 0);
    while (seen < WAKES) {
        td_ns before = 0;
        unsigned now;

        td_loop_doze(shared.loop);
        now = atomic_load_explicit(&shared.published, memory_order_acquire);
        if (now == seen) {
            struct timespec time;

            clock_gettime(CLOCK_MONOTONIC, &time);
            before = (td_ns)time.tv_sec;
            td_loop_wait(shared.loop, events, 8, DEADLINE_MS);
            clock_gettime(CLOCK_MONOTONIC, &time);
            assert_true((td_ns)time.tv_sec - before < DEADLINE_MS / 1000 - 1);
            now = atomic_load_explicit(&shared.published, memory_order_acquire);
        } else {
            td_loop_undoze(shared.loop);
        }
        seen = now;
        atomic_store(&shared.seen, seen);
    }
    td_thread_join(&thread);
    td_loop_free(shared.loop);
}

static void a_loop_can_be_waited_for(void **state)
{
    struct td_io_event events[8];
    struct td_loop *loop;
    struct td_poll_item item;
    int ends[2];

    assert_int_equal(td_loop_new(&loop), 0);
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    assert_int_equal(td_loop_add(loop, ends[0], 7), 0);
    item = (struct td_poll_item){.fd = td_loop_fd(loop)};
    assert_int_equal(td_poll(&item, 1, 0), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(td_poll(&item, 1, DEADLINE_MS), 1);
    assert_int_equal(td_loop_wait(loop, events, 8, 0), 1);
    assert_int_equal(events[0].tag, 7);
    assert_int_equal(td_poll(&item, 1, 0), 0); /* told, though not read */
    close(ends[1]);
    assert_int_equal(td_poll(&item, 1, DEADLINE_MS), 1);
    assert_int_equal(td_loop_wait(loop, events, 8, 0), 1);
    assert_true(events[0].what & TD_IO_HANGUP);
    close(ends[0]);
    td_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_give_edges),
        cmocka_unit_test(a_wake_without_doze_leaves_nothing),
        cmocka_unit_test(no_wake_is_lost),
        cmocka_unit_test(a_loop_can_be_waited_for),
    };

    return cmocka_run_group_tests_name("os/loop", tests, NULL, NULL);
}
