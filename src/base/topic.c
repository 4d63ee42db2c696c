/* SPDX-License-Identifier: Apache-2.0 */
/* Topics are walked segment by segment and never copied; a key is SipHash-1-3 over the segments, with
 * the seed as its secret, so that the state behind each segment gives the key of each prefix. */
#include "base/topic.h"
#include "base/assert.h"
#include "base/err.h"

/* 1 for the bytes of a segment. */
static const unsigned char segment_byte[256] = {
    ['-'] = 1,         ['.'] = 1, ['0' ... '9'] = 1, [':'] = 1, ['@'] = 1,
    ['A' ... 'Z'] = 1, ['_'] = 1, ['a' ... 'z'] = 1, ['~'] = 1,
};

static bool is_star(struct td_slice segment)
{
    return segment.len == 1 && segment.ptr[0] == '*';
}

static bool is_rest(struct td_slice segment)
{
    return segment.len == 2 && segment.ptr[0] == '*' && segment.ptr[1] == '*';
}

bool td_segment_valid(struct td_slice segment)
{
    if (segment.len == 0 || segment.len > TD_SEGMENT_LEN_MAX)
        return false;
    for (size_t i = 0; i < segment.len; i++)
        if (!segment_byte[(unsigned char)segment.ptr[i]])
            return false;
    return true;
}

static bool valid(struct td_slice text, bool wildcards)
{
    struct td_slice segment;
    size_t segments = 0;

    if (text.len == 0 || text.len > TD_TOPIC_LEN_MAX)
        return false;
    while (td_slice_split(&text, '/', &segment)) {
        if (++segments > TD_TOPIC_SEGMENTS_MAX)
            return false;
        if (wildcards && (is_star(segment) || (is_rest(segment) && !text.ptr)))
            continue;
        if (!td_segment_valid(segment))
            return false;
    }
    return true;
}

bool td_topic_valid(struct td_slice topic)
{
    return valid(topic, false);
}

bool td_pattern_valid(struct td_slice pattern)
{
    return valid(pattern, true);
}

bool td_pattern_is_topic(struct td_slice pattern)
{
    return pattern.len > 0 && !memchr(pattern.ptr, '*', pattern.len);
}

bool td_pattern_match(struct td_slice pattern, struct td_slice topic)
{
    struct td_slice want, got;

    while (td_slice_split(&pattern, '/', &want)) {
        if (is_rest(want))
            return true;
        if (!td_slice_split(&topic, '/', &got))
            return false;
        if (!is_star(want) && !td_slice_eq(want, got))
            return false;
    }
    return !topic.ptr;
}

bool td_pattern_covers(struct td_slice outer, struct td_slice inner)
{
    struct td_slice want, got;

    /* No topic is empty, so that a bare `**` is `*` and whatever follows. */
    if (is_rest(inner))
        inner = TD_S("*/**");
    while (td_slice_split(&outer, '/', &want)) {
        if (is_rest(want))
            return true;
        if (!td_slice_split(&inner, '/', &got) || is_rest(got))
            return false;
        if (!is_star(want) && !td_slice_eq(want, got))
            return false;
    }
    return !inner.ptr;
}

/* A pattern that is being written: counts on past its maximum, so that the true length is known. */
struct draft {
    char *text;
    size_t len;
};

static void draft_put(struct draft *draft, struct td_slice segment)
{
    size_t slash = draft->len > 0;

    if (draft->len + slash + segment.len <= TD_TOPIC_LEN_MAX) {
        if (slash)
            draft->text[draft->len] = '/';
        memcpy(draft->text + draft->len + slash, segment.ptr, segment.len);
    }
    draft->len += slash + segment.len;
}

int td_pattern_intersect(struct td_slice a, struct td_slice b, char ret_text[TD_TOPIC_LEN_MAX + 1])
{
    char text[TD_TOPIC_LEN_MAX + 1];
    struct draft draft = {.text = text};
    struct td_slice of_a = {NULL, 0}, of_b = {NULL, 0};
    bool rest_a = false, rest_b = false;

    for (;;) {
        /* A `**` that was reached stands for each segment that the other side still has. */
        bool more_a = !rest_a && td_slice_split(&a, '/', &of_a);
        bool more_b = !rest_b && td_slice_split(&b, '/', &of_b);
        rest_a |= more_a && is_rest(of_a);
        rest_b |= more_b && is_rest(of_b);
        if (rest_a && rest_b)
            break;
        if (rest_a ? !more_b : rest_b ? !more_a : !more_a && !more_b)
            goto written;
        if (!rest_a && !rest_b && more_a != more_b)
            return 0;
        if (!rest_a && !rest_b && !is_star(of_a) && !is_star(of_b) && !td_slice_eq(of_a, of_b))
            return 0;
        draft_put(&draft, rest_a || (!rest_b && is_star(of_a)) ? of_b : of_a);
    }
    /* Behind 254 bytes no segment has room, so that the rest is nothing and need not be written. */
    if (draft.len + 2 <= TD_TOPIC_LEN_MAX || draft.len > TD_TOPIC_LEN_MAX)
        draft_put(&draft, TD_S("**"));
written:
    if (draft.len > TD_TOPIC_LEN_MAX)
        return TD_ETOOLARGE;
    TD_ASSERT(draft.len > 0);
    text[draft.len] = '\0';
    memcpy(ret_text, text, draft.len + 1);
    return (int)draft.len;
}

/* What a key says behind the segments that it covers; part of the last round, so that the three differ. */
enum key_kind { KEY_EXACT = 0xff, KEY_STAR = 0xfe, KEY_REST = 0xfd };

struct hash {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void hash_round(struct hash *h)
{
    h->v0 += h->v1;
    h->v2 += h->v3;
    h->v1 = rotate(h->v1, 13) ^ h->v0;
    h->v3 = rotate(h->v3, 16) ^ h->v2;
    h->v0 = rotate(h->v0, 32);
    h->v2 += h->v1;
    h->v0 += h->v3;
    h->v1 = rotate(h->v1, 17) ^ h->v2;
    h->v3 = rotate(h->v3, 21) ^ h->v0;
    h->v2 = rotate(h->v2, 32);
}

static struct hash hash_begin(uint64_t seed)
{
    /* SipHash's constants; the second half of its secret comes from the first. */
    uint64_t other = rotate(seed, 29) * UINT64_C(0x9e3779b97f4a7c15);

    return (struct hash){
        .v0 = seed ^ UINT64_C(0x736f6d6570736575),
        .v1 = other ^ UINT64_C(0x646f72616e646f6d),
        .v2 = seed ^ UINT64_C(0x6c7967656e657261),
        .v3 = other ^ UINT64_C(0x7465646279746573),
    };
}

static void hash_word(struct hash *h, uint64_t word)
{
    h->v3 ^= word;
    hash_round(h);
    h->v0 ^= word;
}

/* The last word of a segment has the top bit set and the length in it; no word of ASCII has. */
static void hash_segment(struct hash *h, struct td_slice segment)
{
    uint64_t last = (UINT64_C(0x80) | segment.len) << 56, word;

    for (; segment.len >= sizeof(word); segment = td_slice_from(segment, sizeof(word))) {
        memcpy(&word, segment.ptr, sizeof(word));
        hash_word(h, word);
    }
    for (size_t i = 0; i < segment.len; i++)
        last |= (uint64_t)(unsigned char)segment.ptr[i] << (8 * i);
    hash_word(h, last);
}

static uint64_t hash_key(const struct hash *at, enum key_kind kind)
{
    struct hash h = *at;

    h.v2 ^= kind;
    hash_round(&h);
    hash_round(&h);
    hash_round(&h);
    return h.v0 ^ h.v1 ^ h.v2 ^ h.v3;
}

size_t td_topic_keys(uint64_t seed, struct td_slice topic, uint64_t ret_keys[TD_TOPIC_KEYS_MAX])
{
    struct hash h = hash_begin(seed), parent = h;
    struct td_slice segment;
    size_t n = 0;

    ret_keys[n++] = hash_key(&h, KEY_REST);
    while (td_slice_split(&topic, '/', &segment)) {
        TD_ASSERT(n <= TD_TOPIC_SEGMENTS_MAX);
        parent = h;
        hash_segment(&h, segment);
        ret_keys[n++] = hash_key(&h, KEY_REST);
    }
    ret_keys[n++] = hash_key(&parent, KEY_STAR);
    ret_keys[n++] = hash_key(&h, KEY_EXACT);
    return n;
}

uint64_t td_topic_key(uint64_t seed, struct td_slice text)
{
    struct hash h = hash_begin(seed);
    struct td_slice segment;

    while (td_slice_split(&text, '/', &segment))
        hash_segment(&h, segment);
    return hash_key(&h, KEY_EXACT);
}

uint64_t td_pattern_key(uint64_t seed, struct td_slice pattern, bool *ret_exact)
{
    struct hash h = hash_begin(seed);
    enum key_kind kind = KEY_EXACT;
    struct td_slice segment;
    bool exact = true;

    while (kind == KEY_EXACT && td_slice_split(&pattern, '/', &segment)) {
        if (is_rest(segment)) {
            kind = KEY_REST;
        } else if (is_star(segment)) {
            exact = !pattern.ptr;
            kind = exact ? KEY_STAR : KEY_REST;
        } else {
            hash_segment(&h, segment);
        }
    }
    if (ret_exact)
        *ret_exact = exact;
    return hash_key(&h, kind);
}

struct td_shape td_pattern_shape(struct td_slice pattern)
{
    struct td_shape shape = {0};
    struct td_slice segment;

    while (td_slice_split(&pattern, '/', &segment)) {
        shape.rest = is_rest(segment);
        if (is_star(segment))
            shape.stars |= (uint16_t)(1U << shape.segments);
        if (!shape.rest)
            shape.segments++;
    }
    return shape;
}

bool td_shape_fits(struct td_shape shape, size_t segments)
{
    return shape.rest ? segments >= shape.segments : segments == shape.segments;
}

uint64_t td_shape_key(uint64_t seed, struct td_shape shape, struct td_slice topic)
{
    struct hash h = hash_begin(seed);
    struct td_slice segment;

    for (unsigned i = 0; i < shape.segments; i++) {
        bool more = td_slice_split(&topic, '/', &segment);
        TD_ASSERT(more);
        hash_segment(&h, shape.stars >> i & 1 ? TD_S("*") : segment);
    }
    if (shape.rest)
        hash_segment(&h, TD_S("**"));
    return hash_key(&h, KEY_EXACT);
}
