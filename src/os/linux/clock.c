/* SPDX-License-Identifier: Apache-2.0 */
#include "os/clock.h"

#include "base/assert.h"

static struct timespec now(clockid_t clock)
{
    struct timespec time;

    TD_ASSERT(clock_gettime(clock, &time) == 0);
    return time;
}

td_ns td_clock_ns(void)
{
    struct timespec time = now(CLOCK_MONOTONIC);

    return (td_ns)time.tv_sec * TD_NS_PER_S + (td_ns)time.tv_nsec;
}

td_unix_ms td_clock_unix_ms(void)
{
    struct timespec time = now(CLOCK_REALTIME);

    return (td_unix_ms)time.tv_sec * 1000 + (td_unix_ms)time.tv_nsec / TD_NS_PER_MS;
}
