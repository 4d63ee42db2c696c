/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP requests to other servers, many at a time on one thread that never blocks for any of them: libcurl's multi interface, and the wait
 * that the thread has to do anyway.
 *
 *     for (;;) {
 *         td_upstream_wait(upstream, items, n, timeout_ms);   // sockets of the requests, and `items`
 *         td_upstream_serve(upstream);                        // all callbacks come from here
 *         …
 *     }
 *
 * HTTP/1.1, so that a transfer is a connection and cancelling it closes that.  No redirect is followed, no proxy is taken from the
 * environment, no cookie is kept, certificates are verified.  One thread. */
#pragma once

#include "base/compiler.h"
#include "base/slice.h"
#include "os/process.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct td_upstream;
struct td_transfer;

struct td_upstream_options {
    unsigned transfers_max; /* at a time; 0: 256 */
    const char *ca_file;    /* PEM, which is trusted instead of the system's; NULL: the system's */
};

TD_MUST_USE int td_upstream_new(const struct td_upstream_options *options,
                                struct td_upstream **ret_upstream);
/* Closes what is still under way, without callbacks. */
void td_upstream_free(struct td_upstream *upstream);

/* Waits until a request has something to be served, a descriptor of `items` can be read, or `timeout_ms` have passed (negative: for as
 * long as nothing comes).  Returns how many items are `ready`; may be 0 early. */
int td_upstream_wait(struct td_upstream *upstream, struct td_poll_item *items, size_t n,
                     int timeout_ms);
/* Sends and reads what can be without waiting, and calls back. */
void td_upstream_serve(struct td_upstream *upstream);
/* Transfers that are under way. */
unsigned td_upstream_transfers(const struct td_upstream *upstream);

/* How a transfer ended. */
enum td_transfer_outcome {
    TD_TRANSFER_DONE, /* a whole answer, of whatever status */
    TD_TRANSFER_UNREACHABLE, /* no connection: name, refusal, certificate; nothing of the request was sent */
    TD_TRANSFER_BROKEN,    /* the connection ended before the answer did */
    TD_TRANSFER_TIMEOUT,   /* one of the four */
    TD_TRANSFER_TOO_LARGE, /* more than bytes_max */
};

struct td_transfer_end {
    enum td_transfer_outcome outcome;
    int status;        /* 0 when no head of an answer came */
    bool connected;    /* of TIMEOUT: there was a connection */
    const char *error; /* a sentence; empty when DONE */
};

struct td_transfer_options {
    const char *url;      /* td_upstream_url_check takes it */
    bool post;            /* with `body`; otherwise a GET */
    struct td_slice body; /* copied */
    const char *const
        *headers; /* "Name: value" each, NULL at the end, without CR and LF; copied.  NULL: none */
    bool keep;    /* the connection may be used again, by others to the same host */

    /* Each in milliseconds from the start, except idle_ms, which is between two bytes of the answer's body; 0: no limit.  first_byte_ms
     * is until the first byte of the body. */
    uint64_t connect_ms, first_byte_ms, idle_ms, total_ms;
    size_t bytes_max; /* of the answer's body */

    /* Some bytes of the body, of an answer with any status: what came since the last call.  May be NULL. */
    void (*bytes)(struct td_transfer *transfer, struct td_slice bytes, void *arg);
    /* The last call: `transfer` can still be asked for its headers, and is gone when this returns. */
    void (*ended)(struct td_transfer *transfer, const struct td_transfer_end *end, void *arg);
    void *arg;
};

/* 0; TD_EINVAL with `ret_why` (static), a part of a sentence such as "is no URL", when `url` is not an http or https URL with a host and
 * without user, password and fragment. */
TD_MUST_USE int td_upstream_url_check(const char *url, const char **ret_why);

/* Starts a request.  Calls back later, never from here.  TD_EINVAL for a URL or header that can't be; TD_EMANY beyond transfers_max;
 * -ENOMEM. */
TD_MUST_USE int td_upstream_start(struct td_upstream *upstream,
                                  const struct td_transfer_options *options,
                                  struct td_transfer **ret_transfer);
/* Closes the connection at once; nothing is called back any more.  From anywhere but the transfer's own `ended`. */
void td_transfer_cancel(struct td_transfer *transfer);
/* For an answer that has said all that is wanted: nothing is called back any more; what is left of it is read and thrown away for a
 * second at most, so that the other side can end in its own way. */
void td_transfer_release(struct td_transfer *transfer);

/* The status of the answer; 0 as long as its head has not come. */
int td_transfer_status(const struct td_transfer *transfer);
/* The value of the answer's header (the first, when there are several).  Good until the transfer is gone or the next call. */
bool td_transfer_header(const struct td_transfer *transfer, const char *name,
                        struct td_slice *ret_value);
