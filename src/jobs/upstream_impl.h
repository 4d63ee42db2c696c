/* SPDX-License-Identifier: Apache-2.0 */
/* Transfers, for their own files: upstream_start.c begins them, upstream.c serves them. */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "base/units.h"
#include "jobs/upstream.h"
#include <curl/curl.h>

/* What one transfer may hold that was not called back yet; it is paused beyond. */
#define TD_TRANSFER_PENDING_MAX (256 * TD_KIB)
_Static_assert(TD_TRANSFER_PENDING_MAX >= CURL_MAX_WRITE_SIZE,
               "whatever libcurl gives at once has room");

struct td_upstream {
    CURLM *multi;
    struct td_list transfers;
    unsigned n_transfers, transfers_max;
    char *ca_file;
    struct curl_waitfd *waits;
    size_t waits_cap;
    struct td_buf spare;         /* the bytes that are being called back */
    struct td_transfer *current; /* whose callback runs; NULL when it was cancelled there */
};

struct td_transfer {
    struct td_list node; /* in upstream->transfers, or on its way through td_upstream_serve */
    struct td_upstream *upstream;
    CURL *easy;
    struct curl_slist *headers;
    struct td_buf body;    /* of the request */
    struct td_buf pending; /* of the answer */
    struct td_transfer_options options;
    td_ns started, last_byte; /* last_byte: 0 before the first */
    td_ns released_until;     /* nobody listens any more; 0: somebody does */
    size_t received;
    bool paused, finished, too_large;
    CURLcode code;
    char curl_error[CURL_ERROR_SIZE];
    char error[CURL_ERROR_SIZE + 128];
};

/* Closes its connection if it is under way, and frees it. */
void td_transfer_free(struct td_transfer *transfer);
