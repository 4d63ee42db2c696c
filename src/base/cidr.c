/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cidr.h"
#include "base/err.h"
#include <arpa/inet.h>
#include <string.h>

#define TEXT_MAX 45 /* of an address without brackets and port: INET6_ADDRSTRLEN - 1 */

static int parse_ip(struct td_slice text, struct td_addr *addr)
{
    char copy[TEXT_MAX + 1];
    uint8_t v4[4];

    if (text.len == 0 || text.len > TEXT_MAX || memchr(text.ptr, '\0', text.len))
        return TD_EINVAL;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, v4) == 1) {
        *addr = td_addr_v4(v4, 0);
        return 0;
    }
    addr->port = 0;
    return inet_pton(AF_INET6, copy, addr->ip) == 1 ? 0 : TD_EINVAL;
}

static int parse_port(struct td_slice text, struct td_addr *addr)
{
    uint64_t port;

    if (text.len < 2 || text.len > 6 || text.ptr[0] != ':' ||
        td_slice_u64(td_slice_from(text, 1), &port) < 0 || port > UINT16_MAX)
        return TD_EINVAL;
    addr->port = (uint16_t)port;
    return 0;
}

int td_addr_parse(struct td_slice text, struct td_addr *ret_addr)
{
    struct td_addr addr = {.port = 0};
    const char *colon = text.len ? memchr(text.ptr, ':', text.len) : NULL;
    struct td_slice host = text, rest = {NULL, 0};

    if (text.len > 0 && text.ptr[0] == '[') {
        const char *end = memchr(text.ptr, ']', text.len);
        if (!end || !memchr(text.ptr, ':', (size_t)(end - text.ptr)))
            return TD_EINVAL;
        host = td_slice(text.ptr + 1, (size_t)(end - text.ptr) - 1);
        rest = td_slice_from(text, host.len + 2);
    } else if (colon && !memchr(colon + 1, ':', text.len - (size_t)(colon - text.ptr) - 1)) {
        host = td_slice_to(text, (size_t)(colon - text.ptr)); /* one colon: IPv4 and a port */
        rest = td_slice_from(text, host.len);
    }
    int r = parse_ip(host, &addr);
    if (r == 0 && rest.len > 0)
        r = parse_port(rest, &addr);
    if (r == 0)
        *ret_addr = addr;
    return r;
}

static bool is_v4(const struct td_addr *addr)
{
    const uint8_t zero[4] = {0};
    struct td_addr any = td_addr_v4(zero, 0);

    return memcmp(addr->ip, any.ip, 12) == 0;
}

/* Whether two addresses are the same in their first bits. */
static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, mask = 0xffU << (8 - bits % 8) & 0xffU;

    if (memcmp(a, b, whole) != 0)
        return false;
    return bits % 8 == 0 || ((a[whole] ^ b[whole]) & mask) == 0;
}

int td_cidr_parse(struct td_slice text, struct td_cidr *ret_cidr)
{
    struct td_slice host = {NULL, 0};
    struct td_addr addr;
    uint64_t bits;

    if (!td_slice_split(&text, '/', &host) || parse_ip(host, &addr) < 0)
        return TD_EINVAL;
    bool v4 = is_v4(&addr) && memchr(host.ptr, '.', host.len) && !memchr(host.ptr, ':', host.len);
    unsigned most = v4 ? 32 : 128;
    bits = most;
    if (text.ptr && (text.len > 3 || td_slice_u64(text, &bits) < 0 || bits > most))
        return TD_EINVAL;
    struct td_cidr cidr = {.bits = (uint8_t)(bits + 128 - most)};
    memcpy(cidr.ip, addr.ip, sizeof(cidr.ip));
    /* A bit behind the prefix is a mistake in one of the two; guessing which may trust the world. */
    for (unsigned bit = cidr.bits; bit < 128; bit++)
        if (cidr.ip[bit / 8] & 0x80U >> bit % 8)
            return TD_EINVAL;
    *ret_cidr = cidr;
    return 0;
}

bool td_cidr_has(const struct td_cidr *cidr, const struct td_addr *addr)
{
    /* 0.0.0.0/0 is all of IPv4, ::/0 all of both. */
    return same_bits(cidr->ip, addr->ip, cidr->bits);
}

bool td_cidrs_have(const struct td_cidrs *cidrs, const struct td_addr *addr)
{
    for (size_t i = 0; i < cidrs->n; i++)
        if (td_cidr_has(&cidrs->items[i], addr))
            return true;
    return false;
}

bool td_forwarded_for(const struct td_cidrs *trusted, struct td_slice line, struct td_addr *addr)
{
    while (line.ptr && td_cidrs_have(trusted, addr)) {
        const char *comma = line.len ? memrchr(line.ptr, ',', line.len) : NULL;
        size_t at = comma ? (size_t)(comma - line.ptr) + 1 : 0;
        if (td_addr_parse(td_slice_trim(td_slice_from(line, at)), addr) < 0)
            return false; /* what cannot be read can't be believed, nor what stands before it */
        line = comma ? td_slice_to(line, at - 1) : (struct td_slice){NULL, 0};
    }
    return td_cidrs_have(trusted, addr);
}
