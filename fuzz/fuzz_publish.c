/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a publish; an odd first byte makes it NDJSON.  What is taken keeps every rule and limit, and says the same again when
 * each draft is written down as an event of its own; what is refused says why. */
#include "base/err.h"
#include "base/json.h"
#include "base/topic.h"
#include "edge/publish.h"
#include "fuzz.h"
#include <stdlib.h>

#define EVENTS_MAX 16
#define DATA_MAX   256

static struct td_principal *principal;

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* May publish some topics, and not others. */
static void make_principal(void)
{
    static const struct td_slice publish[] = {
        {"a/**",        4 },
        {"entities/**", 11},
        {"b",           1 }
    };
    const struct td_claims claims = {
        .sub = TD_S("ann"),
        .has_grants = true,
        .grants = {.publish = {publish, TD_ARRAY_LEN(publish)}},
        .exp = TD_EXP_NEVER,
    };
    const struct td_policy policy = {0};
    const char *reason;

    if (!principal)
        must(td_principal_new(&claims, &policy, &principal, &reason) == 0);
}

static int parse(struct td_publish *publish, struct td_slice body, bool ndjson)
{
    struct td_buf why = TD_BUF_INIT(1024);
    const struct td_publish_options options = {
        .events_max = EVENTS_MAX,
        .event_bytes_max = DATA_MAX,
        .principal = principal,
    };

    int r = td_publish_parse(publish, body, ndjson, &options, &why);
    must(r <= 0 && (r < 0) == (why.len > 0));
    td_buf_done(&why);
    return r;
}

static void put_member(struct td_buf *out, const char *name, struct td_slice text)
{
    if (text.len == 0)
        return;
    td_buf_putf(out, "\"%s\":", name);
    td_json_put_string(out, text);
    td_buf_putc(out, ',');
}

static void check_again(const struct td_draft *draft)
{
    struct td_buf event = TD_BUF_INIT(16384);
    struct td_publish again;

    td_buf_putc(&event, '{');
    put_member(&event, "topic", draft->topic);
    put_member(&event, "type", draft->type);
    put_member(&event, "key", draft->key);
    if (draft->dedup.len <= TD_PUBLISH_DEDUP_MAX) /* those of `topics` have a number behind them */
        put_member(&event, "dedup", draft->dedup);
    td_buf_puts(&event, "\"data\":");
    td_buf_put(&event, draft->data);
    td_buf_putc(&event, '}');
    must(event.err == 0 && parse(&again, td_buf_slice(&event), false) == 0);
    must(again.batch.n == 1 && !again.is_list);
    must(td_slice_eq(again.batch.drafts->topic, draft->topic));
    must(td_slice_eq(again.batch.drafts->type, draft->type));
    must(td_slice_eq(again.batch.drafts->key, draft->key));
    must(td_slice_eq(again.batch.drafts->data, draft->data));
    td_publish_done(&again);
    td_buf_done(&event);
}

static void check(const struct td_draft *draft)
{
    struct td_slice value;

    must(td_topic_valid(draft->topic) && td_principal_may_publish(principal, draft->topic));
    must(td_segment_valid(draft->type));
    must(draft->data.len > 0 && draft->data.len <= DATA_MAX);
    must(td_json_check(draft->data, &value, NULL) == 0 && td_slice_eq(value, draft->data));
    must(draft->key.len <= TD_PUBLISH_KEY_MAX && draft->dedup.len <= TD_PUBLISH_DEDUP_MAX + 8);
    must(td_slice_eq(draft->actor, TD_S("\"ann\"")) &&
         td_slice_eq(draft->dedup_scope, TD_S("ann")));
    check_again(draft);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct td_publish publish;

    make_principal();
    if (size == 0)
        return 0;
    if (parse(&publish, td_slice((const char *)data + 1, size - 1), data[0] % 2) == 0) {
        must(publish.batch.n > 0 && publish.batch.n <= EVENTS_MAX);
        must(publish.is_list || publish.batch.n == 1);
        for (size_t i = 0; i < publish.batch.n; i++)
            check(&publish.batch.drafts[i]);
    }
    td_publish_done(&publish);
    return 0;
}
