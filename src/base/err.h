/* SPDX-License-Identifier: Apache-2.0 */
/* Errors.  A fallible function returns an int: 0 or positive is success, negative is an error: -errno for
 * what the kernel said, TD_E… (below -1000) for what Tidings says.  The table is err.def. */
#pragma once

#include "base/compiler.h"
#include <stdbool.h>

enum td_err {
#define TD_ERR(name, number, code, http, close, hint) TD_E##name = -(number),
#include "base/err.def"
#undef TD_ERR
};

/* The stable word of an error, `unavailable` for what the table does not know (errno values).  Static. */
const char *td_err_code(int err);
/* One sentence that says what to do.  Static. */
const char *td_err_hint(int err);
/* The name for logs: "TOPIC", or the text of an errno.  Static. */
const char *td_err_name(int err);
/* The HTTP status and the WebSocket close code to answer with. */
int td_err_http(int err);
int td_err_close(int err);
