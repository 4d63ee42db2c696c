/* SPDX-License-Identifier: Apache-2.0 */
#include "client_http.h"

#define HEAD_MAX 16384

static bool status_line(struct td_slice line, unsigned *ret_status)
{
    uint64_t status;

    /* RFC 9112 4: HTTP-version SP status-code SP [ reason-phrase ] */
    if (line.len < 13 || memcmp(line.ptr, "HTTP/1.1 ", 9) != 0 || line.ptr[12] != ' ' ||
        td_slice_u64(td_slice(line.ptr + 9, 3), &status) < 0 || status < 100 || status > 599)
        return false;
    *ret_status = (unsigned)status;
    return true;
}

static bool is_token(struct td_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 127 || strchr("\"(),/:;<=>?@[\\]{}", text.ptr[i]))
            return false;
    return text.len > 0;
}

static const char *take_header(struct client_answer *answer, struct td_slice name,
                               struct td_slice value)
{
    struct td_slice *into = NULL;

    if (td_slice_eq_nocase(name, TD_S("content-length"))) {
        if (answer->has_length || td_slice_u64(value, &answer->length) < 0)
            return "Content-Length is no number, or stands twice";
        answer->has_length = true;
    } else if (td_slice_eq_nocase(name, TD_S("transfer-encoding"))) {
        return "an encoding that nobody asked for";
    } else if (td_slice_eq_nocase(name, TD_S("connection"))) {
        answer->closes = td_slice_eq_nocase(value, TD_S("close"));
    } else if (td_slice_eq_nocase(name, TD_S("tidings-position"))) {
        into = &answer->position;
    } else if (td_slice_eq_nocase(name, TD_S("content-type"))) {
        into = &answer->type;
    } else if (td_slice_eq_nocase(name, TD_S("sec-websocket-accept"))) {
        into = &answer->accept;
    } else if (td_slice_eq_nocase(name, TD_S("upgrade"))) {
        into = &answer->upgrade;
    }
    if (into && into->ptr)
        return "a header stands twice";
    if (into)
        *into = value;
    return NULL;
}

int client_http_head(struct td_slice in, struct client_answer *ret_answer, const char **why)
{
    struct client_answer answer = {0};
    const char *end = in.len ? memmem(in.ptr, in.len, "\r\n\r\n", 4) : NULL;
    bool first = true;

    if (!end) {
        *why = "a head without an end";
        return in.len > HEAD_MAX ? -1 : 0;
    }
    answer.head_len = (size_t)(end - in.ptr) + 4;
    for (const char *at = in.ptr; at < end + 2; first = false) {
        const char *stop = memmem(at, (size_t)(end + 2 - at), "\r\n", 2);
        struct td_slice line = td_slice(at, (size_t)(stop - at)), name;

        at = stop + 2;
        *why = "a bare CR or LF in the head";
        if (line.len && (memchr(line.ptr, '\n', line.len) || memchr(line.ptr, '\r', line.len)))
            return -1;
        *why = "not a status line";
        if (first && !status_line(line, &answer.status))
            return -1;
        if (first)
            continue;
        *why = "not a header";
        if (!td_slice_split(&line, ':', &name) || !is_token(name) || !line.ptr)
            return -1;
        *why = take_header(&answer, name, td_slice_trim(line));
        if (*why)
            return -1;
    }
    *ret_answer = answer;
    return 1;
}
