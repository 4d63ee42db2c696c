/* SPDX-License-Identifier: Apache-2.0 */
/* How the authorizer is asked, as a copy of what it was told: one block, whose texts end with a NUL. */
#pragma once

#include "desk/authorizer.h"

struct td_authorizer_settings {
    struct td_authorizer_options options;
    char text[];
};

/* NULL when memory is out. */
struct td_authorizer_settings *td_authorizer_settings_new(
    const struct td_authorizer_options *options);
/* The header may hold a secret, so it is wiped.  NULL is fine. */
void td_authorizer_settings_free(struct td_authorizer_settings *settings);
bool td_authorizer_settings_same(const struct td_authorizer_options *a,
                                 const struct td_authorizer_options *b);
