/* SPDX-License-Identifier: Apache-2.0 */
#include "os/random.h"

#include "base/assert.h"
#include <errno.h>
#include <sys/random.h>

void td_random_bytes(void *ret_bytes, size_t len)
{
    unsigned char *at = ret_bytes;

    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);

        if (got < 0) {
            TD_ASSERT(errno == EINTR);
            continue;
        }
        at += got;
        len -= (size_t)got;
    }
}
