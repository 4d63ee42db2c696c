/* SPDX-License-Identifier: Apache-2.0 */
#include "server/open_journal.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/log.h"
#include "os/file.h"
#include <errno.h>

static void log_report(const struct td_journal_report *report)
{
    struct td_log_line line;
    bool odd = report->unclean || report->cut_bytes > 0 || report->damaged_ranges > 0;

    if (!td_log_begin(&line, odd ? TD_LOG_WARN : TD_LOG_INFO, "log"))
        return;
    td_log_str(&line, "message",
               report->damaged_ranges > 0
                   ? TD_S("parts of the log are damaged; run `tidings log verify`")
               : report->unclean ? TD_S("recovered after an unclean stop")
               : report->created ? TD_S("created")
                                 : TD_S("opened"));
    td_log_u64(&line, "segments", report->segments);
    td_log_u64(&line, "bytes", report->bytes);
    td_log_u64(&line, "records_scanned", report->records_scanned);
    td_log_u64(&line, "cut_bytes", report->cut_bytes);
    td_log_u64(&line, "cut_records", report->cut_records);
    td_log_u64(&line, "damaged_ranges", report->damaged_ranges);
    td_log_end(&line);
}

static size_t fill_groups(const struct td_config *config,
                          struct td_retention_group groups[TD_GROUPS_MAX])
{
    size_t n = config->retention.groups.n;

    TD_ASSERT(n <= TD_GROUPS_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct td_config_group *group = &config->retention.groups.items[i];
        groups[i] = (struct td_retention_group){
            .name = group->name,
            .patterns = group->topics.items,
            .n_patterns = group->topics.n,
            .retain_bytes = group->bytes,
            .retain_ms = group->age_ms,
            .state_ttl_ms = group->state_ttl_ms,
        };
    }
    return n;
}

int td_server_open_journal(const struct td_config *config, struct td_journal **ret_journal)
{
    struct td_retention_group groups[TD_GROUPS_MAX];
    const struct td_journal_options options = {
        .dir = config->data.ptr,
        .durability = (enum td_durability)config->durability,
        .segment_bytes = config->segment_bytes,
        .retain_bytes = config->retention.bytes,
        .retain_ms = config->retention.age_ms,
        .groups = groups,
        .n_groups = fill_groups(config, groups),
        .state_ttl_ms = config->retention.state_ttl_ms,
        .state_keys_max = config->limits.state_keys,
        .topic_keys_max = config->limits.topic_keys,
    };
    struct td_journal_report report;

    int r = td_dir_make(config->data.ptr);
    if (r == 0)
        r = td_journal_open(&options, ret_journal, &report);
    if (r == -EAGAIN)
        td_log(TD_LOG_ERROR, "start",
               "another server uses the log in %s: stop it first, or give "
               "this one a directory of its own",
               config->data.ptr);
    else if (r < 0)
        td_log(TD_LOG_ERROR, "start", "the log in %s: %s (%s)", config->data.ptr, td_err_name(r),
               td_err_hint(r));
    else
        log_report(&report);
    return r;
}
