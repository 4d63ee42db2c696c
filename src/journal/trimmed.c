/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/trimmed.h"
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "os/file.h"
#include <errno.h>
#include <stdlib.h>

#define FILE_MAX (sizeof(struct td_trimmed_header) + ((size_t)64 << 20))

void td_trimmed_init(struct td_trimmed *trimmed, size_t max)
{
    *trimmed = (struct td_trimmed){.max = max};
    td_map_init(&trimmed->map, sizeof(uint64_t));
}

void td_trimmed_done(struct td_trimmed *trimmed)
{
    td_map_done(&trimmed->map);
}

static int by_seq(const void *a, const void *b)
{
    const struct td_trimmed_entry *x = a, *y = b;

    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int by_key(const void *a, const void *b)
{
    const struct td_trimmed_entry *x = a, *y = b;

    return x->key < y->key ? -1 : x->key > y->key;
}

static struct td_trimmed_entry *list(const struct td_trimmed *trimmed,
                                     int (*order)(const void *, const void *))
{
    struct td_trimmed_entry *entries = calloc(trimmed->map.len + 1, sizeof(*entries));
    size_t cursor = 0, n = 0;
    const uint64_t *seq;
    uint64_t key;

    TD_ASSERT(entries);
    while ((seq = td_map_each(&trimmed->map, &cursor, &key)))
        entries[n++] = (struct td_trimmed_entry){key, *seq};
    qsort(entries, n, sizeof(*entries), order);
    return entries;
}

static void drop_half(struct td_trimmed *trimmed)
{
    size_t n = trimmed->map.len, half = n - n / 2;
    struct td_trimmed_entry *entries = list(trimmed, by_seq);

    for (size_t i = 0; i < half; i++)
        td_map_remove(&trimmed->map, entries[i].key);
    trimmed->floor = TD_MAX(trimmed->floor, entries[half - 1].seq);
    free(entries);
}

void td_trimmed_put(struct td_trimmed *trimmed, uint64_t key, uint64_t seq)
{
    bool new;
    uint64_t *last = td_map_put(&trimmed->map, key, &new);

    TD_ASSERT(last);
    *last = TD_MAX(*last, seq);
    if (new && trimmed->map.len > trimmed->max)
        drop_half(trimmed);
}

uint64_t td_trimmed_last(const struct td_trimmed *trimmed, uint64_t key)
{
    const uint64_t *last = td_map_get(&trimmed->map, key);

    return last ? TD_MAX(*last, trimmed->floor) : trimmed->floor;
}

void td_trimmed_put_hole(struct td_trimmed *trimmed, uint64_t prev_last, uint64_t lost_to)
{
    struct td_trimmed_hole *holes = trimmed->holes;

    if (trimmed->n_holes > 0 && holes[trimmed->n_holes - 1].lost_to >= lost_to)
        return; /* noted before, when the table could not be stored */
    if (trimmed->n_holes == TD_TRIMMED_HOLES) {
        holes[0].lost_to = holes[1].lost_to;
        trimmed->n_holes--;
        memmove(&holes[1], &holes[2], (trimmed->n_holes - 1) * sizeof(*holes));
    }
    holes[trimmed->n_holes++] = (struct td_trimmed_hole){prev_last, lost_to};
}

uint64_t td_trimmed_hole_end(const struct td_trimmed *trimmed, uint64_t position)
{
    for (size_t i = 0; i < trimmed->n_holes; i++)
        if (position > trimmed->holes[i].prev_last && position < trimmed->holes[i].lost_to)
            return trimmed->holes[i].lost_to;
    return 0;
}

int td_trimmed_store(const struct td_trimmed *trimmed, uint32_t epoch, uint64_t seed,
                     const char *path)
{
    struct td_trimmed_entry *entries = list(trimmed, by_key);
    size_t bytes = trimmed->map.len * sizeof(*entries);
    size_t hole_bytes = trimmed->n_holes * sizeof(*trimmed->holes);
    struct td_trimmed_header header = {
        .version = TD_LOG_VERSION,
        .epoch = epoch,
        .seed = seed,
        .horizon = trimmed->horizon,
        .floor = trimmed->floor,
        .count = (uint32_t)trimmed->map.len,
        .holes = (uint32_t)trimmed->n_holes,
        .entries_crc = td_crc32c(td_crc32c(0, entries, bytes), trimmed->holes, hole_bytes),
    };
    struct td_buf file = TD_BUF_INIT(FILE_MAX);

    memcpy(header.magic, TD_TRIMMED_MAGIC, TD_MAGIC_LEN);
    header.crc = td_crc32c(0, &header, offsetof(struct td_trimmed_header, crc));
    td_buf_put(&file, td_slice((const char *)&header, sizeof(header)));
    td_buf_put(&file, td_slice((const char *)entries, bytes));
    td_buf_put(&file, td_slice((const char *)trimmed->holes, hole_bytes));
    free(entries);
    int r = file.err < 0 ? file.err : td_file_store(path, td_buf_slice(&file));
    td_buf_done(&file);
    return r;
}

static int parse(struct td_trimmed *trimmed, struct td_slice file, struct td_trimmed_header *header)
{
    struct td_trimmed_entry entry;

    if (file.len < sizeof(*header))
        return TD_EDAMAGED;
    memcpy(header, file.ptr, sizeof(*header));
    struct td_slice entries = td_slice_from(file, sizeof(*header));
    size_t hole_bytes = header->holes * sizeof(*trimmed->holes);
    if (memcmp(header->magic, TD_TRIMMED_MAGIC, TD_MAGIC_LEN) != 0 ||
        header->version != TD_LOG_VERSION ||
        header->crc != td_crc32c(0, header, offsetof(struct td_trimmed_header, crc)) ||
        header->holes > TD_TRIMMED_HOLES ||
        entries.len != header->count * sizeof(entry) + hole_bytes ||
        header->entries_crc != td_crc32c(0, entries.ptr, entries.len))
        return TD_EDAMAGED;
    trimmed->horizon = header->horizon;
    trimmed->floor = header->floor;
    trimmed->n_holes = header->holes;
    memcpy(trimmed->holes, entries.ptr + entries.len - hole_bytes, hole_bytes);
    for (size_t at = 0; at < entries.len - hole_bytes; at += sizeof(entry)) {
        memcpy(&entry, entries.ptr + at, sizeof(entry));
        td_trimmed_put(trimmed, entry.key, entry.seq);
    }
    return 0;
}

int td_trimmed_load(struct td_trimmed *trimmed, const char *path, uint32_t *ret_epoch,
                    uint64_t *ret_seed)
{
    struct td_buf file = TD_BUF_INIT(FILE_MAX);
    struct td_trimmed_header header;
    int r = td_file_load(path, &file);

    if (r >= 0)
        r = parse(trimmed, td_buf_slice(&file), &header);
    td_buf_done(&file);
    if (r < 0)
        return r;
    *ret_epoch = header.epoch;
    *ret_seed = header.seed;
    return 0;
}
