/* SPDX-License-Identifier: Apache-2.0 */
/* What a reader makes of what it is shown: of each topic and key the last event, from the state and from the stream alike.  Whenever the
 * server says that it is caught up this has to be what the truth says. */
#include "base/assert.h"
#include "client_json.h"
#include "server_world.h"

/* ---- the truth of it ---- */

/* The events that make up the state of one topic and key, by their index; `n` 0: there is none. */
struct chain {
    size_t first, last, n;
};

static bool is_of(const struct srv_said *said, unsigned topic, unsigned key)
{
    return said->topic == topic && said->key == key;
}

static void take_link(struct chain *chain, const struct srv_truth *truth, size_t i)
{
    const struct srv_said *said = &truth->said[truth->events[i].number - 1];
    const struct srv_said *last =
        chain->n > 0 ? &truth->said[truth->events[chain->last].number - 1] : NULL;

    if (said->removes) {
        chain->n = 0;
        return;
    }
    bool goes_on = said->class == TD_CLASS_APPEND && said->offset > 0 && last &&
                   last->class == TD_CLASS_APPEND;
    if (!goes_on) {
        chain->first = i;
        chain->n = 0;
    }
    chain->last = i;
    chain->n++;
}

static struct chain chain_at(const struct srv_truth *truth, unsigned topic, unsigned key,
                             uint64_t position)
{
    struct chain chain = {0};

    for (size_t i = 0; i < truth->n && truth->events[i].seq <= position; i++)
        if (is_of(&truth->said[truth->events[i].number - 1], topic, key))
            take_link(&chain, truth, i);
    return chain;
}

/* Whether something with that key came after a position. */
static bool changed_after(const struct srv_truth *truth, unsigned topic, unsigned key,
                          uint64_t position)
{
    for (size_t i = srv_truth_after(truth, position); i < truth->n; i++)
        if (is_of(&truth->said[truth->events[i].number - 1], topic, key))
            return true;
    return false;
}

/* ---- what is subscribed ---- */

static bool covers(const struct srv_world *world, const struct srv_reader *reader,
                   unsigned patterns, unsigned topic)
{
    if (!srv_granted(world, reader->subject, srv_topic(topic)))
        return false;
    for (size_t i = 0; i < reader->n_patterns; i++)
        if ((patterns >> i & 1) && reader->patterns[i].on &&
            td_pattern_match(td_slice_str(reader->patterns[i].text), srv_topic(topic)))
            return true;
    return false;
}

void srv_view_forget(struct srv_reader *reader)
{
    struct srv_view fresh = {.newest = reader->view.newest, .shows = reader->view.shows};

    for (unsigned topic = 0; topic < SRV_TOPICS;
         topic++) /* what is on its way comes all the same */
        fresh.doubts[topic] = reader->view.doubts[topic] || reader->view.awaits[topic];
    memcpy(fresh.due, reader->view.due, sizeof fresh.due);
    reader->view = fresh;
}

void srv_view_narrow(const struct srv_world *world, struct srv_reader *reader)
{
    for (unsigned topic = 0; topic < SRV_TOPICS; topic++)
        if (!covers(world, reader, ~0U, topic)) {
            memset(reader->view.of[topic], 0, sizeof reader->view.of[topic]);
            /* It may come all the same, when it is subscribed again before. */
            reader->view.doubts[topic] |= reader->view.awaits[topic];
            reader->view.awaits[topic] = false;
        }
}

void srv_view_resume(struct srv_reader *reader)
{
    struct srv_view *view = &reader->view;

    view->newest = 0;
    view->shows = false;
    memset(view->doubts, 0, sizeof view->doubts);
    for (unsigned topic = 0; topic < SRV_TOPICS; topic++)
        if (view->awaits[topic]) {
            view->awaits[topic] = false;
            memset(view->of[topic], 0, sizeof view->of[topic]);
        }
}

/* ---- the state ---- */

static bool under_way(const struct srv_view *view, unsigned topic)
{
    return view->awaits[topic] || view->doubts[topic];
}

void srv_view_await(const struct srv_world *world, struct srv_reader *reader, unsigned patterns,
                    struct srv_range due)
{
    struct srv_view *view = &reader->view;

    for (unsigned topic = 0; topic < SRV_TOPICS; topic++) {
        if (!covers(world, reader, patterns, topic))
            continue;
        bool more = under_way(view, topic);
        for (unsigned key = 0; key < SRV_KEYS && !more; key++)
            view->of[topic][key].shown = view->of[topic][key].heard = 0;
        view->due[topic].from = more ? TD_MIN(view->due[topic].from, due.from) : due.from;
        if (!more || view->due[topic].to < due.to || view->due[topic].to == UINT64_MAX)
            view->due[topic].to = due.to;
        view->awaits[topic] = true;
    }
}

void srv_view_doubt_awaited(struct srv_reader *reader)
{
    for (unsigned topic = 0; topic < SRV_TOPICS; topic++)
        reader->view.doubts[topic] |= reader->view.awaits[topic];
}

void srv_view_widen(const struct srv_world *world, struct srv_reader *reader)
{
    struct srv_view *view = &reader->view;
    uint64_t last = 0;
    bool any = false;

    for (unsigned topic = 0; topic < SRV_TOPICS; topic++)
        if (under_way(view, topic)) {
            last = TD_MAX(last, view->due[topic].to);
            any = true;
        }
    for (unsigned topic = 0; topic < SRV_TOPICS; topic++)
        if (any && !view->awaits[topic] && covers(world, reader, ~0U, topic)) {
            view->doubts[topic] = true;
            view->due[topic] = (struct srv_range){0, last};
        }
}

/* The state of a topic has come: all that there was of it. */
static void settle(struct srv_reader *reader, unsigned topic)
{
    struct srv_view *view = &reader->view;
    /* Where it came is not known when it was none: then what the stream has brought counts, before it and behind it. */
    bool vague = view->due[topic].to == UINT64_MAX;

    for (unsigned key = 1; view->awaits[topic] && key < SRV_KEYS; key++) {
        struct srv_known *known = &view->of[topic][key];
        known->known = reader->type[0] == 0 && !view->doubts[topic];
        if (!vague || !known->heard || known->shown > 0)
            known->seq = known->shown;
        else if (view->shows) /* of this or of others */
            known->known = false;
    }
    view->awaits[topic] = view->doubts[topic] = false;
}

void srv_view_settle(struct srv_reader *reader, uint64_t position)
{
    struct srv_view *view = &reader->view;

    for (unsigned topic = 0; topic < SRV_TOPICS; topic++)
        if (under_way(view, topic) &&
            (view->due[topic].to <= position || (view->due[topic].to == UINT64_MAX && view->shows)))
            settle(reader, topic);
    view->shows = false;
}

void srv_view_settled(struct srv_reader *reader, uint64_t position)
{
    struct srv_view *view = &reader->view;

    TD_MUST(position >= view->newest,
            "reader %u is caught up at %llu and was shown the state at %llu", reader->number,
            (unsigned long long)position, (unsigned long long)view->newest);
    for (unsigned topic = 0; topic < SRV_TOPICS; topic++) {
        TD_MUST(!view->awaits[topic] || view->doubts[topic] || view->due[topic].from <= position,
                "reader %u is caught up at %llu, before the state of %s at %llu", reader->number,
                (unsigned long long)position, srv_topic(topic).ptr,
                (unsigned long long)view->due[topic].from);
        if (under_way(view, topic))
            settle(reader, topic);
    }
    view->shows = false;
}

/* Between two chunks of a text that are shown as one stands nothing else of that topic and key. */
static const struct srv_said *text_of;
static bool in_text(struct srv_world *world, const struct srv_reader *reader, size_t i)
{
    const struct srv_truth *truth = &world->truth;
    const struct srv_said *said = srv_said(world, truth->events[i].number);

    return is_of(said, text_of->topic, text_of->key) &&
           (!reader->type[0] ||
            td_slice_eq(td_slice_str(reader->type), srv_type(truth->events[i].number, said)));
}

/* Chunks come one behind the other from the first one on. */
static void check_order(struct srv_world *world, const struct srv_reader *reader,
                        const struct chain *chain, size_t first, uint64_t shown)
{
    const struct srv_truth *truth = &world->truth;
    const struct srv_said *said = srv_said(world, truth->events[first].number);

    if (first == chain->first || reader->type[0] || reader->view.doubts[said->topic])
        return;
    size_t before = first - 1;
    while (!is_of(srv_said(world, truth->events[before].number), said->topic, said->key))
        before--;
    TD_MUST(truth->events[before].seq == shown,
            "reader %u: the state goes on with chunk %u, but it was shown %llu before",
            reader->number, truth->events[first].number, (unsigned long long)shown);
}

/* The index of the first event of a message of the state; it must be state somewhere at or behind `position`. */
static size_t check_state(struct srv_world *world, const struct srv_reader *reader,
                          const struct srv_seen *seen, const struct srv_event *event,
                          uint64_t position, uint64_t shown)
{
    const struct srv_truth *truth = &world->truth;
    const struct srv_said *said = srv_said(world, seen->number);
    size_t last = (size_t)(event - truth->events), first = last;
    struct chain chain = chain_at(truth, said->topic, said->key, TD_MAX(position, event->seq));

    TD_MUST(chain.n > 0 && chain.first <= last && last <= chain.last,
            "reader %u is shown event %u at %llu as state, which was replaced or removed before "
            "%llu",
            reader->number, seen->number, (unsigned long long)event->seq,
            (unsigned long long)position);
    if (said->class == TD_CLASS_APPEND) {
        text_of = said;
        first = srv_check_joined(world, reader, seen, last, in_text);
        check_order(world, reader, &chain, first, shown);
    }
    return first;
}

void srv_view_state(struct srv_world *world, struct srv_reader *reader, const struct srv_seen *seen,
                    uint64_t seq)
{
    const struct srv_said *said = srv_said(world, seen->number);
    const struct srv_event *event = srv_truth_get(&world->truth, seq);
    struct srv_known *known = &reader->view.of[said->topic][said->key];

    TD_MUST(said->key > 0 && !said->removes && !seen->history,
            "reader %u is shown event %u as state", reader->number, seen->number);
    TD_MUST(covers(world, reader, ~0U, said->topic),
            "reader %u is shown the state of %s, which it is not subscribed to, or may not see",
            reader->number, seen->topic);
    TD_MUST(reader->view.awaits[said->topic] || reader->view.doubts[said->topic],
            "reader %u is shown state of %s, unasked", reader->number, seen->topic);
    TD_MUST(!reader->type[0] ||
                td_slice_eq(td_slice_str(reader->type), srv_type(seen->number, said)),
            "reader %u is shown state of another type", reader->number);
    /* What comes in the stream before the state has come. */
    if (!reader->view.doubts[said->topic] && reader->known &&
        reader->view.due[said->topic].from > reader->position)
        srv_reader_reach(world, reader, reader->view.due[said->topic].from, "the state");
    reader->view.newest = TD_MAX(reader->view.newest, seq);
    reader->view.shows = true;
    world->state_shown++;
    if (!event || event->number != seen->number) {
        TD_MUST(srv_truth_blind(&world->truth, seq - 1, seq) ||
                    (srv_truth_lost(&world->truth, seq) && reader->link.boot != world->boot),
                "reader %u is shown event %u at %llu as state, which is not there", reader->number,
                seen->number, (unsigned long long)seq);
        reader->view.awaits[said->topic] = false; /* nobody can say what is there */
        reader->view.doubts[said->topic] = true;
        memset(reader->view.of[said->topic], 0, sizeof reader->view.of[said->topic]);
        return;
    }
    if (world->truth.n_blind == 0)
        (void)check_state(world, reader, seen, event, reader->position, known->shown);
    known->shown = seq;
}

/* ---- the stream ---- */

void srv_view_event(const struct srv_world *world, struct srv_reader *reader, uint32_t number,
                    uint64_t seq)
{
    const struct srv_said *said = &world->truth.said[number - 1];

    if (said->key == 0 || reader->type[0])
        return;
    struct srv_known *known = &reader->view.of[said->topic][said->key];

    known->seq = said->removes ? 0 : seq;
    known->heard = true;
    /* In a gap what came last may be gone; the state would say so. */
    known->known = reader->state != SRV_STATE_NEVER || seq > reader->gap_told;
}

void srv_view_doubt(const struct srv_world *world, struct srv_reader *reader, uint32_t number)
{
    const struct srv_said *said = &world->truth.said[number - 1];

    reader->view.of[said->topic][said->key].known = false;
}

void srv_view_check(struct srv_world *world, const struct srv_reader *reader, uint64_t position)
{
    const struct srv_truth *truth = &world->truth;

    if (truth->n_blind > 0 || reader->link.boot != world->boot)
        return;
    for (unsigned topic = 0; topic < SRV_TOPICS; topic++)
        for (unsigned key = 1; key < SRV_KEYS; key++) {
            const struct srv_known *known = &reader->view.of[topic][key];
            if (!known->known || changed_after(truth, topic, key, position))
                continue;
            struct chain chain = chain_at(truth, topic, key, position);
            uint64_t want = chain.n > 0 ? truth->events[chain.last].seq : 0;
            TD_MUST(known->seq == want,
                    "reader %u is caught up at %llu and has %llu for key %u of %s, not %llu",
                    reader->number, (unsigned long long)position, (unsigned long long)known->seq,
                    key, srv_topic(topic).ptr, (unsigned long long)want);
            world->views++;
        }
}

/* ---- pages ---- */

void srv_view_page(struct srv_world *world, struct srv_reader *reader, struct td_slice state,
                   uint64_t position, bool whole)
{
    const struct srv_truth *truth = &world->truth;
    uint64_t shown[SRV_TOPICS][SRV_KEYS] = {0};
    struct td_slice item;

    for (; client_json_next(&state, &item);) {
        struct srv_seen seen;
        TD_MUST(srv_look(item, &seen) && seen.state && seen.id.ptr,
                "reader %u: a page with what is no state: %.*s", reader->number,
                (int)TD_MIN(item.len, (size_t)200), item.ptr);
        srv_check_event(world, reader, &seen);
        uint64_t seq = srv_read_position(world, client_json_plain(seen.id), NULL);
        const struct srv_said *said = srv_said(world, seen.number);
        const struct srv_event *event = srv_truth_get(truth, seq);
        TD_MUST(said->key > 0 && covers(world, reader, ~0U, said->topic),
                "reader %u: a page shows the state of %s, which is not for it", reader->number,
                seen.topic);
        TD_MUST(seq <= position, "reader %u: a page up to %llu shows the state at %llu",
                reader->number, (unsigned long long)position, (unsigned long long)seq);
        world->state_shown++;
        if (!event || truth->n_blind > 0)
            continue;
        size_t first =
            check_state(world, reader, &seen, event, position, shown[said->topic][said->key]);
        TD_MUST(&truth->events[first] == event, "reader %u: a page joins chunks", reader->number);
        shown[said->topic][said->key] = seq;
    }
    if (!whole || reader->type[0] || truth->n_blind > 0 || reader->link.boot != world->boot)
        return;
    for (unsigned topic = 0; topic < SRV_TOPICS; topic++)
        for (unsigned key = 1; key < SRV_KEYS; key++) {
            if (!covers(world, reader, ~0U, topic) || changed_after(truth, topic, key, position))
                continue;
            struct chain chain = chain_at(truth, topic, key, position);
            uint64_t want = chain.n > 0 ? truth->events[chain.last].seq : 0;
            TD_MUST(shown[topic][key] == want,
                    "reader %u: a page up to %llu shows %llu for key %u of %s, not %llu",
                    reader->number, (unsigned long long)position,
                    (unsigned long long)shown[topic][key], key, srv_topic(topic).ptr,
                    (unsigned long long)want);
            world->views++;
        }
}
