/* SPDX-License-Identifier: Apache-2.0 */
/* The address of one end of a connection: IP and port, as small as it is. */
#pragma once

#include <stdint.h>

struct td_addr {
    uint8_t
        ip[16]; /* IPv6, or IPv4 mapped into it (RFC 4291 §2.5.5.2): one way to write each peer */
    uint16_t port; /* in the order of the host */
};

/* The longest text: "[" 39 characters "]:65535". */
#define TD_ADDR_LEN_MAX 47

/* Writes "127.0.0.1:8000" or "[::1]:8000" and a NUL. */
void td_addr_format(const struct td_addr *addr, char ret_text[TD_ADDR_LEN_MAX + 1]);
/* Maps an IPv4 address, its four bytes in the order of the network. */
struct td_addr td_addr_v4(const void *ip4, uint16_t port);
