/* SPDX-License-Identifier: Apache-2.0 */
/* A desk with a log on the simulated disk, its turns taken by hand. */
#pragma once

#include "../journal/fixture.h"
#include "auth/principal.h"
#include "desk/desk.h"

static struct fixture log_of;
static struct td_desk *desk;
static struct td_principal *ann, *bob;
static unsigned n_answered;

static inline void count_answer(struct td_ask *ask)
{
    (void)ask;
    n_answered++;
}

static inline struct td_principal *principal(const char *sub, const char *pattern)
{
    const struct td_slice grant = td_slice_str(pattern);
    const struct td_claims claims = {
        .sub = td_slice_str(sub),
        .has_grants = true,
        .grants = {.subscribe = {&grant, 1}, .publish = {&grant, 1}},
        .exp = TD_EXP_NEVER,
    };
    const struct td_policy policy = {0};
    struct td_principal *made;
    const char *reason;

    assert_int_equal(td_principal_new(&claims, &policy, &made, &reason), 0);
    return made;
}

static inline void desk_open(void)
{
    fixture_open(&log_of);
    assert_int_equal(td_desk_new(log_of.journal, &desk), 0);
}

static inline int desk_begin(void **state)
{
    (void)state;
    fixture_init(&log_of);
    desk_open();
    ann = principal("ann", "**");
    bob = principal("bob", "rooms/**");
    return 0;
}

static inline int desk_end(void **state)
{
    (void)state;
    td_desk_free(desk);
    fixture_close(&log_of);
    td_principal_unref(ann);
    td_principal_unref(bob);
    return 0;
}

/* The process is killed and started again; what was not synced stays, as after kill -9. */
static inline void desk_kill(void)
{
    td_sim_disk_kill();
    td_desk_free(desk);
    td_journal_reader_close(log_of.reader);
    td_journal_abandon(log_of.journal);
    td_sim_boot();
    desk_open();
}

static inline void commit(void)
{
    fixture_commit(&log_of);
}

/* Lets the desk turn until it has answered. */
static inline void until_answered(unsigned n)
{
    for (int turn = 0; turn < 100 && n_answered < n; turn++) {
        td_desk_turn(desk);
        (void)td_desk_rests(desk);
        if (n_answered < n)
            (void)td_journal_keep_step(log_of.journal);
    }
    assert_int_equal(n_answered, n);
}

static inline void ask_begin(struct td_ask *ask, enum td_ask_verb verb, const char *topic)
{
    assert_int_equal(td_ask_init(ask, verb, 1024), 0);
    ask->topic = td_ask_text(ask, td_slice_str(topic));
    ask->principal = ann;
    ask->answered = count_answer;
}

static inline void send_and_wait(struct td_ask *ask)
{
    n_answered = 0;
    td_desk_ask(desk, ask);
    until_answered(1);
}
