/* SPDX-License-Identifier: Apache-2.0 */
/* What the patterns of others cost an event: which of them are looked at for its topic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/rng.h"
#include "hub/index.h"
#include <stdlib.h>

#define SEED   UINT64_C(0x7469646e67730a)
#define OTHERS 5000

static struct td_pattern *patterns[3 * OTHERS + 16];
static size_t n_patterns;

static int claim_text(struct td_index *index, struct td_slice text)
{
    assert_true(td_pattern_valid(text));
    assert_in_range(n_patterns, 0, TD_ARRAY_LEN(patterns) - 1);
    int r = td_index_claim(index, text, &patterns[n_patterns]);
    n_patterns += r == 0;
    return r;
}

static void claim(struct td_index *index, const char *format, ...) TD_PRINTF(2, 3);
static void claim(struct td_index *index, const char *format, ...)
{
    char text[TD_TOPIC_LEN_MAX + 1];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    assert_int_equal(claim_text(index, td_slice_str(text)), 0);
}

static void release(struct td_index *index, size_t i)
{
    td_index_release(index, patterns[i]);
    patterns[i] = patterns[--n_patterns];
}

static void release_all(struct td_index *index)
{
    while (n_patterns > 0)
        release(index, n_patterns - 1);
    td_index_done(index);
}

/* How many patterns are looked at for a topic; `*ret_matching` of them match it. */
static size_t looked_at(const struct td_index *index, struct td_slice topic, size_t *ret_matching)
{
    uint64_t keys[TD_INDEX_KEYS_MAX];
    size_t n = td_index_keys(index, topic, keys), looked = 0;

    *ret_matching = 0;
    for (size_t i = 0; i < n; i++)
        for (const struct td_pattern *at = td_index_find(index, keys[i]); at; at = at->next) {
            looked++;
            *ret_matching += td_pattern_match(td_pattern_text(at), topic);
        }
    return looked;
}

static size_t keys_of(const struct td_index *index, struct td_slice topic)
{
    uint64_t keys[TD_INDEX_KEYS_MAX];

    return td_index_keys(index, topic, keys);
}

static void only_what_matches_is_looked_at(void **state)
{
    const struct td_slice topic = TD_S("rooms/7/talk");
    struct td_index index;
    size_t matching;

    td_index_init(&index, SEED);
    claim(&index, "rooms/7/talk");
    claim(&index, "rooms/7/*");
    claim(&index, "rooms/**");
    claim(&index, "**");
    assert_int_equal(looked_at(&index, topic, &matching), 4);
    assert_int_equal(matching, 4);
    /* Whatever others subscribe to: topics, siblings and subtrees beside it, above it and below it. */
    for (unsigned i = 0; i < OTHERS; i++) {
        claim(&index, "rooms/%u/talk", i + 8);
        claim(&index, "rooms/7/talk/%u/**", i);
        claim(&index, "rooms/7/x%u/*", i);
    }
    assert_int_equal(looked_at(&index, topic, &matching), 4);
    assert_int_equal(matching, 4);
    release_all(&index);
}

static void nor_with_a_star_inside(void **state)
{
    const struct td_slice topic = TD_S("rooms/1/x77/y");
    struct td_index index;
    size_t matching;

    td_index_init(&index, SEED);
    assert_int_equal(keys_of(&index, topic), 7);
    for (unsigned i = 0; i < OTHERS; i++) {
        claim(&index, "rooms/*/x%u/**", i);
        claim(&index, "rooms/*/x%u/z", i);
    }
    /* One more key for each shape, however many patterns are of it. */
    assert_int_equal(keys_of(&index, topic), 9);
    assert_int_equal(looked_at(&index, topic, &matching), 1);
    assert_int_equal(matching, 1);
    assert_int_equal(looked_at(&index, TD_S("rooms"), &matching), 0);
    /* Beside the prefix nobody learns of them. */
    assert_int_equal(keys_of(&index, TD_S("talks/1/x77/y")), 7);
    release_all(&index);
}

/* What a client names is not what it is granted, and touches nobody. */
static void what_is_only_named_is_not_looked_for(void **state)
{
    struct td_pattern *named[100];
    struct td_index index;
    char text[64];

    td_index_init(&index, SEED);
    for (size_t i = 0; i < TD_ARRAY_LEN(named); i++) {
        snprintf(text, sizeof(text), "*/x%zu/*/*/*/*/*", i);
        named[i] = td_index_ref(&index, td_slice_str(text));
    }
    assert_int_equal(keys_of(&index, TD_S("a/b/c/d/e/f/g")), 10);
    assert_int_equal(index.shapes.len, 0);
    for (size_t i = 0; i < TD_ARRAY_LEN(named); i++)
        td_index_unref(&index, named[i]);
    td_index_done(&index);
}

/* A prefix and so many segments: those of a bit of `literal` are x, the others `*`, and so is the first. */
static struct td_slice shape(struct td_buf *text, const char *prefix, unsigned literal,
                             unsigned segments)
{
    td_buf_reset(text);
    td_buf_puts(text, prefix);
    td_buf_puts(text, "*");
    for (unsigned i = 1; i < segments; i++)
        td_buf_puts(text, literal >> i & 1 ? "/x" : "/*");
    return td_buf_slice(text);
}

/* Who subscribes to as many shapes as he can is stopped, takes nothing from what is short, and nothing from another prefix. */
static void shapes_have_a_bound(void **state)
{
    struct td_buf text = TD_BUF_INIT(TD_TOPIC_LEN_MAX);
    struct td_index index;
    unsigned taken = 0;

    td_index_init(&index, SEED);
    for (unsigned literal = 2; literal < 4096; literal += 2) {
        int r = claim_text(&index, shape(&text, "a/", literal, 15));
        assert_int_equal(r, taken < TD_SHAPES_LONG_MAX ? 0 : TD_ESHAPES);
        taken += r == 0;
    }
    assert_int_equal(n_patterns, TD_SHAPES_LONG_MAX);
    /* Another pattern of a shape in use is none too many; nor is any shape that is short. */
    claim(&index, "a/*/y/*/*/*/*/*/*/*/*/*/*/*/*/*");
    for (unsigned segments = 1; segments <= TD_SHAPE_SPAN; segments++)
        for (unsigned literal = 0; literal < 1U << segments; literal += 2) {
            shape(&text, "a/", literal, segments);
            assert_int_equal(claim_text(&index, td_buf_slice(&text)), 0);
            td_buf_puts(&text, "/**");
            assert_int_equal(claim_text(&index, td_buf_slice(&text)), 0);
        }
    assert_int_equal(keys_of(&index, TD_S("a/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x")),
                     TD_TOPIC_KEYS_MAX + TD_SHAPES_LONG_MAX + 15);
    assert_int_equal(claim_text(&index, shape(&text, "b/", 4094, 15)), 0);
    assert_int_equal(keys_of(&index, TD_S("b/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x")),
                     TD_TOPIC_KEYS_MAX + 1);
    /* Refused for want of room, and taken once there is some. */
    assert_int_equal(claim_text(&index, shape(&text, "a/", 8190, 15)), TD_ESHAPES);
    while (n_patterns > TD_SHAPES_LONG_MAX)
        release(&index, n_patterns - 1);
    assert_int_equal(claim_text(&index, td_buf_slice(&text)), TD_ESHAPES);
    release(&index, n_patterns - 1);
    assert_int_equal(claim_text(&index, td_buf_slice(&text)), 0);
    release_all(&index);
    td_buf_done(&text);
}

static struct td_slice random_text(struct td_rng *rng, bool wildcards, struct td_buf *text)
{
    size_t segments = 1 + td_rng_below(rng, td_rng_below(rng, 2) ? 4 : TD_TOPIC_SEGMENTS_MAX);

    td_buf_reset(text);
    for (size_t i = 0; i < segments; i++) {
        uint64_t dice = td_rng_below(rng, wildcards ? 8 : 4);
        td_buf_puts(text, i > 0 ? "/" : "");
        td_buf_puts(text, dice < 3                       ? "a"
                          : dice < 4                     ? "bb"
                          : dice < 7 || i + 1 < segments ? "*"
                                                         : "**");
    }
    return td_buf_slice(text);
}

/* Each claimed pattern that matches is found, once. */
static void check_topic(const struct td_index *index, struct td_slice topic)
{
    uint64_t keys[TD_INDEX_KEYS_MAX];
    size_t n = td_index_keys(index, topic, keys);

    for (size_t i = 0; i < n_patterns; i++) {
        const struct td_pattern *want = patterns[i];
        unsigned found = 0;
        for (size_t k = 0; k < n; k++)
            for (const struct td_pattern *at = td_index_find(index, keys[k]); at; at = at->next)
                found += at == want;
        if (found != td_pattern_match(td_pattern_text(want), topic))
            fail_msg("%.*s and %.*s: found %u times", want->len, want->text, (int)topic.len,
                     topic.ptr, found);
    }
}

/* The index against plain matching, while patterns come and go. */
static void random_patterns(void **state)
{
    struct td_buf text = TD_BUF_INIT(TD_TOPIC_LEN_MAX);
    struct td_index index;
    struct td_rng rng;
    unsigned refused = 0;

    td_index_init(&index, SEED);
    td_rng_init(&rng, SEED);
    for (unsigned round = 0; round < 20000; round++) {
        if (n_patterns > 0 && td_rng_below(&rng, 400) < n_patterns)
            release(&index, td_rng_below(&rng, n_patterns));
        else
            refused += claim_text(&index, random_text(&rng, true, &text)) < 0;
        check_topic(&index, random_text(&rng, false, &text));
    }
    assert_true(refused > 0 && n_patterns > 50);
    release_all(&index);
    td_buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_matches_is_looked_at),
        cmocka_unit_test(nor_with_a_star_inside),
        cmocka_unit_test(what_is_only_named_is_not_looked_for),
        cmocka_unit_test(shapes_have_a_bound),
        cmocka_unit_test(random_patterns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
