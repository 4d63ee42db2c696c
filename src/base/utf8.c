/* SPDX-License-Identifier: Apache-2.0 */
/* The state packs what may come next: how many continuation bytes are owed, and the range of the next
 * one.  The range is narrower than 80..BF only behind the lead bytes that could begin an overlong form, a
 * surrogate, or something beyond U+10FFFF (RFC 3629 §4). */
#include "base/utf8.h"

#define FAILED    UINT32_MAX
#define HIGH_BITS UINT64_C(0x8080808080808080)

static uint32_t expect(unsigned owed, unsigned low, unsigned high)
{
    return owed << 16 | low << 8 | high;
}

/* What must follow a byte at the beginning of a character. */
static uint32_t after_lead(unsigned char lead)
{
    if (lead < 0x80)
        return 0;
    if (lead >= 0xc2 && lead <= 0xdf)
        return expect(1, 0x80, 0xbf);
    if (lead >= 0xe0 && lead <= 0xef)
        return expect(2, lead == 0xe0 ? 0xa0 : 0x80, lead == 0xed ? 0x9f : 0xbf);
    if (lead >= 0xf0 && lead <= 0xf4)
        return expect(3, lead == 0xf0 ? 0x90 : 0x80, lead == 0xf4 ? 0x8f : 0xbf);
    return FAILED;
}

static uint32_t after(uint32_t state, unsigned char byte)
{
    if (state == 0)
        return after_lead(byte);
    if (byte < (state >> 8 & 0xff) || byte > (state & 0xff))
        return FAILED;
    return state >> 16 == 1 ? 0 : expect((state >> 16) - 1, 0x80, 0xbf);
}

bool td_utf8_feed(struct td_utf8 *utf8, struct td_slice bytes)
{
    uint32_t state = utf8->_state;
    uint64_t word;
    size_t i = 0;

    while (i < bytes.len && state != FAILED) {
        if (state == 0 && bytes.len - i >= sizeof(word)) {
            memcpy(&word, bytes.ptr + i, sizeof(word));
            if ((word & HIGH_BITS) == 0) {
                i += sizeof(word);
                continue;
            }
        }
        state = after(state, (unsigned char)bytes.ptr[i++]);
    }
    utf8->_state = state;
    return state != FAILED;
}

bool td_utf8_complete(const struct td_utf8 *utf8)
{
    return utf8->_state == 0;
}

bool td_utf8_valid(struct td_slice text)
{
    struct td_utf8 utf8 = {0};

    return td_utf8_feed(&utf8, text) && td_utf8_complete(&utf8);
}

size_t td_utf8_char(struct td_slice text)
{
    uint32_t state = 0;

    for (size_t i = 0; i < text.len; i++) {
        state = after(state, (unsigned char)text.ptr[i]);
        if (state == FAILED)
            return 0;
        if (state == 0)
            return i + 1;
    }
    return 0;
}
