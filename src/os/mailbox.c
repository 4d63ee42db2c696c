/* SPDX-License-Identifier: Apache-2.0 */
#include "os/mailbox.h"
#include "base/assert.h"

void td_mailbox_init(struct td_mailbox *mailbox, void (*wake)(void *arg), void *arg)
{
    td_mutex_init(&mailbox->_mutex);
    td_list_init(&mailbox->_letters);
    atomic_init(&mailbox->_any, false);
    mailbox->_wake = wake;
    mailbox->_arg = arg;
}

void td_mailbox_done(struct td_mailbox *mailbox)
{
    TD_ASSERT(td_list_empty(&mailbox->_letters));
    td_mutex_done(&mailbox->_mutex);
}

void td_mailbox_put(struct td_mailbox *mailbox, struct td_list *letter)
{
    td_mutex_lock(&mailbox->_mutex);
    td_list_append(&mailbox->_letters, letter);
    atomic_store(&mailbox->_any, true);
    td_mutex_unlock(&mailbox->_mutex);
    mailbox->_wake(mailbox->_arg);
}

void td_mailbox_take(struct td_mailbox *mailbox, struct td_list *ret)
{
    if (!td_mailbox_any(mailbox))
        return;
    td_mutex_lock(&mailbox->_mutex);
    td_list_splice(ret, &mailbox->_letters);
    atomic_store(&mailbox->_any, false);
    td_mutex_unlock(&mailbox->_mutex);
}
