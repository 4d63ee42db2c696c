/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"
#include "base/compiler.h"
#if defined(__x86_64__)
#    include <nmmintrin.h>
#endif

/* The remainder of a byte is the sum of those of its bits, so eight constants give the table. */
#define BIT(i, n, remainder) ((i) >> (n)&1 ? UINT32_C(remainder) : 0)
#define ENTRY(i)                                                             \
    (BIT(i, 0, 0xf26b8303) ^ BIT(i, 1, 0xe13b70f7) ^ BIT(i, 2, 0xc79a971f) ^ \
     BIT(i, 3, 0x8ad958cf) ^ BIT(i, 4, 0x105ec76f) ^ BIT(i, 5, 0x20bd8ede) ^ \
     BIT(i, 6, 0x417b1dbc) ^ BIT(i, 7, 0x82f63b78))
#define ENTRIES_4(i)  ENTRY(i), ENTRY((i) + 1), ENTRY((i) + 2), ENTRY((i) + 3)
#define ENTRIES_16(i) ENTRIES_4(i), ENTRIES_4((i) + 4), ENTRIES_4((i) + 8), ENTRIES_4((i) + 12)
#define ENTRIES_64(i) \
    ENTRIES_16(i), ENTRIES_16((i) + 16), ENTRIES_16((i) + 32), ENTRIES_16((i) + 48)

static const uint32_t table[256] = {ENTRIES_64(0), ENTRIES_64(64), ENTRIES_64(128),
                                    ENTRIES_64(192)};

uint32_t td_crc32c_portable(uint32_t crc, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    crc = ~crc;
    for (; len > 0; len--)
        crc = crc >> 8 ^ table[(crc ^ *at++) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)

TD_TARGET("sse4.2")
static uint32_t crc32c_sse42(uint32_t crc, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    uint64_t sum = ~crc, word;

    for (; len >= sizeof(word); len -= sizeof(word), at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        sum = _mm_crc32_u64(sum, word);
    }
    crc = (uint32_t)sum;
    for (; len > 0; len--)
        crc = _mm_crc32_u8(crc, *at++);
    return ~crc;
}

uint32_t td_crc32c(uint32_t crc, const void *bytes, size_t len)
{
    if (TD_LIKELY(TD_CPU_HAS("sse4.2")))
        return crc32c_sse42(crc, bytes, len);
    return td_crc32c_portable(crc, bytes, len);
}

#else

uint32_t td_crc32c(uint32_t crc, const void *bytes, size_t len)
{
    return td_crc32c_portable(crc, bytes, len);
}

#endif
