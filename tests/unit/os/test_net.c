/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets on loopback, against plain ones of the tests' own. */
#include "os/net.h"

#include "loopback.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_MS 10000

static void wait_for(int fd, short what)
{
    struct pollfd item = {.fd = fd, .events = what};

    assert_int_equal(poll(&item, 1, DEADLINE_MS), 1);
}

static void addresses_are_strict(void **state)
{
    const char *bad[] = {
        "",         "127.0.0.1",     "127.0.0.1:",   "127.0.0.1:http", "127.0.0.1:65536",
        "::1:8000", "[::1]",         "127.0.0.1:-1", "127.0.0.1: 80",  "[::1]8000",
        "a:b:c:80", "127.0.0.1:+80",
    };
    char longest[300];

    for (size_t i = 0; i < TD_ARRAY_LEN(bad); i++)
        assert_int_equal(td_net_listen(bad[i], false, NULL), -EINVAL);
    memset(longest, 'a', sizeof longest);
    snprintf(longest + 256, sizeof longest - 256, ":80");
    assert_int_equal(td_net_listen(longest, false, NULL), -EINVAL);
    /* TEST-NET-1, RFC 5737: never ours. */
    assert_int_equal(td_net_listen("192.0.2.1:0", false, NULL), -EADDRNOTAVAIL);
}

static void a_port_is_taken_once_unless_shared(void **state)
{
    char bound[TD_ADDR_LEN_MAX + 1], again[TD_ADDR_LEN_MAX + 1];
    int first = td_net_listen("127.0.0.1:0", false, bound), second;

    assert_true(first >= 0);
    assert_true(port_of(bound) > 0);
    assert_int_equal(td_net_listen(bound, false, NULL), -EADDRINUSE);
    td_net_close(first);

    first = td_net_listen("127.0.0.1:0", true, bound);
    second = td_net_listen(bound, true, again);
    assert_true(first >= 0 && second >= 0);
    assert_string_equal(bound, again);
    td_net_close(first);
    td_net_close(second);
}

static void localhost_is_the_address_that_clients_try(void **state)
{
    char bound[TD_ADDR_LEN_MAX + 1];
    int listener = td_net_listen("localhost:0", false, bound);

    assert_true(listener >= 0);
    assert_memory_equal(bound, "127.0.0.1:", 10);
    td_net_close(listener);
}

/* Accepts one connection of `client`, which it also makes. */
static int accept_one(const char *address, int *ret_client, struct td_addr *ret_peer)
{
    char bound[TD_ADDR_LEN_MAX + 1];
    int listener = td_net_listen(address, false, bound), server;

    assert_true(listener >= 0);
    assert_int_equal(td_net_accept(listener, NULL), -EAGAIN);
    *ret_client = connect_to(bound);
    assert_true(*ret_client >= 0);
    wait_for(listener, POLLIN);
    server = td_net_accept(listener, ret_peer);
    assert_true(server >= 0);
    td_net_close(listener);
    return server;
}

static void a_peer_is_named_the_same_on_every_listener(void **state)
{
    const char *listeners[] = {"127.0.0.1:0", ":0"};

    for (size_t i = 0; i < TD_ARRAY_LEN(listeners); i++) {
        struct sockaddr_in own;
        socklen_t len = sizeof own;
        struct td_addr peer;
        int client, server = accept_one(listeners[i], &client, &peer);

        assert_int_equal(getsockname(client, (struct sockaddr *)&own, &len), 0);
        char text[TD_ADDR_LEN_MAX + 1];
        td_addr_format(&peer, text);
        assert_memory_equal(text, "127.0.0.1:", 10);
        assert_int_equal(peer.port, ntohs(own.sin_port));
        td_net_close(client);
        td_net_close(server);
    }
}

static void ipv6_is_in_brackets(void **state)
{
    char bound[TD_ADDR_LEN_MAX + 1];
    int listener = td_net_listen("[::1]:0", false, bound);

    if (listener == -EADDRNOTAVAIL || listener == -EAFNOSUPPORT)
        skip(); /* the machine has none */
    assert_true(listener >= 0);
    assert_memory_equal(bound, "[::1]:", 6);
    td_net_close(listener);
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;

    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void an_accepted_socket_is_tuned(void **state)
{
    int client, server = accept_one("127.0.0.1:0", &client, NULL);

    assert_int_not_equal(option(server, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_equal(option(server, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 128 * 1024);
    assert_true(fcntl(server, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(server, F_GETFD) & FD_CLOEXEC);
    td_net_close(client);
    td_net_close(server);
}

static unsigned char byte_at(size_t at)
{
    return (unsigned char)(at * 31 + at / 251);
}

/* Fills the socket until it takes no more; returns how many bytes it took. */
static size_t fill(int server)
{
    unsigned char part[10000];
    size_t sent = 0;
    int64_t n;

    do {
        for (size_t i = 0; i < sizeof part; i++)
            part[i] = byte_at(sent + i);
        n = td_net_send(server, part, sizeof part);
        if (n > 0)
            sent += (size_t)n;
    } while (n > 0);
    assert_int_equal(n, -EAGAIN);
    return sent;
}

static void a_full_socket_says_so_and_loses_nothing(void **state)
{
    int client, server = accept_one("127.0.0.1:0", &client, NULL);
    size_t sent = fill(server), got = 0;
    unsigned char part[4096];
    ssize_t n;

    assert_true(sent > 0);
    assert_true(td_net_unacked(server) > 0);
    assert_true(td_net_unacked(server) <= sent);
    td_net_shutdown(server);
    while ((n = recv(client, part, sizeof part, 0)) > 0)
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(part[i], byte_at(got++));
    assert_int_equal(n, 0);
    assert_int_equal(got, sent);

    /* Only our side has ended: what the peer still says arrives. */
    assert_int_equal(send(client, "late", 4, 0), 4);
    wait_for(server, POLLIN);
    assert_int_equal(td_net_recv(server, part, sizeof part), 4);
    td_net_close(client);
    td_net_close(server);
}

static void parts_go_out_in_order(void **state)
{
    const struct iovec parts[] = {
        {.iov_base = (char[]){"one "},  .iov_len = 4},
        {.iov_base = NULL,              .iov_len = 0},
        {.iov_base = (char[]){"two "},  .iov_len = 4},
        {.iov_base = (char[]){"three"}, .iov_len = 5},
    };
    int client, server = accept_one("127.0.0.1:0", &client, NULL);
    char text[13];

    assert_int_equal(td_net_sendv(server, parts, TD_ARRAY_LEN(parts)), 13);
    assert_int_equal(recv(client, text, sizeof text, MSG_WAITALL), 13);
    assert_memory_equal(text, "one two three", 13);
    td_net_close(client);
    td_net_close(server);
}

static void an_end_and_a_reset_differ(void **state)
{
    const struct linger at_once = {.l_onoff = 1};
    char byte;
    int client, server = accept_one("127.0.0.1:0", &client, NULL);

    assert_int_equal(td_net_recv(server, &byte, 1), -EAGAIN);
    td_net_close(client);
    wait_for(server, POLLIN);
    assert_int_equal(td_net_recv(server, &byte, 1), 0);
    td_net_close(server);

    server = accept_one("127.0.0.1:0", &client, NULL);
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    td_net_close(client);
    wait_for(server, POLLIN);
    assert_int_equal(td_net_recv(server, &byte, 1), -ECONNRESET);
    /* An error, and no SIGPIPE, whose default would end this program. */
    assert_int_equal(td_net_send(server, "x", 1), -EPIPE);
    td_net_close(server);
}

static void unacked_of_what_is_no_connection_is_none(void **state)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(td_net_unacked(ends[1]), 0);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_strict),
        cmocka_unit_test(a_port_is_taken_once_unless_shared),
        cmocka_unit_test(localhost_is_the_address_that_clients_try),
        cmocka_unit_test(a_peer_is_named_the_same_on_every_listener),
        cmocka_unit_test(ipv6_is_in_brackets),
        cmocka_unit_test(an_accepted_socket_is_tuned),
        cmocka_unit_test(a_full_socket_says_so_and_loses_nothing),
        cmocka_unit_test(parts_go_out_in_order),
        cmocka_unit_test(an_end_and_a_reset_differ),
        cmocka_unit_test(unacked_of_what_is_no_connection_is_none),
    };

    return cmocka_run_group_tests_name("os/net", tests, NULL, NULL);
}
