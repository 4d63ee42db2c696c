/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Merge Patch (RFC 7396), on the texts: what a patch does not touch stays byte for byte, numbers too.  Pure. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"

/* Appends what `patch` makes of `target` (ptr NULL: there is none); both have passed td_json_check.  The result is never longer than both
 * together, nor deeper than the deeper one.  Of members with the same name the last one counts, and the others go where the
 * object is patched.  0, -ENOMEM or the error of the buffer. */
TD_MUST_USE int td_merge_patch(struct td_slice target, struct td_slice patch, struct td_buf *out);
