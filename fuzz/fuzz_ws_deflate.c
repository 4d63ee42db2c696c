/* SPDX-License-Identifier: Apache-2.0 */
/* The WebSocket decoder with permessage-deflate.  The first byte says what has been agreed to: the window in its low bits, whether it is
 * kept between messages in its highest. */
#include "fuzz.h"
#include "ws_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct agreed agreed = {8 + data[0] % 8, (data[0] & 0x80) != 0};
    check_stream(&agreed, td_slice((const char *)data + 1, size - 1));
    return 0;
}
