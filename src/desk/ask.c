/* SPDX-License-Identifier: Apache-2.0 */
#include "desk/ask.h"
#include "base/assert.h"
#include "base/err.h"
#include "desk/internal.h"
#include "desk/permit.h"
#include <errno.h>
#include <stdlib.h>

int td_ask_init(struct td_ask *ask, enum td_ask_verb verb, size_t text_bytes)
{
    *ask = (struct td_ask){
        .verb = verb,
        .why = TD_BUF_INIT(1024),
        .body = TD_BUF_INIT(TD_ASK_BODY_MAX),
        ._text = malloc(text_bytes + 1),
        ._text_size = text_bytes,
    };
    td_list_init(&ask->list);
    return ask->_text ? 0 : -ENOMEM;
}

struct td_slice td_ask_text(struct td_ask *ask, struct td_slice text)
{
    char *at = ask->_text + ask->_text_used;

    TD_ASSERT(text.len < ask->_text_size - ask->_text_used);
    if (text.len > 0)
        memcpy(at, text.ptr, text.len);
    at[text.len] = '\0';
    ask->_text_used += text.len + 1;
    return td_slice(at, text.len);
}

void td_ask_done(struct td_ask *ask)
{
    td_buf_done(&ask->why);
    td_buf_done(&ask->body);
    free(ask->permits);
    free(ask->_text);
    ask->_text = NULL;
}

void td_ask_fail(struct td_ask *ask, int err, const char *why)
{
    ask->err = err;
    td_buf_reset(&ask->why);
    td_buf_puts(&ask->why, why);
}

struct td_permits *td_permits_new(size_t n)
{
    struct td_permits *permits = calloc(1, sizeof(*permits) + n * sizeof(permits->items[0]));

    if (!permits)
        return NULL;
    permits->n = n;
    for (size_t i = 0; i < n; i++) {
        permits->items[i].err = TD_EUNAVAILABLE;
        td_list_init(&permits->items[i]._list);
    }
    return permits;
}

struct td_permit *td_permits_find(struct td_permits *permits, struct td_slice pattern)
{
    for (size_t i = 0; permits && i < permits->n; i++)
        if (td_slice_eq(permits->items[i].pattern, pattern))
            return &permits->items[i];
    return NULL;
}

void td_desk_ask(struct td_desk *desk, struct td_ask *ask)
{
    if (desk) {
        td_mailbox_put(&desk->mailbox, &ask->list);
        return;
    }
    ask->err = TD_EUNAVAILABLE;
    ask->answered(ask);
}
