/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli, RFC 3720 appendix B.4): SSE 4.2 where the processor has it, tables elsewhere. */
#pragma once

#include "base/slice.h"

/* The checksum of `bytes` appended to what `crc` covers; begin with 0. */
uint32_t td_crc32c(uint32_t crc, const void *bytes, size_t len);
/* The same by table alone: what td_crc32c does on a processor without the instruction. */
uint32_t td_crc32c_portable(uint32_t crc, const void *bytes, size_t len);
