/* SPDX-License-Identifier: Apache-2.0 */
/* How `tidings serve` and `tidings dev` come to their configuration. */
#pragma once

#include "base/compiler.h"
#include "server/config.h"

bool td_cli_wants_help(int argc, char **argv);
/* All options, for --help. */
void td_cli_print_options(void);
/* Takes what the arguments and the environment say.  0, or an exit status after what is wrong was printed. */
TD_MUST_USE int td_cli_flags(int argc, char **argv, struct td_config_inputs *inputs);
/* Likewise loads it. */
TD_MUST_USE int td_cli_load(const struct td_config_inputs *inputs, struct td_config **ret_config);
