/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as text, networks of them (CIDR, RFC 4632), and whose address a proxy says that a request comes from.  Pure. */
#pragma once

#include "base/addr.h"
#include "base/compiler.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>

struct td_cidr {
    uint8_t ip[16]; /* as in td_addr; bits behind the prefix are 0 */
    uint8_t bits;   /* of the prefix, 0 to 128; of IPv4 with 96 added */
};

/* Reads an address without or with a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
 * 0 or TD_EINVAL. */
TD_MUST_USE int td_addr_parse(struct td_slice text, struct td_addr *ret_addr);
/* Reads `10.0.0.0/8`, `fd00::/8`, or a single address.  0; TD_EINVAL, also when bits behind the prefix are set. */
TD_MUST_USE int td_cidr_parse(struct td_slice text, struct td_cidr *ret_cidr);
bool td_cidr_has(const struct td_cidr *cidr, const struct td_addr *addr);

/* The proxies whose word is taken. */
struct td_cidrs {
    const struct td_cidr *items;
    size_t n;
};
bool td_cidrs_have(const struct td_cidrs *cidrs, const struct td_addr *addr);

/* Goes one header line of X-Forwarded-For back, from its end: each entry was written by the one behind it, so it is believed as long as
 * that one is trusted.  `addr` is whom the line comes from, and becomes the nearest that is not trusted, or the farthest that could be
 * read.  False when the way ends in this line; of several lines the last is asked first. */
bool td_forwarded_for(const struct td_cidrs *trusted, struct td_slice line, struct td_addr *addr);
