/* SPDX-License-Identifier: Apache-2.0 */
/* Bells and waiting: the simulator has one thread, which goes on by itself, so whoever is rung for is called again anyway, and nothing
 * waits.  There is no environment, and no descriptor of anything but files and sockets. */
#include "os/process.h"
#include <errno.h>

int td_bell_open(void)
{
    return 0; /* no file's number: td_file_close lets it be */
}

void td_bell_ring(int bell)
{
    (void)bell;
}

bool td_bell_answer(int bell)
{
    (void)bell;
    return true;
}

int td_poll(struct td_poll_item *items, size_t n, int timeout_ms)
{
    (void)timeout_ms;
    for (size_t i = 0; i < n; i++)
        items[i].ready = false;
    return 0;
}

const char *const *td_environment(void)
{
    static const char *const none[] = {NULL};

    return none;
}

int64_t td_read_some(int fd, void *ret_bytes, size_t len)
{
    (void)fd;
    (void)ret_bytes;
    (void)len;
    return -EBADF;
}
