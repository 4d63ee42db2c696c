/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions over a pair of sockets, against OpenSSL's client. */
#include "base/err.h"
#include "os/tls.h"
#include "tls_peer.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct files files;

static int make_files(void **state)
{
    return files_make(&files);
}

static int remove_files(void **state)
{
    files_remove(&files);
    return 0;
}

static struct td_tls_context *context_of(enum td_tls_version min_version)
{
    struct td_tls_context *context = NULL;
    struct td_buf errors = TD_BUF_INIT(4096);
    const struct td_tls_options options = {files.certificate, files.key, min_version};

    assert_int_equal(td_tls_context_new(&options, &context, &errors), 0);
    assert_int_equal(errors.len, 0);
    return context;
}

/* Both sides of a connection. */
struct pair {
    struct td_tls_context *context;
    struct td_tls *tls;
    SSL *client;
    int ends[2]; /* the server's, the client's */
};

static void open_pair(struct pair *pair, enum td_tls_version min_version, SSL_CTX *client)
{
    int small = 4096; /* so that records are cut */

    pair->context = context_of(min_version);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->ends), 0);
    assert_int_equal(setsockopt(pair->ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    assert_int_equal(td_tls_new(pair->context, pair->ends[0], &pair->tls), 0);
    pair->client = SSL_new(client);
    assert_non_null(pair->client);
    assert_int_equal(SSL_set_fd(pair->client, pair->ends[1]), 1);
    SSL_set_connect_state(pair->client);
}

static void close_pair(struct pair *pair)
{
    td_tls_free(pair->tls);
    td_tls_context_free(pair->context);
    SSL_free(pair->client);
    close(pair->ends[0]);
    close(pair->ends[1]);
}

/* Lets both sides speak until the client has what it wants of the handshake, or can't; the server's last answer. */
static int64_t shake(struct pair *pair)
{
    int64_t n = -EAGAIN;
    char byte;

    for (int i = 0; i < 100 && n == -EAGAIN; i++) {
        int r = SSL_do_handshake(pair->client);
        if (r != 1 && SSL_get_error(pair->client, r) != SSL_ERROR_WANT_READ)
            ERR_clear_error();
        n = td_tls_recv(pair->tls, &byte, 1);
        assert_int_equal(td_tls_flush(pair->tls), 0);
        if (r == 1 && td_tls_is_ready(pair->tls) && td_tls_unsent(pair->tls) == 0)
            return 0;
    }
    return n;
}

static void versions(void **state)
{
    static const struct {
        int client;
        enum td_tls_version min;
        const char *version; /* NULL: refused */
    } cases[] = {
        {TLS1_3_VERSION, TD_TLS_1_2, "TLSv1.3"},
        {TLS1_2_VERSION, TD_TLS_1_2, "TLSv1.2"},
        {TLS1_3_VERSION, TD_TLS_1_3, "TLSv1.3"},
        {TLS1_2_VERSION, TD_TLS_1_3, NULL     },
        {TLS1_1_VERSION, TD_TLS_1_2, NULL     },
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        SSL_CTX *client = client_new(&files, cases[i].client);
        struct pair pair;
        open_pair(&pair, cases[i].min, client);
        int64_t r = shake(&pair);
        if (cases[i].version) {
            assert_int_equal(r, 0);
            assert_string_equal(td_tls_version(pair.tls), cases[i].version);
            assert_non_null(strstr(td_tls_cipher(pair.tls), "GCM"));
            assert_false(td_tls_is_resumed(pair.tls));
        } else {
            assert_int_equal(r, TD_EPROTO);
            assert_string_equal(td_tls_reason(pair.tls), "unsupported protocol");
            assert_false(td_tls_is_ready(pair.tls));
            /* It stays so. */
            assert_int_equal(td_tls_recv(pair.tls, &(char){0}, 1), TD_EPROTO);
        }
        close_pair(&pair);
        SSL_CTX_free(client);
    }
}

static void the_protocol_is_http_1_1(void **state)
{
    static const struct {
        const char *offers;
        bool good;
    } cases[] = {
        {"\x02h2\x08http/1.1", true },
        {"\x08http/1.1",       true },
        {"\x02h2",             false},
        {"\x08http/1.0",       false},
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        SSL_CTX *client = client_new(&files, TLS1_3_VERSION);
        const unsigned char *name;
        unsigned len;
        struct pair pair;
        assert_int_equal(SSL_CTX_set_alpn_protos(client, (const unsigned char *)cases[i].offers,
                                                 (unsigned)strlen(cases[i].offers)),
                         0);
        open_pair(&pair, TD_TLS_1_2, client);
        assert_int_equal(shake(&pair), cases[i].good ? 0 : TD_EPROTO);
        SSL_get0_alpn_selected(pair.client, &name, &len);
        assert_int_equal(len, cases[i].good ? 8 : 0);
        if (len > 0)
            assert_memory_equal(name, "http/1.1", 8);
        close_pair(&pair);
        SSL_CTX_free(client);
    }
}

static SSL_SESSION *ticket;

static int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION_free(ticket);
    ticket = session;
    return 1;
}

static void send_all(struct pair *pair, const char *text)
{
    const struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
    char got[64];

    assert_int_equal(td_tls_sendv(pair->tls, &part, 1), part.iov_len);
    assert_int_equal(SSL_read(pair->client, got, sizeof got), part.iov_len);
    assert_memory_equal(got, text, part.iov_len);
}

static void a_ticket_shortens_the_next_handshake(void **state)
{
    static const int offered[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    for (size_t i = 0; i < TD_ARRAY_LEN(offered); i++) {
        SSL_CTX *client = client_new(&files, offered[i]);
        struct pair first, second, other;
        SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT);
        SSL_CTX_sess_set_new_cb(client, keep_ticket);
        open_pair(&first, TD_TLS_1_2, client);
        assert_int_equal(shake(&first), 0);
        send_all(&first, "so that the ticket is read too");
        assert_non_null(ticket);
        /* A ticket is good for any session of the same context … */
        open_pair(&second, TD_TLS_1_2, client);
        struct td_tls *aside = second.tls;
        assert_int_equal(td_tls_new(first.context, second.ends[0], &second.tls), 0);
        td_tls_free(aside);
        assert_int_equal(SSL_set_session(second.client, ticket), 1);
        assert_int_equal(shake(&second), 0);
        assert_true(td_tls_is_resumed(second.tls));
        send_all(&second, "hello");
        /* … and for one of another context it is nothing. */
        open_pair(&other, TD_TLS_1_2, client);
        assert_int_equal(SSL_set_session(other.client, ticket), 1);
        assert_int_equal(shake(&other), 0);
        assert_false(td_tls_is_resumed(other.tls));
        send_all(&other, "hello");
        close_pair(&first);
        close_pair(&second);
        close_pair(&other);
        SSL_SESSION_free(ticket);
        ticket = NULL;
        SSL_CTX_free(client);
    }
}

static char byte_at(size_t at)
{
    return (char)(at * 31 + at / 251);
}

/* Offers the stream from `at` on in parts of odd sizes; a sender may cut it differently each time. */
static int64_t offer(struct td_tls *tls, size_t at, size_t end, unsigned seed)
{
    static char bytes[256 * 1024];
    struct iovec parts[24];
    size_t used = 0;
    int n = 0;

    while (n < 24 && at + used < end && used < sizeof bytes) {
        size_t len = (seed = seed * 1103515245 + 12345) >> 8;
        len %= seed % 5 == 0 ? 40000 : 300; /* also empty ones */
        len = TD_MIN(TD_MIN(len, end - at - used), sizeof bytes - used);
        parts[n++] = (struct iovec){bytes + used, len};
        for (size_t i = 0; i < len; i++)
            bytes[used + i] = byte_at(at + used + i);
        used += len;
    }
    return td_tls_sendv(tls, parts, n);
}

static size_t check(struct pair *pair, size_t at, int most)
{
    char got[20000];
    int n = SSL_read(pair->client, got, most);

    for (int i = 0; i < n; i++)
        assert_int_equal(got[i], byte_at(at + (size_t)i));
    if (n <= 0)
        assert_int_equal(SSL_get_error(pair->client, n), SSL_ERROR_WANT_READ);
    return n > 0 ? (size_t)n : 0;
}

static void taken_bytes_arrive_and_no_others(void **state)
{
    enum { ALL = 3000000 };
    SSL_CTX *client = client_new(&files, *state ? TLS1_2_VERSION : TLS1_3_VERSION);
    size_t taken = 0, got = 0, refused = 0;
    struct pair pair;

    open_pair(&pair, TD_TLS_1_2, client);
    assert_int_equal(shake(&pair), 0);
    for (unsigned turn = 1; got < ALL; turn++) {
        int64_t n = taken < ALL ? offer(pair.tls, taken, ALL, turn) : -EAGAIN;
        if (n == -EAGAIN)
            assert_int_equal(td_tls_flush(pair.tls), 0);
        else
            assert_true(n >= 0);
        refused += n == -EAGAIN;
        taken += n > 0 ? (size_t)n : 0;
        assert_true(td_tls_unsent(pair.tls) <= 16384 + 512);
        if (td_tls_unsent(pair.tls) > 0)
            assert_int_equal(offer(pair.tls, taken, ALL, turn), -EAGAIN);
        got += check(&pair, got, 1 + (int)(turn * 7919 % 9000));
        assert_true(got <= taken);
    }
    assert_int_equal(got, ALL);
    assert_int_equal(taken, ALL);
    assert_true(refused > 100);
    assert_int_equal(td_tls_unsent(pair.tls), 0);
    close_pair(&pair);
    SSL_CTX_free(client);
}

static size_t records;

static void count_records(int sent, int version, int type, const void *bytes, size_t len, SSL *ssl,
                          void *arg)
{
    records += !sent && type == SSL3_RT_HEADER;
}

static void small_parts_share_a_record(void **state)
{
    SSL_CTX *client = client_new(&files, TLS1_2_VERSION);
    struct iovec parts[40];
    struct pair pair;

    open_pair(&pair, TD_TLS_1_2, client);
    assert_int_equal(shake(&pair), 0);
    for (size_t i = 0; i < TD_ARRAY_LEN(parts); i++)
        parts[i] = (struct iovec){(void *)(uintptr_t) "0123456789", i % 10};
    SSL_set_msg_callback(pair.client, count_records);
    records = 0;
    assert_int_equal(td_tls_sendv(pair.tls, parts, TD_ARRAY_LEN(parts)), 4 * 45);
    char got[400];
    assert_int_equal(SSL_read(pair.client, got, sizeof got), 4 * 45);
    assert_int_equal(records, 1);
    assert_memory_equal(got, "001012012301234", 15);
    close_pair(&pair);
    SSL_CTX_free(client);
}

static void both_ends_end_orderly(void **state)
{
    SSL_CTX *client = client_new(&files, TLS1_3_VERSION);
    struct pair pair;
    char byte;

    open_pair(&pair, TD_TLS_1_2, client);
    assert_int_equal(shake(&pair), 0);
    assert_int_equal(SSL_write(pair.client, "ab", 2), 2);
    assert_int_equal(td_tls_recv(pair.tls, &byte, 1), 1);
    td_tls_end(pair.tls);
    td_tls_end(pair.tls);
    assert_int_equal(SSL_read(pair.client, &byte, 1), 0);
    assert_int_equal(SSL_get_error(pair.client, 0), SSL_ERROR_ZERO_RETURN);
    /* What the peer still says arrives. */
    assert_int_equal(td_tls_recv(pair.tls, &byte, 1), 1);
    assert_int_equal(byte, 'b');
    assert_int_equal(td_tls_recv(pair.tls, &byte, 1), -EAGAIN);
    SSL_shutdown(pair.client);
    assert_int_equal(td_tls_recv(pair.tls, &byte, 1), 0);
    assert_int_equal(td_tls_recv(pair.tls, &byte, 1), 0);
    close_pair(&pair);
    SSL_CTX_free(client);
}

static void an_end_without_a_word_is_one(void **state)
{
    SSL_CTX *client = client_new(&files, TLS1_3_VERSION);
    struct pair pair;
    char byte;

    for (int shaken = 0; shaken < 2; shaken++) {
        open_pair(&pair, TD_TLS_1_2, client);
        if (shaken)
            assert_int_equal(shake(&pair), 0);
        assert_int_equal(shutdown(pair.ends[1], SHUT_WR), 0);
        assert_int_equal(td_tls_recv(pair.tls, &byte, 1), 0);
        close_pair(&pair);
    }
    SSL_CTX_free(client);
}

/* Some hundred KiB of KeyUpdates that ask for one back (RFC 8446 §4.6.3), as the client's next bytes. */
static void flood(struct pair *pair)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *bytes;
    long len;

    assert_non_null(out);
    BIO_up_ref(out);
    SSL_set0_wbio(pair->client, out);
    for (int i = 0; i < 4000; i++) {
        assert_int_equal(SSL_key_update(pair->client, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(pair->client), 1);
    }
    len = BIO_get_mem_data(out, &bytes);
    assert_true(len > TD_TLS_READ_MAX);
    assert_int_equal(write(pair->ends[1], bytes, (size_t)len), len);
    BIO_free(out);
}

/* A peer that sends much that is no plaintext gets a turn, not the thread; and answers that it does not read are bounded. */
static void a_flood_of_key_updates_is_bounded(void **state)
{
    SSL_CTX *client = client_new(&files, TLS1_3_VERSION);
    struct pair pair;
    char byte;
    int64_t n = -EAGAIN;
    int starved = 0;

    open_pair(&pair, TD_TLS_1_2, client);
    assert_int_equal(shake(&pair), 0);
    for (int turn = 0; turn < 100 && (n == -EAGAIN || n == -EINTR); turn++) {
        if (n == -EAGAIN)
            flood(&pair);
        n = td_tls_recv(pair.tls, &byte, 1);
        starved += n == -EINTR;
        assert_true(td_tls_unsent(pair.tls) <= TD_TLS_KEPT_MAX);
    }
    assert_true(starved > 0);
    assert_int_equal(n, -ENOBUFS);
    close_pair(&pair);
    SSL_CTX_free(client);
}

static void refused(const void *bytes, size_t len, const char *reason)
{
    struct td_tls_context *context = context_of(TD_TLS_1_2);
    struct td_tls *tls;
    char byte;
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(td_tls_new(context, ends[0], &tls), 0);
    td_tls_context_free(context); /* sessions go on */
    assert_int_equal(write(ends[1], bytes, len), len);
    assert_int_equal(td_tls_recv(tls, &byte, 1), TD_EPROTO);
    assert_non_null(strstr(td_tls_reason(tls), reason));
    assert_int_equal(td_tls_sendv(tls, &(struct iovec){&byte, 1}, 1), TD_EPROTO);
    td_tls_free(tls);
    close(ends[0]);
    close(ends[1]);
}

static void what_is_no_hello_is_refused(void **state)
{
    const char http[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const char noise[] = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10";
    /* A record (22) that begins a ClientHello (1) of 0x4001 bytes, and one that hides how long it will be. */
    const char large[] = "\x16\x03\x01\x02\x00\x01\x00\x40\x01\x03\x03";
    const char hidden[] = "\x16\x03\x01\x00\x03\x01\x01\xff";

    refused(http, sizeof http - 1, "plain HTTP");
    refused(noise, sizeof noise - 1, "");
    refused(large, sizeof large - 1, "larger than 16 KiB");
    refused(hidden, sizeof hidden - 1, "larger than 16 KiB");
}

static void check_errors(const char *certificate, const char *key, const char *file,
                         const char *what)
{
    struct td_tls_context *context = NULL;
    struct td_buf errors = TD_BUF_INIT(4096);
    const struct td_tls_options options = {certificate, key, TD_TLS_1_2};

    assert_int_equal(td_tls_context_new(&options, &context, &errors), TD_EINVAL);
    assert_null(context);
    assert_int_equal(td_buf_putc(&errors, '\0'), 0);
    if (strncmp(errors.ptr, file, strlen(file)) != 0 || !strstr(errors.ptr, what))
        fail_msg("'%s' is not about %s and '%s'", errors.ptr, file, what);
    assert_ptr_equal(strchr(errors.ptr, '\n'), errors.ptr + errors.len - 2);
    td_buf_done(&errors);
}

static void what_is_wrong_with_files_is_told(void **state)
{
    check_errors("/nowhere.pem", files.key, "/nowhere.pem", "certificate cannot be read: No such");
    check_errors(files.certificate, "/nowhere.key", "/nowhere.key", "key cannot be read: No such");
    check_errors(files.key, files.key, files.key, "there is no certificate in it: expected PEM");
    check_errors(files.certificate, files.certificate, files.certificate,
                 "there is no private key");
    check_errors(files.broken, files.key, files.broken, "a certificate in it cannot be used");
    check_errors(files.certificate, files.other_key, files.other_key, "does not belong to the");
    check_errors(files.certificate, files.encrypted_key, files.encrypted_key, "is encrypted");
    check_errors("/dev/null", files.key, "/dev/null", "there is no certificate");
}

static void a_certificate_has_an_end(void **state)
{
    struct td_tls_context *context = context_of(TD_TLS_1_2);
    int64_t left_ms = (int64_t)td_tls_context_ends(context) - (int64_t)time(NULL) * 1000;

    /* It was made for an hour, a moment ago. */
    assert_true(left_ms > 0 && left_ms <= 3600 * 1000);
    td_tls_context_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions),
        cmocka_unit_test(the_protocol_is_http_1_1),
        cmocka_unit_test(a_ticket_shortens_the_next_handshake),
        cmocka_unit_test(taken_bytes_arrive_and_no_others),
        cmocka_unit_test_prestate(taken_bytes_arrive_and_no_others, &(int){1}),
        cmocka_unit_test(small_parts_share_a_record),
        cmocka_unit_test(both_ends_end_orderly),
        cmocka_unit_test(an_end_without_a_word_is_one),
        cmocka_unit_test(a_flood_of_key_updates_is_bounded),
        cmocka_unit_test(what_is_no_hello_is_refused),
        cmocka_unit_test(what_is_wrong_with_files_is_told),
        cmocka_unit_test(a_certificate_has_an_end),
    };

    return cmocka_run_group_tests_name("os/tls", tests, make_files, remove_files);
}
