/* SPDX-License-Identifier: Apache-2.0 */
/* The topics that a SUBSCRIBE or UNSUBSCRIBE names: `topics`, or one of the forms of `scope` (docs/protocol.md). */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/topic.h"

#define TD_COMMAND_TOPICS_MAX 256

struct td_command_topics {
    struct td_slice
        items[TD_COMMAND_TOPICS_MAX]; /* valid patterns; slices of `_text` or of literals */
    size_t n;
    struct td_buf _text; /* reserved whole, so it does not move */
};

/* Reads them from a checked JSON object.  0, TD_EINVAL, TD_ETOPIC or TD_ETOOLARGE.  End with td_command_topics_done in any
 * case. */
TD_MUST_USE int td_command_topics_read(struct td_command_topics *topics, struct td_slice command);
void td_command_topics_done(struct td_command_topics *topics);
/* The unescaped text of a raw JSON string, kept beside the topics.  0 or TD_EINVAL. */
TD_MUST_USE int td_command_text(struct td_command_topics *topics, struct td_slice raw,
                                struct td_slice *ret_text);
