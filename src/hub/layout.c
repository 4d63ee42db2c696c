/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/layout.h"
#include "base/assert.h"
#include "base/crc32c.h"
#include "hub/wakeup.h"
#include <errno.h>

/* The records of one message, by their place in `_views`. */
struct message {
    size_t first, n;
};

int td_layout_new(struct td_encoder *encoder, struct td_layout **ret_layout)
{
    struct td_layout *layout = calloc(1, sizeof(*layout));

    if (!layout)
        return -ENOMEM;
    layout->_encoder = encoder;
    td_buf_init(&layout->_encoded, TD_WAKEUP_ENCODED_MAX);
    td_buf_init(&layout->_joined, TD_WAKEUP_ENCODED_MAX);
    *ret_layout = layout;
    return 0;
}

void td_layout_free(struct td_layout *layout)
{
    if (!layout)
        return;
    td_buf_done(&layout->_encoded);
    td_buf_done(&layout->_joined);
    free(layout);
}

static bool same_key(const struct td_record *a, const struct td_record *b)
{
    return td_slice_eq(a->topic, b->topic) && td_slice_eq(a->key, b->key);
}

static uint32_t hash_of(const struct td_record *record)
{
    uint32_t crc = td_crc32c(0, record->topic.ptr, record->topic.len);

    if (!(record->flags & TD_RECORD_LATEST))
        return 0;
    return td_crc32c(crc, record->key.ptr, record->key.len) | 1;
}

/* Whether one of the records behind number `i` takes its place. */
static bool is_superseded(const struct td_layout *layout, size_t i, size_t n)
{
    const struct td_record *views = layout->_views;

    for (size_t j = i + 1; j < n; j++)
        if (layout->_hashes[j] == layout->_hashes[i] && views[j].seq <= layout->durable &&
            same_key(&views[i], &views[j]))
            return true;
    return false;
}

/* Takes out each `latest` record that a later one takes the place of. */
static size_t drop_superseded(struct td_layout *layout, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        layout->_hashes[i] = hash_of(&layout->_views[i]);
    for (size_t i = 0; i < n; i++)
        if (layout->_hashes[i] == 0 || !is_superseded(layout, i, n))
            layout->_views[kept++] = layout->_views[i];
    return kept;
}

/* The records that are wanted, in `_views`; returns how many. */
static size_t take_wanted(struct td_layout *layout, const struct td_hub_ops *ops, void *arg,
                          const struct td_subscriber *subscriber, const char *const *records,
                          size_t n)
{
    size_t wanted = 0;
    unsigned flags = 0;

    TD_ASSERT(n <= TD_LAYOUT_RECORDS);
    for (size_t i = 0; i < n; i++) {
        struct td_record *view = &layout->_views[wanted];
        td_record_view(records[i], view);
        if (subscriber->checked && !ops->wants(subscriber, view, arg))
            continue;
        flags |= view->flags;
        wanted++;
    }
    return flags & TD_RECORD_LATEST ? drop_superseded(layout, wanted) : wanted;
}

static bool read_chunk(struct td_layout *layout, size_t i)
{
    const struct td_record *record = &layout->_views[i];

    return (record->flags & TD_RECORD_APPEND) && record->key.len > 0 &&
           td_chunk_parse(record->data, &layout->_chunks[i]) == 0;
}

/* How many records from `first` on go as one message. */
static size_t count_joined(struct td_layout *layout, size_t first, size_t n)
{
    const struct td_record *views = layout->_views;
    size_t bytes = views[first].json.len, i = first + 1;

    if (i == n || !read_chunk(layout, first))
        return 1;
    for (; i < n; i++) {
        const struct td_record *view = &views[i];
        if (!same_key(&views[first], view) || !td_slice_eq(views[first].type, view->type) ||
            !read_chunk(layout, i) || !td_chunk_joins(&layout->_chunks[i - 1], &layout->_chunks[i]))
            break;
        bytes += layout->_chunks[i].content.len;
        if (bytes > TD_LAYOUT_JOINED_MAX)
            break;
    }
    return i - first;
}

/* The event that several chunks make: the last one, with the content of all. */
static int join(struct td_layout *layout, const struct message *message, struct td_record *ret)
{
    const struct td_record *last = &layout->_views[message->first + message->n - 1];
    struct td_buf *out = &layout->_joined;

    td_buf_reset(out);
    size_t data_at = (size_t)(last->data.ptr - last->json.ptr);
    td_buf_put(out, td_slice_to(last->json, data_at));
    td_chunk_put_joined(out, &layout->_chunks[message->first], message->n, last->data);
    size_t data_len = out->len - data_at;
    td_buf_put(out, td_slice_from(last->json, data_at + last->data.len));
    if (out->err < 0)
        return out->err;
    *ret = *last;
    ret->frame = (struct td_slice){NULL, 0};
    ret->json = td_buf_slice(out);
    ret->data = td_slice(out->ptr + data_at, data_len);
    return 0;
}

/* Puts one message at the end of the layout; bytes that are no slice of the log are given by their offset for now, since they move. */
static int put(struct td_layout *layout, enum td_wire wire, const struct message *message,
               const struct td_format_marks *marks)
{
    const struct td_record *record = &layout->_views[message->first + message->n - 1];
    struct iovec *part = &layout->parts[layout->n];
    struct td_record joined;
    int r = 0;

    layout->seqs[layout->n] = record->seq;
    layout->derived[layout->n] = message->n > 1 || marks;
    if (message->n == 1 && !marks && wire == TD_WIRE_WS_EVENT) {
        *part = (struct iovec){(void *)(uintptr_t)record->frame.ptr, record->frame.len};
    } else {
        size_t at = layout->_encoded.len;
        if (message->n > 1) {
            r = join(layout, message, &joined);
            record = &joined;
        }
        if (r == 0)
            r = td_encode(layout->_encoder, record, wire, marks, &layout->_encoded);
        *part = (struct iovec){NULL, layout->_encoded.len - at};
    }
    if (r < 0)
        return r;
    layout->bytes += part->iov_len;
    layout->n++;
    return 0;
}

static void place(struct td_layout *layout)
{
    char *at = layout->_encoded.ptr;

    for (int i = 0; i < layout->n; i++)
        if (!layout->parts[i].iov_base) {
            layout->parts[i].iov_base = at;
            at += layout->parts[i].iov_len;
        }
}

int td_layout_make(struct td_layout *layout, const struct td_hub_ops *ops, void *arg,
                   const struct td_subscriber *subscriber, const char *const *records, size_t n,
                   const struct td_format_marks *marks)
{
    layout->n = 0;
    layout->bytes = 0;
    td_buf_reset(&layout->_encoded);
    n = take_wanted(layout, ops, arg, subscriber, records, n);
    for (size_t i = 0; i < n;) {
        const struct message message = {i, count_joined(layout, i, n)};
        int r = put(layout, subscriber->wire, &message, marks);
        if (r < 0)
            return r;
        i += message.n;
    }
    place(layout);
    return 0;
}
