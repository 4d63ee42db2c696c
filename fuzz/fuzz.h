/* SPDX-License-Identifier: Apache-2.0 */
/* What each target defines: checks properties of the code on one input and aborts when one does not hold.  Targets that need
 * more than one value cut it off the input's front. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
