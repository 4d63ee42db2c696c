/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator speaks no TLS: a context can't be made, so there is no session that anything could be asked of. */
#include "os/tls.h"
#include "base/assert.h"
#include "base/err.h"

#define NOT_HERE() td_assert_failed("no TLS in the simulator", __FILE__, __LINE__)

int td_tls_context_new(const struct td_tls_options *options, struct td_tls_context **ret_context,
                       struct td_buf *errors)
{
    td_buf_puts(errors, "tls: the simulator has none\n");
    return TD_EINVAL;
}

void td_tls_context_free(struct td_tls_context *context)
{
    TD_ASSERT(!context);
}

void td_tls_free(struct td_tls *tls)
{
    TD_ASSERT(!tls);
}

td_unix_ms td_tls_context_ends(const struct td_tls_context *context)
{
    NOT_HERE();
}

int td_tls_new(const struct td_tls_context *context, int socket, struct td_tls **ret_tls)
{
    NOT_HERE();
}

int64_t td_tls_recv(struct td_tls *tls, void *ret_bytes, size_t len)
{
    NOT_HERE();
}

int64_t td_tls_sendv(struct td_tls *tls, const struct iovec *parts, int n)
{
    NOT_HERE();
}

int td_tls_flush(struct td_tls *tls)
{
    NOT_HERE();
}

size_t td_tls_unsent(const struct td_tls *tls)
{
    NOT_HERE();
}

void td_tls_end(struct td_tls *tls)
{
    NOT_HERE();
}

bool td_tls_is_ready(const struct td_tls *tls)
{
    NOT_HERE();
}

bool td_tls_is_resumed(const struct td_tls *tls)
{
    NOT_HERE();
}

const char *td_tls_version(const struct td_tls *tls)
{
    NOT_HERE();
}

const char *td_tls_cipher(const struct td_tls *tls)
{
    NOT_HERE();
}

const char *td_tls_reason(const struct td_tls *tls)
{
    NOT_HERE();
}
