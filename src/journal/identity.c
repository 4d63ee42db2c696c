/* SPDX-License-Identifier: Apache-2.0 */
/* Whose log it is: the epoch, which is part of every id that was given out, and the seed of its keys. */
#include "journal/record.h"
#include "journal/recover.h"
#include "journal/scan.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/random.h"
#include <stdlib.h>

#define ID_START     TD_S("{\"id\":\"")
#define SAMPLE_BYTES ((uint64_t)8 * TD_MIB) /* of a segment are searched for a sound record */

static bool from_headers(const struct td_recovery *recovery, struct td_identity *identity)
{
    for (size_t i = 0; i < recovery->n; i++) {
        const struct td_segment *segment = recovery->segments[i];
        if (segment->header_bad)
            continue;
        *identity = (struct td_identity){segment->header.epoch, segment->header.seed};
        return true;
    }
    return false;
}

static bool from_indexes(const struct td_recovery *recovery, struct td_identity *identity)
{
    char path[TD_LOG_PATH_MAX];

    for (size_t i = 0; i < recovery->n; i++) {
        struct td_sealed sealed;
        td_segment_path(recovery->journal->dir, recovery->segments[i]->header.first_seq, ".idx",
                        path);
        if (td_sealed_open(path, &sealed) < 0)
            continue;
        *identity = (struct td_identity){sealed.header->epoch, sealed.header->seed};
        td_sealed_close(&sealed);
        return true;
    }
    return false;
}

/* The epoch in the id of the first sound record. */
static bool find_epoch(struct td_slice segment, uint32_t *ret_epoch)
{
    struct td_scan scan = {
        .bytes = segment, .at = sizeof(struct td_segment_header), .seq_max = UINT64_MAX};
    struct td_position position;
    struct td_record record;
    struct td_slice rest, id;
    uint32_t offset;

    if (td_scan_next(&scan, &offset) != TD_SCAN_RECORD) {
        if (!td_scan_resync(&scan) || td_scan_next(&scan, &offset) != TD_SCAN_RECORD)
            return false;
    }
    td_record_view(segment.ptr + offset, &record);
    if (!td_slice_starts(record.json, ID_START))
        return false;
    rest = td_slice_from(record.json, ID_START.len);
    if (!td_slice_split(&rest, '"', &id) || td_position_parse(id, &position) < 0)
        return false;
    *ret_epoch = position.epoch;
    return true;
}

/* Records do not hold the seed: with a new one all indexes are made again. */
static bool from_records(const struct td_recovery *recovery, struct td_identity *identity)
{
    char *sample = recovery->n > 0 ? malloc(SAMPLE_BYTES) : NULL;
    bool found = false;

    for (size_t i = 0; i < recovery->n && sample && !found; i++) {
        int64_t n = td_file_read_at(recovery->segments[i]->file, sample, SAMPLE_BYTES, 0);
        found = n > 0 && find_epoch(td_slice(sample, (size_t)n), &identity->epoch);
    }
    free(sample);
    if (found)
        td_random_bytes(&identity->seed, sizeof(identity->seed));
    return found;
}

void td_recover_identity(struct td_recovery *recovery, const struct td_identity *trimmed)
{
    struct td_journal *journal = recovery->journal;
    struct td_identity identity;

    if (recovery->has_head) {
        identity = (struct td_identity){recovery->head.epoch, recovery->head.seed};
    } else if (from_headers(recovery, &identity) || from_indexes(recovery, &identity)) {
        /* found */
    } else if (recovery->has_trimmed) {
        identity = *trimmed;
    } else if (!from_records(recovery, &identity)) {
        td_random_bytes(&identity.epoch, sizeof(identity.epoch));
        td_random_bytes(&identity.seed, sizeof(identity.seed));
        recovery->report->created = recovery->n == 0;
    }
    journal->epoch = identity.epoch;
    journal->seed = identity.seed;
    journal->created_ms = recovery->has_head ? recovery->head.created_ms : td_clock_unix_ms();
    journal->all_key = td_pattern_key(journal->seed, TD_S("**"), NULL);
    journal->kept_key = td_kept_key(journal->seed);
}
