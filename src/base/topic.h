/* SPDX-License-Identifier: Apache-2.0 */
// (Line comments, because patterns hold the marks of block comments.)
//
// Topics and patterns.
//
// A topic is 1 to 16 segments of 1 to 64 bytes `A-Z a-z 0-9 . _ ~ @ : -` joined by '/', 255 bytes at most.
// A pattern is a topic in which a segment may be `*` (any one segment) and the last may be `**` (the
// rest, or nothing: `a/**` matches `a`, `a/b` and `a/b/c`; `**` matches everything).
//
// Keys.  Whatever is looked up by pattern (the journal's index, what was trimmed, the subscription
// index) is filed under 64-bit keys.  A topic of n segments has n + 3 keys:
//
//     a/b/c   →   a/b/c   a/b/*   **   a/**   a/b/**   a/b/c/**
//
// and a pattern has one, under which every topic that it matches is filed.  For a topic, a pattern that
// ends in its only wildcard, the key is exact: all that is filed there matches.  For a pattern with a
// `*` before its end it is the key of its literal prefix, and what is found has to be matched.  Keys are
// hashes (seeded by the log, so that nobody can aim at one): two patterns may share one by accident, so
// a finder always matches before it trusts, and a keeper of "was trimmed" errs to the loud side.
//
// Shapes.  Who files patterns, and looks for those that match a topic, can do without that prefix: of all patterns
// that are literal and `*` in the same places only one can match a topic, and the topic's own segments say
// which.  So such a pattern is filed under the key of its text, and looked for once for each shape in use:
//
//     a/*/x/**  of the shape  -*-**     for a/b/x/y  →  the key of  a/*/x/**
#pragma once

#include "base/compiler.h"
#include "base/slice.h"

#define TD_TOPIC_LEN_MAX      255
#define TD_TOPIC_SEGMENTS_MAX 16
#define TD_SEGMENT_LEN_MAX    64
#define TD_TOPIC_KEYS_MAX     (TD_TOPIC_SEGMENTS_MAX + 3)

/* Whether the text is a topic, a pattern, or one legal segment (never `*`). */
bool td_topic_valid(struct td_slice topic);
bool td_pattern_valid(struct td_slice pattern);
bool td_segment_valid(struct td_slice segment);
/* Whether a pattern holds no wildcard, that is: is a topic. */
bool td_pattern_is_topic(struct td_slice pattern);

/* Whether `pattern` matches `topic`; both valid. */
bool td_pattern_match(struct td_slice pattern, struct td_slice topic);
/* Whether every topic that `inner` matches is matched by `outer`; both valid patterns. */
bool td_pattern_covers(struct td_slice outer, struct td_slice inner);
/* Writes the one pattern that matches what both match to `ret_text` and returns its length, 0 when nothing is
 * matched by both.  TD_ETOOLARGE when it would be longer than a topic may be: no topic matches both then, or, for a
 * prefix of 253 bytes and `**`, no pattern can say which. */
TD_MUST_USE int td_pattern_intersect(struct td_slice a, struct td_slice b,
                                     char ret_text[TD_TOPIC_LEN_MAX + 1]);

/* The keys of a valid topic, in no particular order; returns how many. */
size_t td_topic_keys(uint64_t seed, struct td_slice topic, uint64_t ret_keys[TD_TOPIC_KEYS_MAX]);
/* The key of a text itself: of a topic, its key as the pattern without wildcards; of a pattern, one that is its alone. */
uint64_t td_topic_key(uint64_t seed, struct td_slice text);
/* The key under which everything that a valid pattern matches is filed.  `ret_exact` (may be NULL): whether all that is
 * filed there matches. */
uint64_t td_pattern_key(uint64_t seed, struct td_slice pattern, bool *ret_exact);

/* Where the wildcards of a pattern are. */
struct td_shape {
    uint16_t stars;   /* bit i: segment i is `*` */
    uint8_t segments; /* without the `**` */
    bool rest;        /* `**` ends it */
};
_Static_assert(TD_TOPIC_SEGMENTS_MAX <= 16, "a bit for each segment");

struct td_shape td_pattern_shape(struct td_slice pattern);
/* Whether a pattern of that shape can match a topic of so many segments. */
bool td_shape_fits(struct td_shape shape, size_t segments);
/* The td_topic_key of the only pattern of a shape, which fits, that can match a topic. */
uint64_t td_shape_key(uint64_t seed, struct td_shape shape, struct td_slice topic);
