/* SPDX-License-Identifier: Apache-2.0 */
/* One event as a line for people.  What an event holds cannot reach the terminal as a command: control
 * characters (C0, DEL, C1) and bytes that are not UTF-8 are shown escaped, JSON's own escapes stay as they are. */
#pragma once

#include "base/buf.h"
#include "base/slice.h"

/* Appends `event`, an event in the `event` format, as "HH:MM:SS.mmm topic type data" and a newline; time is UTC.
 * What is no such event is shown whole. */
void td_pretty_event(struct td_buf *out, struct td_slice event, bool color);
/* Appends `text` as above, for what else comes from the server. */
void td_pretty_text(struct td_buf *out, struct td_slice text);
