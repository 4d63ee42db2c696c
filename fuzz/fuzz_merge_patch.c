/* SPDX-License-Identifier: Apache-2.0 */
/* Merge patches: two texts with a NUL byte between them.  The result is valid JSON, no longer and no deeper than it is said to be, and the
 * same value as what the pseudo code of RFC 7396 makes of jansson's trees. */
#include "base/assert.h"
#include "base/json.h"
#include "codec/merge_patch.h"
#include "fuzz.h"
#include <jansson.h>

static json_t *load(struct td_slice text)
{
    return json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
}

/* RFC 7396 §2; takes over `target`. */
static json_t *merge(json_t *target, json_t *patch)
{
    const char *name;
    json_t *value;

    if (!json_is_object(patch)) {
        json_decref(target);
        return json_incref(patch);
    }
    if (!json_is_object(target)) {
        json_decref(target);
        target = json_object();
    }
    json_object_foreach(patch, name, value)
    {
        if (json_is_null(value))
            json_object_del(target, name);
        else
            json_object_set_new(target, name,
                                merge(json_incref(json_object_get(target, name)), value));
    }
    return target;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct td_buf out = TD_BUF_INIT(1 << 24);
    struct td_slice rest = td_slice((const char *)data, size), target, patch, whole;

    if (!td_slice_split(&rest, '\0', &target) || !rest.ptr ||
        td_json_check(target, &target, NULL) < 0 || td_json_check(rest, &patch, NULL) < 0)
        return 0;
    TD_ASSERT(td_merge_patch(target, patch, &out) == 0);
    TD_ASSERT(out.len <= target.len + patch.len);
    TD_ASSERT(td_json_check(td_buf_slice(&out), &whole, NULL) == 0 && whole.len == out.len);
    json_t *old = load(target), *change = load(patch);
    if (old &&
        change) { /* jansson refuses some that are valid: numbers that no double can hold, NUL in names */
        json_t *wanted = merge(json_deep_copy(old), change), *got = load(whole);
        TD_ASSERT(got && json_equal(wanted, got));
        json_decref(wanted);
        json_decref(got);
    }
    json_decref(old);
    json_decref(change);
    td_buf_done(&out);
    return 0;
}
