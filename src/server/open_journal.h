/* SPDX-License-Identifier: Apache-2.0 */
/* The journal that a configuration describes. */
#pragma once

#include "journal/journal.h"
#include "server/config.h"

/* Opens it, making its directory when there is none, and logs what it found, or why it could not.  0, or an error of
 * td_journal_open. */
TD_MUST_USE int td_server_open_journal(const struct td_config *config,
                                       struct td_journal **ret_journal);
