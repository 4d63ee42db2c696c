/* SPDX-License-Identifier: Apache-2.0 */
#include "client_ws.h"

static uint64_t big_endian(const unsigned char *bytes, size_t n)
{
    uint64_t number = 0;

    for (size_t i = 0; i < n; i++)
        number = number << 8 | bytes[i];
    return number;
}

int client_ws_frame(struct td_slice in, struct client_frame *ret_frame, const char **why)
{
    const unsigned char *bytes = (const unsigned char *)in.ptr;
    size_t head = 2;

    if (in.len < 2)
        return 0;
    unsigned opcode = bytes[0] & 15;
    uint64_t len = bytes[1] & 127;
    *why = "a reserved bit is set";
    if (bytes[0] & 0x70)
        return -1;
    *why = "a server must not mask (5.1)";
    if (bytes[1] & 0x80)
        return -1;
    *why = "not an opcode of this server";
    if (opcode != 1 && (opcode < 8 || opcode > 10))
        return -1;
    *why = "a fragment: this server sends whole messages";
    if (!(bytes[0] & 0x80))
        return -1;
    *why = "a control frame of more than 125 bytes (5.5)";
    if (opcode >= 8 && len > 125)
        return -1;
    if (len >= 126) {
        head += len == 126 ? 2 : 8;
        if (in.len < head)
            return 0;
        uint64_t least = len == 126 ? 126 : 65536;
        len = big_endian(bytes + 2, head - 2);
        *why = "the length is not in its shortest form (5.2)";
        if (len < least || len > UINT32_MAX)
            return -1;
    }
    if (in.len - head < len)
        return 0;
    *ret_frame =
        (struct client_frame){opcode, td_slice(in.ptr + head, (size_t)len), head + (size_t)len};
    return 1;
}

static void put_one(struct td_buf *out, struct td_rng *rng, unsigned first, struct td_slice payload)
{
    char mask[4];
    uint64_t word = td_rng_next(rng);

    memcpy(mask, &word, sizeof mask);
    td_buf_putc(out, (char)first);
    if (payload.len < 126) {
        td_buf_putc(out, (char)(0x80 | payload.len));
    } else {
        td_buf_putc(out, (char)(0x80 | 126));
        td_buf_putc(out, (char)(payload.len >> 8));
        td_buf_putc(out, (char)payload.len);
    }
    td_buf_put(out, td_slice(mask, sizeof mask));
    for (size_t i = 0; i < payload.len; i++)
        td_buf_putc(out, (char)(payload.ptr[i] ^ mask[i % 4]));
}

void client_ws_put(struct td_buf *out, struct td_rng *rng, unsigned opcode, struct td_slice payload)
{
    unsigned type = opcode;

    while (opcode == 1 && payload.len > 1 && td_rng_one_in(rng, 4)) {
        size_t n = (size_t)td_rng_below(rng, payload.len);

        put_one(out, rng, type, td_slice_to(payload, n));
        payload = td_slice_from(payload, n);
        type = 0;
    }
    put_one(out, rng, 0x80 | type, payload);
}
