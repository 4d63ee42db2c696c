/* SPDX-License-Identifier: Apache-2.0 */
/* What tls.c and tls_context.c share. */
#pragma once

#include "os/tls.h"
#include <openssl/ssl.h>

struct td_tls_context {
    SSL_CTX *ssl; /* counts its references itself: each session has one */
    td_unix_ms ends;
};
