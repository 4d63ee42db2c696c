/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/audit.h"
#include "base/json.h"
#include "os/clock.h"

struct row {
    const char *action, *topic, *event;
    enum td_log_level level;
};

static const struct row rows[] = {
#define TD_AUDIT(name, action, topic, event, level) {action, "audit/" topic, event, level},
#include "audit/audit.def"
#undef TD_AUDIT
};

static const char *const outcomes[] = {"done", "denied", "failed"};
_Static_assert(TD_ARRAY_LEN(outcomes) == TD_AUDIT_OUTCOMES, "one word each");

void td_audit_init(struct td_audit *audit, struct td_journal *journal, bool stores)
{
    *audit = (struct td_audit){._journal = journal, ._stores = stores};
    td_mutex_init(&audit->_mutex);
}

void td_audit_done(struct td_audit *audit)
{
    td_mutex_done(&audit->_mutex);
}

const char *td_audit_action_text(enum td_audit_action action)
{
    return rows[action].action;
}

const char *td_audit_outcome_text(enum td_audit_outcome outcome)
{
    return outcomes[outcome];
}

/* Whether one more refusal becomes an event; those that did not are told with it. */
static bool may_store_refusal(struct td_audit *audit, uint64_t *ret_left_out)
{
    td_ns now = td_clock_ns();
    bool may;

    td_mutex_lock(&audit->_mutex);
    if (now - audit->_second >= TD_NS_PER_S) {
        audit->_second = now;
        audit->_refusals = 0;
    }
    may = audit->_refusals < TD_AUDIT_REFUSALS_PER_S;
    audit->_refusals += may;
    audit->_left_out += !may;
    *ret_left_out = may ? audit->_left_out : 0;
    if (may)
        audit->_left_out = 0;
    td_mutex_unlock(&audit->_mutex);
    return may;
}

static void put_member(struct td_buf *out, const char *name, struct td_slice text)
{
    if (!text.ptr)
        return;
    td_buf_putf(out, "\"%s\":", name);
    td_json_put_string(out, text);
    td_buf_putc(out, ',');
}

/* What was left out and could not be told is told with a later one. */
static void keep_left_out(struct td_audit *audit, uint64_t left_out)
{
    td_mutex_lock(&audit->_mutex);
    audit->_left_out += left_out;
    td_mutex_unlock(&audit->_mutex);
}

static void append(const struct td_audit_note *note, uint64_t left_out)
{
    const struct row *row = &rows[note->_action];
    struct td_buf data = TD_BUF_INIT((size_t)4 * TD_AUDIT_DATA_MAX), actor = TD_BUF_INIT(2048);
    uint64_t seq;

    td_buf_putc(&data, '{');
    put_member(&data, "actor", note->_actor);
    put_member(&data, "action", td_slice_str(row->action));
    put_member(&data, "topic", note->_topic);
    put_member(&data, "address", note->_address);
    put_member(&data, "outcome", td_slice_str(outcomes[note->_outcome]));
    td_buf_puts(&data, "\"detail\":{");
    td_buf_put(&data, td_slice_from(td_buf_slice(&note->_detail), note->_detail.len > 0));
    if (left_out > 0)
        td_buf_putf(&data, "%s\"left_out\":%llu", note->_detail.len > 0 ? "," : "",
                    (unsigned long long)left_out);
    td_buf_puts(&data, "}}");
    if (note->_actor.ptr)
        td_json_put_string(&actor, note->_actor);
    const struct td_draft draft = {
        .topic = td_slice_str(row->topic),
        .type = td_slice_str(row->action),
        .data = td_buf_slice(&data),
        .actor = td_buf_slice(&actor),
    };
    int r = data.err < 0 ? data.err : actor.err;
    if (r == 0)
        r = td_journal_append(note->_audit->_journal, &(struct td_batch){.drafts = &draft, .n = 1},
                              &seq);
    if (r < 0)
        atomic_fetch_add_explicit(&note->_audit->lost, 1, memory_order_relaxed);
    if (r < 0 && left_out > 0)
        keep_left_out(note->_audit, left_out);
    td_buf_done(&data);
    td_buf_done(&actor);
}

void td_audit_begin(struct td_audit_note *note, struct td_audit *audit, enum td_audit_action action,
                    enum td_audit_outcome outcome)
{
    note->_audit = audit;
    note->_action = action;
    note->_outcome = outcome;
    note->_actor = note->_topic = note->_address = (struct td_slice){NULL, 0};
    note->_detail = TD_BUF_INIT(TD_AUDIT_DATA_MAX);
    note->_logs = td_log_begin(&note->_line, rows[action].level, rows[action].event);
}

void td_audit_actor(struct td_audit_note *note, struct td_slice subject)
{
    note->_actor = subject;
    if (note->_logs)
        td_log_str(&note->_line, "subject", subject);
}

void td_audit_topic(struct td_audit_note *note, struct td_slice topic)
{
    note->_topic = topic;
    if (note->_logs)
        td_log_str(&note->_line, "topic", topic);
}

void td_audit_address(struct td_audit_note *note, struct td_slice address)
{
    note->_address = address;
    if (note->_logs)
        td_log_str(&note->_line, "peer", address);
}

void td_audit_str(struct td_audit_note *note, const char *name, struct td_slice value)
{
    if (note->_logs)
        td_log_str(&note->_line, name, value);
    if (!note->_audit || !note->_audit->_stores)
        return;
    td_buf_putf(&note->_detail, ",\"%s\":", name);
    td_json_put_string(&note->_detail,
                       td_slice_to(value, TD_MIN(value.len, (size_t)TD_LOG_VALUE_MAX)));
}

void td_audit_u64(struct td_audit_note *note, const char *name, uint64_t value)
{
    if (note->_logs)
        td_log_u64(&note->_line, name, value);
    if (note->_audit && note->_audit->_stores)
        td_buf_putf(&note->_detail, ",\"%s\":%llu", name, (unsigned long long)value);
}

void td_audit_end(struct td_audit_note *note)
{
    struct td_audit *audit = note->_audit;
    uint64_t left_out = 0;

    if (note->_logs)
        td_log_end(&note->_line);
    if (audit) {
        atomic_fetch_add_explicit(&audit->counts[note->_action][note->_outcome], 1,
                                  memory_order_relaxed);
        if (audit->_stores &&
            (note->_outcome != TD_AUDIT_DENIED || may_store_refusal(audit, &left_out)))
            append(note, left_out);
    }
    td_buf_done(&note->_detail);
}

void td_audit_end_unlogged(struct td_audit_note *note)
{
    note->_logs = false;
    td_audit_end(note);
}

void td_audit_tick(struct td_audit *audit)
{
    struct td_audit_note note = {
        ._audit = audit, ._action = TD_AUDIT_REFUSED, ._outcome = TD_AUDIT_DENIED};
    uint64_t left_out = 0;

    if (!audit->_stores)
        return;
    td_mutex_lock(&audit->_mutex);
    if (td_clock_ns() - audit->_second >= TD_NS_PER_S) {
        left_out = audit->_left_out;
        audit->_left_out = 0;
    }
    td_mutex_unlock(&audit->_mutex);
    if (left_out > 0)
        append(&note, left_out);
}
