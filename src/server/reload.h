/* SPDX-License-Identifier: Apache-2.0 */
/* SIGHUP: the configuration is loaded again, as at the start (the same file, environment and flags), and what may change is changed
 * without touching a connection. */
#pragma once

#include "server/setup.h"

/* Writes to the log when the certificate ends, where there is one; as a warning once it has. */
void td_log_certificate(const struct td_config *config);

/* Loads and installs.  A configuration with an error changes nothing: each thing that is wrong becomes a line of the log, as
 * `tidings check` words it.  Options that only a restart changes keep the value that they have in `started`, and are named in a warning.
 * Main thread.  Whether it was installed. */
bool td_reload(struct td_setups *setups, const struct td_config *started,
               const struct td_config_inputs *inputs);
