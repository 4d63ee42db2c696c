/* SPDX-License-Identifier: Apache-2.0 */
/* Real threads on a real disk, for the thread sanitizer: two appenders, the committer, the keeper and two readers that doze,
 * over segments so small that they roll and are trimmed all the time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/err.h"
#include "base/topic.h"
#include "journal/inspect.h"
#include "journal/journal.h"
#include "os/file.h"
#include "os/thread.h"
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define APPENDERS 2
#define READERS   2
#define BATCHES   2000
#define BATCH     4

struct shared {
    struct td_journal *journal;
    _Atomic bool done; /* all has been appended */
    _Atomic unsigned failures;
};

struct appender {
    struct shared *shared;
    struct td_thread thread;
    char topic[16];
};

struct reader {
    struct shared *shared;
    struct td_thread thread;
    struct td_mutex mutex;
    struct td_cond cond;
    bool woken;
    const char *pattern;
    size_t n, gaps;
    uint64_t position;
};

static void check(struct shared *shared, bool holds)
{
    if (!holds)
        atomic_fetch_add(&shared->failures, 1);
}

static void append_all(void *arg)
{
    struct appender *appender = arg;
    struct td_draft drafts[BATCH];
    uint64_t seqs[BATCH];
    char data[BATCH][64];

    for (int i = 0; i < BATCHES; i++) {
        for (int j = 0; j < BATCH; j++) {
            snprintf(data[j], sizeof(data[j]), "%d", i * BATCH + j);
            drafts[j] = (struct td_draft){.topic = td_slice_str(appender->topic),
                                          .type = TD_S("t"),
                                          .data = td_slice_str(data[j])};
        }
        struct td_batch batch = {.drafts = drafts, .n = BATCH};
        int r = td_journal_append(appender->shared->journal, &batch, seqs);
        check(appender->shared, r == 0 && seqs[BATCH - 1] == seqs[0] + BATCH - 1);
    }
}

static void wake(void *arg)
{
    struct reader *reader = arg;

    td_mutex_lock(&reader->mutex);
    reader->woken = true;
    td_cond_signal(&reader->cond);
    td_mutex_unlock(&reader->mutex);
}

static void wait_for_wake(struct reader *reader)
{
    td_mutex_lock(&reader->mutex);
    while (!reader->woken)
        td_cond_wait(&reader->cond, &reader->mutex, UINT64_MAX);
    reader->woken = false;
    td_mutex_unlock(&reader->mutex);
}

static void check_records(struct reader *reader, const struct td_read *read, int *last)
{
    struct td_record record;
    uint64_t before = read->after, number;

    for (size_t i = 0; i < read->n; i++) {
        td_record_view(read->records[i], &record);
        check(reader->shared, record.seq > before && record.seq <= read->position);
        check(reader->shared,
              td_record_check(td_slice(read->records[i], record.size)) == (int)record.size);
        before = record.seq;
        check(reader->shared, td_slice_u64(record.data, &number) == 0);
        int which = record.topic.ptr[record.topic.len - 1] - '0';
        check(reader->shared, (int)number > last[which]);
        /* Without a gap no number is left out. */
        check(reader->shared, reader->gaps > 0 || (int)number == last[which] + 1);
        last[which] = (int)number;
    }
    reader->n += read->n;
}

static void read_all(void *arg)
{
    struct reader *reader = arg;
    struct shared *shared = reader->shared;
    struct td_journal_reader *own;
    const char *records[64];
    int last[APPENDERS] = {-1, -1};
    bool finished = false;

    check(shared, td_journal_reader_open(shared->journal, wake, reader, &own) == 0);
    struct td_wanted wanted = {.pattern = td_slice_str(reader->pattern)};
    wanted.key = td_pattern_key(td_journal_seed(shared->journal), wanted.pattern, &wanted.exact);
    struct td_read read = {
        .wanted = &wanted, .n_wanted = 1, .records = records, .records_max = TD_ARRAY_LEN(records)};
    while (!finished) {
        bool done = atomic_load(&shared->done);
        read.until = td_journal_readable(shared->journal);
        td_journal_read(own, &read);
        check_records(reader, &read, last);
        reader->gaps += read.end == TD_READ_GAP;
        read.after = read.position;
        if (read.end == TD_READ_GAP)
            read.told = td_told_upto(read.gap_to);
        finished = done && read.end == TD_READ_DONE;
        bool sleep = read.end == TD_READ_DONE && !finished;
        td_journal_quiesce(own, sleep);
        if (sleep)
            wait_for_wake(reader);
    }
    reader->position = read.after;
    td_journal_reader_close(own);
}

static int unlink_file(const char *name, void *arg)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", (const char *)arg, name);
    return td_path_unlink(path);
}

static void run(const struct td_journal_options *options)
{
    struct td_journal_report report;
    struct td_journal_stat stat;
    struct shared shared = {0};
    struct appender appenders[APPENDERS];
    struct reader readers[READERS] = {{.pattern = "**"}, {.pattern = "a/1"}};

    assert_int_equal(td_journal_open(options, &shared.journal, &report), 0);
    assert_int_equal(td_journal_start(shared.journal), 0);
    for (int i = 0; i < READERS; i++) {
        readers[i].shared = &shared;
        td_mutex_init(&readers[i].mutex);
        td_cond_init(&readers[i].cond);
        assert_int_equal(td_thread_start(&readers[i].thread, "reader", read_all, &readers[i]), 0);
    }
    for (int i = 0; i < APPENDERS; i++) {
        appenders[i].shared = &shared;
        snprintf(appenders[i].topic, sizeof(appenders[i].topic), "a/%d", i);
        assert_int_equal(
            td_thread_start(&appenders[i].thread, "appender", append_all, &appenders[i]), 0);
    }
    for (int i = 0; i < APPENDERS; i++)
        td_thread_join(&appenders[i].thread);
    td_journal_stop(shared.journal);
    while (td_journal_commit_step(shared.journal) > 0)
        continue;
    atomic_store(&shared.done, true);
    for (int i = 0; i < READERS; i++) {
        wake(&readers[i]);
        td_thread_join(&readers[i].thread);
        td_cond_done(&readers[i].cond);
        td_mutex_done(&readers[i].mutex);
        assert_int_equal(readers[i].position, APPENDERS * BATCHES * BATCH);
        assert_true(readers[i].gaps > 0 ||
                    readers[i].n == (i == 0 ? APPENDERS : 1) * BATCHES * BATCH);
    }
    assert_int_equal(atomic_load(&shared.failures), 0);
    td_journal_stat(shared.journal, &stat);
    assert_int_equal(stat.appended, APPENDERS * BATCHES * BATCH);
    assert_int_equal(stat.durable, stat.head);
    assert_true(options->retain_bytes == 0 || stat.trimmed_segments > 0);
    td_journal_close(shared.journal);
    assert_int_equal(td_journal_open(options, &shared.journal, &report), 0);
    assert_false(report.unclean);
    td_journal_close(shared.journal);
}

static void run_in(struct td_journal_options options)
{
    char dir[] = "tidings-threads-XXXXXX";

    td_expect_aborts = true;
    assert_non_null(mkdtemp(dir));
    options.dir = dir;
    options.segment_bytes = 64 * TD_KIB;
    run(&options);
    assert_int_equal(td_dir_list(dir, unlink_file, dir), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void readers_get_everything(void **state)
{
    run_in((struct td_journal_options){0});
}

static void readers_and_trims_at_once(void **state)
{
    run_in((struct td_journal_options){.retain_bytes = 256 * TD_KIB});
}

static void fast_readers_and_trims_at_once(void **state)
{
    run_in((struct td_journal_options){.retain_bytes = 256 * TD_KIB,
                                       .durability = TD_DURABILITY_FAST});
}

/* Large batches, each synced before the next: the end of the file moves faster than it can be read. */
static void append_large(void *arg)
{
    struct shared *shared = arg;
    struct td_draft drafts[300];
    uint64_t seqs[TD_ARRAY_LEN(drafts)];
    char data[3000];

    memset(data, 'x', sizeof(data));
    data[0] = data[sizeof(data) - 1] = '"';
    for (size_t i = 0; i < TD_ARRAY_LEN(drafts); i++)
        drafts[i] = (struct td_draft){
            .topic = TD_S("a"), .type = TD_S("t"), .data = td_slice(data, sizeof(data))};
    for (int i = 0; i < 60; i++) {
        struct td_batch batch = {.drafts = drafts, .n = TD_ARRAY_LEN(drafts)};
        check(shared, td_journal_append(shared->journal, &batch, seqs) == 0);
        check(shared, td_journal_commit_step(shared->journal) > 0);
    }
    atomic_store(&shared->done, true);
}

/* Who looks into a log that is written finds nothing damaged. */
static void is_looked_into_meanwhile(void **state)
{
    char dir[] = "tidings-threads-XXXXXX";
    struct td_journal_options options = {.dir = dir};
    struct td_journal_report report;
    struct td_inspect_stat stat;
    struct shared shared = {0};
    struct td_thread appender;

    td_expect_aborts = true;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(td_journal_open(&options, &shared.journal, &report), 0);
    assert_int_equal(td_thread_start(&appender, "appender", append_large, &shared), 0);
    while (!atomic_load(&shared.done)) {
        int r = td_inspect_stat(dir, &stat);
        check(&shared, r == 0 && stat.report.damaged_ranges == 0);
    }
    td_thread_join(&appender);
    assert_int_equal(atomic_load(&shared.failures), 0);
    td_journal_close(shared.journal);
    assert_int_equal(td_dir_list(dir, unlink_file, dir), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_get_everything),
        cmocka_unit_test(readers_and_trims_at_once),
        cmocka_unit_test(fast_readers_and_trims_at_once),
        cmocka_unit_test(is_looked_into_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
