/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.2 and 1.3 (RFC 5246, RFC 8446) for the server's side of a stream socket; OpenSSL lies behind it.  The simulator's twin has none:
 * there a context can't be made.
 *
 * A context is a certificate with its key; a session is one connection.  A session sends what it is given exactly: the plaintext
 * bytes that td_tls_sendv has taken will reach the peer in that order, and of those that it has not taken nothing has been sent, so
 * that other bytes may be offered next.  For that the rest of a record, of which the socket took only a part, stays with the session
 * (td_tls_unsent) and goes before anything else; while there is such a rest nothing is taken.
 *
 *     td_tls_sendv ──► record (16 KiB of plaintext at most) ──► socket
 *                          └── what it did not take: kept, at most TD_TLS_KEPT_MAX
 *
 * An idle session holds no buffers. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/units.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct td_tls_context;
struct td_tls;

enum td_tls_version {
    TD_TLS_1_2,
    TD_TLS_1_3,
};

struct td_tls_options {
    const char *
        certificate; /* path of a PEM file: the server's certificate, then those that lead to its issuer */
    const char *key; /* path of a PEM file: the private key, not encrypted */
    enum td_tls_version min_version;
};

/* Loads a certificate and its key.  0; or TD_EINVAL with a line in `errors` for each thing that is wrong, which names the file, what was
 * found and what is expected.  Immutable; any thread may open sessions of it.  Keys of tickets are its own: those of another context are
 * not resumed but lead to a whole handshake. */
TD_MUST_USE int td_tls_context_new(const struct td_tls_options *options,
                                   struct td_tls_context **ret_context, struct td_buf *errors);
/* Sessions that were opened go on. */
void td_tls_context_free(struct td_tls_context *context);
/* When its certificate ends. */
td_unix_ms td_tls_context_ends(const struct td_tls_context *context);

/* A session on a connected socket, which stays the caller's.  One thread at a time.  0 or -ENOMEM. */
TD_MUST_USE int td_tls_new(const struct td_tls_context *context, int socket,
                           struct td_tls **ret_tls);
/* Says nothing to the peer. */
void td_tls_free(struct td_tls *tls);

/* Reads, and takes the handshake on.  Returns the plaintext bytes read, 0 at the peer's end of stream, -EAGAIN when the socket has no more,
 * -EINTR when it may have, but enough of it was read for now without coming to plaintext: call again, TD_EPROTO when the peer
 * does not follow the protocol or none of its offers suits (td_tls_reason tells; an alert has been sent), or the error of the
 * socket. */
TD_MUST_USE int64_t td_tls_recv(struct td_tls *tls, void *ret_bytes, size_t len);
/* The most that is read of the socket before -EINTR. */
#define TD_TLS_READ_MAX (64 * 1024)

/* Sends parts, small ones in one record.  Returns how many bytes were taken, or -EAGAIN, -EPIPE, …; after fewer than were given, as after
 * -EAGAIN, as long as something is unsent the loop tells TD_IO_WRITE once there is room again.  Nothing is taken before the
 * handshake is done. */
TD_MUST_USE int64_t td_tls_sendv(struct td_tls *tls, const struct iovec *parts, int n);
/* Sends what the session has kept, as far as the socket takes it.  0, also when some is left, or an error. */
TD_MUST_USE int td_tls_flush(struct td_tls *tls);
/* Bytes (of ciphertext) that were taken and that the socket has not. */
size_t td_tls_unsent(const struct td_tls *tls);
#define TD_TLS_KEPT_MAX (64 * 1024)
/* Tells the peer that nothing follows (close_notify); once.  It may have to be flushed. */
void td_tls_end(struct td_tls *tls);

/* Whether the handshake is done. */
bool td_tls_is_ready(const struct td_tls *tls);
/* Whether it was a short one, by a ticket. */
bool td_tls_is_resumed(const struct td_tls *tls);
/* "TLSv1.3", and the name of the cipher. */
const char *td_tls_version(const struct td_tls *tls);
const char *td_tls_cipher(const struct td_tls *tls);
/* Why the session failed: a short text for the log.  After an error only. */
const char *td_tls_reason(const struct td_tls *tls);
