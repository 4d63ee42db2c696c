/* SPDX-License-Identifier: Apache-2.0 */
/* A gap inside of which a group of topics has kept some: what was kept goes first, then the state as of the gap's end, then the rest. */
#include "../journal/fixture.h"
#include "base/json.h"
#include "hub/hub.h"

static struct fixture log_;
static struct td_hub *hub;
static struct td_subscriber subscriber;
static char said
    [4096]; /* what it was sent: the data of events, of state with an s in front, and what it was told */
static uint64_t gap_from, gap_to;
static bool full; /* the socket takes nothing */

static void say(const char *text, size_t n)
{
    size_t len = strlen(said);

    assert_true(len + n + 2 < sizeof(said));
    memcpy(said + len, text, n);
    memcpy(said + len + n, " ", 2);
}

static void say_event(const char *frame, size_t len)
{
    struct td_slice json, data, state;
    char text[64] = "s";
    size_t head = (unsigned char)frame[1] < 126 ? 2 : 4;

    assert_int_equal(td_json_check(td_slice(frame + head, len - head), &json, NULL), 0);
    assert_true(td_json_get(json, "data", &data) && data.len < 60);
    memcpy(text + 1, data.ptr, data.len);
    if (td_json_get(json, "state", &state))
        say(text, 1 + data.len);
    else
        say(text + 1, data.len);
}

static int64_t take(struct td_subscriber *to, const struct iovec *parts, int n, void *arg)
{
    int64_t taken = 0;

    (void)to;
    (void)arg;
    for (int i = 0; i < n && !full; i++) {
        say_event(parts[i].iov_base, parts[i].iov_len);
        taken += (int64_t)parts[i].iov_len;
    }
    return taken;
}

static void gap(struct td_subscriber *to, const struct td_gap *gap, void *arg)
{
    (void)to;
    (void)arg;
    assert_int_equal(gap->reason, TD_GAP_RETENTION);
    gap_from = gap->from;
    gap_to = gap->to;
    say("gap", 3);
}

static void caught_up(struct td_subscriber *to, void *arg)
{
    (void)to;
    (void)arg;
    say("caught_up", 9);
}

static void history_ended(struct td_subscriber *to, struct td_slice ref, void *arg)
{
    (void)to;
    (void)ref;
    (void)arg;
    say("ended", 5);
}

static void never(struct td_subscriber *to, void *arg)
{
    (void)to;
    (void)arg;
    fail();
}

static const struct td_hub_ops ops = {
    .send = take,
    .gap = gap,
    .history_ended = history_ended,
    .caught_up = caught_up,
    .touched = never,
    .broken = never,
};

static uint64_t set(const char *topic, const char *key, const char *data)
{
    struct td_draft one = draft(topic, data);
    uint64_t seq;

    one.key = td_slice_str(key);
    assert_int_equal(append_drafts(&log_, &one, 1, &seq), 0);
    fixture_commit(&log_);
    return seq;
}

/* So much output that what was said before it goes, of those that are kept as it is. */
static void flood_of(const char *topic, int n)
{
    for (int i = 0; i < n; i++)
        append(&log_, topic, "\"0123456789\"");
    fixture_commit(&log_);
    fixture_keep(&log_);
}

static void flood(void)
{
    flood_of("runs/noise", 600);
}

static void run(void)
{
    for (unsigned turns = 0; td_hub_is_due(hub) || td_hub_has_again(hub); turns++) {
        assert_true(turns < 10000);
        while (td_journal_keep_step(log_.journal) > 0)
            ;
        td_hub_advance(hub);
        td_hub_run(hub);
        td_journal_quiesce(log_.reader, false);
    }
}

static uint64_t first; /* the position of the first event */

static int setup(void **state)
{
    static const struct td_slice patterns[] = {TD_S("runs/**")};
    static const struct td_retention_group bulk = {
        .name = TD_S("bulk"), .patterns = patterns, .n_patterns = 1, .retain_bytes = 16 * TD_KIB};
    static const char *const wanted[] = {"runs/1", "audit/a"};

    (void)state;
    fixture_init(&log_);
    log_.options.groups = &bulk;
    log_.options.n_groups = 1;
    log_.options.retain_bytes = 64 * TD_KIB;
    fixture_open(&log_);
    first = set("audit/a", "k", "0");
    set("runs/1", "k", "1");
    set("audit/a", "k", "2");
    set("audit/a", "", "3");
    set("audit/a", "m", "4");
    set("runs/2", "k", "8");
    set("runs/1", "l", "5");
    flood_of("audit/b", 80);
    flood();
    set("audit/a", "k", "6");
    set("runs/1", "k", "7");
    assert_int_equal(td_hub_new(log_.journal, log_.reader, &ops, NULL, &hub), 0);
    td_subscriber_init(&subscriber, TD_WIRE_WS_EVENT);
    for (size_t i = 0; i < TD_ARRAY_LEN(wanted); i++) {
        struct td_slice pattern = td_slice_str(wanted[i]);
        assert_int_equal(td_hub_subscribe(hub, &subscriber, pattern, &pattern, 1), 0);
    }
    said[0] = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    td_hub_leave(hub, &subscriber);
    td_hub_free(hub);
    fixture_close(&log_);
    return 0;
}

static void what_was_kept_goes_before_the_state(void **state)
{
    (void)state;
    td_hub_seek(hub, &subscriber, first, (struct td_told){0});
    run();
    assert_string_equal(said, "gap 2 3 4 s4 s5 6 7 caught_up ");
    assert_true(gap_from == first && gap_to > first);
}

static void without_state_there_is_the_rest(void **state)
{
    (void)state;
    subscriber.stateless = true;
    td_hub_seek(hub, &subscriber, first, (struct td_told){0});
    run();
    assert_string_equal(said, "gap 2 3 4 6 7 caught_up ");
}

static void begin_with_the_oldest(void)
{
    struct td_wanted wanted[TD_SUBSCRIPTIONS_MAX];
    size_t n = td_hub_wanted(&subscriber, wanted);

    td_hub_seek(hub, &subscriber, td_journal_horizon(log_.journal),
                td_journal_told(log_.reader, wanted, n));
}

/* Who begins with the oldest is told of no gap, and is shown what was dropped all the same. */
static void the_oldest_goes_before_the_state(void **state)
{
    (void)state;
    begin_with_the_oldest();
    assert_int_equal(td_hub_send_state(hub, &subscriber, NULL, 0), 0);
    run();
    assert_string_equal(said, "0 2 3 4 s4 s5 6 7 caught_up ");
}

/* Dropped while the state is waited for: it is as of a later place then. */
static void a_gap_behind_the_gap(void **state)
{
    (void)state;
    td_hub_seek(hub, &subscriber, first, (struct td_told){0});
    td_hub_run(hub); /* told */
    assert_non_null(strstr(said, "gap "));
    run();
    said[0] = 0;
    td_hub_seek(hub, &subscriber, first, td_told_upto(gap_to));
    assert_int_equal(td_hub_send_state(hub, &subscriber, NULL, 0), 0);
    flood();
    run();
    assert_string_equal(said, "gap 2 3 4 6 s4 s6 s5 s7 caught_up ");
    assert_true(gap_from > first);
}

/* What is kept longer is dropped ahead of one who began with the oldest and is slow: nobody has told him of anything yet. */
static void what_was_kept_goes_as_well(void **state)
{
    (void)state;
    begin_with_the_oldest();
    full = true;
    run();
    flood_of("audit/b", 330);
    full = false;
    td_hub_catch_up(hub, &subscriber);
    run();
    assert_string_equal(said, "gap s4 s5 6 7 caught_up ");
    assert_true(gap_from < first && gap_to > first);
}

/* He is not told of what others lose. */
static void what_others_lose_is_not_told(void **state)
{
    const struct td_slice all = TD_S("audit/**");
    uint64_t last = append(&log_, "audit/last", "9");

    (void)state;
    fixture_commit(&log_);
    assert_true(td_hub_unsubscribe(hub, &subscriber, TD_S("runs/1")));
    assert_int_equal(td_hub_subscribe(hub, &subscriber, all, &all, 1), 0);
    begin_with_the_oldest();
    full = true;
    run();
    flood();
    full = false;
    td_hub_catch_up(hub, &subscriber);
    run();
    assert_null(strstr(said, "gap"));
    assert_non_null(strstr(said, "0 2 3 4 "));
    assert_true(td_hub_position(hub, &subscriber) > last);
}

/* It is live and has history coming, so that it waits for a turn already, when retention overtakes the hub. */
static void the_hub_is_outrun_beside_history(void **state)
{
    const struct td_slice named[] = {TD_S("audit/a"), TD_S("runs/1")};
    const struct td_hub_history history = {.named = named, .n_named = 2};

    (void)state;
    run();
    said[0] = 0;
    assert_int_equal(td_hub_send_history(hub, &subscriber, &history), 0);
    flood_of("audit/b", 2000);
    run();
    assert_string_equal(said, "gap 7 ended ");
}

static void more_is_subscribed_in_a_gap(void **state)
{
    const struct td_slice more = TD_S("runs/2"), same = TD_S("runs/1");

    (void)state;
    full = true;
    td_hub_seek(hub, &subscriber, first, (struct td_told){0});
    run();
    assert_string_equal(said, "gap ");
    assert_int_equal(td_hub_subscribe(hub, &subscriber, same, &same, 1), 0);
    td_hub_catch_up(hub, &subscriber);
    assert_string_equal(said, "gap ");
    assert_int_equal(td_hub_subscribe(hub, &subscriber, more, &more, 1), 0);
    full = false;
    td_hub_catch_up(hub, &subscriber);
    run();
    assert_string_equal(said, "gap gap 2 3 4 s4 s5 s8 6 7 caught_up ");
    assert_int_equal(gap_from, first);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_kept_goes_before_the_state), TEST(without_state_there_is_the_rest),
        TEST(the_oldest_goes_before_the_state),    TEST(a_gap_behind_the_gap),
        TEST(what_was_kept_goes_as_well),          TEST(what_others_lose_is_not_told),
        TEST(the_hub_is_outrun_beside_history),    TEST(more_is_subscribed_in_a_gap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
