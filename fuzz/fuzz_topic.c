/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of patterns and topics: each pair and each pair with each topic must hold what topic.h promises of
 * matching, covering, intersecting, keys and shapes. */
#include "base/err.h"
#include "base/topic.h"
#include <stdlib.h>

#define LINES_MAX 8
#define SEED      UINT64_C(0x7469646e67730a)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_keys(struct td_slice pattern, struct td_slice topic)
{
    uint64_t keys[TD_TOPIC_KEYS_MAX];
    size_t n = td_topic_keys(SEED, topic, keys);
    bool exact, filed = false, match = td_pattern_match(pattern, topic);
    uint64_t key = td_pattern_key(SEED, pattern, &exact);

    must(n >= 4 && n <= TD_TOPIC_KEYS_MAX);
    for (size_t i = 0; i < n; i++)
        filed |= keys[i] == key;
    must(!match || filed);
    must(!exact || match == filed);
    struct td_shape shape = td_pattern_shape(pattern);
    must(match == (td_shape_fits(shape, n - 3) &&
                   td_shape_key(SEED, shape, topic) == td_topic_key(SEED, pattern)));
}

static void check_pair(struct td_slice a, struct td_slice b, struct td_slice topic)
{
    char text[TD_TOPIC_LEN_MAX + 1], again[TD_TOPIC_LEN_MAX + 1];
    bool in_a = td_pattern_match(a, topic), in_b = td_pattern_match(b, topic);
    int len = td_pattern_intersect(a, b, text);

    must(!td_pattern_covers(a, b) || !in_b || in_a);
    must(td_pattern_intersect(b, a, again) == len);
    if (len == TD_ETOOLARGE)
        return;
    must(len >= 0 && len <= TD_TOPIC_LEN_MAX);
    struct td_slice both = td_slice(text, (size_t)len);
    must((in_a && in_b) == (len > 0 && td_pattern_match(both, topic)));
    if (len == 0)
        return;
    must(memcmp(text, again, (size_t)len + 1) == 0);
    must(td_pattern_valid(both) && td_pattern_covers(a, both) && td_pattern_covers(b, both));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct td_slice rest = td_slice(size ? (const char *)data : NULL, size), line;
    struct td_slice patterns[LINES_MAX], topics[LINES_MAX];
    size_t n_patterns = 0, n_topics = 0;

    while (n_patterns < LINES_MAX && td_slice_split(&rest, '\n', &line)) {
        must(td_topic_valid(line) == (td_pattern_valid(line) && td_pattern_is_topic(line)));
        if (!td_pattern_valid(line))
            continue;
        must(td_pattern_covers(line, line) && td_pattern_covers(TD_S("**"), line));
        patterns[n_patterns++] = line;
        if (td_topic_valid(line))
            topics[n_topics++] = line;
    }
    for (size_t t = 0; t < n_topics; t++) {
        must(td_topic_key(SEED, topics[t]) == td_pattern_key(SEED, topics[t], NULL));
        for (size_t i = 0; i < n_patterns; i++) {
            check_keys(patterns[i], topics[t]);
            for (size_t k = 0; k < n_patterns; k++)
                check_pair(patterns[i], patterns[k], topics[t]);
        }
    }
    return 0;
}
