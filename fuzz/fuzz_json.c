/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON scanner takes what jansson takes and reads the same in it, but for the differences that
 * json_peer.h computes. */
#include "../tests/unit/base/json_peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!json_peer_agrees(td_slice((const char *)data, size)))
        abort();
    return 0;
}
