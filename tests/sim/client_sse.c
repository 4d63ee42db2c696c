/* SPDX-License-Identifier: Apache-2.0 */
#include "client_sse.h"

/* The value of a field: what stands behind the colon and one space. */
static struct td_slice value_of(struct td_slice line, size_t name_len)
{
    struct td_slice value = td_slice_from(line, name_len + 1);

    return value.len > 0 && value.ptr[0] == ' ' ? td_slice_from(value, 1) : value;
}

static const char *take_line(struct client_sse *sse, struct td_slice line)
{
    static const struct {
        const char *name;
        size_t offset;
    } fields[] = {
        {"id",    offsetof(struct client_sse, id)   },
        {"event", offsetof(struct client_sse, event)},
        {"data",  offsetof(struct client_sse, data) },
    };

    if (memchr(line.ptr, '\r', line.len) || memchr(line.ptr, '\0', line.len))
        return "a CR or NUL in a line";
    if (line.ptr[0] == ':')
        return NULL;
    if (td_slice_starts(line, TD_S("retry:"))) {
        uint64_t ms;

        sse->retry = true;
        return td_slice_u64(value_of(line, 5), &ms) < 0 ? "retry is no number" : NULL;
    }
    for (size_t i = 0; i < TD_ARRAY_LEN(fields); i++) {
        size_t len = strlen(fields[i].name);
        struct td_slice *into = (struct td_slice *)(void *)((char *)sse + fields[i].offset);

        if (line.len <= len || memcmp(line.ptr, fields[i].name, len) != 0 || line.ptr[len] != ':')
            continue;
        if (into->ptr)
            return "a field stands twice";
        *into = value_of(line, len);
        return NULL;
    }
    return "an unknown field";
}

int client_sse_next(struct td_slice in, struct client_sse *ret_sse, const char **why)
{
    struct client_sse sse = {0};
    struct td_slice rest = in;

    while (rest.len > 0) {
        const char *end = memchr(rest.ptr, '\n', rest.len);

        if (!end)
            return 0;
        struct td_slice line = td_slice_to(rest, (size_t)(end - rest.ptr));
        rest = td_slice_from(rest, line.len + 1);
        if (line.len == 0) {
            sse.len = in.len - rest.len;
            *ret_sse = sse;
            return 1;
        }
        *why = take_line(&sse, line);
        if (*why)
            return -1;
    }
    return 0;
}
