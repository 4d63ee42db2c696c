/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes from the kernel, fit for secrets.  Aborts when the kernel has none.  Any thread. */
#pragma once

#include <stddef.h>

void td_random_bytes(void *ret_bytes, size_t len);
