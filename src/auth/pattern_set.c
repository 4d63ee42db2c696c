/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/pattern_set.h"
#include "base/err.h"

int td_pattern_set_add(struct td_pattern_set *set, struct td_slice pattern,
                       bool (*covers)(struct td_slice outer, struct td_slice inner))
{
    size_t kept = 0;

    for (size_t i = 0; i < set->n; i++)
        if (covers(td_pattern_set_item(set, i), pattern))
            return 0;
    for (size_t i = 0; i < set->n; i++)
        if (!covers(pattern, td_pattern_set_item(set, i)))
            set->_spans[kept++] = set->_spans[i];
    set->n = kept;
    if (set->n == TD_GRANTS_MAX)
        return TD_ETOOLARGE;
    size_t at = set->text->len;
    int r = td_buf_put(set->text, pattern);
    if (r < 0)
        return r;
    set->_spans[set->n++] = (struct td_pattern_span){(uint32_t)at, (uint32_t)pattern.len};
    return 0;
}
