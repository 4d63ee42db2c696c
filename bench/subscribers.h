/* SPDX-License-Identifier: Apache-2.0 */
/* Many WebSocket or SSE clients of one URL, or one that differs in topics, which count what they are sent. */
#pragma once

#include "histogram.h"
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct subscribers;

struct subscribers_options {
    struct sockaddr_in server;
    /* {n} in it is replaced by the subscriber's number, {interests} by the interest for each of its topics, joined by '&'. */
    const char *path;
    const char *interest; /* in it {topic} is replaced by five digits */
    unsigned interests;   /* topics of a subscriber, … */
    unsigned topics;      /* … of so many */
    const char *token;    /* sent as Authorization: Bearer; NULL: none */
    const char
        *ready; /* text that says that a subscription is in force; NULL: the handshake's answer */
    unsigned count;
    unsigned handshakes_max; /* under way at once */
    bool sse;                /* Server-Sent Events in place of WebSocket */
    bool deflate;            /* offer permessage-deflate; whoever is not agreed with is refused */
    int epoll;               /* each event's data.u64 is a subscriber's number */
};

struct subscribers_tally {
    unsigned ready;
    unsigned refused; /* closed before they were ready */
    unsigned lost;    /* closed by the server afterwards */
    uint64_t delivered;
    uint64_t bytes; /* received in all */
    uint64_t duplicates;
    uint64_t out_of_order;
    struct histogram latency; /* of messages that were due since `measured_from_ns` */
};

struct subscribers *subscribers_new(const struct subscribers_options *options);

/* Resets all connections, so that no port is left waiting. */
void subscribers_free(struct subscribers *subscribers);

/* Starts as many handshakes as may be under way.  Call it until `ready` and `refused` are `count`. */
void subscribers_connect(struct subscribers *subscribers);

/* Serves subscriber `number`, for which epoll reported something; `ended`: EPOLLRDHUP among it. */
void subscribers_serve(struct subscribers *subscribers, unsigned number, bool ended);

/* From now on latency is measured of messages that were due at `from_ns` or later. */
void subscribers_measure_from(struct subscribers *subscribers, uint64_t from_ns);

const struct subscribers_tally *subscribers_tally(const struct subscribers *subscribers);
