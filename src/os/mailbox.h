/* SPDX-License-Identifier: Apache-2.0 */
/* Letters from any thread to one: an intrusive list behind a mutex, and a wake.  For what is rare; nothing on the way of an event goes
 * through one.  It holds nothing of its own, so what bounds the letters is whoever writes them. */
#pragma once

#include "base/list.h"
#include "os/thread.h"
#include <stdatomic.h>

struct td_mailbox {
    struct td_mutex _mutex;
    struct td_list _letters;
    _Atomic bool _any;
    void (*_wake)(void *arg);
    void *_arg;
};

/* `wake` is called by the thread that puts a letter, behind it. */
void td_mailbox_init(struct td_mailbox *mailbox, void (*wake)(void *arg), void *arg);
/* It must be empty. */
void td_mailbox_done(struct td_mailbox *mailbox);
/* Any thread. */
void td_mailbox_put(struct td_mailbox *mailbox, struct td_list *letter);
/* Moves all letters, in the order in which they were put, to the end of `ret`. */
void td_mailbox_take(struct td_mailbox *mailbox, struct td_list *ret);
/* Whether there is one; asked after saying that a wake is needed, so none is missed. */
static inline bool td_mailbox_any(const struct td_mailbox *mailbox)
{
    return atomic_load(&mailbox->_any);
}
