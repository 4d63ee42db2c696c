/* SPDX-License-Identifier: Apache-2.0 */
/* What the patterns of others cost an event: which of them are looked at for its topic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "hub/index.h"
#include <stdlib.h>

#define SEED   UINT64_C(0x7469646e67730a)
#define OTHERS 5000

static struct td_pattern *patterns[3 * OTHERS + 16];
static size_t n_patterns;

static void ref(struct td_index *index, const char *format, ...) TD_PRINTF(2, 3);
static void ref(struct td_index *index, const char *format, ...)
{
    char text[TD_TOPIC_LEN_MAX + 1];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    assert_true(td_pattern_valid(td_slice_str(text)));
    patterns[n_patterns] = td_index_ref(index, td_slice_str(text));
    assert_non_null(patterns[n_patterns++]);
}

static void unref_all(struct td_index *index)
{
    while (n_patterns > 0)
        td_index_unref(index, patterns[--n_patterns]);
    td_index_done(index);
}

/* How many patterns are looked at for a topic; `*ret_matching` of them match it. */
static size_t looked_at(const struct td_index *index, struct td_slice topic, size_t *ret_matching)
{
    uint64_t keys[TD_TOPIC_KEYS_MAX];
    size_t n = td_topic_keys(index->seed, topic, keys), looked = 0;

    *ret_matching = 0;
    for (size_t i = 0; i < n; i++)
        for (const struct td_pattern *at = td_index_find(index, keys[i]); at; at = at->next) {
            looked++;
            *ret_matching += td_pattern_match(td_pattern_text(at), topic);
        }
    return looked;
}

static void only_what_matches_is_looked_at(void **state)
{
    const struct td_slice topic = TD_S("rooms/7/talk");
    struct td_index index;
    size_t matching;

    td_index_init(&index, SEED);
    ref(&index, "rooms/7/talk");
    ref(&index, "rooms/7/*");
    ref(&index, "rooms/**");
    ref(&index, "**");
    assert_int_equal(looked_at(&index, topic, &matching), 4);
    assert_int_equal(matching, 4);
    /* Whatever others subscribe to: topics, siblings and subtrees beside it, above it and below it. */
    for (unsigned i = 0; i < OTHERS; i++) {
        ref(&index, "rooms/%u/talk", i + 8);
        ref(&index, "rooms/7/talk/%u/**", i);
        ref(&index, "rooms/7/x%u/*", i);
    }
    assert_int_equal(looked_at(&index, topic, &matching), 4);
    assert_int_equal(matching, 4);
    unref_all(&index);
}

/* A pattern with a star before its end is filed under what stands before the star, and is looked at by what is below that. */
static void a_star_inside_is_looked_at_below_its_prefix_only(void **state)
{
    struct td_index index;
    size_t matching;

    td_index_init(&index, SEED);
    for (unsigned i = 0; i < OTHERS; i++)
        ref(&index, "rooms/*/x%u", i);
    ref(&index, "talks/*/b");
    assert_int_equal(looked_at(&index, TD_S("talks/1/b"), &matching), 1);
    assert_int_equal(matching, 1);
    assert_int_equal(looked_at(&index, TD_S("rooms"), &matching), OTHERS);
    assert_int_equal(matching, 0);
    assert_int_equal(looked_at(&index, TD_S("rooms/1/x77"), &matching), OTHERS);
    assert_int_equal(matching, 1);
    unref_all(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_matches_is_looked_at),
        cmocka_unit_test(a_star_inside_is_looked_at_below_its_prefix_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
