/* SPDX-License-Identifier: Apache-2.0 */
/* One server as a command-line client sees it: one request at a time over libcurl, kept apart from waiting, so that a
 * verb can wait for the network and for its own pipes and signals in one place.
 *
 *     td_client_post(client, &post);
 *     while (!td_client_answered(client, &answer))
 *         td_client_wait(client, fds, n_fds, timeout_ms);
 *
 * Not thread-safe. */
#pragma once

#include "base/compiler.h"
#include "base/slice.h"
#include <stdbool.h>

struct td_client;

/* Makes a client of `server_url`; `token` may be NULL, and `ca`, the path of the certificates to trust (NULL: the system's).  All are
 * copied.
 * Returns 0, TD_EINVAL for a token that no header can carry, or TD_EUNAVAILABLE when libcurl cannot start. */
TD_MUST_USE int td_client_new(const char *server_url, const char *token, const char *ca,
                              struct td_client **ret_client);
void td_client_free(struct td_client *client);

enum td_client_verdict {
    TD_CLIENT_DONE,    /* the server did it */
    TD_CLIENT_RETRY,   /* no answer, or one that says later: the same request may succeed */
    TD_CLIENT_REFUSED, /* the same request will never succeed */
};

struct td_client_answer {
    enum td_client_verdict verdict;
    int status;              /* the HTTP status; 0 when there was no answer */
    uint64_t retry_after_ms; /* how long the server asks to wait; 0 when it does not say */
    struct td_slice
        body; /* of a post's answer, the first 64 KiB, of a request's 32 MiB; good until the next request */
    char message[512]; /* why it was not done, one line, with what to do; no control characters */
};

/* Begins POST /api/v1/events with `ndjson` (copied), a line for each event.
 * `once`: take a connection of its own, because libcurl repeats a request whose reused connection died; without a dedup key in
 * each event that could double them. */
TD_MUST_USE int td_client_post(struct td_client *client, struct td_slice ndjson, bool once);

struct td_buf;
/* Begins any other request: `path` with its query, escaped, and JSON as its body (copied), or an empty slice. */
TD_MUST_USE int td_client_request(struct td_client *client, const char *method,
                                  struct td_slice path, struct td_slice json);
/* Appends text as it stands in a path or a query.  0, or an error. */
TD_MUST_USE int td_client_escape(struct td_client *client, struct td_slice text,
                                 struct td_buf *out);

/* Takes bytes of a stream; a negative return ends the request. */
typedef int td_client_bytes_fn(struct td_slice bytes, void *arg);

struct td_client_stream {
    const char *const *patterns;
    size_t n_patterns;
    struct td_slice since;   /* `since=`; left out when empty */
    struct td_slice last_id; /* Last-Event-ID; left out when empty, and then goes before `since` */
    td_client_bytes_fn *on_bytes;
    void *arg;
};

/* Begins GET /api/v1/events as a stream of Server-Sent Events, without the retained state.  A stream that ends is TD_CLIENT_RETRY. */
TD_MUST_USE int td_client_subscribe(struct td_client *client,
                                    const struct td_client_stream *stream);

/* Ends the request under way without an answer; harmless when there is none. */
void td_client_cancel(struct td_client *client);
/* Whether a request is under way, or its answer has not been fetched. */
bool td_client_busy(const struct td_client *client);
/* Whether the stream was accepted: 200 and text/event-stream have come. */
bool td_client_streaming(const struct td_client *client);
/* Fetches the answer of the request that has ended; false while it is under way. */
bool td_client_answered(struct td_client *client, struct td_client_answer *ret_answer);

/* From now on td_client_wait also returns when nobody reads `fd` any more (td_nobody_reads). */
void td_client_watch(struct td_client *client, int fd);
/* Does what the network allows and waits until it allows more, one of the `n` files `fds` can be read or has
 * ended, or `timeout_ms` is over; returns at once when the request has ended.  The caller tries its files, which
 * do not block: which of them woke it is not said.  At most TD_CLIENT_FDS_MAX. */
#define TD_CLIENT_FDS_MAX 8
void td_client_wait(struct td_client *client, const int *fds, size_t n, uint64_t timeout_ms);

/* The waits between attempts: from `first_ms`, doubled up to `max_ms`, each with up to a quarter less or more so that many
 * clients do not come back at once.  A server that asks for longer is obeyed. */
struct td_backoff {
    uint64_t first_ms, max_ms;
    uint64_t _next_ms; /* 0: begin again */
};

uint64_t td_backoff_next_ms(struct td_backoff *backoff, uint64_t retry_after_ms);
/* An attempt has succeeded. */
void td_backoff_reset(struct td_backoff *backoff);
