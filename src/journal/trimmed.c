/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/trimmed.h"
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "os/file.h"
#include <errno.h>
#include <stdlib.h>

#define FILE_MAX  (sizeof(struct td_trimmed_header) + ((size_t)64 << 20))
#define COMMON_ID UINT64_MAX
#define N_TABLES  (TD_GROUPS + 1)

void td_trimmed_init(struct td_trimmed *trimmed, const struct td_groups *groups, size_t max)
{
    *trimmed = (struct td_trimmed){.groups = groups, .max = TD_MAX(max / groups->n, (size_t)1)};
    for (size_t i = 0; i < N_TABLES; i++)
        td_map_init(&trimmed->tables[i].map, sizeof(struct td_trimmed_mark));
}

void td_trimmed_done(struct td_trimmed *trimmed)
{
    for (size_t i = 0; i < N_TABLES; i++)
        td_map_done(&trimmed->tables[i].map);
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

static struct td_trimmed_entry *list(const struct td_trimmed_table *table,
                                     int (*order)(const void *, const void *))
{
    struct td_trimmed_entry *entries = calloc(table->map.len + 1, sizeof(*entries));
    size_t cursor = 0, n = 0;
    const struct td_trimmed_mark *mark;
    uint64_t key;

    TD_ASSERT(entries);
    while ((mark = td_map_each(&table->map, &cursor, &key)))
        entries[n++] = (struct td_trimmed_entry){key, mark->seq};
    qsort(entries, n, sizeof(*entries), order);
    return entries;
}

static void raise_mark(struct td_trimmed_mark *mark, uint64_t seq, uint32_t trim)
{
    mark->seq = TD_MAX(mark->seq, seq);
    mark->trim = TD_MAX(mark->trim, trim);
}

static void drop_half(struct td_trimmed_table *table)
{
    size_t n = table->map.len, half = n - n / 2;
    struct td_trimmed_entry *entries = list(table, by_seq);

    for (size_t i = 0; i < half; i++) {
        const struct td_trimmed_mark *mark = td_map_get(&table->map, entries[i].key);
        raise_mark(&table->floor, mark->seq, mark->trim);
        td_map_remove(&table->map, entries[i].key);
    }
    free(entries);
}

void td_trimmed_put(struct td_trimmed *trimmed, size_t group, uint64_t key, uint64_t seq)
{
    struct td_trimmed_table *table = &trimmed->tables[group];
    bool new;
    struct td_trimmed_mark *last = td_map_put(&table->map, key, &new);

    TD_ASSERT(last);
    raise_mark(last, seq, trimmed->trims);
    trimmed->top = TD_MAX(trimmed->top, seq);
    if (new && table->map.len > trimmed->max)
        drop_half(table);
}

void td_trimmed_raise(struct td_trimmed *trimmed, uint64_t seq)
{
    struct td_trimmed_table *common = &trimmed->tables[TD_TRIMMED_COMMON];

    raise_mark(&common->floor, seq, trimmed->trims);
    trimmed->top = TD_MAX(trimmed->top, seq);
}

void td_trimmed_blur(struct td_trimmed *trimmed)
{
    for (size_t i = 0; i < N_TABLES; i++)
        td_map_clear(&trimmed->tables[i].map);
    td_trimmed_raise(trimmed, TD_MAX(trimmed->top, trimmed->horizon));
}

/* Whether the floor of a table counts for a pattern. */
static bool concerns(const struct td_trimmed *trimmed, size_t i, struct td_slice pattern)
{
    return i == TD_TRIMMED_COMMON || td_group_meets(&trimmed->groups->at[i], pattern);
}

static void look_at(struct td_trimmed_look *look, const struct td_trimmed_mark *mark)
{
    look->last = TD_MAX(look->last, mark->seq);
    look->later = look->later || (mark->seq > look->after && mark->trim > look->trims);
}

void td_trimmed_look(const struct td_trimmed *trimmed, const struct td_wanted *wanted,
                     struct td_trimmed_look *look)
{
    for (size_t i = 0; i < N_TABLES; i++) {
        const struct td_trimmed_table *table = &trimmed->tables[i];
        const struct td_trimmed_mark *mark =
            table->map.len > 0 ? td_map_get(&table->map, wanted->key) : NULL;
        if (mark)
            look_at(look, mark);
        if (table->floor.seq > 0 && concerns(trimmed, i, wanted->pattern))
            look_at(look, &table->floor);
    }
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

/* ---- the file ---- */

/* What stands behind the header: the heads of the tables, their entries, the holes. */
static void put_tables(const struct td_trimmed *trimmed, struct td_buf *out,
                       struct td_trimmed_header *header)
{
    for (size_t i = 0; i < N_TABLES; i++) {
        const struct td_trimmed_table *table = &trimmed->tables[i];
        struct td_trimmed_head head = {
            .id = i == TD_TRIMMED_COMMON ? COMMON_ID : trimmed->groups->at[i].id,
            .floor = table->floor.seq,
            .count = (uint32_t)table->map.len,
        };
        if (head.count == 0 && head.floor == 0)
            continue;
        header->tables++;
        td_buf_put(out, td_slice((const char *)&head, sizeof(head)));
    }
    for (size_t i = 0; i < N_TABLES; i++) {
        const struct td_trimmed_table *table = &trimmed->tables[i];
        struct td_trimmed_entry *entries = list(table, by_key);
        header->count += (uint32_t)table->map.len;
        td_buf_put(out, td_slice((const char *)entries, table->map.len * sizeof(*entries)));
        free(entries);
    }
    header->holes = (uint32_t)trimmed->n_holes;
    td_buf_put(out,
               td_slice((const char *)trimmed->holes, trimmed->n_holes * sizeof(*trimmed->holes)));
}

int td_trimmed_store(const struct td_trimmed *trimmed, uint32_t epoch, uint64_t seed,
                     const char *path)
{
    struct td_buf file = TD_BUF_INIT(FILE_MAX);
    struct td_trimmed_header header = {
        .version = TD_TRIMMED_VERSION,
        .epoch = epoch,
        .seed = seed,
        .horizon = trimmed->horizon,
    };

    td_buf_put(&file, td_slice((const char *)&header, sizeof(header)));
    put_tables(trimmed, &file, &header);
    int r = file.err;
    if (r == 0) {
        struct td_slice behind = td_slice_from(td_buf_slice(&file), sizeof(header));
        header.entries_crc = td_crc32c(0, behind.ptr, behind.len);
        memcpy(header.magic, TD_TRIMMED_MAGIC, TD_MAGIC_LEN);
        header.crc = td_crc32c(0, &header, offsetof(struct td_trimmed_header, crc));
        memcpy(file.ptr, &header, sizeof(header));
        r = td_file_store(path, td_buf_slice(&file));
    }
    td_buf_done(&file);
    return r;
}

/* The table that holds what was said of a group. */
static size_t table_of(const struct td_trimmed *trimmed, uint64_t id)
{
    for (size_t i = 0; i < trimmed->groups->n; i++)
        if (trimmed->groups->at[i].id == id)
            return i;
    return TD_TRIMMED_COMMON;
}

static int parse_tables(struct td_trimmed *trimmed, const struct td_trimmed_header *header,
                        struct td_slice heads, struct td_slice entries)
{
    struct td_trimmed_entry entry;
    size_t at = 0, end = 0;

    for (uint32_t i = 0; i < header->tables; i++) {
        struct td_trimmed_head head;
        memcpy(&head, heads.ptr + i * sizeof(head), sizeof(head));
        size_t group = table_of(trimmed, head.id);
        end += head.count * sizeof(entry);
        if (end > entries.len)
            return TD_EDAMAGED;
        for (; at < end; at += sizeof(entry)) {
            memcpy(&entry, entries.ptr + at, sizeof(entry));
            td_trimmed_put(trimmed, group, entry.key, entry.seq);
        }
        struct td_trimmed_table *table = &trimmed->tables[group];
        raise_mark(&table->floor, head.floor, trimmed->trims);
        trimmed->top = TD_MAX(trimmed->top, head.floor);
    }
    return 0;
}

static int parse(struct td_trimmed *trimmed, struct td_slice file, struct td_trimmed_header *header)
{
    if (file.len < sizeof(*header))
        return TD_EDAMAGED;
    memcpy(header, file.ptr, sizeof(*header));
    struct td_slice behind = td_slice_from(file, sizeof(*header));
    size_t head_bytes = header->tables * sizeof(struct td_trimmed_head);
    size_t entry_bytes = header->count * sizeof(struct td_trimmed_entry);
    size_t hole_bytes = header->holes * sizeof(*trimmed->holes);
    if (memcmp(header->magic, TD_TRIMMED_MAGIC, TD_MAGIC_LEN) != 0 ||
        header->version != TD_TRIMMED_VERSION ||
        header->crc != td_crc32c(0, header, offsetof(struct td_trimmed_header, crc)) ||
        header->holes > TD_TRIMMED_HOLES || behind.len != head_bytes + entry_bytes + hole_bytes ||
        header->entries_crc != td_crc32c(0, behind.ptr, behind.len))
        return TD_EDAMAGED;
    trimmed->horizon = header->horizon;
    trimmed->top = header->horizon;
    trimmed->n_holes = header->holes;
    memcpy(trimmed->holes, behind.ptr + head_bytes + entry_bytes, hole_bytes);
    return parse_tables(trimmed, header, behind, td_slice(behind.ptr + head_bytes, entry_bytes));
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
