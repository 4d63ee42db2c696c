/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/opened.h"
#include "base/assert.h"
#include "base/topic.h"
#include <errno.h>
#include <stdlib.h>

static struct td_opened **place_of(struct td_conn *conn, struct td_slice pattern)
{
    struct td_opened **at = &conn->opens;

    while (*at && !td_slice_eq(td_opened_pattern(*at), pattern))
        at = &(*at)->next;
    return at;
}

int td_open(struct td_conn *conn, const struct td_opened *times, struct td_slice pattern)
{
    struct td_opened **place = place_of(conn, pattern), *opened = *place;

    TD_ASSERT(pattern.len <= TD_TOPIC_LEN_MAX);
    if (!opened) {
        opened = calloc(1, sizeof(*opened) + pattern.len);
        if (!opened)
            return -ENOMEM;
        opened->len = (uint8_t)pattern.len;
        memcpy(opened->pattern, pattern.ptr, pattern.len);
        *place = opened;
    }
    opened->version = times->version;
    opened->renew_at = times->renew_at;
    opened->expires_at = times->expires_at;
    opened->asked = false;
    return 0;
}

struct td_opened *td_opened_find(const struct td_conn *conn, struct td_slice name)
{
    for (struct td_opened *opened = conn->opens; opened; opened = opened->next)
        if (opened->version > 0 && td_slice_eq(td_opened_pattern(opened), name))
            return opened;
    return NULL;
}

void td_opened_close(struct td_conn *conn, struct td_slice name)
{
    struct td_opened **place = place_of(conn, name), *opened = *place;

    if (!opened || opened->version == 0)
        return;
    *place = opened->next;
    free(opened);
}

void td_opened_free(struct td_conn *conn)
{
    for (struct td_opened *opened; (opened = conn->opens);) {
        conn->opens = opened->next;
        free(opened);
    }
}

static bool begins_wild(struct td_slice pattern)
{
    return pattern.len > 0 && pattern.ptr[0] == '*';
}

static bool is_covered(struct td_slice part, const struct td_slice *patterns, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (td_pattern_covers(patterns[i], part))
            return true;
    return false;
}

size_t td_opened_add(const struct td_conn *conn, struct td_slice name,
                     char text[TD_OPENED_PARTS_MAX][TD_TOPIC_LEN_MAX + 1],
                     struct td_slice *patterns, size_t n, bool *ret_check)
{
    const struct td_slices *taken = &conn->principal->taken;
    size_t parts = 0;

    for (const struct td_opened *opened = conn->opens; opened; opened = opened->next) {
        struct td_slice pattern = td_opened_pattern(opened);
        /* What was permitted for one name says nothing of others that lie inside of it: each is asked for. */
        if (opened->version > 0 && !td_slice_eq(pattern, name))
            continue;
        TD_ASSERT(parts < TD_OPENED_PARTS_MAX);
        int len = td_pattern_intersect(name, pattern, text[parts]);
        struct td_slice part = td_slice(text[parts], len > 0 ? (size_t)len : 0);
        if (len <= 0 || is_covered(part, patterns, n) || is_covered(part, taken->items, taken->n))
            continue;
        *ret_check |= begins_wild(pattern) || taken->n > 0;
        patterns[n++] = part;
        parts++;
    }
    return n;
}

const struct td_opened *td_opened_by(const struct td_conn *conn, struct td_slice topic)
{
    struct td_slice pattern;

    if (!conn->opens || td_principal_decide(conn->principal, topic, &pattern) == TD_BLIND_TAKEN)
        return NULL;
    for (const struct td_opened *opened = conn->opens; opened; opened = opened->next) {
        pattern = td_opened_pattern(opened);
        /* As with grants, a wildcard does not reach what is private. */
        if ((!td_topic_private(topic) || !begins_wild(pattern)) && td_pattern_match(pattern, topic))
            return opened;
    }
    return NULL;
}
