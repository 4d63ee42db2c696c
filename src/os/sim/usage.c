/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated machine measures nothing. */
#include "os/usage.h"

void td_usage_read(struct td_usage *ret_usage)
{
    *ret_usage = (struct td_usage){0};
}
