/* SPDX-License-Identifier: Apache-2.0 */
/* What a reader must get: every event of its patterns that its subject may see, behind its position, in order, once, or a gap that
 * says why not. */
#include "base/assert.h"
#include "base/position.h"
#include "client_json.h"
#include "server_world.h"

bool srv_wants(const struct srv_world *world, const struct srv_reader *reader,
               const struct srv_event *event)
{
    const struct srv_said *said = &world->truth.said[event->number - 1];
    struct td_slice topic = srv_topic(said->topic);

    if (reader->type[0] && !td_slice_eq(td_slice_str(reader->type), srv_type(event->number, said)))
        return false;
    if (!srv_granted(world, reader->subject, topic))
        return false;
    for (size_t i = 0; i < reader->n_patterns; i++)
        if (reader->patterns[i].on && event->seq > reader->patterns[i].from &&
            td_pattern_match(td_slice_str(reader->patterns[i].text), topic))
            return true;
    return false;
}

/* ---- what it gets ---- */

bool srv_superseded(const struct srv_world *world, const struct srv_reader *reader, size_t event)
{
    const struct srv_truth *truth = &world->truth;
    const struct srv_said *said = &truth->said[truth->events[event].number - 1];

    if (said->class != TD_CLASS_LATEST || !srv_is_stream(reader))
        return false;
    for (size_t i = event + 1; i < truth->n; i++) {
        const struct srv_said *later = &truth->said[truth->events[i].number - 1];

        if (later->class == TD_CLASS_LATEST && later->topic == said->topic &&
            later->key == said->key && srv_wants(world, reader, &truth->events[i]))
            return true;
    }
    return false;
}

void srv_reader_told(struct srv_reader *reader, uint64_t upto)
{
    reader->gap_told = upto > 0 ? TD_MAX(reader->gap_told, upto) : 0;
    for (size_t i = 0; i < reader->n_patterns; i++)
        if (upto == 0)
            reader->patterns[i].told = reader->patterns[i].begun = 0;
        else if (reader->patterns[i].on)
            reader->patterns[i].told = TD_MAX(reader->patterns[i].told, upto);
}

void srv_reader_begun(struct srv_world *world, struct srv_reader *reader)
{
    uint32_t roll = srv_truth_roll(world);

    reader->gap_told = TD_MAX(reader->gap_told, world->truth.position);
    reader->early = false;
    for (size_t i = 0; i < reader->n_patterns; i++)
        if (reader->patterns[i].on)
            reader->patterns[i].begun = roll;
}

static bool told_of(const struct srv_pattern *pattern, const struct srv_event *event)
{
    return event->seq <= pattern->told || srv_truth_gone_by(event, pattern->begun);
}

/* Whether a gap was told that an event may be in. */
static bool was_told(const struct srv_world *world, const struct srv_reader *reader,
                     const struct srv_event *event)
{
    struct td_slice topic = srv_topic(world->truth.said[event->number - 1].topic);

    for (size_t i = 0; i < reader->n_patterns; i++)
        if (reader->patterns[i].on && told_of(&reader->patterns[i], event) &&
            td_pattern_match(td_slice_str(reader->patterns[i].text), topic))
            return true;
    return reader->early;
}

/* Whether an event need not come. */
static bool excused(struct srv_world *world, const struct srv_reader *reader, size_t i)
{
    const struct srv_event *event = &world->truth.events[i];

    return !srv_wants(world, reader, event) || srv_superseded(world, reader, i) ||
           (was_told(world, reader, event) && srv_truth_gone(world, event->seq));
}

static void check_none_missing(struct srv_world *world, const struct srv_reader *reader,
                               uint64_t upto, const char *by)
{
    const struct srv_truth *truth = &world->truth;

    for (size_t i = srv_truth_after(truth, reader->position);
         i < truth->n && truth->events[i].seq < upto; i++) {
        const struct srv_event *event = &truth->events[i];

        TD_MUST(
            excused(world, reader, i),
            "reader %u got %s %llu, but not the event %u at %llu before it (it had reached %llu)",
            reader->number, by, (unsigned long long)upto, event->number,
            (unsigned long long)event->seq, (unsigned long long)reader->position);
    }
}

static void set_position(struct srv_world *world, struct srv_reader *reader, uint64_t seq)
{
    if (reader->known && td_rng_one_in(&world->rng, 8)) {
        size_t i = reader->n_marks < TD_ARRAY_LEN(reader->marks)
                       ? reader->n_marks++
                       : (size_t)td_rng_below(&world->rng, TD_ARRAY_LEN(reader->marks));
        reader->marks[i] = reader->position;
    }
    reader->position = seq;
    reader->known = true;
    if (reader->early)
        srv_reader_begun(world, reader);
}

/* What it is owed comes before anything else. */
static void check_told(const struct srv_reader *reader, const char *by)
{
    TD_MUST(!reader->foreign, "reader %u: %s, but no gap for the position of another log",
            reader->number, by);
    TD_MUST(!reader->must_hear, "reader %u: %s, but it had got what was lost, and is not told",
            reader->number, by);
}

void srv_reader_reach(struct srv_world *world, struct srv_reader *reader, uint64_t seq,
                      const char *by)
{
    check_told(reader, by);
    if (reader->known) {
        TD_MUST(seq >= reader->position, "reader %u: %s says %llu, but it has reached %llu",
                reader->number, by, (unsigned long long)seq, (unsigned long long)reader->position);
        check_none_missing(world, reader, seq + 1, by);
    }
    set_position(world, reader, seq);
}

/* An event of the time before a power loss, which came late, or one that the world could not see. */
static bool unseen(struct srv_world *world, struct srv_reader *reader, uint64_t seq)
{
    const struct srv_event *lost = srv_truth_lost(&world->truth, seq);

    bool late = lost && reader->link.boot != world->boot;

    if (!late && !srv_truth_blind(&world->truth, seq - 1, seq))
        return false;
    TD_MUST(!reader->known || seq > reader->position, "reader %u got %llu again", reader->number,
            (unsigned long long)seq);
    reader->last_got = seq;
    srv_view_settle(reader, seq - 1);
    set_position(world, reader, seq);
    return true;
}

/* It may see it, and has asked for it. */
static void check_wanted(struct srv_world *world, const struct srv_reader *reader,
                         const struct srv_seen *seen, const struct srv_event *event)
{
    TD_MUST(srv_granted(world, reader->subject, td_slice_str(seen->topic)),
            "reader %u got event %u on %s, which %s may not see", reader->number, seen->number,
            seen->topic, srv_subject(reader->subject));
    TD_MUST(srv_wants(world, reader, event),
            "reader %u got event %u on %s, which it did not ask for", reader->number, seen->number,
            seen->topic);
}

/* Without an id: once on a connection, whenever it is. */
static void take_ephemeral(struct srv_world *world, struct srv_reader *reader,
                           const struct srv_seen *seen)
{
    struct srv_said *said = srv_said(world, seen->number);

    td_world_say("reader %u gets %u, ephemeral", reader->number, seen->number);
    TD_MUST(said->class == TD_CLASS_EPHEMERAL && srv_is_stream(reader) && !seen->state &&
                !seen->history,
            "reader %u got event %u without an id", reader->number, seen->number);
    TD_MUST(said->fate != SRV_REFUSED, "reader %u got event %u, which was refused", reader->number,
            seen->number);
    check_wanted(world, reader, seen,
                 &(struct srv_event){.seq = UINT64_MAX, .number = seen->number});
    TD_MUST(said->shown[reader->number] != reader->connection,
            "reader %u got the ephemeral event %u twice", reader->number, seen->number);
    said->shown[reader->number] = reader->connection;
    world->ephemeral++;
}

/* Whether an event of the truth would stand between two chunks that it gets as one. */
static bool in_stream(struct srv_world *world, const struct srv_reader *reader, size_t i)
{
    const struct srv_event *event = &world->truth.events[i];

    return event->seq <= reader->position ||
           (srv_wants(world, reader, event) && !srv_superseded(world, reader, i));
}

static void take_event(struct srv_world *world, struct srv_reader *reader,
                       const struct srv_seen *seen, uint64_t seq)
{
    const struct srv_event *event = srv_truth_get(&world->truth, seq);
    bool is_chunk = srv_said(world, seen->number)->class == TD_CLASS_APPEND;
    uint64_t first = seq;

    TD_MUST(
        event && event->number == seen->number,
        "reader %u got event %u at %llu, which is not there (or not durable yet; readable %llu)",
        reader->number, seen->number, (unsigned long long)seq,
        (unsigned long long)world->truth.position);
    TD_MUST(!reader->known || seq > reader->position,
            "reader %u got event %u at %llu again: it had reached %llu", reader->number,
            seen->number, (unsigned long long)seq, (unsigned long long)reader->position);
    check_wanted(world, reader, seen, event);
    TD_MUST(reader->known, "reader %u got event %u before it knows where it stands", reader->number,
            seen->number);
    check_told(reader, "an event");
    if (is_chunk && srv_truth_blind(&world->truth, reader->position, seq)) {
        first = reader->position; /* nobody can say what it was joined of */
    } else if (is_chunk) {
        size_t last = (size_t)(event - world->truth.events);
        size_t at = srv_check_joined(world, reader, seen, last, in_stream);

        TD_MUST(at == last || srv_is_stream(reader), "reader %u got a page of joined chunks",
                reader->number);
        world->joined += at != last;
        first = world->truth.events[at].seq;
    }
    check_none_missing(world, reader, first, "the event");
    srv_view_settle(reader, seq - 1);
    TD_MUST(seq > reader->view.newest,
            "reader %u got event %u at %llu after the state, which held %llu already",
            reader->number, seen->number, (unsigned long long)seq,
            (unsigned long long)reader->view.newest);
    srv_view_event(world, reader, seen->number, seq);
    reader->last_got = seq;
    reader->got++;
    world->received++;
    set_position(world, reader, seq);
}

void srv_reader_event(struct srv_world *world, struct srv_reader *reader, struct td_slice json)
{
    struct srv_seen seen;

    TD_MUST(client_json_valid(json) && srv_look(json, &seen),
            "reader %u got what is no event: %.*s", reader->number,
            (int)TD_MIN(json.len, (size_t)200), json.ptr);
    srv_check_event(world, reader, &seen);
    if (!seen.id.ptr) {
        take_ephemeral(world, reader, &seen);
        return;
    }
    uint64_t seq = srv_read_position(world, client_json_plain(seen.id), NULL);
    td_world_say("reader %u gets %u at %llu", reader->number, seen.number, (unsigned long long)seq);
    if (seen.history)
        srv_history_event(world, reader, &seen, seq);
    else if (seen.state)
        srv_view_state(world, reader, &seen, seq);
    else if (srv_truth_get(&world->truth, seq) || !unseen(world, reader, seq))
        take_event(world, reader, &seen, seq);
    else
        srv_view_doubt(world, reader, seen.number);
}

/* ---- gaps ---- */

/* Whether something of what it reads was trimmed in (from, to]. */
static bool trimmed(struct srv_world *world, const struct srv_reader *reader, uint64_t from,
                    uint64_t to)
{
    const struct srv_truth *truth = &world->truth;
    bool loose = false;

    for (size_t i = 0; i < reader->n_patterns; i++)
        (void)srv_overlaps(reader->subject, td_slice_str(reader->patterns[i].text), &loose);
    if (loose)
        return true;
    /* The type is asked for later: the log trims whatever type. */
    struct srv_reader any = *reader;
    any.type[0] = 0;
    for (size_t i = srv_truth_after(truth, from); i < truth->n && truth->events[i].seq <= to; i++) {
        for (size_t j = 0; j < any.n_patterns; j++)
            any.patterns[j].from = 0;
        if (srv_wants(world, &any, &truth->events[i]) &&
            srv_truth_gone(world, truth->events[i].seq))
            return true;
    }
    for (size_t i = 0; i < truth->n_lost; i++)
        if (truth->lost[i].seq > from && truth->lost[i].seq <= to)
            return true;
    return srv_truth_blind(truth, from, to);
}

void srv_check_gap(struct srv_world *world, struct srv_reader *reader, uint64_t from, uint64_t to,
                   struct td_slice reason)
{
    bool fast = world->options.durability == TD_DURABILITY_FAST;
    bool since_boot = reader->link.boot == world->boot;

    if (td_slice_eq(reason, TD_S("retention"))) {
        TD_MUST(to <= world->truth.position || !since_boot,
                "reader %u is told a gap up to %llu, but there is only %llu", reader->number,
                (unsigned long long)to, (unsigned long long)world->truth.position);
        TD_MUST(world->blurred || trimmed(world, reader, from, to),
                "reader %u is told a gap from %llu to %llu, but nothing of it was trimmed",
                reader->number, (unsigned long long)from, (unsigned long long)to);
    } else if (td_slice_eq(reason, TD_S("unsynced"))) {
        TD_MUST(fast && world->truth.n_lost > 0, "reader %u is told a gap for what was not synced",
                reader->number);
    } else if (td_slice_eq(reason, TD_S("damaged")) && world->was_full) {
        /* What was trimmed on a full disk could not be noted, so why it is not there is not known any more. */
        TD_MUST(trimmed(world, reader, from, to), "reader %u is told damage, but nothing is gone",
                reader->number);
    } else {
        td_world_fail("reader %u is told a gap for reason %.*s", reader->number, (int)reason.len,
                      reason.ptr);
    }
}

struct srv_range srv_reader_due(const struct srv_reader *reader)
{
    bool oldest = reader->start == SRV_START_EARLIEST || reader->start == SRV_START_FOREIGN;
    uint64_t at = TD_MAX(reader->position, reader->gap_last);

    /* Who began with the oldest does not know up to where the server holds gaps for told; and behind that comes the state. */
    if (oldest && reader->gap_last == 0 &&
        (reader->early || reader->foreign || reader->position < reader->gap_told))
        return (struct srv_range){at, UINT64_MAX};
    return (struct srv_range){at, at};
}

/* The state follows, or nothing that is known is good any more. */
static void view_gap(const struct srv_world *world, struct srv_reader *reader, struct srv_range due)
{
    if (!srv_is_stream(reader))
        return;
    if (reader->state == SRV_STATE_NEVER) { /* but what SUBSCRIBE has asked for comes */
        srv_view_forget(reader);
        return;
    }
    srv_view_settle(reader, reader->position);
    srv_view_await(world, reader, ~0U, due);
}

void srv_reader_gap(struct srv_world *world, struct srv_reader *reader, struct td_slice json)
{
    struct td_slice from_raw = {0}, to_raw = {0}, reason = {0};
    uint32_t epoch;

    TD_MUST(client_json_get(json, "from", &from_raw) && client_json_get(json, "to", &to_raw) &&
                client_json_get(json, "reason", &reason),
            "a gap without from, to or reason: %.*s", (int)json.len, json.ptr);
    uint64_t from = srv_read_position(world, client_json_plain(from_raw), &epoch);
    uint64_t to = srv_read_position(world, client_json_plain(to_raw), NULL);
    reason = client_json_plain(reason);
    td_world_say("reader %u: gap from %llu to %llu: %.*s", reader->number, (unsigned long long)from,
                 (unsigned long long)to, (int)reason.len, reason.ptr);
    reader->gaps++;
    world->gaps++;
    if (reader->foreign) {
        TD_MUST(epoch != world->truth.epoch && td_slice_eq(reason, TD_S("epoch")),
                "reader %u is not told that the log is another one", reader->number);
        view_gap(world, reader, (struct srv_range){to, UINT64_MAX});
        reader->foreign = false;
        set_position(world, reader, to);
        srv_reader_begun(world, reader);
        return;
    }
    TD_MUST(epoch == world->truth.epoch, "reader %u: a gap in another log", reader->number);
    reader->must_hear = false;
    /* A second one goes on where the first ended; and who began with the oldest does not know where that was. */
    bool beside = from > reader->position &&
                  (from == reader->gap_last || reader->start == SRV_START_EARLIEST ||
                   reader->start == SRV_START_FOREIGN);
    if (!beside || !td_slice_eq(reason, TD_S("retention")))
        srv_reader_reach(world, reader, from, "a gap from");
    /* What was lost is taken back: the log may end before the position. */
    TD_MUST(to > from || td_slice_eq(reason, TD_S("unsynced")),
            "reader %u: a gap from %llu back to %llu", reader->number, (unsigned long long)from,
            (unsigned long long)to);
    srv_check_gap(world, reader, from, to, reason);
    if (!td_slice_eq(reason, TD_S("retention"))) {
        if (srv_truth_lost(&world->truth, reader->last_got))
            reader->last_got = 0; /* now it knows */
        if (to < from)
            reader->view.newest = 0;
        set_position(world, reader, to);
        view_gap(world, reader, srv_reader_due(reader));
        return;
    }
    /* What was kept in between still comes. */
    TD_MUST(to > reader->gap_last || reader->widened, "reader %u is told the same gap again",
            reader->number);
    reader->gap_last = to;
    reader->widened = false;
    srv_reader_told(reader, to);
    view_gap(world, reader, srv_reader_due(reader));
}

bool srv_reader_done(struct srv_world *world, const struct srv_reader *reader)
{
    const struct srv_truth *truth = &world->truth;

    if (reader->refused)
        return true;
    if (!reader->known || reader->foreign || reader->must_hear)
        return false;
    if (reader->history.on || reader->history.asked)
        return false;
    if (reader->wants_caught_up && !reader->caught_up)
        return false;
    for (size_t i = srv_truth_after(truth, reader->position); i < truth->n; i++)
        if (!excused(world, reader, i))
            return false;
    return true;
}
