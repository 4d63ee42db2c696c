/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks.  The simulator has its own. */
#pragma once

#include "base/units.h"

/* Monotonic time; never goes back, unrelated to the wall clock.  Any thread. */
td_ns td_clock_ns(void);
/* Wall time; may jump.  Any thread. */
td_unix_ms td_clock_unix_ms(void);
