/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated network is TCP as seen through an edge-triggered loop: ordered, bounded, and silent without cause. */
#include "base/assert.h"
#include "os/clock.h"
#include "os/loop.h"
#include "os/net.h"
#include "os/sim/sim.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LISTENER 1
#define SOCKET   2

struct pair {
    struct td_loop *loop;
    char address[TD_ADDR_LEN_MAX + 1];
    int listener, client, socket;
};

/* The bits of all events of a tag that one wait tells. */
static unsigned told(struct td_loop *loop, uint64_t tag)
{
    struct td_io_event events[8];
    unsigned what = 0;
    int n = td_loop_wait(loop, events, 8, 1000);

    for (int i = 0; i < n; i++)
        if (events[i].tag == tag)
            what |= events[i].what;
    return what;
}

/* Lets pass what is on its way, until nothing is. */
static void settle(void)
{
    for (unsigned i = 0; td_sim_next_ns() != UINT64_MAX; i++) {
        td_ns now = td_clock_ns(), next = td_sim_next_ns();

        assert_true(i < 1000000);
        td_sim_advance(next > now ? next - now : 1);
    }
}

static void begin(struct pair *pair, uint64_t seed)
{
    struct td_addr peer;

    td_sim_reset(seed);
    assert_int_equal(td_loop_new(&pair->loop), 0);
    pair->listener = td_net_listen("127.0.0.1:0", false, pair->address);
    assert_true(pair->listener > 0);
    assert_int_equal(td_loop_add_listener(pair->loop, pair->listener, LISTENER), 0);
    assert_int_equal(td_sim_connect("127.0.0.1:1"), -ECONNREFUSED);
    pair->client = td_sim_connect(pair->address);
    assert_true(pair->client > 0);
    assert_int_equal(td_net_accept(pair->listener, &peer), -EAGAIN);
    settle();
    assert_int_equal(told(pair->loop, LISTENER), TD_IO_READ);
    /* Level-triggered: told until it is taken. */
    assert_int_equal(told(pair->loop, LISTENER), TD_IO_READ);
    pair->socket = td_net_accept(pair->listener, &peer);
    assert_true(pair->socket > 0);
    assert_int_equal(told(pair->loop, LISTENER), 0);
    char text[TD_ADDR_LEN_MAX + 1];
    td_addr_format(&peer, text);
    assert_string_equal(text, "10.0.0.1:50000");
    assert_int_equal(td_loop_add(pair->loop, pair->socket, SOCKET), 0);
    assert_int_equal(told(pair->loop, SOCKET), TD_IO_WRITE);
}

static void finish(struct pair *pair)
{
    if (pair->socket)
        td_net_close(pair->socket);
    td_net_close(pair->listener);
    td_loop_free(pair->loop);
    assert_int_equal(td_sim_sockets_open(), 0);
}

/* A stream in both directions arrives whole and in order when every edge is followed to -EAGAIN. */
static void test_streams(void **state)
{
    enum { TOTAL = 40000 };

    for (uint64_t seed = 0; seed < 20; seed++) {
        struct pair pair;
        size_t up_sent = 0, up_got = 0, down_sent = 0, down_got = 0;
        unsigned ready;
        char bytes[3000];

        begin(&pair, seed);
        ready = TD_IO_WRITE;
        for (unsigned turn = 0; up_got < TOTAL || down_got < TOTAL; turn++) {
            assert_true(turn < 1000000);
            for (size_t i = 0; i < sizeof bytes; i++)
                bytes[i] = (char)((up_sent + i) * 7);
            int64_t n =
                td_sim_client_send(pair.client, bytes, TD_MIN(sizeof bytes, TOTAL - up_sent));
            up_sent += n > 0 ? (size_t)n : 0;
            n = td_sim_client_recv(pair.client, bytes, sizeof bytes);
            for (int64_t i = 0; i < n; i++)
                assert_int_equal(bytes[i], (char)((down_got + (size_t)i) * 5));
            down_got += n > 0 ? (size_t)n : 0;
            ready |= told(pair.loop, SOCKET);
            while (ready & TD_IO_READ) {
                n = td_net_recv(pair.socket, bytes, sizeof bytes);
                for (int64_t i = 0; i < n; i++)
                    assert_int_equal(bytes[i], (char)((up_got + (size_t)i) * 7));
                up_got += n > 0 ? (size_t)n : 0;
                if (n == -EAGAIN)
                    ready &= ~(unsigned)TD_IO_READ;
            }
            while ((ready & TD_IO_WRITE) && down_sent < TOTAL) {
                for (size_t i = 0; i < sizeof bytes; i++)
                    bytes[i] = (char)((down_sent + i) * 5);
                n = td_net_send(pair.socket, bytes, TD_MIN(sizeof bytes, TOTAL - down_sent));
                down_sent += n > 0 ? (size_t)n : 0;
                if (n == -EAGAIN)
                    ready &= ~(unsigned)TD_IO_WRITE;
            }
            td_ns now = td_clock_ns(), next = td_sim_next_ns();
            if (next != UINT64_MAX)
                td_sim_advance(next > now ? next - now : 1);
        }
        finish(&pair);
    }
}

/* Who leaves bytes unread hears no more of them. */
static void test_edges_are_told_once(void **state)
{
    struct pair pair;
    char bytes[16];

    begin(&pair, 1);
    assert_int_equal(td_sim_client_send(pair.client, "abcdef", 6), 6);
    assert_int_equal(told(pair.loop, SOCKET), 0);
    settle();
    assert_true(told(pair.loop, SOCKET) & TD_IO_READ);
    assert_int_equal(td_net_recv(pair.socket, bytes, 3), 3);
    for (int i = 0; i < 20; i++)
        assert_int_equal(told(pair.loop, SOCKET), 0);
    assert_int_equal(td_sim_client_send(pair.client, "g", 1), 1);
    settle();
    assert_true(told(pair.loop, SOCKET) & TD_IO_READ);
    assert_int_equal(td_net_recv(pair.socket, bytes, sizeof bytes), 4);
    assert_memory_equal(bytes, "defg", 4);
    assert_int_equal(td_net_recv(pair.socket, bytes, sizeof bytes), -EAGAIN);
    finish(&pair);
}

static void test_stalled_reader(void **state)
{
    struct pair pair;
    char bytes[4096] = {0};
    size_t sent = 0, got = 0;
    int64_t n;

    begin(&pair, 2);
    td_sim_client_window(pair.client, 0);
    while ((n = td_net_send(pair.socket, bytes, sizeof bytes)) > 0)
        sent += (size_t)n;
    assert_int_equal(n, -EAGAIN);
    assert_in_range(sent, 1, 128 * 1024);
    assert_int_equal(td_net_unacked(pair.socket), sent);
    settle();
    assert_int_equal(told(pair.loop, SOCKET), 0);
    assert_int_equal(td_sim_client_recv(pair.client, bytes, sizeof bytes), -EAGAIN);
    td_sim_client_window(pair.client, 100000);
    while (got < sent) {
        settle();
        n = td_sim_client_recv(pair.client, bytes, sizeof bytes);
        assert_true(n > 0);
        got += (size_t)n;
    }
    assert_true(told(pair.loop, SOCKET) & TD_IO_WRITE);
    assert_int_equal(td_net_unacked(pair.socket), 0);
    finish(&pair);
}

static void test_ends(void **state)
{
    struct pair pair;
    char bytes[16];

    /* The client ends its side, reads on. */
    begin(&pair, 3);
    assert_int_equal(td_sim_client_send(pair.client, "x", 1), 1);
    td_sim_client_shutdown(pair.client);
    assert_int_equal(td_sim_client_send(pair.client, "x", 1), -EPIPE);
    settle();
    assert_int_equal(told(pair.loop, SOCKET) & ~(unsigned)TD_IO_WRITE, TD_IO_READ | TD_IO_HANGUP);
    assert_int_equal(td_net_recv(pair.socket, bytes, 16), 1);
    assert_int_equal(td_net_recv(pair.socket, bytes, 16), 0);
    assert_true(td_net_send(pair.socket, "y", 1) == 1);
    td_net_shutdown(pair.socket);
    assert_int_equal(td_net_send(pair.socket, "y", 1), -EPIPE);
    settle();
    assert_int_equal(td_sim_client_recv(pair.client, bytes, 16), 1);
    assert_int_equal(td_sim_client_recv(pair.client, bytes, 16), 0);
    finish(&pair);
    /* The client resets. */
    begin(&pair, 4);
    td_sim_client_reset(pair.client);
    assert_int_equal(td_net_recv(pair.socket, bytes, 16), -EAGAIN);
    settle();
    assert_true(told(pair.loop, SOCKET) & TD_IO_HANGUP);
    assert_int_equal(td_net_recv(pair.socket, bytes, 16), -ECONNRESET);
    assert_int_equal(td_net_recv(pair.socket, bytes, 16), 0);
    assert_int_equal(td_net_send(pair.socket, "y", 1), -EPIPE);
    finish(&pair);
    /* The client is gone: what is sent to it is answered with a reset. */
    begin(&pair, 5);
    td_sim_client_close(pair.client);
    settle();
    assert_int_equal(td_net_recv(pair.socket, bytes, 16), 0);
    assert_int_equal(td_net_send(pair.socket, "y", 1), 1);
    settle();
    assert_int_equal(td_net_send(pair.socket, "y", 1), -ECONNRESET);
    finish(&pair);
}

static void test_server_closes(void **state)
{
    struct pair pair;
    char bytes[16];

    begin(&pair, 6);
    assert_int_equal(td_net_send(pair.socket, "bye", 3), 3);
    td_net_close(pair.socket);
    pair.socket = 0;
    settle();
    assert_int_equal(td_sim_client_recv(pair.client, bytes, 16), 3);
    assert_int_equal(td_sim_client_recv(pair.client, bytes, 16), 0);
    assert_int_equal(td_sim_client_send(pair.client, "?", 1), 1);
    settle();
    assert_int_equal(td_sim_client_send(pair.client, "?", 1), -ECONNRESET);
    td_sim_client_close(pair.client);
    finish(&pair);
    /* With input unread it is a reset. */
    begin(&pair, 7);
    assert_int_equal(td_sim_client_send(pair.client, "?", 1), 1);
    settle();
    td_net_close(pair.socket);
    pair.socket = 0;
    settle();
    assert_int_equal(td_sim_client_recv(pair.client, bytes, 16), -ECONNRESET);
    td_sim_client_close(pair.client);
    finish(&pair);
}

static void test_partition(void **state)
{
    struct pair pair;
    char bytes[16];

    begin(&pair, 8);
    td_sim_client_partition(pair.client, true);
    assert_int_equal(td_sim_client_send(pair.client, "ping", 4), 4);
    assert_int_equal(td_net_send(pair.socket, "p", 1), 1);
    td_sim_advance(60 * TD_NS_PER_S);
    assert_int_equal(td_net_recv(pair.socket, bytes, 16), -EAGAIN);
    assert_int_equal(td_sim_client_recv(pair.client, bytes, 16), -EAGAIN);
    assert_int_equal(td_net_unacked(pair.socket), 1);
    td_sim_client_partition(pair.client, false);
    settle();
    assert_int_equal(td_net_recv(pair.socket, bytes, 16), 4);
    assert_int_equal(td_sim_client_recv(pair.client, bytes, 16), 1);
    finish(&pair);
}

static void test_out_of_sockets_and_pause(void **state)
{
    struct pair pair;
    struct td_addr peer;

    begin(&pair, 9);
    td_sim_net_set(&(struct td_sim_net_faults){.sockets_max = 1});
    int second = td_sim_connect(pair.address);
    settle();
    assert_int_equal(td_net_accept(pair.listener, &peer), -EMFILE);
    assert_int_equal(told(pair.loop, LISTENER), TD_IO_READ);
    assert_int_equal(td_loop_pause(pair.loop, pair.listener, LISTENER, true), 0);
    assert_int_equal(told(pair.loop, LISTENER), 0);
    assert_int_equal(td_loop_pause(pair.loop, pair.listener, LISTENER, false), 0);
    assert_int_equal(told(pair.loop, LISTENER), TD_IO_READ);
    td_sim_client_close(second);
    finish(&pair);
}

static void test_sleep_and_wake(void **state)
{
    struct td_io_event event;
    struct pair pair;

    begin(&pair, 10);
    td_ns before = td_clock_ns();
    td_loop_doze(pair.loop);
    assert_int_equal(td_loop_wait(pair.loop, &event, 1, 20), 0);
    assert_int_equal(td_clock_ns(), before);
    assert_int_equal(td_sim_loop_deadline(pair.loop), before + 20 * TD_NS_PER_MS);
    assert_false(td_sim_loop_ready(pair.loop));
    td_loop_wake(pair.loop);
    assert_true(td_sim_loop_ready(pair.loop));
    assert_int_equal(td_loop_wait(pair.loop, &event, 1, 20), 0);
    /* A wake for who does not doze is not kept: who forgot to say so sleeps on. */
    assert_int_equal(td_loop_wait(pair.loop, &event, 1, 20), 0);
    td_loop_wake(pair.loop);
    assert_false(td_sim_loop_ready(pair.loop));
    td_sim_advance(20 * TD_NS_PER_MS);
    assert_true(td_sim_loop_ready(pair.loop));
    assert_int_equal(td_loop_wait(pair.loop, &event, 1, -1), 0);
    assert_int_equal(td_sim_loop_deadline(pair.loop), UINT64_MAX);
    assert_int_equal(td_sim_client_send(pair.client, "x", 1), 1);
    settle();
    assert_true(td_sim_loop_ready(pair.loop));
    finish(&pair);
}

static void test_kill(void **state)
{
    for (int silent = 0; silent < 2; silent++) {
        struct pair pair;
        char byte;

        begin(&pair, 11);
        td_sim_net_kill(silent);
        td_net_close(pair.socket);
        td_loop_free(pair.loop);
        assert_int_equal(td_sim_sockets_open(), 0);
        settle();
        assert_int_equal(td_sim_client_recv(pair.client, &byte, 1), silent ? -EAGAIN : 0);
        assert_int_equal(td_sim_connect(pair.address), -ECONNREFUSED);
        assert_int_equal(td_sim_client_send(pair.client, "x", 1), 1);
        settle();
        assert_int_equal(td_sim_client_recv(pair.client, &byte, 1), -ECONNRESET);
        td_sim_client_close(pair.client);
    }
}

static int end(void **state)
{
    td_sim_reset(0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_edges_are_told_once),
        cmocka_unit_test(test_stalled_reader),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_server_closes),
        cmocka_unit_test(test_partition),
        cmocka_unit_test(test_out_of_sockets_and_pause),
        cmocka_unit_test(test_sleep_and_wake),
        cmocka_unit_test(test_kill),
    };

    td_expect_aborts = true;
    return cmocka_run_group_tests(tests, NULL, end);
}
