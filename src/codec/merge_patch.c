/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/merge_patch.h"
#include "base/json.h"
#include <errno.h>
#include <stdlib.h>

struct member {
    struct td_slice raw_name, value;
    struct td_slice name; /* unescaped */
    bool dropped;         /* another one of that name comes behind it */
};

/* The members of an object, as they stand and by name. */
struct members {
    struct member *items, **sorted;
    size_t n, n_sorted; /* sorted are only those that count */
    struct td_buf names;
};

/* By name, and equal names as they stand. */
static int compare(const void *a, const void *b)
{
    const struct member *left = *(struct member *const *)a, *right = *(struct member *const *)b;
    int order = td_slice_cmp(left->name, right->name);

    return order != 0 ? order : left < right ? -1 : left > right;
}

static void members_done(struct members *members)
{
    free(members->items);
    free(members->sorted);
    td_buf_done(&members->names);
}

static int read_name(struct members *members, struct member *member)
{
    size_t at = members->names.len;

    if (td_json_plain(member->raw_name, &member->name))
        return 0;
    int r = td_json_unescape(member->raw_name, &members->names);
    member->name = td_slice(members->names.ptr + at, members->names.len - at);
    return r;
}

/* Sorts them, so that looking one up is cheap whatever a peer makes up. */
static void sort(struct members *members)
{
    size_t n = members->n;

    for (size_t i = 0; i < n; i++)
        members->sorted[i] = &members->items[i];
    qsort(members->sorted, n, sizeof(*members->sorted), compare);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && td_slice_eq(members->sorted[i]->name, members->sorted[i + 1]->name))
            members->sorted[i]->dropped = true;
        else
            members->sorted[members->n_sorted++] = members->sorted[i];
    }
}

/* Of what is no object there are none.  End with members_done in any case. */
static int members_read(struct td_slice object, struct members *members)
{
    struct td_json_iter it;
    struct td_slice name, value;
    int r = 0;

    *members = (struct members){.names = TD_BUF_INIT(object.len)};
    if (!object.ptr || td_json_type(object) != TD_JSON_OBJECT)
        return 0;
    for (it = td_json_iter(object); td_json_next(&it, &name, &value);)
        members->n++;
    if (members->n == 0)
        return 0;
    members->items = calloc(members->n, sizeof(*members->items));
    members->sorted = calloc(members->n, sizeof(struct member *));
    if (!members->items || !members->sorted)
        return -ENOMEM;
    /* An escape is longer than what it stands for: the text of the object is room enough, and does not move. */
    if (memchr(object.ptr, '\\', object.len))
        r = td_buf_reserve(&members->names, object.len);
    it = td_json_iter(object);
    for (size_t i = 0; r == 0 && td_json_next(&it, &name, &value); i++) {
        members->items[i] = (struct member){.raw_name = name, .value = value};
        r = read_name(members, &members->items[i]);
    }
    if (r == 0)
        sort(members);
    return r;
}

static const struct member *find(const struct members *members, struct td_slice name)
{
    size_t low = 0, high = members->n_sorted;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = td_slice_cmp(members->sorted[middle]->name, name);
        if (order == 0)
            return members->sorted[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* One member of the result. */
static int put_member(struct td_slice raw_name, struct td_slice target, struct td_slice patch,
                      struct td_buf *out)
{
    if (out->ptr[out->len - 1] != '{')
        td_buf_putc(out, ',');
    td_buf_put(out, raw_name);
    td_buf_putc(out, ':');
    if (patch.ptr)
        return td_merge_patch(target, patch, out);
    return td_buf_put(out, target);
}

static int put_object(const struct members *target, const struct members *patch, struct td_buf *out)
{
    const struct td_slice none = {NULL, 0};
    int r = td_buf_putc(out, '{');

    for (size_t i = 0; r == 0 && i < target->n; i++) {
        const struct member *old = &target->items[i];
        const struct member *new = old->dropped ? NULL : find(patch, old->name);
        if (!old->dropped && (!new || td_json_type(new->value) != TD_JSON_NULL))
            r = put_member(old->raw_name, old->value, new ? new->value : none, out);
    }
    for (size_t i = 0; r == 0 && i < patch->n; i++) {
        const struct member *new = &patch->items[i];
        if (!new->dropped && td_json_type(new->value) != TD_JSON_NULL && !find(target, new->name))
            r = put_member(new->raw_name, none, new->value, out);
    }
    return r < 0 ? r : td_buf_putc(out, '}');
}

int td_merge_patch(struct td_slice target, struct td_slice patch, struct td_buf *out)
{
    struct members old, new;

    if (td_json_type(patch) != TD_JSON_OBJECT)
        return td_buf_put(out, patch);
    int r = members_read(target, &old);
    int q = members_read(patch, &new);
    if (r == 0)
        r = q;
    if (r == 0)
        r = put_object(&old, &new, out);
    members_done(&old);
    members_done(&new);
    return r;
}
