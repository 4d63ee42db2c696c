/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"
#include "base/assert.h"

static void hang(struct td_heap_node **link, struct td_heap_node *node)
{
    *link = node;
    if (node)
        node->_link = link;
}

/* Makes one tree of two, neither of which hangs anywhere or has neighbours. */
static struct td_heap_node *meld(struct td_heap_node *a, struct td_heap_node *b)
{
    if (!a || !b)
        return a ? a : b;
    if (b->at < a->at) {
        struct td_heap_node *other = a;
        a = b;
        b = other;
    }
    hang(&b->_next, a->_child);
    hang(&a->_child, b);
    return a;
}

static struct td_heap_node *take_first(struct td_heap_node **list)
{
    struct td_heap_node *node = *list;

    if (node) {
        *list = node->_next;
        node->_next = NULL;
    }
    return node;
}

/* Makes one tree of a list of them: pairs from the front, then all pairs from the back, which is what keeps it cheap. */
static struct td_heap_node *meld_list(struct td_heap_node *list)
{
    struct td_heap_node *pairs = NULL, *all = NULL;

    while (list) {
        struct td_heap_node *a = take_first(&list), *b = take_first(&list);
        struct td_heap_node *pair = meld(a, b);
        pair->_next = pairs;
        pairs = pair;
    }
    while (pairs)
        all = meld(all, take_first(&pairs));
    return all;
}

void td_heap_add(struct td_heap *heap, struct td_heap_node *node, uint64_t at)
{
    TD_ASSERT(!node->_link);
    *node = (struct td_heap_node){.at = at};
    hang(&heap->first, meld(heap->first, node));
}

void td_heap_remove(struct td_heap *heap, struct td_heap_node *node)
{
    if (!node->_link)
        return;
    struct td_heap_node *rest = meld_list(node->_child);
    if (node == heap->first) {
        hang(&heap->first, rest);
    } else {
        hang(node->_link, node->_next);
        hang(&heap->first, meld(heap->first, rest));
    }
    *node = (struct td_heap_node){.at = node->at};
}
