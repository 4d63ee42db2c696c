/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of history and long-polls. */
#include "client_json.h"
#include "os/clock.h"
#include "server_world.h"

static size_t count(struct td_slice events, struct td_slice *ret_first)
{
    struct td_slice item;
    size_t n = 0;

    while (client_json_next(&events, &item))
        if (n++ == 0)
            *ret_first = item;
    return n;
}

/* A page without `since` holds the newest: where it begins follows from what it holds. */
static void begin_newest(struct srv_world *world, struct srv_reader *reader, size_t n, bool whole,
                         struct td_slice first)
{
    struct td_slice id;

    reader->known = true;
    srv_reader_told(reader, world->truth.position); /* the newest that there are */
    /* After faults and crashes the log may have holes, and the search for the newest ends at one.
     * The newest are looked for whatever their type, and the type asked for sorts out of those. */
    if (n < reader->limit && whole && !world->blurred && world->crashes == 0 &&
        !reader->type[0]) { /* so it holds all that there is */
        reader->position = 0;
        reader->early = true;
        return;
    }
    if (n == 0) {
        reader->known = false;
        return;
    }
    TD_MUST(client_json_get(first, "id", &id) || client_json_get(first, "event_id", &id),
            "an event without id");
    reader->position = srv_read_position(world, client_json_plain(id), NULL) - 1;
}

static void check_rest(struct srv_world *world, const struct srv_reader *reader)
{
    const struct srv_truth *truth = &world->truth;

    for (size_t i = srv_truth_after(truth, reader->position);
         i < truth->n && truth->events[i].seq <= reader->asked_readable; i++)
        TD_MUST(!srv_wants(world, reader, &truth->events[i]) ||
                    srv_truth_gone(world, truth->events[i].seq),
                "reader %u: a page ends at %llu with more:false, but there was event %u at %llu",
                reader->number, (unsigned long long)reader->position, truth->events[i].number,
                (unsigned long long)truth->events[i].seq);
}

void srv_page_take(struct srv_world *world, struct srv_reader *reader,
                   const struct client_answer *answer, struct td_slice body)
{
    struct td_slice events = {0}, position = {0}, more = {0}, state, partly, gap, item, first = {0};
    bool is_new = reader->start == SRV_START_NEW, has_gap;

    TD_MUST(reader->asked, "reader %u: a page that nobody asked for", reader->number);
    TD_MUST(answer->status == 200 && client_json_valid(body) &&
                client_json_get(body, "events", &events) &&
                client_json_get(body, "position", &position) &&
                client_json_get(body, "more", &more),
            "reader %u: %u is no page", reader->number, answer->status);
    size_t n = count(events, &first);
    TD_MUST(n <= reader->limit, "reader %u: %zu events in a page of %u", reader->number, n,
            reader->limit);
    TD_MUST(td_slice_eq(client_json_plain(position), answer->position),
            "reader %u: the page ends at %.*s, its head says %.*s", reader->number,
            (int)position.len, position.ptr, (int)answer->position.len, answer->position.ptr);
    has_gap = client_json_get(body, "gap", &gap);
    if (has_gap)
        srv_reader_gap(world, reader, gap);
    td_world_say("reader %u: a page of %zu, asked for %u, up to %.*s, more %.*s", reader->number, n,
                 reader->limit, (int)position.len, position.ptr, (int)more.len, more.ptr);
    bool waited =
        td_clock_ns() - reader->asked_at + TD_NS_PER_S / 2 >= reader->wait_s * TD_NS_PER_S;
    TD_MUST(reader->kind == SRV_PAGE || is_new || n > 0 || has_gap || waited ||
                reader->state == SRV_STATE_FIRST || srv_troubled(world) ||
                reader->link.boot != world->boot || reader->link.excused,
            "reader %u: an empty answer before the wait is over", reader->number);
    if (is_new && reader->kind == SRV_PAGE)
        begin_newest(world, reader, n, td_slice_eq(more, TD_S("false")), first);
    if (is_new && reader->kind == SRV_POLL && n > 0) /* the state took a while to be read */
        begin_newest(world, reader, n, false, first);
    TD_MUST(!is_new || reader->kind == SRV_PAGE || n == 0 || reader->state == SRV_STATE_FIRST,
            "reader %u: events for a poll without since", reader->number);
    while (client_json_next(&events, &item))
        srv_reader_event(world, reader, item);
    srv_reader_reach(world, reader, srv_read_position(world, client_json_plain(position), NULL),
                     "the page");
    bool has_state = client_json_get(body, "state", &state);
    TD_MUST(has_state == (reader->state == SRV_STATE_FIRST ||
                          (has_gap && reader->state == SRV_STATE_DEFAULT)),
            "reader %u: a page with state, or without", reader->number);
    if (has_state)
        srv_view_page(world, reader, state, reader->position,
                      !client_json_get(body, "state_complete", &partly));
    if (td_slice_eq(more, TD_S("false")))
        check_rest(world, reader);
    reader->asked = false;
    reader->start = SRV_START_SINCE;
    if (answer->closes)
        reader->closing = true;
}
