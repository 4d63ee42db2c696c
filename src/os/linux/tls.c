/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions.  OpenSSL reads and writes through a BIO of ours, of which a write never is a short one: what the socket does not take is
 * kept.  So OpenSSL never wants the same bytes to be offered again, which a sender that reads on from the log could not do. */
#include "os/tls.h"
#include "base/assert.h"
#include "base/err.h"
#include "os/linux/tls_hello.h"
#include "os/linux/tls_impl.h"
#include "os/net.h"
#include <errno.h>
#include <openssl/err.h>
#include <pthread.h>

struct td_tls {
    SSL *ssl;
    int socket;
    int error;          /* of the socket; 0: none */
    unsigned budget;    /* bytes that this call may still read */
    bool starved;       /* the budget has ended a call */
    bool ended;         /* the socket has: the peer's end of stream */
    bool failed;        /* nothing more is to be done with `ssl` */
    const char *reason; /* of the failure */
    struct td_buf
        kept; /* ciphertext that the socket has not taken, from `sent` on; memory only while there is some */
    size_t sent;
    struct td_tls_hello hello;
};

/* ---- the BIO ---- */

static int keep(struct td_tls *tls, const char *bytes, size_t len)
{
    int r = td_buf_put(&tls->kept, td_slice(bytes, len));

    if (r < 0)
        tls->error = r == TD_ETOOLARGE ? -ENOBUFS : r;
    return r;
}

static int bio_write(BIO *bio, const char *bytes, int len)
{
    struct td_tls *tls = BIO_get_data(bio);
    int64_t n = 0;

    BIO_clear_retry_flags(bio);
    if (tls->error < 0)
        return -1;
    if (tls->kept.len == 0) {
        n = td_net_send(tls->socket, bytes, (size_t)len);
        if (n < 0 && n != -EAGAIN) {
            tls->error = (int)n;
            return -1;
        }
        n = TD_MAX(n, 0);
    }
    if (n < len && keep(tls, bytes + n, (size_t)(len - n)) < 0)
        return -1;
    return len;
}

static bool follows_hello(struct td_tls *tls, const char *bytes, size_t len)
{
    /* Only TLS 1.3 can ask for another ClientHello, in the clear; in 1.2 records from then on may be encrypted. */
    if (SSL_is_init_finished(tls->ssl) || SSL_version(tls->ssl) == TLS1_2_VERSION)
        return true;
    if (td_tls_hello_take(&tls->hello, (const uint8_t *)bytes, len))
        return true;
    tls->error = TD_EPROTO;
    tls->reason = "the ClientHello is larger than 16 KiB, or in pieces that hide its length";
    return false;
}

static int bio_read(BIO *bio, char *ret_bytes, int len)
{
    struct td_tls *tls = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (tls->budget == 0) {
        tls->starved = true;
        BIO_set_retry_read(bio);
        return -1;
    }
    int64_t n = td_net_recv(tls->socket, ret_bytes, TD_MIN((size_t)len, (size_t)tls->budget));
    if (n > 0) {
        tls->budget -= (unsigned)n;
        return follows_hello(tls, ret_bytes, (size_t)n) ? (int)n : -1;
    }
    if (n == -EAGAIN)
        BIO_set_retry_read(bio);
    else if (n < 0)
        tls->error = (int)n;
    else
        tls->ended = true;
    return n == 0 ? 0 : -1;
}

static long bio_control(BIO *bio, int command, long number, void *arg)
{
    const struct td_tls *tls = BIO_get_data(bio);

    switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return tls->ended;
    default: return 0;
    }
}

static BIO_METHOD *method;

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tidings");
    if (method &&
        (BIO_meth_set_write(method, bio_write) != 1 || BIO_meth_set_read(method, bio_read) != 1 ||
         BIO_meth_set_ctrl(method, bio_control) != 1)) {
        BIO_meth_free(method);
        method = NULL;
    }
}

/* ---- sessions ---- */

int td_tls_new(const struct td_tls_context *context, int socket, struct td_tls **ret_tls)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct td_tls *tls = calloc(1, sizeof(*tls));
    BIO *bio = NULL;

    TD_ASSERT(pthread_once(&once, make_method) == 0);
    if (!tls)
        return -ENOMEM;
    tls->socket = socket;
    td_buf_init(&tls->kept, TD_TLS_KEPT_MAX);
    tls->ssl = SSL_new(context->ssl);
    if (tls->ssl && method)
        bio = BIO_new(method);
    if (!bio) {
        SSL_free(tls->ssl);
        free(tls);
        return -ENOMEM;
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_accept_state(tls->ssl);
    *ret_tls = tls;
    return 0;
}

void td_tls_free(struct td_tls *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    td_buf_done(&tls->kept);
    free(tls);
}

/* What OpenSSL's refusal of a call means: -EAGAIN, -EINTR, 0 (the end), or an error; after that the session is done with. */
static int64_t why_not(struct td_tls *tls, int r)
{
    int error = SSL_get_error(tls->ssl, r);

    if (tls->error == 0 && error == SSL_ERROR_WANT_READ)
        return tls->starved ? -EINTR : -EAGAIN;
    if (tls->error == 0 && error == SSL_ERROR_ZERO_RETURN)
        return 0;
    tls->failed = true;
    if (tls->error == 0) {
        unsigned long last = ERR_peek_last_error();
        tls->error = tls->ended ? -ECONNRESET : TD_EPROTO;
        if (ERR_GET_REASON(last) == SSL_R_HTTP_REQUEST)
            tls->reason = "plain HTTP on a port that speaks TLS: use https:// or wss://";
        else if (last != 0)
            tls->reason = ERR_reason_error_string(last);
    }
    ERR_clear_error();
    return tls->error;
}

int64_t td_tls_recv(struct td_tls *tls, void *ret_bytes, size_t len)
{
    size_t n;

    if (tls->failed)
        return tls->error;
    tls->budget = TD_TLS_READ_MAX;
    tls->starved = false;
    ERR_clear_error();
    int r = SSL_read_ex(tls->ssl, ret_bytes, len, &n);
    return r == 1 ? (int64_t)n : why_not(tls, r);
}

int td_tls_flush(struct td_tls *tls)
{
    while (tls->kept.len > 0) {
        int64_t n = td_net_send(tls->socket, tls->kept.ptr + tls->sent, tls->kept.len - tls->sent);
        if (n == -EAGAIN)
            return 0;
        if (n < 0) {
            tls->failed = true;
            tls->error = (int)n;
            return tls->error;
        }
        tls->sent += (size_t)n;
        if (tls->sent == tls->kept.len) {
            td_buf_done(&tls->kept);
            tls->sent = 0;
        }
    }
    return 0;
}

size_t td_tls_unsent(const struct td_tls *tls)
{
    return tls->kept.len - tls->sent;
}

/* The next piece of plaintext, a record's worth at most: parts that fill one are sent from where they are, small ones gathered. */
struct gather {
    const struct iovec *parts;
    int n, at;   /* the part that is next, … */
    size_t used; /* … and how much of it is sent */
};

static struct iovec next_piece(const struct gather *gather, char *scratch)
{
    const struct iovec *first = &gather->parts[gather->at];
    struct iovec piece = {(char *)first->iov_base + gather->used, first->iov_len - gather->used};
    size_t len = 0, used = gather->used;

    if (piece.iov_len >= SSL3_RT_MAX_PLAIN_LENGTH || gather->at + 1 == gather->n) {
        piece.iov_len = TD_MIN(piece.iov_len, (size_t)SSL3_RT_MAX_PLAIN_LENGTH);
        return piece;
    }
    for (int i = gather->at; i < gather->n && len < SSL3_RT_MAX_PLAIN_LENGTH; i++) {
        size_t n = TD_MIN(gather->parts[i].iov_len - used, SSL3_RT_MAX_PLAIN_LENGTH - len);
        if (n > 0)
            memcpy(scratch + len, (const char *)gather->parts[i].iov_base + used, n);
        len += n;
        used = 0;
    }
    return (struct iovec){scratch, len};
}

static void pass(struct gather *gather, size_t n)
{
    while (gather->at < gather->n && n >= gather->parts[gather->at].iov_len - gather->used) {
        n -= gather->parts[gather->at++].iov_len - gather->used;
        gather->used = 0;
    }
    gather->used += n;
}

int64_t td_tls_sendv(struct td_tls *tls, const struct iovec *parts, int n)
{
    static _Thread_local char scratch[SSL3_RT_MAX_PLAIN_LENGTH];
    struct gather gather = {.parts = parts, .n = n};
    int64_t taken = 0;

    if (tls->failed)
        return tls->error;
    int r = td_tls_flush(tls);
    if (r < 0)
        return r;
    if (tls->kept.len > 0 || !SSL_is_init_finished(tls->ssl))
        return -EAGAIN;
    pass(&gather, 0); /* empty parts */
    while (gather.at < n && tls->kept.len == 0) {
        struct iovec piece = next_piece(&gather, scratch);
        size_t written;
        ERR_clear_error();
        r = SSL_write_ex(tls->ssl, piece.iov_base, piece.iov_len, &written);
        if (r != 1) {
            int64_t error = why_not(tls, r);
            tls->failed =
                true; /* even a wish to wait: our BIO has taken every record that it was given */
            return error < 0 && error != -EAGAIN && error != -EINTR ? error : TD_EPROTO;
        }
        taken += (int64_t)written;
        pass(&gather, written);
    }
    return taken;
}

void td_tls_end(struct td_tls *tls)
{
    if (tls->failed || !SSL_is_init_finished(tls->ssl) ||
        (SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN))
        return;
    ERR_clear_error();
    (void)SSL_shutdown(
        tls->ssl); /* the alert is sent or kept; whether the peer answers, a read will say */
    ERR_clear_error();
}

bool td_tls_is_ready(const struct td_tls *tls)
{
    return SSL_is_init_finished(tls->ssl);
}

bool td_tls_is_resumed(const struct td_tls *tls)
{
    return SSL_session_reused(tls->ssl) == 1;
}

const char *td_tls_version(const struct td_tls *tls)
{
    return SSL_get_version(tls->ssl);
}

const char *td_tls_cipher(const struct td_tls *tls)
{
    return SSL_get_cipher_name(tls->ssl);
}

const char *td_tls_reason(const struct td_tls *tls)
{
    if (tls->reason)
        return tls->reason;
    return tls->error < 0 ? td_err_name(tls->error) : "unknown";
}
