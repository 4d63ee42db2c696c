/* SPDX-License-Identifier: Apache-2.0 */
/* History: what a SUBSCRIBE on a live connection asks for from an older position.  It comes beside the stream and moves nothing. */
#include "base/assert.h"
#include "client_json.h"
#include "server_world.h"

static bool wants(const struct srv_world *world, const struct srv_reader *reader, size_t i,
                  unsigned patterns)
{
    const struct srv_history *history = &reader->history;
    const struct srv_event *event = &world->truth.events[i];
    const struct srv_said *said = &world->truth.said[event->number - 1];
    struct td_slice topic = srv_topic(said->topic);

    if (event->seq <= history->position || event->seq > history->until)
        return false;
    if (reader->type[0] && !td_slice_eq(td_slice_str(reader->type), srv_type(event->number, said)))
        return false;
    for (size_t j = 0; j < reader->n_patterns; j++)
        if ((patterns >> j & 1) && reader->patterns[j].on &&
            td_pattern_match(td_slice_str(reader->patterns[j].text), topic))
            return srv_granted(world, reader->subject, topic);
    return false;
}

static bool superseded(const struct srv_world *world, const struct srv_reader *reader, size_t i)
{
    const struct srv_truth *truth = &world->truth;
    const struct srv_said *said = &truth->said[truth->events[i].number - 1];

    if (said->class != TD_CLASS_LATEST)
        return false;
    for (size_t j = i + 1; j < truth->n && truth->events[j].seq <= reader->history.until; j++) {
        const struct srv_said *later = &truth->said[truth->events[j].number - 1];

        if (later->class == TD_CLASS_LATEST && later->topic == said->topic &&
            later->key == said->key && wants(world, reader, j, reader->history.patterns))
            return true;
    }
    return false;
}

static bool in_history(struct srv_world *world, const struct srv_reader *reader, size_t i)
{
    return wants(world, reader, i, reader->history.patterns) && !superseded(world, reader, i);
}

/* Whether a gap was told that an event may be in, or it was gone when the history began with the oldest. */
static bool was_told(const struct srv_history *history, const struct srv_event *event)
{
    return event->seq <= history->gap_told || srv_truth_gone_by(event, history->begun);
}

/* Nothing is left out up to `seq`. */
static void check_none_missing(struct srv_world *world, const struct srv_reader *reader,
                               uint64_t upto)
{
    const struct srv_truth *truth = &world->truth;
    const struct srv_history *history = &reader->history;

    for (size_t i = srv_truth_after(truth, history->position);
         i < truth->n && truth->events[i].seq < upto; i++)
        TD_MUST(!in_history(world, reader, i) || (was_told(history, &truth->events[i]) &&
                                                  srv_truth_gone(world, truth->events[i].seq)),
                "reader %u: a history up to %llu leaves out event %u at %llu", reader->number,
                (unsigned long long)upto, truth->events[i].number,
                (unsigned long long)truth->events[i].seq);
}

static void check_ref(const struct srv_reader *reader, struct td_slice ref)
{
    TD_MUST(srv_history_is(reader, ref), "reader %u gets history for %.*s, which it did not ask",
            reader->number, (int)ref.len, ref.ptr);
}

/* ---- it is asked for ---- */

/* The position of any event up to one; or the very beginning. */
static uint64_t some_event(struct srv_world *world, uint64_t upto)
{
    const struct srv_truth *truth = &world->truth;
    uint64_t i = td_rng_below(&world->rng, srv_truth_after(truth, upto) + 1);

    return i > 0 ? truth->events[i - 1].seq : 0;
}

void srv_history_ask(struct srv_world *world, struct srv_reader *reader, struct td_buf *since)
{
    struct td_rng *rng = &world->rng;
    struct srv_history *history = &reader->history;

    *history = (struct srv_history){.asked = true, .serial = history->serial + 1};
    switch (td_rng_below(rng, 6)) {
    case 0:
        td_buf_puts(since, "earliest");
        history->oldest = true;
        return;
    case 1:
        td_buf_putf(since, "%08x.7", world->truth.epoch + 1);
        history->foreign = true;
        return;
    case 2:
    case 3:
        if (reader->n_marks > 0)
            history->position = reader->marks[td_rng_below(rng, reader->n_marks)];
        break;
    default: history->position = some_event(world, reader->position); break;
    }
    td_buf_puts(since, srv_position(world, history->position));
}

void srv_history_begin(struct srv_world *world, struct srv_reader *reader, unsigned patterns,
                       uint64_t position)
{
    struct srv_history *history = &reader->history;

    history->asked = false;
    history->on = patterns != 0;
    history->patterns = patterns;
    history->until = position;
    if (history->oldest)
        history->begun = srv_truth_roll(world);
}

void srv_history_narrow(struct srv_reader *reader, unsigned patterns)
{
    struct srv_history *history = &reader->history;

    /* What is not subscribed is left out, and if it is subscribed again it comes from there on. */
    history->perhaps |= history->patterns & patterns;
    history->patterns &= ~patterns;
}

bool srv_history_is(const struct srv_reader *reader, struct td_slice ref)
{
    char text[24];
    int n = snprintf(text, sizeof text, "\"h%u\"", reader->history.serial);

    return reader->history.on && td_slice_eq(ref, td_slice(text, (size_t)n));
}

/* ---- it comes ---- */

void srv_history_event(struct srv_world *world, struct srv_reader *reader,
                       const struct srv_seen *seen, uint64_t seq)
{
    const struct srv_truth *truth = &world->truth;
    struct srv_history *history = &reader->history;
    const struct srv_event *event = srv_truth_get(truth, seq);

    check_ref(reader, seen->ref);
    TD_MUST(!history->foreign, "reader %u: history, but no gap for the position of another log",
            reader->number);
    TD_MUST(seq > history->position && seq <= history->until,
            "reader %u gets history at %llu, which was from %llu to %llu", reader->number,
            (unsigned long long)seq, (unsigned long long)history->position,
            (unsigned long long)history->until);
    world->historic++;
    if (!event || event->number != seen->number) {
        TD_MUST(srv_truth_blind(truth, seq - 1, seq) ||
                    (srv_truth_lost(truth, seq) && reader->link.boot != world->boot),
                "reader %u gets event %u at %llu as history, which is not there", reader->number,
                seen->number, (unsigned long long)seq);
        history->position = seq;
        return;
    }
    size_t last = (size_t)(event - truth->events), at = last;
    TD_MUST(wants(world, reader, last, history->patterns | history->perhaps),
            "reader %u gets event %u on %s as history, not for it", reader->number, seen->number,
            seen->topic);
    bool is_chunk = srv_said(world, seen->number)->class == TD_CLASS_APPEND;
    bool blind = truth->n_blind > 0 || history->perhaps != 0; /* nobody can say what is joined */
    if (is_chunk && !blind)
        at = srv_check_joined(world, reader, seen, last, in_history);
    if (!(is_chunk && blind) && history->perhaps == 0)
        check_none_missing(world, reader, truth->events[at].seq);
    history->position = seq;
}

void srv_history_gap(struct srv_world *world, struct srv_reader *reader, struct td_slice json)
{
    struct srv_history *history = &reader->history;
    struct td_slice ref = {0}, from_raw = {0}, to_raw = {0}, reason = {0};
    uint32_t epoch;

    TD_MUST(client_json_get(json, "ref", &ref) && client_json_get(json, "from", &from_raw) &&
                client_json_get(json, "to", &to_raw) && client_json_get(json, "reason", &reason),
            "a gap without ref, from, to or reason: %.*s", (int)json.len, json.ptr);
    check_ref(reader, ref);
    uint64_t from = srv_read_position(world, client_json_plain(from_raw), &epoch);
    uint64_t to = srv_read_position(world, client_json_plain(to_raw), NULL);
    reason = client_json_plain(reason);
    world->gaps++;
    if (history->foreign) {
        TD_MUST(epoch != world->truth.epoch && td_slice_eq(reason, TD_S("epoch")),
                "reader %u is not told that the log is another one", reader->number);
        history->foreign = false;
        history->begun = srv_truth_roll(world);
        return;
    }
    TD_MUST(epoch == world->truth.epoch && to > from, "reader %u: a gap in another log, or back",
            reader->number);
    struct srv_reader narrow = *reader;
    for (size_t i = 0; i < narrow.n_patterns; i++)
        narrow.patterns[i].on &= (history->patterns | history->perhaps) >> i & 1;
    srv_check_gap(world, &narrow, from, to, reason);
    if (!td_slice_eq(reason, TD_S("retention"))) {
        check_none_missing(world, reader, from + 1);
        history->position = TD_MAX(to, history->position);
        return;
    }
    TD_MUST(to > history->gap_last, "reader %u is told the same gap again", reader->number);
    history->gap_last = to;
    history->gap_told = TD_MAX(history->gap_told, to);
}

void srv_history_end(struct srv_world *world, struct srv_reader *reader)
{
    TD_MUST(!reader->history.foreign,
            "reader %u: no history, and no gap for the position of another log", reader->number);
    check_none_missing(world, reader, reader->history.until + 1);
    reader->history.on = false;
    world->histories++;
}
