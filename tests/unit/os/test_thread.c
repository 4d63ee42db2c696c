/* SPDX-License-Identifier: Apache-2.0 */
/* Threads, and what they share; meant to run under TSan too. */
#include "os/thread.h"

#include "base/compiler.h"
#include "os/clock.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

#define THREADS    4
#define INCREMENTS 20000
#define ROUNDS     5000
#define DEADLINE   (10 * TD_NS_PER_S)
#define SHORT      (3 * TD_NS_PER_MS)

struct counter {
    struct td_mutex mutex;
    unsigned value; /* plain: only the mutex keeps the threads apart */
};

static void increment(void *arg)
{
    struct counter *counter = arg;

    for (int i = 0; i < INCREMENTS; i++) {
        td_mutex_lock(&counter->mutex);
        counter->value++;
        td_mutex_unlock(&counter->mutex);
    }
}

static void a_mutex_lets_one_in(void **state)
{
    struct td_thread threads[THREADS];
    struct counter counter = {0};

    td_mutex_init(&counter.mutex);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(td_thread_start(&threads[i], "counter", increment, &counter), 0);
    for (int i = 0; i < THREADS; i++)
        td_thread_join(&threads[i]);
    assert_int_equal(counter.value, THREADS * INCREMENTS);
    td_mutex_done(&counter.mutex);
}

/* A ball: whoever finds it on its side throws it to the other. */
struct table {
    struct td_mutex mutex;
    struct td_cond thrown[2];
    int side;
    unsigned throws;
    bool late;
};

static void play(struct table *table, int side)
{
    td_mutex_lock(&table->mutex);
    for (int i = 0; i < ROUNDS && !table->late; i++) {
        while (table->side != side && !table->late)
            if (!td_cond_wait(&table->thrown[side], &table->mutex, DEADLINE))
                table->late = true;
        table->throws++;
        table->side = !side;
        td_cond_signal(&table->thrown[!side]);
    }
    td_mutex_unlock(&table->mutex);
}

static void play_far_side(void *arg)
{
    play(arg, 1);
}

static void a_signal_wakes_who_waits(void **state)
{
    struct td_thread thread;
    struct table table = {0};

    td_mutex_init(&table.mutex);
    td_cond_init(&table.thrown[0]);
    td_cond_init(&table.thrown[1]);
    assert_int_equal(td_thread_start(&thread, "far side", play_far_side, &table), 0);
    play(&table, 0);
    td_thread_join(&thread);
    assert_false(table.late);
    assert_int_equal(table.throws, 2 * ROUNDS);
    td_cond_done(&table.thrown[0]);
    td_cond_done(&table.thrown[1]);
    td_mutex_done(&table.mutex);
}

static void a_wait_ends_with_its_time_and_not_before(void **state)
{
    struct td_mutex mutex;
    struct td_cond cond;
    /* Across a full second too: the nanoseconds of the deadline must carry. */
    const td_ns timeouts[] = {0, SHORT, TD_NS_PER_S - 1};

    td_mutex_init(&mutex);
    td_cond_init(&cond);
    for (size_t i = 0; i < TD_ARRAY_LEN(timeouts); i++) {
        td_ns before = td_clock_ns();

        td_mutex_lock(&mutex);
        /* It may also wake by itself; then it had not waited for all of it. */
        while (td_cond_wait(&cond, &mutex, timeouts[i]))
            before = td_clock_ns();
        assert_true(td_clock_ns() - before >= timeouts[i]);
        assert_true(td_clock_ns() - before < timeouts[i] + DEADLINE);
        td_mutex_unlock(&mutex);
    }
    td_cond_done(&cond);
    td_mutex_done(&mutex);
}

struct seen {
    char name[16];
    bool termination_blocked, hangup_blocked;
};

static void look_at_self(void *arg)
{
    struct seen *seen = arg;
    sigset_t mask;

    pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    seen->termination_blocked = sigismember(&mask, SIGTERM) == 1;
    seen->hangup_blocked = sigismember(&mask, SIGHUP) == 1;
}

static void a_thread_has_a_name_and_no_signals(void **state)
{
    struct td_thread thread;
    struct seen seen = {0};
    sigset_t mask;

    assert_int_equal(td_thread_start(&thread, "a name that is too long", look_at_self, &seen), 0);
    td_thread_join(&thread);
    assert_string_equal(seen.name, "a name that is ");
    assert_true(seen.termination_blocked && seen.hangup_blocked);
    /* Only there: who started it still gets them. */
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    assert_int_equal(sigismember(&mask, SIGTERM), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mutex_lets_one_in),
        cmocka_unit_test(a_signal_wakes_who_waits),
        cmocka_unit_test(a_wait_ends_with_its_time_and_not_before),
        cmocka_unit_test(a_thread_has_a_name_and_no_signals),
    };

    return cmocka_run_group_tests_name("os/thread", tests, NULL, NULL);
}
