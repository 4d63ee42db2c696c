/* SPDX-License-Identifier: Apache-2.0 */
/* A publish some of whose events are of entities.  It is appended as one batch, in which these have become what a change makes: the
 * data is `{"payload","version"}`, the version the desk's.  What the publisher says of a document is believed: the type stays his. */
#include "base/err.h"
#include "base/map.h"
#include "codec/format.h"
#include "desk/desk.h"
#include "desk/entities.h"
#include "desk/entity.h"
#include "desk/internal.h"
#include <errno.h>
#include <stdlib.h>

/* What an event of the batch makes of its entity. */
struct become {
    struct td_slice payload; /* ptr NULL: the event is of none, or known by its dedup key */
    uint64_t version;
    bool exists; /* behind it */
};

struct plan {
    struct td_desk *desk;
    const struct td_batch *given;
    const uint64_t *known; /* sequences of those that are not appended again */
    struct td_batch batch; /* what is appended: … */
    struct td_draft *drafts;
    struct become *become;
    struct td_map last; /* key of a topic → size_t, 1 + the last event of the batch that is of it */
    struct td_buf text; /* of data */
    size_t text_max;
};

/* What the event before it in the batch, or the log, says of an entity. */
static int before(struct plan *plan, size_t i, struct become *ret_before)
{
    uint64_t key = td_topic_key(td_journal_seed(plan->desk->journal), plan->drafts[i].topic);
    struct td_entity entity;
    size_t *last = td_map_put(&plan->last, key, NULL);

    if (!last)
        return -ENOMEM;
    if (*last > 0) {
        *ret_before = plan->become[*last - 1];
        *last = i + 1;
        return 0;
    }
    *last = i + 1;
    int r = td_entity_find(plan->desk, plan->drafts[i].topic, &entity);
    if (r < 0)
        return r;
    *ret_before = (struct become){entity.payload, entity.version, entity.exists};
    if (!plan->batch.expect) { /* it can name one of them */
        plan->batch.expect = true;
        plan->batch.expect_topic = plan->drafts[i].topic;
        plan->batch.expect_seq = entity.last;
    }
    return 0;
}

static int plan_one(struct plan *plan, size_t i)
{
    struct td_draft *draft = &plan->drafts[i];
    struct become old, *new = &plan->become[i];
    uint64_t ignored;

    if (!td_format_is_entity(draft->topic, draft->type))
        return 0;
    draft->key = TD_ENTITY_KEY;
    if (plan->known[i] > 0)
        return 0;
    int r = before(plan, i, &old);
    if (r < 0)
        return r;
    draft->clears = td_slice_eq(draft->type, TD_S("ENTITY_DELETED"));
    (void)td_entity_unwrap(draft->data, &new->payload, &ignored);
    if (draft->clears && old.exists && td_slice_eq(new->payload, TD_S("null")))
        new->payload = old.payload;
    new->version = old.exists ? old.version + 1 : 1;
    new->exists = !draft->clears;
    plan->text_max += new->payload.len + TD_ENTITY_WRAP_BYTES;
    return 0;
}

/* The room is taken at once, so the data does not move. */
static int write_data(struct plan *plan)
{
    td_buf_init(&plan->text, plan->text_max);
    int r = td_buf_reserve(&plan->text, plan->text_max);

    for (size_t i = 0; r == 0 && i < plan->given->n; i++) {
        const struct become *become = &plan->become[i];
        size_t at = plan->text.len;
        if (!become->payload.ptr)
            continue;
        td_entity_wrap(&plan->text, become->payload, become->version);
        plan->drafts[i].data = td_slice(plan->text.ptr + at, plan->text.len - at);
        r = plan->text.err;
    }
    return r;
}

static int make(struct plan *plan)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < plan->given->n; i++)
        r = plan_one(plan, i);
    return r < 0 ? r : write_data(plan);
}

/* Only topics, dedup keys and what was said are looked at. */
static int find_known(struct plan *plan, uint64_t *ret_known)
{
    for (size_t i = 0; i < plan->given->n; i++)
        if (td_format_is_entity(plan->drafts[i].topic, plan->drafts[i].type))
            plan->drafts[i].said = plan->drafts[i].data;
    return td_journal_known(plan->desk->journal, &plan->batch, ret_known);
}

static void note(const struct plan *plan, const struct td_ask *ask)
{
    for (size_t i = 0; i < plan->given->n; i++)
        if (plan->become[i].payload.ptr)
            td_entity_note(plan->desk, ask, plan->drafts[i].topic, plan->drafts[i].type,
                           plan->become[i].version);
}

int td_entity_publish(struct td_desk *desk, struct td_ask *ask)
{
    const struct td_batch *given = ask->publish.batch;
    struct plan plan = {
        .desk = desk,
        .given = given,
        .known = ask->publish.seqs,
        .batch = *given,
        .drafts = calloc(given->n, sizeof(*plan.drafts)),
        .become = calloc(given->n, sizeof(*plan.become)),
    };
    int r = plan.drafts && plan.become ? 0 : -ENOMEM;

    td_map_init(&plan.last, sizeof(size_t));
    if (r == 0) {
        memcpy(plan.drafts, given->drafts, given->n * sizeof(*plan.drafts));
        plan.batch.drafts = plan.drafts;
        r = find_known(&plan, ask->publish.seqs);
    }
    if (r == 0)
        r = make(&plan);
    if (r == 0)
        r = td_desk_append(desk, &plan.batch, ask->publish.seqs);
    if (r == 0)
        note(&plan, ask);
    td_map_done(&plan.last);
    td_buf_done(&plan.text);
    free(plan.drafts);
    free(plan.become);
    return r == TD_ECONFLICT ? td_desk_conflict(ask) : r;
}
