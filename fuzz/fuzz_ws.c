/* SPDX-License-Identifier: Apache-2.0 */
/* The WebSocket decoder without extensions. */
#include "fuzz.h"
#include "ws_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_stream(&(struct agreed){0}, td_slice((const char *)data, size));
    return 0;
}
