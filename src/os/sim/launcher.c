/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated machine runs no commands: there is no launcher, so nothing was ever started that anything could be asked of. */
#include "os/launcher.h"
#include "base/assert.h"
#include <errno.h>

int td_launcher_fork(struct td_launcher *ret_launcher)
{
    return -ENOSYS;
}

void td_launcher_close(struct td_launcher *launcher)
{
    TD_ASSERT(launcher->_pid == 0);
}

int td_launcher_start(const struct td_launcher *launcher, const struct td_launch *launch,
                      struct td_launched *ret_launched)
{
    return -ENOSYS;
}

enum td_launched_news td_launched_next(const struct td_launched *launched, int *ret_value)
{
    return TD_LAUNCHED_GONE;
}

void td_launched_signal(const struct td_launched *launched, int signal)
{
    td_assert_failed("no commands in the simulator", __FILE__, __LINE__);
}

void td_launched_close(struct td_launched *launched)
{
    TD_ASSERT(launched->link < 0);
}
