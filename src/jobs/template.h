/* SPDX-License-Identifier: Apache-2.0 */
/* Texts with names in braces: `projects/{project_id}`, `Improve this: {text}`.
 *
 * `{name}` stands for a value; a name is a letter or `_`, then letters, digits, `_`, `.` and `-`, 64 bytes at most.  `{{` is one brace.  Any other
 * brace stands for itself, so that JSON can be written as it is.  What a value holds is never looked at again. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"

#define TD_TEMPLATE_NAME_MAX 64

/* Takes the next part off the front of a template: some literal text, then a name (ptr NULL: none stands here).  False at the end. */
bool td_template_next(struct td_slice *rest, struct td_slice *ret_literal,
                      struct td_slice *ret_name);

/* The value of a name, when there is one. */
typedef bool td_template_value(void *arg, struct td_slice name, struct td_slice *ret_value);

/* Appends the template with each name replaced by its value, by nothing when it has none.  0 or the error of the buffer. */
TD_MUST_USE int td_template_expand(struct td_slice template, td_template_value *value, void *arg,
                                   struct td_buf *out);
/* Whether the name stands in the template. */
bool td_template_has(struct td_slice template, struct td_slice name);
