/* SPDX-License-Identifier: Apache-2.0 */
/* A client of the tests' own: plain, blocking sockets. */
#pragma once

#include "os/net.h"
#include <arpa/inet.h>
#include <sys/socket.h>

static inline unsigned port_of(const char *address)
{
    return (unsigned)strtoul(strrchr(address, ':') + 1, NULL, 10);
}

/* Connects to the port of `bound` on 127.0.0.1; returns the socket, or -1. */
static inline int connect_to(const char *bound)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_port = htons((uint16_t)port_of(bound));
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        td_net_close(fd);
        return -1;
    }
    return fd;
}
