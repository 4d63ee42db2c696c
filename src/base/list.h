/* SPDX-License-Identifier: Apache-2.0 */
/* An intrusive doubly linked list.  The head is a node whose neighbours are itself; a node that is in no
 * list points to itself too, so that removing twice is harmless. */
#pragma once

#include "base/compiler.h"
#include <stdbool.h>

struct td_list {
    struct td_list *next, *prev;
};

static inline void td_list_init(struct td_list *list)
{
    list->next = list->prev = list;
}

static inline bool td_list_empty(const struct td_list *list)
{
    return list->next == list;
}

static inline void td_list_remove(struct td_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    td_list_init(node);
}

/* Puts `node`, which is in no list, at the end of `list`. */
static inline void td_list_append(struct td_list *list, struct td_list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

/* Moves all nodes of `from` to the end of `to`; `from` is empty afterwards. */
static inline void td_list_splice(struct td_list *to, struct td_list *from)
{
    if (td_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    td_list_init(from);
}

/* Takes the first node off the list; NULL when it is empty. */
static inline struct td_list *td_list_pop(struct td_list *list)
{
    struct td_list *node = list->next;

    if (node == list)
        return (struct td_list *)0;
    td_list_remove(node);
    return node;
}
