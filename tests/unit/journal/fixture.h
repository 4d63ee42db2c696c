/* SPDX-License-Identifier: Apache-2.0 */
/* A log on the simulated disk, and short ways to append to it and to read it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/err.h"
#include "base/topic.h"
#include "journal/journal.h"
#include "os/sim/sim.h"
#include <stdio.h>

#define LOG_DIR  "/log"
#define READ_MAX 4096

struct fixture {
    struct td_journal_options options;
    struct td_journal *journal;
    struct td_journal_report report;
    struct td_journal_reader *reader;
    unsigned wakes;
};

static inline void count_wake(void *arg)
{
    struct fixture *fixture = arg;

    fixture->wakes++;
}

/* A new disk, and options for small segments. */
static inline void fixture_init(struct fixture *fixture)
{
    td_expect_aborts = true;
    td_sim_reset(1);
    *fixture = (struct fixture){
        .options = {.dir = LOG_DIR, .segment_bytes = 16 * TD_KIB}
    };
}

static inline void fixture_open(struct fixture *fixture)
{
    assert_int_equal(td_journal_open(&fixture->options, &fixture->journal, &fixture->report), 0);
    assert_int_equal(
        td_journal_reader_open(fixture->journal, count_wake, fixture, &fixture->reader), 0);
}

static inline void fixture_close(struct fixture *fixture)
{
    td_journal_reader_close(fixture->reader);
    td_journal_close(fixture->journal);
    assert_int_equal(td_sim_maps_open(), 0);
    assert_int_equal(td_sim_files_open(), 0);
}

/* The process is killed: what was written stays. */
static inline void fixture_kill(struct fixture *fixture)
{
    td_sim_disk_kill();
    td_journal_reader_close(fixture->reader);
    td_journal_abandon(fixture->journal);
    td_sim_boot();
}

/* The power fails: what was not synced may be gone or torn. */
static inline void fixture_crash(struct fixture *fixture)
{
    td_sim_disk_crash();
    td_journal_reader_close(fixture->reader);
    td_journal_abandon(fixture->journal);
    td_sim_boot();
}

static inline void fixture_commit(struct fixture *fixture)
{
    while (td_journal_commit_step(fixture->journal) > 0)
        continue;
}

/* Until there is nothing more to do. */
static inline void fixture_keep(struct fixture *fixture)
{
    td_journal_quiesce(fixture->reader, false);
    while (td_journal_keep_step(fixture->journal) > 0)
        td_journal_quiesce(fixture->reader, false);
}

static inline struct td_draft draft(const char *topic, const char *data)
{
    return (struct td_draft){
        .topic = td_slice_str(topic), .type = TD_S("t"), .data = td_slice_str(data)};
}

static inline int append_drafts(struct fixture *fixture, const struct td_draft *drafts, size_t n,
                                uint64_t *ret_seqs)
{
    struct td_batch batch = {.drafts = drafts, .n = n};

    return td_journal_append(fixture->journal, &batch, ret_seqs);
}

/* Appends one event and returns its sequence. */
static inline uint64_t append(struct fixture *fixture, const char *topic, const char *data)
{
    struct td_draft one = draft(topic, data);
    uint64_t seq;

    assert_int_equal(append_drafts(fixture, &one, 1, &seq), 0);
    return seq;
}

static inline struct td_wanted want(struct fixture *fixture, const char *pattern)
{
    struct td_wanted wanted = {.pattern = td_slice_str(pattern)};

    wanted.key = td_pattern_key(td_journal_seed(fixture->journal), wanted.pattern, &wanted.exact);
    return wanted;
}

/* Reads as a connection does: through cold segments, to the first gap or the end.  The records are in `records`. */
static const char *records[READ_MAX];
static inline struct td_read read_after(struct fixture *fixture, const char *pattern,
                                        uint64_t after)
{
    struct td_wanted wanted = want(fixture, pattern);
    struct td_read read = {
        .wanted = &wanted,
        .n_wanted = 1,
        .after = after,
        .until = UINT64_MAX,
        .records = records,
        .records_max = READ_MAX,
    };

    for (;;) {
        td_journal_read(fixture->reader, &read);
        if (read.end != TD_READ_COLD)
            break;
        assert_true(td_journal_keep_step(fixture->journal) > 0);
    }
    read.wanted = NULL;
    return read;
}

static inline struct td_slice record_data(const char *record)
{
    struct td_record view;

    td_record_view(record, &view);
    return view.data;
}

static inline void assert_slice(struct td_slice slice, const char *text)
{
    assert_int_equal(slice.len, strlen(text));
    assert_memory_equal(slice.ptr, text, slice.len);
}
