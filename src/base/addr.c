/* SPDX-License-Identifier: Apache-2.0 */
#include "base/addr.h"
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct td_addr td_addr_v4(const void *ip4, uint16_t port)
{
    struct td_addr addr = {.port = port};

    memcpy(addr.ip, mapped, sizeof(mapped));
    memcpy(addr.ip + sizeof(mapped), ip4, 4);
    return addr;
}

void td_addr_format(const struct td_addr *addr, char ret_text[TD_ADDR_LEN_MAX + 1])
{
    bool v4 = memcmp(addr->ip, mapped, sizeof(mapped)) == 0;
    char host[40] = ""; /* an IPv6 address that is not mapped has 39 characters at most */

    inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? addr->ip + sizeof(mapped) : addr->ip, host,
              sizeof(host));
    snprintf(ret_text, TD_ADDR_LEN_MAX + 1, v4 ? "%s:%hu" : "[%s]:%hu", host, addr->port);
}
