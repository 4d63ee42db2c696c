/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a log that are read as they lie: the index of a segment, the table of what was trimmed, the head.  The first byte says
 * which, and whether its checksums are made right first.  What is taken for sound can be used without a look beyond it, and the
 * table and the head say the same when they are written again. */
#include "base/crc32c.h"
#include "base/err.h"
#include "base/topic.h"
#include "fuzz.h"
#include "journal/head.h"
#include "journal/index.h"
#include "journal/trimmed.h"
#include "os/file.h"
#include "os/sim/sim.h"
#include <stdlib.h>

#define DIR  "log"
#define HEAD DIR "/head"
#define PATH DIR "/file"

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void store(const char *path, struct td_slice bytes)
{
    int file = td_file_open(path, TD_FILE_WRITE | TD_FILE_CREATE | TD_FILE_TRUNCATE);

    must(file >= 0);
    if (bytes.len > 0)
        must(td_file_write_at(file, bytes.ptr, bytes.len, 0) == 0);
    td_file_close(file);
}

/* ---- the index ---- */

static uint32_t crc_of(const char *bytes, size_t len, size_t *at, uint64_t n)
{
    size_t from = TD_MIN(*at, len), to = (size_t)TD_MIN((uint64_t)len, (uint64_t)from + n);

    *at = to;
    return td_crc32c(0, bytes + from, to - from);
}

static void mend_index(char *bytes, size_t len)
{
    struct td_index_header header;
    size_t at = sizeof(header);

    if (len < sizeof(header))
        return;
    memcpy(&header, bytes, sizeof(header));
    memcpy(header.magic, TD_INDEX_MAGIC, TD_MAGIC_LEN);
    header.version = TD_INDEX_VERSION;
    header.keys_crc = crc_of(bytes, len, &at, (uint64_t)header.keys * sizeof(struct td_index_key));
    header.dedups_crc =
        crc_of(bytes, len, &at, (uint64_t)header.dedups * sizeof(struct td_index_dedup));
    header.states_crc = crc_of(bytes, len, &at,
                               (uint64_t)header.groups * sizeof(struct td_index_group) +
                                   (uint64_t)header.states * sizeof(struct td_index_state) +
                                   header.state_seqs * sizeof(uint64_t) + header.topics);
    header.postings_crc = crc_of(bytes, len, &at, (uint64_t)header.postings * sizeof(uint32_t));
    header.crc = td_crc32c(0, &header, offsetof(struct td_index_header, crc));
    memcpy(bytes, &header, sizeof(header));
}

/* What looks come to, so that none is left out. */
static volatile uint64_t sink;

/* The sum of all that can be reached, so that the sanitizer sees each look. */
static uint64_t touch(struct td_offsets offsets)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < offsets.n; i++)
        sum += offsets.at[i];
    return sum;
}

static void check_index(char *bytes, size_t len, bool mend)
{
    struct td_sealed sealed;
    uint64_t sum = 0;

    if (mend)
        mend_index(bytes, len);
    store(PATH, td_slice(bytes, len));
    int r = td_sealed_open(PATH, &sealed);
    must(r <= 0);
    if (r == 0) {
        bool sound = td_sealed_verify(&sealed) == 0;
        must(!sound || sealed.all.n == sealed.header->records);
        sum += touch(sealed.all);
        for (uint32_t i = 0; i < sealed.header->keys; i++) {
            const struct td_index_key *found = td_sealed_find(&sealed, sealed.keys[i].key);
            must(!found || found->key == sealed.keys[i].key);
            sum += touch(td_sealed_get(&sealed, sealed.keys[i].key));
        }
        for (uint32_t i = 0; i < sealed.header->dedups; i++)
            sum += sealed.dedups[i].seq;
        for (uint32_t i = 0; i < sealed.header->groups; i++)
            sum += sealed.groups[i].bytes;
        for (uint32_t i = 0; i < sealed.header->states; i++) {
            const struct td_index_state *state = &sealed.states[i];
            for (uint32_t k = 0; k < state->count; k++)
                sum += sealed.state_seqs[state->start + k];
            for (size_t k = 0; k < state->topic_len; k++)
                sum += (uint64_t)sealed.topics[state->topic_at + k];
        }
        sink = sum;
        td_sealed_close(&sealed);
    }
    must(td_sim_maps_open() == 0 && td_sim_files_open() == 0);
}

/* ---- the table of what was trimmed ---- */

static void mend_trimmed(char *bytes, size_t len)
{
    struct td_trimmed_header header;

    if (len < sizeof(header))
        return;
    memcpy(&header, bytes, sizeof(header));
    memcpy(header.magic, TD_TRIMMED_MAGIC, TD_MAGIC_LEN);
    header.version = TD_TRIMMED_VERSION;
    header.holes %= TD_TRIMMED_HOLES + 1;
    header.tables %= 4;
    size_t heads = header.tables * sizeof(struct td_trimmed_head), rest = len - sizeof(header);
    header.count = (uint32_t)((rest - TD_MIN(rest, heads)) / sizeof(struct td_trimmed_entry));
    header.count -= TD_MIN(header.count, header.holes);
    header.entries_crc = td_crc32c(0, bytes + sizeof(header), len - sizeof(header));
    header.crc = td_crc32c(0, &header, offsetof(struct td_trimmed_header, crc));
    memcpy(bytes, &header, sizeof(header));
}

static void check_tables(const struct td_trimmed *trimmed, const struct td_trimmed *again)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(trimmed->tables); i++) {
        size_t cursor = 0;
        uint64_t key;
        must(trimmed->tables[i].map.len <= 64);
        must(again->tables[i].floor.seq >= trimmed->tables[i].floor.seq);
        while (td_map_each(&trimmed->tables[i].map, &cursor, &key)) {
            const struct td_wanted wanted = {.key = key, .pattern = TD_S("a/**")};
            struct td_trimmed_look first = {0}, second = {0};
            td_trimmed_look(trimmed, &wanted, &first);
            td_trimmed_look(again, &wanted, &second);
            must(second.last >= first.last);
        }
    }
}

static void check_trimmed(char *bytes, size_t len, bool mend)
{
    const struct td_groups groups = {.n = 1};
    struct td_trimmed trimmed, again;
    uint32_t epoch, epoch_again;
    uint64_t seed, seed_again;

    if (mend)
        mend_trimmed(bytes, len);
    store(PATH, td_slice(bytes, len));
    td_trimmed_init(&trimmed, &groups, 64);
    td_trimmed_init(&again, &groups, 64);
    if (td_trimmed_load(&trimmed, PATH, &epoch, &seed) == 0) {
        must(trimmed.n_holes <= TD_TRIMMED_HOLES);
        must(td_trimmed_store(&trimmed, epoch, seed, PATH) == 0);
        must(td_trimmed_load(&again, PATH, &epoch_again, &seed_again) == 0);
        must(epoch == epoch_again && seed == seed_again);
        must(again.horizon == trimmed.horizon && again.n_holes == trimmed.n_holes);
        check_tables(&trimmed, &again);
    }
    td_trimmed_done(&trimmed);
    td_trimmed_done(&again);
    must(td_sim_maps_open() == 0 && td_sim_files_open() == 0);
}

/* ---- the head ---- */

static void check_head(char *bytes, size_t len, bool mend)
{
    struct td_head_file head, again;

    if (mend && len >= sizeof(head)) {
        struct td_head_file *file = (void *)bytes;
        memcpy(file->magic, TD_HEAD_MAGIC, TD_MAGIC_LEN);
        file->version = TD_LOG_VERSION;
        file->crc = td_crc32c(0, file, offsetof(struct td_head_file, crc));
    }
    store(HEAD, td_slice(bytes, len));
    if (td_head_load(DIR, &head) == 0) {
        must(td_head_write(DIR, &head) == 0 && td_head_load(DIR, &again) == 0);
        must(memcmp(&head, &again, sizeof(head)) == 0);
    }
    must(td_sim_files_open() == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t len = size - 1;
    char *bytes = malloc(len + 1);
    must(bytes != NULL);
    memcpy(bytes, data + 1, len);
    td_sim_reset(1);
    must(td_dir_make(DIR) == 0);
    bool mend = data[0] % 2;
    switch (data[0] / 2 % 3) {
    case 0: check_index(bytes, len, mend); break;
    case 1: check_trimmed(bytes, len, mend); break;
    default: check_head(bytes, len, mend); break;
    }
    free(bytes);
    return 0;
}
