/* SPDX-License-Identifier: Apache-2.0 */
/* Real connections to a server on the same thread. */
#include "peer.h"

#include "../os/tls_peer.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/err.h"
#include "os/file.h"

static struct peer peer;
static struct td_upstream *upstream;

/* What a transfer has told. */
struct told {
    struct td_buf bytes;
    size_t calls;
    bool ended;
    struct td_transfer_end end;
    char error[512], header[128];
    struct td_transfer *to_cancel; /* from the next call with bytes */
};

static void on_bytes(struct td_transfer *transfer, struct td_slice bytes, void *arg)
{
    struct told *told = arg;

    assert_true(bytes.len > 0);
    assert_true(td_transfer_status(transfer) >= 200);
    td_buf_put(&told->bytes, bytes);
    told->calls++;
    if (told->to_cancel) {
        td_transfer_cancel(told->to_cancel);
        told->to_cancel = NULL;
        /* The bytes are still there. */
        assert_memory_equal(told->bytes.ptr + told->bytes.len - bytes.len, bytes.ptr, bytes.len);
    }
}

static void on_ended(struct td_transfer *transfer, const struct td_transfer_end *end, void *arg)
{
    struct told *told = arg;
    struct td_slice value;

    assert_false(told->ended);
    told->ended = true;
    told->end = *end;
    snprintf(told->error, sizeof told->error, "%s", end->error);
    if (td_transfer_header(transfer, "x-said", &value))
        snprintf(told->header, sizeof told->header, "%.*s", (int)value.len, value.ptr);
}

static struct told told_init(void)
{
    return (struct told){.bytes = TD_BUF_INIT(16 * TD_MIB)};
}

static struct td_transfer_options options_for(struct told *told)
{
    snprintf(peer.url, sizeof peer.url, "http://%s/v1/thing?a=b", peer.address);
    return (struct td_transfer_options){.url = peer.url,
                                        .bytes_max = 16 * TD_MIB,
                                        .bytes = on_bytes,
                                        .ended = on_ended,
                                        .arg = told};
}

static int set_up(void **state)
{
    struct td_upstream_options options = {.transfers_max = 4};

    (void)state;
    td_expect_aborts = true;
    peer_open(&peer);
    return td_upstream_new(&options, &upstream);
}

static int tear_down(void **state)
{
    (void)state;
    td_upstream_free(upstream);
    peer_close(&peer);
    return 0;
}

static void bytes_are(const struct told *told, const char *text)
{
    assert_int_equal(told->bytes.len, strlen(text));
    assert_memory_equal(told->bytes.ptr, text, strlen(text));
}

static void a_post_streams_its_answer(void **state)
{
    struct told told = told_init();
    struct td_transfer_options options = options_for(&told);
    const char *headers[] = {"Content-Type: application/json", "Authorization: Bearer k", NULL};
    struct td_transfer *transfer;
    char body[] = "{\"stream\":true}";

    options.post = true;
    options.body = td_slice_str(body);
    options.headers = headers;
    assert_int_equal(td_upstream_start(upstream, &options, &transfer), 0);
    memset(body, 'x', sizeof body - 1); /* it was copied */
    headers[1] = NULL;
    peer_until(&peer, upstream, peer.n_conns == 1 && peer_has_request(&peer.conns[0]));
    struct peer_conn *conn = &peer.conns[0];
    assert_non_null(strstr(conn->in, "POST /v1/thing?a=b HTTP/1.1\r\n"));
    assert_non_null(strstr(conn->in, "Authorization: Bearer k\r\n"));
    assert_non_null(strstr(conn->in, "Content-Type: application/json\r\n"));
    assert_null(strstr(conn->in, "Expect"));
    assert_non_null(strstr(conn->in, "\r\n\r\n{\"stream\":true}"));

    peer_send(conn,
              "HTTP/1.1 200 OK\r\nX-Said: hello\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    peer_until(&peer, upstream, told.calls == 1);
    bytes_are(&told, "one");
    assert_false(told.ended);
    peer_send(conn, "3\r\ntwo\r\n");
    peer_until(&peer, upstream, told.calls == 2);
    peer_send(conn, "0\r\n\r\n");
    peer_until(&peer, upstream, told.ended);
    bytes_are(&told, "onetwo");
    assert_int_equal(told.end.outcome, TD_TRANSFER_DONE);
    assert_int_equal(told.end.status, 200);
    assert_string_equal(told.header, "hello");
    assert_int_equal(td_upstream_transfers(upstream), 0);
    peer_until(&peer, upstream, conn->closed); /* unless it asked to be kept */
    td_buf_done(&told.bytes);
}

static void kept_connections_serve_again(void **state)
{
    struct told told[2] = {told_init(), told_init()};
    struct td_transfer *transfer;

    for (size_t i = 0; i < 2; i++) {
        struct td_transfer_options options = options_for(&told[i]);
        options.keep = true;
        peer.conns[0].len = 0;
        assert_int_equal(td_upstream_start(upstream, &options, &transfer), 0);
        peer_until(&peer, upstream,
                   peer.n_conns == 1 && peer.conns[0].len > 0 && peer_has_request(&peer.conns[0]));
        assert_non_null(strstr(peer.conns[0].in, "GET /v1/thing?a=b HTTP/1.1\r\n"));
        peer_send(&peer.conns[0], "HTTP/1.1 204 Fine\r\n\r\n");
        peer_until(&peer, upstream, told[i].ended);
        assert_int_equal(told[i].end.status, 204);
    }
    assert_int_equal(peer.n_conns, 1);
}

static void cancel_closes_the_connection(void **state)
{
    struct told told = told_init();
    struct td_transfer_options options = options_for(&told);
    struct td_transfer *transfer;

    /* While the request is out; then in the middle of the answer. */
    for (size_t i = 0; i < 2; i++) {
        options.keep = i == 1;
        assert_int_equal(td_upstream_start(upstream, &options, &transfer), 0);
        peer_until(&peer, upstream, peer.n_conns == i + 1 && peer_has_request(&peer.conns[i]));
        if (i == 1) {
            peer_send(&peer.conns[i], "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome");
            peer_until(&peer, upstream, told.calls == 1);
        }
        assert_false(peer.conns[i].closed);
        td_transfer_cancel(transfer);
        /* Without a further turn of ours. */
        for (td_ns until = td_clock_ns() + PEER_DEADLINE_NS; !peer.conns[i].closed;) {
            struct td_poll_item item = {.fd = peer.conns[i].socket};
            assert_true(td_clock_ns() < until);
            td_poll(&item, 1, 100);
            peer_turn(&peer);
        }
        assert_int_equal(td_upstream_transfers(upstream), 0);
    }
    assert_false(told.ended);
    td_buf_done(&told.bytes);
}

static void callbacks_may_cancel(void **state)
{
    struct told told[2] = {told_init(), told_init()};
    struct td_transfer *transfers[2];

    for (size_t i = 0; i < 2; i++) {
        struct td_transfer_options options = options_for(&told[i]);
        assert_int_equal(td_upstream_start(upstream, &options, &transfers[i]), 0);
        peer_until(&peer, upstream, peer.n_conns == i + 1 && peer_has_request(&peer.conns[i]));
    }
    /* The first that is called ends the other, then itself. */
    told[0].to_cancel = transfers[1];
    told[1].to_cancel = transfers[0];
    peer_send(&peer.conns[0], "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none");
    peer_send(&peer.conns[1], "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none");
    peer_until(&peer, upstream, told[0].calls + told[1].calls == 1);
    size_t left = told[0].calls ? 0 : 1;
    told[left].to_cancel = transfers[left];
    peer_send(&peer.conns[left], "two");
    peer_until(&peer, upstream, peer.conns[0].closed && peer.conns[1].closed);
    bytes_are(&told[left], "onetwo");
    assert_false(told[0].ended || told[1].ended);
    assert_int_equal(td_upstream_transfers(upstream), 0);
    td_buf_done(&told[0].bytes);
    td_buf_done(&told[1].bytes);
}

static void released_ones_end_in_their_own_way(void **state)
{
    struct told told = told_init();
    struct td_transfer_options options = options_for(&told);
    struct td_transfer *transfer;

    /* The first answer ends, the second never does. */
    for (size_t i = 0; i < 2; i++) {
        told.calls = 0;
        assert_int_equal(td_upstream_start(upstream, &options, &transfer), 0);
        peer_until(&peer, upstream, peer.n_conns == i + 1 && peer_has_request(&peer.conns[i]));
        peer_send(&peer.conns[i], "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nwant");
        peer_until(&peer, upstream, told.calls == 1);
        td_transfer_release(transfer);
        assert_false(peer.conns[i].closed);
        if (i == 0)
            peer_send(&peer.conns[i], "rest");
        peer_until(&peer, upstream, td_upstream_transfers(upstream) == 0);
        peer_until(&peer, upstream, peer.conns[i].closed);
    }
    assert_int_equal(told.calls, 1);
    assert_false(told.ended);
    td_buf_done(&told.bytes);
}

static void long_answers_are_paused_not_piled_up(void **state)
{
    enum { SIZE = 8 * 1024 * 1024, PIECE = 64 * 1024 };
    static char piece[PIECE];
    struct told told = told_init();
    struct td_transfer_options options = options_for(&told);
    struct td_transfer *transfer;
    size_t sent = 0;

    for (size_t i = 0; i < PIECE; i++)
        piece[i] = (char)('a' + i % 23);
    assert_int_equal(td_upstream_start(upstream, &options, &transfer), 0);
    peer_until(&peer, upstream, peer.n_conns == 1 && peer_has_request(&peer.conns[0]));
    peer_send(&peer.conns[0], "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n");
    while (!told.ended) {
        /* As much as fits, so that a turn finds more than it takes. */
        while (sent < SIZE) {
            int64_t n =
                td_net_send(peer.conns[0].socket, piece + sent % PIECE, PIECE - sent % PIECE);
            if (n < 0)
                break;
            sent += (size_t)n;
        }
        peer_turn_with(&peer, upstream);
    }
    assert_int_equal(told.end.outcome, TD_TRANSFER_DONE);
    assert_int_equal(told.bytes.len, SIZE);
    for (size_t i = 0; i < SIZE; i += PIECE)
        assert_memory_equal(told.bytes.ptr + i, piece, PIECE);
    td_buf_done(&told.bytes);
}

static void errors_say_what_happened(void **state)
{
    static const struct {
        const char *answer; /* then the connection is closed */
        enum td_transfer_outcome outcome;
        int status;
        const char *error, *bytes;
    } cases[] = {
        {"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy",                                   TD_TRANSFER_DONE,   503, "",                                             "busy"      },
        {"HTTP/1.1 307 Over there\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
         TD_TRANSFER_DONE,                                                                                           307, "",                                             ""          },
        {"HTTP/1.0 200 OK\r\n\r\nto the end",                                                    TD_TRANSFER_DONE,   200, "",                                             "to the end"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nsome",                                    TD_TRANSFER_BROKEN, 200,
         "the connection ended before the answer did: ",                                                                                                                  "some"      },
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n",                   TD_TRANSFER_BROKEN,
         200,                                                                                                             "the connection ended before the answer did: ", "some"      },
        {"",                                                                                     TD_TRANSFER_BROKEN, 0,   "the connection ended before the answer did: ", ""          },
        {"nonsense\r\n\r\n",                                                                     TD_TRANSFER_BROKEN, 0,
         "the connection ended before the answer did: ",                                                                                                                  ""          },
        {"HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n1234567890123456789012345",
         TD_TRANSFER_TOO_LARGE,                                                                                      200, "the answer is longer than 20 bytes",           ""          },
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        struct told told = told_init();
        struct td_transfer_options options = options_for(&told);
        struct td_transfer *transfer;

        options.bytes_max = 20;
        assert_int_equal(td_upstream_start(upstream, &options, &transfer), 0);
        peer_until(&peer, upstream, peer.n_conns == i + 1 && peer_has_request(&peer.conns[i]));
        peer_send(&peer.conns[i], cases[i].answer);
        peer_close_conn(&peer.conns[i]);
        peer_until(&peer, upstream, told.ended);
        assert_int_equal(told.end.outcome, cases[i].outcome);
        assert_int_equal(told.end.status, cases[i].status);
        assert_memory_equal(told.error, cases[i].error, strlen(cases[i].error));
        assert_int_equal(told.error[0] == '\0', cases[i].error[0] == '\0');
        bytes_are(&told, cases[i].bytes);
        td_buf_done(&told.bytes);
    }
}

static void nobody_there_is_unreachable(void **state)
{
    struct told told = told_init();
    struct td_transfer_options options = options_for(&told);
    struct td_transfer *transfer;

    td_net_close(peer.listener);
    peer.listener = -1;
    assert_int_equal(td_upstream_start(upstream, &options, &transfer), 0);
    peer_until(&peer, upstream, told.ended);
    assert_int_equal(told.end.outcome, TD_TRANSFER_UNREACHABLE);
    assert_non_null(strstr(told.error, "no connection could be made: "));
    assert_int_equal(told.end.status, 0);

    told.ended = false;
    options.url = "http://name.invalid/";
    assert_int_equal(td_upstream_start(upstream, &options, &transfer), 0);
    peer_until(&peer, upstream, told.ended);
    assert_int_equal(told.end.outcome, TD_TRANSFER_UNREACHABLE);
    assert_non_null(strstr(told.error, "name.invalid"));
}

static void each_limit_of_time_is_kept(void **state)
{
    static const struct {
        struct td_transfer_options limits;
        const char *answer, *error;
        bool connected;
    } cases[] = {
        {{.first_byte_ms = 30},                   "",                        "no answer came within 0.03 s",                true},
        {{.first_byte_ms = 30},                   "HTTP/1.1 200 OK\r\n\r\n", "no answer came within 0.03 s",                true},
        {{.first_byte_ms = 60000, .idle_ms = 30},
         "HTTP/1.1 200 OK\r\n\r\nx",                                         "nothing more came for 0.03 s",
         true                                                                                                                   },
        {{.idle_ms = 60000, .total_ms = 30},
         "HTTP/1.1 200 OK\r\n\r\nx",                                         "the whole answer was not there after 0.03 s",
         true                                                                                                                   },
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        struct told told = told_init();
        struct td_transfer_options options = options_for(&told);
        struct td_transfer *transfer;
        td_ns began = td_clock_ns();

        options.first_byte_ms = cases[i].limits.first_byte_ms;
        options.idle_ms = cases[i].limits.idle_ms;
        options.total_ms = cases[i].limits.total_ms;
        assert_int_equal(td_upstream_start(upstream, &options, &transfer), 0);
        peer_until(&peer, upstream,
                   told.ended || (peer.n_conns == i + 1 && peer_has_request(&peer.conns[i])));
        if (!told.ended)
            peer_send(&peer.conns[i], cases[i].answer);
        peer_until(&peer, upstream, told.ended);
        assert_int_equal(told.end.outcome, TD_TRANSFER_TIMEOUT);
        assert_true(td_clock_ns() - began >= 30 * TD_NS_PER_MS);
        assert_string_equal(told.error, cases[i].error);
        assert_int_equal(told.end.connected, cases[i].connected);
        peer_until(&peer, upstream, peer.conns[i].closed);
        td_buf_done(&told.bytes);
    }
}

static void a_connection_that_does_not_come_times_out(void **state)
{
    struct told told = told_init();
    struct td_transfer_options options = options_for(&told);
    struct td_transfer *transfer;

    options.url = "http://192.0.2.1:9/"; /* of no network (RFC 5737) */
    options.connect_ms = 50;
    assert_int_equal(td_upstream_start(upstream, &options, &transfer), 0);
    peer_until(&peer, upstream, told.ended);
    /* Where there is no route at all the system says so at once. */
    if (told.end.outcome == TD_TRANSFER_UNREACHABLE)
        return;
    assert_int_equal(told.end.outcome, TD_TRANSFER_TIMEOUT);
    assert_false(told.end.connected);
    assert_string_equal(told.error, "no connection was made within 0.05 s");
}

static void transfers_are_bounded(void **state)
{
    struct told told = told_init();
    struct td_transfer_options options = options_for(&told);
    struct td_transfer *transfers[5];

    for (size_t i = 0; i < 4; i++)
        assert_int_equal(td_upstream_start(upstream, &options, &transfers[i]), 0);
    assert_int_equal(td_upstream_start(upstream, &options, &transfers[4]), TD_EMANY);
    td_transfer_cancel(transfers[2]);
    assert_int_equal(td_upstream_start(upstream, &options, &transfers[4]), 0);
    assert_int_equal(td_upstream_transfers(upstream), 4);
}

static void only_plain_urls_and_headers(void **state)
{
    static const struct {
        const char *url, *why;
    } bad[] = {
        {"",                       "is no URL"                         },
        {"nothing",                "is no URL"                         },
        {"/v1",                    "is no URL"                         },
        {"file:///etc/passwd",     "is neither http: nor https:"       },
        {"ftp://host/",            "is neither http: nor https:"       },
        {"gopher://host/",         "is neither http: nor https:"       },
        {"http://",                "is no URL"                         },
        {"http://user:word@host/", "must not hold a user or a password"},
        {"http://host/#there",     "must not hold a fragment"          },
        {"http://ho st/",          "is no URL"                         },
        {"http://host/\r\nX: y",   "is no URL"                         },
    };
    const char *why;

    for (size_t i = 0; i < TD_ARRAY_LEN(bad); i++) {
        struct told told = told_init();
        struct td_transfer_options options = options_for(&told);
        struct td_transfer *transfer;

        why = "";
        if (td_upstream_url_check(bad[i].url, &why) != TD_EINVAL)
            fail_msg("%s was taken", bad[i].url);
        if (strncmp(why, bad[i].why, strlen(bad[i].why)) != 0)
            fail_msg("%s %s", bad[i].url, why);
        options.url = bad[i].url;
        assert_int_equal(td_upstream_start(upstream, &options, &transfer), TD_EINVAL);
    }
    assert_int_equal(td_upstream_url_check("https://api.example.com:8443/v1?x=1", &why), 0);
    assert_int_equal(td_upstream_url_check("http://[::1]:80", &why), 0);

    struct told told = told_init();
    struct td_transfer_options options = options_for(&told);
    const char *headers[] = {"X: a\r\nY: b", NULL};
    struct td_transfer *transfer;
    options.headers = headers;
    assert_int_equal(td_upstream_start(upstream, &options, &transfer), TD_EINVAL);
    assert_int_equal(td_upstream_transfers(upstream), 0);
}

/* The proxy that nobody listens at would make it fail. */
static void the_environment_is_not_asked(void **state)
{
    struct told told = told_init();
    struct td_transfer_options options = options_for(&told);
    struct td_transfer *transfer;

    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    assert_int_equal(td_upstream_start(upstream, &options, &transfer), 0);
    peer_until(&peer, upstream,
               told.ended || (peer.n_conns == 1 && peer_has_request(&peer.conns[0])));
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    assert_false(told.ended);
    assert_non_null(strstr(peer.conns[0].in, "GET /v1/thing"));
}

static void the_wait_watches_other_descriptors(void **state)
{
    int bell = td_bell_open();
    struct td_poll_item items[3] = {
        {.fd = -1,       .ready = true},
        {.fd = bell,              .ready = true},
        {.fd = -1}
    };
    const char *argv[] = {"true", NULL};
    struct td_process process;

    assert_true(bell >= 0);
    assert_int_equal(td_upstream_wait(upstream, items, 3, 0), 0);
    assert_false(items[0].ready || items[1].ready);
    td_bell_ring(bell);
    assert_int_equal(td_upstream_wait(upstream, items, 3, -1), 1);
    assert_true(items[1].ready && !items[0].ready && !items[2].ready);
    assert_true(td_bell_answer(bell));

    /* A pipe whose other end is closed: without a byte in it, too. */
    assert_int_equal(td_process_spawn(&(struct td_process_options){.argv = argv}, &process), 0);
    items[0].fd = process.out_fd;
    while (!items[0].ready)
        assert_true(td_upstream_wait(upstream, items, 2, 20000) == 1);
    assert_false(items[1].ready);
    items[0].fd = process.pidfd;
    int status = -1;
    while (td_process_wait(&process, &status) == 0)
        assert_int_equal(td_upstream_wait(upstream, items, 2, 20000), 1);
    td_process_close(&process);
    td_file_close(bell);
}

/* `openssl s_server` with a certificate of our own making, which is trusted only where it is named. */
static void certificates_are_verified(void **state)
{
    struct files files;
    struct td_process server;
    char text[4096] = "", url[64];
    size_t len = 0;
    const char *accept;

    assert_int_equal(files_make(&files), 0);
    const char *argv[] = {"openssl", "s_server",        "-accept", "127.0.0.1:0", "-www",
                          "-cert",   files.certificate, "-key",    files.key,     NULL};
    assert_int_equal(td_process_spawn(&(struct td_process_options){.argv = argv}, &server), 0);
    while (!(accept = strstr(text, "ACCEPT 127.0.0.1:")) || !strchr(accept, '\n')) {
        struct td_poll_item item = {.fd = server.out_fd};
        assert_int_equal(td_poll(&item, 1, 20000), 1);
        int64_t n = td_read_some(server.out_fd, text + len, sizeof text - 1 - len);
        assert_true(n > 0);
        len += (size_t)n;
        text[len] = '\0';
    }
    snprintf(url, sizeof url, "https://localhost:%lu/", strtoul(accept + 17, NULL, 10));

    for (int trusted = 0; trusted < 2; trusted++) {
        struct td_upstream_options how = {.ca_file = trusted ? files.certificate : NULL};
        struct td_upstream *secure;
        struct told told = told_init();
        struct td_transfer_options options = options_for(&told);
        struct td_transfer *transfer;

        assert_int_equal(td_upstream_new(&how, &secure), 0);
        options.url = url;
        assert_int_equal(td_upstream_start(secure, &options, &transfer), 0);
        peer_until(&peer, secure, told.ended);
        assert_int_equal(told.end.outcome, trusted ? TD_TRANSFER_DONE : TD_TRANSFER_UNREACHABLE);
        if (!trusted)
            assert_non_null(strstr(told.error, "certificate"));
        td_upstream_free(secure);
        td_buf_done(&told.bytes);
    }
    td_process_signal(&server, SIGKILL);
    struct td_poll_item item = {.fd = server.pidfd};
    int status;
    while (td_process_wait(&server, &status) == 0)
        td_poll(&item, 1, 20000);
    td_process_close(&server);
    files_remove(&files);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_post_streams_its_answer),
        TEST(kept_connections_serve_again),
        TEST(cancel_closes_the_connection),
        TEST(callbacks_may_cancel),
        TEST(released_ones_end_in_their_own_way),
        TEST(long_answers_are_paused_not_piled_up),
        TEST(errors_say_what_happened),
        TEST(nobody_there_is_unreachable),
        TEST(each_limit_of_time_is_kept),
        TEST(a_connection_that_does_not_come_times_out),
        TEST(transfers_are_bounded),
        TEST(only_plain_urls_and_headers),
        TEST(the_environment_is_not_asked),
        TEST(the_wait_watches_other_descriptors),
        TEST(certificates_are_verified),
    };
#undef TEST

    return cmocka_run_group_tests_name("upstream", tests, NULL, NULL);
}
