/* SPDX-License-Identifier: Apache-2.0 */
/* An intrusive heap: what is due first comes first.  A pairing heap, so a node needs no memory but its own, and nothing can fail.
 *
 *     root ── child ── next ── next        the children of a node are a list; none is due before its parent
 *               └── child ── next
 *
 * Adding is constant; taking out is logarithmic, taken over all of them.  Nodes that are due at the same time come in no
 * particular order.  Not thread-safe. */
#pragma once

#include "base/compiler.h"
#include <stdbool.h>
#include <stdint.h>

struct td_heap_node {
    uint64_t
        at; /* when it is due, in the unit of whoever uses the heap; not changed while it is in */
    struct td_heap_node *_child, *_next;
    struct td_heap_node **_link; /* what points to it; NULL: it is in no heap */
};

/* Zeroed: empty. */
struct td_heap {
    struct td_heap_node *first; /* NULL when it is empty */
};

static inline bool td_heap_has(const struct td_heap_node *node)
{
    return node->_link;
}

/* Puts in a node that is in no heap. */
void td_heap_add(struct td_heap *heap, struct td_heap_node *node, uint64_t at);
/* Takes a node out; one that is in no heap stays so. */
void td_heap_remove(struct td_heap *heap, struct td_heap_node *node);
