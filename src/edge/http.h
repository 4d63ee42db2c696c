/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 on a connection: requests in, in order; answers out, in order. */
#pragma once

#include "base/compiler.h"
#include "codec/http1.h"
#include "edge/worker.h"

struct td_ask;

/* A request with its whole body.  Good during the handler's call. */
struct td_request {
    struct td_worker *worker;
    struct td_conn *conn;
    const struct td_http_request *head; /* NULL when only the reply is left to be made */
    struct td_slice body;
    struct td_reply reply;
    struct td_principal *principal; /* borrowed; NULL until td_request_authenticate */
    struct td_slice raw;            /* the bytes of the head */
    const struct td_ask *
        answer; /* of the desk, when it was asked and the request is served again (ask.h); or NULL */
    unsigned passes; /* how often it was served before */
};

struct td_response {
    int status;
    const char *content_type; /* NULL: none */
    struct td_slice headers;  /* more header lines, each with its CRLF */
    struct td_slice body;
    bool lasting;      /* the body is part of the program: it is sent from where it lies */
    uint64_t position; /* of Tidings-Position, when … */
    bool has_position; /* … it is given; otherwise what is readable now is told */
    uint64_t wait_for; /* hold the answer until this sequence is readable; 0: send it */
    int err; /* of the buffers in which its parts were made: half an answer is not given, the connection ends */
};

/* Takes bytes as they come. */
void td_http_take(struct td_worker *worker, struct td_conn *conn, char *bytes, size_t len);
/* Goes on with requests that wait in the inbox; whether one was taken up. */
bool td_http_resume(struct td_worker *worker, struct td_conn *conn);

/* Serves a request again from its beginning, whose connection waited for an answer of the desk. */
void td_http_serve_again(struct td_worker *worker, struct td_conn *conn, struct td_slice raw,
                         struct td_slice body, const struct td_ask *answer, unsigned passes);

/* The reply that a request asks for. */
struct td_reply td_reply_to(const struct td_http_request *head);
void td_respond(struct td_request *request, const struct td_response *response);
/* application/problem+json (RFC 9457) for an error, with a sentence on what happened. */
void td_respond_error(struct td_request *request, int err, struct td_slice detail);
/* The same with more header lines. */
void td_respond_error_with(struct td_request *request, int err, struct td_slice detail,
                           struct td_slice headers);
/* The same with more members of the problem, and an answer that says what may not be told yet. */
struct td_problem {
    int err;
    struct td_slice detail, headers;
    struct td_slice members; /* `"name":value`, raw, several with commas between; or empty */
    uint64_t wait_for;       /* hold the answer until this sequence is readable; 0: send it */
};
void td_respond_problem(struct td_request *request, const struct td_problem *problem);
/* Answers an error to what is no request that could be read, or not in time, and ends the connection. */
void td_conn_refuse(struct td_worker *worker, struct td_conn *conn, int err, const char *detail);
/* Appends the head of an answer whose body follows until the connection ends, as streams do. */
int td_response_head(struct td_request *request, struct td_buf *out, int status,
                     const char *content_type);
/* Finds the token of a request (Authorization, Sec-WebSocket-Protocol, cookie with an allowed Origin, query) and
 * verifies it.  0 and request->principal (the connection keeps the reference), or an error with `*reason` a static
 * sentence. */
TD_MUST_USE int td_request_authenticate(struct td_request *request, const char **reason);
/* Verifies a token that a connection presents, counting failures.  0 with a reference that the caller gives back; an error as
 * td_token_cache_verify; or TD_ERATE when too many of that address have failed: then this one was not looked at. */
TD_MUST_USE int td_conn_verify(struct td_worker *worker, const struct td_conn *conn,
                               struct td_slice token, struct td_principal **ret_principal,
                               const char **reason);
/* Whether the request's Host is that of an allowed origin. */
bool td_request_host_ok(const struct td_request *request);
/* Whether the request's Origin is on the list; a request without one passes only when `absent_ok`. */
bool td_request_origin_ok(const struct td_request *request, bool absent_ok);
