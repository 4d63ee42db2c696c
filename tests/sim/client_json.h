/* SPDX-License-Identifier: Apache-2.0 */
/* A client's own eyes for JSON (RFC 8259): strict, small, and written apart from src/base/json.c, so that the two do not
 * share a mistake. */
#pragma once

#include "base/slice.h"

/* Whether the text is one JSON value and nothing else. */
bool client_json_valid(struct td_slice text);
/* The raw value of a member of a valid object; false when there is none. */
bool client_json_get(struct td_slice object, const char *name, struct td_slice *ret_raw);
/* Takes the next item off the front of a valid array, which `rest` holds at first with its brackets. */
bool client_json_next(struct td_slice *rest, struct td_slice *ret_item);
/* What a raw string without escapes holds; the empty slice for anything else. */
struct td_slice client_json_plain(struct td_slice raw);
