/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/segment.h"
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "journal/record.h"
#include "journal/scan.h"
#include "os/file.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* Below this a segment is not worth its files. */
#define CAPACITY_MIN (UINT64_C(64) << 10)

void td_log_path(const char *dir, const char *name, char ret_path[TD_LOG_PATH_MAX])
{
    int n = snprintf(ret_path, TD_LOG_PATH_MAX, "%s/%s", dir, name);

    TD_ASSERT(n > 0 && n < TD_LOG_PATH_MAX);
}

void td_segment_path(const char *dir, uint64_t first_seq, const char *extension,
                     char ret_path[TD_LOG_PATH_MAX])
{
    char name[32];

    snprintf(name, sizeof(name), "%016" PRIx64 "%s", first_seq, extension);
    td_log_path(dir, name, ret_path);
}

bool td_segment_name(const char *name, const char *extension, uint64_t *ret_seq)
{
    uint64_t seq = 0;

    if (strlen(name) != 16 + strlen(extension) || strcmp(name + 16, extension) != 0)
        return false;
    for (size_t i = 0; i < 16; i++) {
        char c = name[i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
            return false;
        seq = seq << 4 | (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret_seq = seq;
    return true;
}

struct td_segment *td_segment_new(void)
{
    struct td_segment *segment = calloc(1, sizeof(*segment));

    TD_ASSERT(segment);
    segment->file = -1;
    segment->live_seen = UINT64_MAX;
    return segment;
}

void td_segment_free(struct td_segment *segment)
{
    if (!segment)
        return;
    if (segment->file >= 0)
        td_file_close(segment->file);
    if (segment->map_owned)
        free((void *)(uintptr_t)segment->map);
    else if (segment->map)
        td_file_unmap(segment->map, segment->map_bytes);
    td_index_free(segment->index);
    td_sealed_close(&segment->sealed_index);
    free(segment->damage);
    free(segment);
}

void td_segment_header_seal(struct td_segment_header *header)
{
    memcpy(header->magic, TD_SEGMENT_MAGIC, TD_MAGIC_LEN);
    header->version = TD_LOG_VERSION;
    header->crc = td_crc32c(0, header, offsetof(struct td_segment_header, crc));
}

bool td_segment_header_sound(const struct td_segment_header *header)
{
    return memcmp(header->magic, TD_SEGMENT_MAGIC, TD_MAGIC_LEN) == 0 &&
           header->version == TD_LOG_VERSION &&
           header->crc == td_crc32c(0, header, offsetof(struct td_segment_header, crc));
}

/* Halves what is asked for until the disk has it, so that a nearly full one is used to its end. */
static int allocate(int file, uint64_t capacity, uint64_t need, uint64_t *ret_capacity)
{
    uint64_t least = TD_MAX(need, TD_MIN(capacity, CAPACITY_MIN));

    for (;;) {
        int r = td_file_allocate(file, capacity);
        if (r == 0) {
            *ret_capacity = capacity;
            return 0;
        }
        int cut = td_file_truncate(file, 0);
        if (r != -ENOSPC || capacity <= least || cut < 0)
            return r;
        capacity = TD_MAX(least, TD_ALIGN_UP(capacity / 2, 8));
    }
}

int td_segment_create(const char *dir, const struct td_segment_header *header, uint64_t capacity,
                      uint64_t need, struct td_segment **ret_segment)
{
    struct td_segment *segment = td_segment_new();
    char path[TD_LOG_PATH_MAX];

    td_segment_path(dir, header->first_seq, ".log", path);
    /* A file of this name can only be what a failed attempt left: the sequence has not been given yet. */
    int r = td_file_open(path, TD_FILE_READ | TD_FILE_WRITE | TD_FILE_CREATE | TD_FILE_TRUNCATE);
    if (r < 0)
        goto error_segment;
    segment->file = r;
    segment->header = *header;
    td_segment_header_seal(&segment->header);
    r = allocate(segment->file, capacity, need, &capacity);
    if (r < 0)
        goto error_file;
    r = td_file_write_at(segment->file, &segment->header, sizeof(segment->header), 0);
    if (r < 0)
        goto error_file;
    r = td_file_map(segment->file, (size_t)capacity, &segment->map);
    if (r < 0)
        goto error_file;
    segment->map_bytes = (size_t)capacity;
    segment->capacity = (uint32_t)capacity;
    segment->index = td_index_new(header->seed);
    atomic_init(&segment->end, (uint32_t)sizeof(segment->header));
    atomic_init(&segment->last_seq, header->prev_last);
    atomic_init(&segment->heat, TD_HOT);
    *ret_segment = segment;
    return 0;
error_file:
    /* When this fails too an empty segment stays behind; the next attempt takes its place. */
    if (td_path_unlink(path) < 0)
        goto error_segment;
error_segment:
    td_segment_free(segment);
    return r;
}

struct td_offsets td_segment_get(const struct td_segment *segment, uint64_t key)
{
    if (atomic_load_explicit(&segment->sealed, memory_order_acquire))
        return td_sealed_get(&segment->sealed_index, key);
    return td_index_get(segment->index, key);
}

const struct td_index_dedup *td_segment_dedups(const struct td_segment *segment, size_t *ret_n)
{
    *ret_n = segment->index ? segment->index->n_dedups : segment->sealed_index.header->dedups;
    return segment->index ? segment->index->dedups : segment->sealed_index.dedups;
}

void td_segment_add_damage(struct td_segment *segment, struct td_damage damage)
{
    size_t n = segment->n_damage;
    struct td_damage *all = realloc(segment->damage, (n + 1) * sizeof(*all));

    TD_ASSERT(all);
    TD_ASSERT(n == 0 || all[n - 1].to <= damage.from);
    all[n] = damage;
    segment->damage = all;
    segment->n_damage = n + 1;
}

/* Walks a segment all of which has been durable, so that what is not sound is damage. */
static void find_damage(struct td_segment *segment, struct td_index *index)
{
    uint32_t end = atomic_load(&segment->end), offset;
    uint64_t last_seq = atomic_load(&segment->last_seq);
    struct td_scan scan = {
        .bytes = td_slice(segment->map, TD_MIN(end, segment->map_bytes)),
        .at = sizeof(struct td_segment_header),
        .seq = segment->header.prev_last,
        .seq_max = last_seq,
    };

    for (;;) {
        uint32_t at = scan.at;
        enum td_scan_what what = td_scan_next(&scan, &offset);
        if (what == TD_SCAN_RECORD) {
            if (index)
                td_index_add(index, segment->map + offset, offset);
            continue;
        }
        if (segment->slim ? scan.at >= scan.bytes.len : scan.seq == last_seq)
            return;
        struct td_damage damage = {.after_seq = scan.seq, .from = at};
        bool more = td_scan_resync(&scan);
        damage.to = more ? scan.at : end;
        damage.next_seq = more ? td_record_seq(segment->map + scan.at) : last_seq + 1;
        td_segment_add_damage(segment, damage);
        if (!more)
            return;
    }
}

/* The disk can't read some of it, and to touch that would end the process: none of it is looked at. */
static void give_up(struct td_segment *segment)
{
    struct td_damage all = {
        .after_seq = segment->header.prev_last,
        .next_seq = atomic_load(&segment->last_seq) + 1,
        .from = sizeof(struct td_segment_header),
        .to = atomic_load(&segment->end),
    };

    td_segment_add_damage(segment, all);
}

int td_segment_verify(struct td_segment *segment, struct td_index **ret_index)
{
    bool sound = segment->sealed_index.map &&
                 (atomic_load(&segment->indexed) || td_sealed_verify(&segment->sealed_index) == 0);
    struct td_index *index = sound ? NULL : td_index_new(segment->header.seed);

    if (segment->map && td_file_populate(segment->map, segment->map_bytes) < 0)
        give_up(segment);
    else
        find_damage(segment, index);
    if (sound)
        return 0;
    *ret_index = index;
    return TD_EDAMAGED;
}
