/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/rng.h"
#include "base/topic.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#define SEED UINT64_C(0x7469646e67730a)

static struct td_slice str(const char *text)
{
    return td_slice_str(text);
}

static void test_valid(void **state)
{
    static const char *const topics[] = {"a", "A/b/0", "a.b_c~d@e:f-g", "projects/42/x", "."};
    static const char *const neither[] = {
        "",   "/",  "/a",  "a/", "a//b", "a b",    "a/\n", "\xc3\xa9",
        "a+", "a#", "***", "a*", "*a",   "a/**/b", "**/a", "**/**",
    };
    static const char *const patterns[] = {"*", "**", "a/*", "*/b", "a/**", "*/*/**", "a/*/c"};

    for (size_t i = 0; i < TD_ARRAY_LEN(topics); i++) {
        assert_true(td_topic_valid(str(topics[i])));
        assert_true(td_pattern_valid(str(topics[i])));
        assert_true(td_pattern_is_topic(str(topics[i])));
    }
    for (size_t i = 0; i < TD_ARRAY_LEN(neither); i++) {
        assert_false(td_topic_valid(str(neither[i])));
        assert_false(td_pattern_valid(str(neither[i])));
    }
    for (size_t i = 0; i < TD_ARRAY_LEN(patterns); i++) {
        assert_false(td_topic_valid(str(patterns[i])));
        assert_true(td_pattern_valid(str(patterns[i])));
        assert_false(td_pattern_is_topic(str(patterns[i])));
    }
    assert_false(td_topic_valid((struct td_slice){NULL, 0}));
    assert_false(td_topic_valid(TD_S("a\0b")));
    assert_true(td_segment_valid(TD_S("a~2F")));
    assert_false(td_segment_valid(TD_S("*")));
    assert_false(td_segment_valid(TD_S("a/b")));
    assert_false(td_segment_valid(TD_S("")));
}

/* Each limit: the last that is allowed and the first that is not. */
static void test_limits(void **state)
{
    char text[2 * TD_TOPIC_LEN_MAX];

    memset(text, 'x', sizeof(text));
    assert_true(td_topic_valid(td_slice(text, TD_SEGMENT_LEN_MAX)));
    assert_false(td_topic_valid(td_slice(text, TD_SEGMENT_LEN_MAX + 1)));
    for (size_t i = 1; i < sizeof(text); i += 2)
        text[i] = '/';
    assert_true(td_topic_valid(td_slice(text, 2 * TD_TOPIC_SEGMENTS_MAX - 1)));
    assert_false(td_topic_valid(td_slice(text, 2 * TD_TOPIC_SEGMENTS_MAX + 1)));
    memset(text, 'x', sizeof(text));
    for (size_t i = 50; i < sizeof(text); i += 51)
        text[i] = '/';
    text[254] = 'x'; /* 50 bytes and a slash, five times, would end in a slash */
    text[253] = '/';
    assert_true(td_topic_valid(td_slice(text, TD_TOPIC_LEN_MAX)));
    assert_false(td_topic_valid(td_slice(text, TD_TOPIC_LEN_MAX + 1)));
}

static void test_match(void **state)
{
    static const struct {
        const char *pattern, *topic;
        bool match;
    } cases[] = {
        {"a/b",    "a/b",   true },
        {"a/b",    "a/c",   false},
        {"a/b",    "a",     false},
        {"a",      "a/b",   false},
        {"a",      "ab",    false},
        {"*",      "a",     true },
        {"*",      "a/b",   false},
        {"a/*",    "a/b",   true },
        {"a/*",    "a",     false},
        {"a/*",    "a/b/c", false},
        {"*/c",    "a/c",   true },
        {"a/*/c",  "a/b/c", true },
        {"a/*/c",  "a/b/d", false},
        {"**",     "a",     true },
        {"**",     "a/b/c", true },
        {"a/**",   "a",     true },
        {"a/**",   "a/b/c", true },
        {"a/**",   "ab",    false},
        {"a/**",   "b",     false},
        {"a/*/**", "a",     false},
        {"a/*/**", "a/b",   true },
        {"*/b/**", "a/b/c", true },
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++)
        if (td_pattern_match(str(cases[i].pattern), str(cases[i].topic)) != cases[i].match)
            fail_msg("%s and %s", cases[i].pattern, cases[i].topic);
}

/* All texts of up to three segments out of an alphabet, `**` only at the end. */
struct texts {
    char text[128][12];
    size_t len;
};

static void enumerate(struct texts *texts, const char *const *segments, const char *prefix,
                      int depth)
{
    for (size_t i = 0; segments[i]; i++) {
        char *text = texts->text[texts->len++];
        assert_in_range(texts->len, 1, TD_ARRAY_LEN(texts->text));
        snprintf(text, sizeof(texts->text[0]), "%s%s%s", prefix, *prefix ? "/" : "", segments[i]);
        if (depth > 1 && strcmp(segments[i], "**") != 0)
            enumerate(texts, segments, text, depth - 1);
    }
}

static struct texts all_topics, all_patterns;

static int enumerate_all(void **state)
{
    static const char *const names[] = {"a", "b", NULL};
    static const char *const wild[] = {"a", "b", "*", "**", NULL};

    /* One segment deeper than the patterns, so that each end of a pattern has something behind it. */
    all_topics.len = all_patterns.len = 0;
    enumerate(&all_topics, names, "", 4);
    enumerate(&all_patterns, wild, "", 3);
    return 0;
}

static void test_intersect_everything(void **state)
{
    char text[TD_TOPIC_LEN_MAX + 1];

    for (size_t i = 0; i < all_patterns.len; i++) {
        for (size_t k = 0; k < all_patterns.len; k++) {
            struct td_slice a = str(all_patterns.text[i]), b = str(all_patterns.text[k]);
            int len = td_pattern_intersect(a, b, text);
            assert_true(len >= 0);
            struct td_slice both = td_slice(text, (size_t)len);
            assert_true(len == 0 || (td_pattern_valid(both) && text[len] == '\0'));
            for (size_t t = 0; t < all_topics.len; t++) {
                struct td_slice topic = str(all_topics.text[t]);
                bool want = td_pattern_match(a, topic) && td_pattern_match(b, topic);
                if (want != (len > 0 && td_pattern_match(both, topic)))
                    fail_msg("%s and %s give %.*s: %s", a.ptr, b.ptr, len, text, topic.ptr);
            }
        }
    }
}

static void test_covers_everything(void **state)
{
    for (size_t i = 0; i < all_patterns.len; i++) {
        for (size_t k = 0; k < all_patterns.len; k++) {
            struct td_slice outer = str(all_patterns.text[i]), inner = str(all_patterns.text[k]);
            bool want = true;
            for (size_t t = 0; t < all_topics.len && want; t++)
                want = !td_pattern_match(inner, str(all_topics.text[t])) ||
                       td_pattern_match(outer, str(all_topics.text[t]));
            /* A name that the enumeration lacks tells a/b/… and * apart. */
            static const char *const others[] = {
                "c",     "c/c",   "c/c/c", "a/c",   "a/c/c", "a/a/c", "b/c",   "b/c/c", "a/b/c",
                "b/a/c", "b/b/c", "c/a",   "c/b",   "c/a/c", "c/b/c", "c/c/a", "c/c/b", "a/c/a",
                "a/c/b", "b/c/a", "b/c/b", "c/a/a", "c/a/b", "c/b/a", "c/b/b"};
            for (size_t t = 0; t < TD_ARRAY_LEN(others) && want; t++)
                want = !td_pattern_match(inner, str(others[t])) ||
                       td_pattern_match(outer, str(others[t]));
            if (want != td_pattern_covers(outer, inner))
                fail_msg("%s covers %s", outer.ptr, inner.ptr);
        }
    }
}

static bool has_key(const uint64_t *keys, size_t n, uint64_t key)
{
    for (size_t i = 0; i < n; i++)
        if (keys[i] == key)
            return true;
    return false;
}

static void check_key(struct td_slice pattern, struct td_slice topic)
{
    uint64_t keys[TD_TOPIC_KEYS_MAX];
    size_t n = td_topic_keys(SEED, topic, keys);
    bool exact, match = td_pattern_match(pattern, topic);
    bool filed = has_key(keys, n, td_pattern_key(SEED, pattern, &exact));

    if ((match && !filed) || (exact && match != filed))
        fail_msg("%.*s and %.*s: match %d, filed %d, exact %d", (int)pattern.len, pattern.ptr,
                 (int)topic.len, topic.ptr, match, filed, exact);
    struct td_shape shape = td_pattern_shape(pattern);
    bool found = td_shape_fits(shape, n - 3) &&
                 td_shape_key(SEED, shape, topic) == td_topic_key(SEED, pattern);
    if (match != found)
        fail_msg("%.*s is %sthe one of its shape for %.*s", (int)pattern.len, pattern.ptr,
                 found ? "" : "not ", (int)topic.len, topic.ptr);
}

static void test_keys_everything(void **state)
{
    for (size_t i = 0; i < all_patterns.len; i++)
        for (size_t t = 0; t < all_topics.len; t++)
            check_key(str(all_patterns.text[i]), str(all_topics.text[t]));
}

/* A random topic of up to 16 segments, and a pattern made of it: some segments become wildcards, some
 * another name. */
static void test_keys_random(void **state)
{
    struct td_rng rng;

    td_rng_init(&rng, SEED);
    for (int round = 0; round < 20000; round++) {
        char topic[256], pattern[256];
        size_t t = 0, p = 0, segments = 1 + td_rng_below(&rng, TD_TOPIC_SEGMENTS_MAX);
        bool ended = false;
        for (size_t i = 0; i < segments; i++) {
            size_t from = t, len = 1 + td_rng_below(&rng, 12);
            for (size_t k = 0; k < len; k++)
                topic[t++] = (char)('a' + td_rng_below(&rng, 3));
            if (!ended) {
                uint64_t dice = td_rng_below(&rng, 12);
                if (dice == 0) {
                    ended = true;
                    memcpy(pattern + p, "**", 2);
                    p += 2;
                } else if (dice == 1) {
                    pattern[p++] = '*';
                } else {
                    memcpy(pattern + p, topic + from, len);
                    p += len;
                    if (dice == 2)
                        pattern[p - 1] = 'z';
                }
                pattern[p++] = '/';
            }
            topic[t++] = '/';
        }
        assert_true(td_topic_valid(td_slice(topic, t - 1)));
        assert_true(td_pattern_valid(td_slice(pattern, p - 1)));
        check_key(td_slice(pattern, p - 1), td_slice(topic, t - 1));
    }
}

static void test_keys_count(void **state)
{
    uint64_t keys[TD_TOPIC_KEYS_MAX];
    bool exact;

    assert_int_equal(td_topic_keys(SEED, TD_S("a"), keys), 4);
    assert_int_equal(td_topic_keys(SEED, TD_S("a/b/c"), keys), 6);
    for (size_t i = 0; i < 6; i++)
        assert_false(has_key(keys, i, keys[i]));
    assert_true(has_key(keys, 6, td_pattern_key(SEED, TD_S("**"), &exact)));
    assert_true(exact);
    assert_int_equal(td_topic_keys(SEED, TD_S("1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g"), keys),
                     TD_TOPIC_KEYS_MAX);
    assert_int_equal(td_topic_key(SEED, TD_S("a/b")), td_pattern_key(SEED, TD_S("a/b"), NULL));
    assert_int_not_equal(td_topic_key(SEED, TD_S("a/b")), td_topic_key(SEED + 1, TD_S("a/b")));
    td_pattern_key(SEED, TD_S("a/*/c"), &exact);
    assert_false(exact);
    assert_int_equal(td_pattern_key(SEED, TD_S("a/*/c"), NULL),
                     td_pattern_key(SEED, TD_S("a/**"), NULL));
    assert_int_equal(td_pattern_key(SEED, TD_S("*/x"), NULL),
                     td_pattern_key(SEED, TD_S("**"), NULL));
    /* Where one segment ends and the next begins is part of the key. */
    assert_int_not_equal(td_topic_key(SEED, TD_S("abcdefgh/i")),
                         td_topic_key(SEED, TD_S("abcdefg/hi")));
}

/* One flipped bit of a name moves about half of the key's bits. */
static void test_keys_mixed(void **state)
{
    unsigned changed[64] = {0};
    char text[16];

    for (unsigned i = 0; i < 1024; i++) {
        snprintf(text, sizeof(text), "users/%u", i);
        uint64_t a = td_topic_key(SEED, str(text));
        snprintf(text, sizeof(text), "users/%u", i ^ 1);
        uint64_t difference = a ^ td_topic_key(SEED, str(text));
        for (unsigned bit = 0; bit < 64; bit++)
            changed[bit] += (unsigned)(difference >> bit) & 1;
    }
    for (unsigned bit = 0; bit < 64; bit++)
        assert_in_range(changed[bit], 400, 624);
}

static void make(char *out, size_t len)
{
    memset(out, 'x', len);
    for (size_t i = 60; i + 1 < len; i += 61)
        out[i] = '/';
}

/* What both match may be longer than each: then no topic is that long, but for a 253-byte prefix. */
static void test_intersect_long(void **state)
{
    char a[256], b[256], text[TD_TOPIC_LEN_MAX + 1];

    for (size_t len = 250; len <= 255; len++) {
        /* a: all names and then nothing more than the first 187 bytes, b: wildcards and then names. */
        char whole[256];
        make(whole, len);
        struct td_slice prefix = td_slice(whole, len);
        int n_a = snprintf(a, sizeof(a), "%.*s/**", 182, whole);
        int n_b = snprintf(b, sizeof(b), "*/*/*/%.*s/**", (int)(len - 183), whole + 183);
        int r = td_pattern_intersect(td_slice(a, (size_t)n_a), td_slice(b, (size_t)n_b), text);
        if (len == 253) {
            assert_int_equal(r, TD_ETOOLARGE);
            continue;
        }
        assert_int_equal(r, len + (len < 253 ? 3 : 0));
        assert_memory_equal(text, whole, len);
        assert_true(td_pattern_match(td_slice(text, (size_t)r), prefix));
    }
    assert_int_equal(td_pattern_intersect(TD_S("a/*"), TD_S("b/*"), text), 0);
}

/* What clients are held to, too: tests/vectors/README.md. */
static void test_vectors(void **state)
{
    json_error_t error;
    json_t *cases = json_load_file(TD_VECTORS "/match.json", 0, &error);
    json_t *one;
    size_t i;

    if (cases == NULL)
        fail_msg("%s:%d: %s", error.source, error.line, error.text);
    assert_true(json_array_size(cases) > 0);
    json_array_foreach(cases, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));
        const char *topic = json_string_value(json_object_get(one, "topic"));
        const char *pattern = json_string_value(json_object_get(one, "pattern"));
        const json_t *match = json_object_get(one, "match");
        const json_t *valid = json_object_get(one, "valid");

        if (match != NULL) {
            assert_true(td_pattern_valid(str(pattern)) && td_topic_valid(str(topic)));
            if (td_pattern_match(str(pattern), str(topic)) != json_is_true(match))
                fail_msg("%s", name);
            continue;
        }
        assert_non_null(valid);
        if ((topic ? td_topic_valid(str(topic)) : td_pattern_valid(str(pattern))) !=
            json_is_true(valid))
            fail_msg("%s", name);
    }
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_intersect_everything),
        cmocka_unit_test(test_covers_everything),
        cmocka_unit_test(test_keys_everything),
        cmocka_unit_test(test_keys_random),
        cmocka_unit_test(test_keys_count),
        cmocka_unit_test(test_keys_mixed),
        cmocka_unit_test(test_intersect_long),
    };

    return cmocka_run_group_tests_name("topic", tests, enumerate_all, NULL);
}
