/* SPDX-License-Identifier: Apache-2.0 */
/* TCP over IPv4 and IPv6. */
#include "os/net.h"

#include "base/assert.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG             4096
#define NOTSENT_LOWAT_BYTES 131072
#define HOST_LEN_MAX        255

/* Big enough for both families. */
union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static struct td_addr address_of(const union address *address)
{
    struct td_addr addr;

    if (address->any.sa_family == AF_INET)
        return td_addr_v4(&address->v4.sin_addr, ntohs(address->v4.sin_port));
    /* An IPv4 peer of a socket for both comes mapped already. */
    memcpy(addr.ip, &address->v6.sin6_addr, sizeof addr.ip);
    addr.port = ntohs(address->v6.sin6_port);
    return addr;
}

/* Splits "HOST:PORT"; brackets around HOST are taken off. */
static int split(const char *address, char ret_host[HOST_LEN_MAX + 1], const char **ret_port)
{
    const char *colon = strrchr(address, ':');
    struct td_slice host;
    uint64_t port;

    if (!colon || td_slice_u64(td_slice_str(colon + 1), &port) < 0 || port > 65535)
        return -EINVAL;
    host = td_slice(address, (size_t)(colon - address));
    if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = td_slice(host.ptr + 1, host.len - 2);
    else if (host.len > 0 && memchr(host.ptr, ':', host.len))
        return -EINVAL; /* an IPv6 address without brackets: which colon is the port's? */
    if (host.len > HOST_LEN_MAX)
        return -EINVAL;
    if (host.len > 0)
        memcpy(ret_host, host.ptr, host.len);
    ret_host[host.len] = '\0';
    *ret_port = colon + 1;
    return 0;
}

static int set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) < 0 ? -errno : 0;
}

static int listen_at(const struct sockaddr *address, socklen_t len, bool shared)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int err;

    if (fd < 0)
        return -errno;
    err = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (err == 0 && shared)
        err = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (err == 0 && address->sa_family == AF_INET6)
        err = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (err == 0 && (bind(fd, address, len) < 0 || listen(fd, BACKLOG) < 0))
        err = -errno;
    if (err < 0) {
        close(fd);
        return err;
    }
    return fd;
}

static int from_gai(int err)
{
    if (err == EAI_SYSTEM)
        return -errno;
    return err == EAI_MEMORY ? -ENOMEM : -EADDRNOTAVAIL;
}

/* All addresses: one IPv6 socket that takes IPv4 too, or IPv4 alone where the kernel has no IPv6. */
static int listen_all(const char *port, bool shared)
{
    uint16_t number = htons((uint16_t)strtoul(port, NULL, 10));
    union address address = {
        .v6 = {.sin6_family = AF_INET6, .sin6_port = number}
    };
    int fd = listen_at(&address.any, sizeof address.v6, shared);

    if (fd != -EAFNOSUPPORT && fd != -EADDRNOTAVAIL)
        return fd;
    address = (union address){
        .v4 = {.sin_family = AF_INET, .sin_port = number}
    };
    return listen_at(&address.any, sizeof address.v4, shared);
}

static int listen_host(const char *host, const char *port, bool shared)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list;
    int err = getaddrinfo(host, port, &hints, &list);
    int fd = -EADDRNOTAVAIL;

    if (err)
        return from_gai(err);
    /* "localhost" is two addresses and one socket has one: IPv4 first, which every client tries. */
    for (int pass = 0; pass < 2 && fd < 0; pass++) {
        for (const struct addrinfo *it = list; it && fd < 0; it = it->ai_next)
            if ((it->ai_family == AF_INET) == (pass == 0))
                fd = listen_at(it->ai_addr, it->ai_addrlen, shared);
        if (fd == -EADDRINUSE)
            break;
    }
    freeaddrinfo(list);
    return fd;
}

int td_net_listen(const char *address, bool shared, char *ret_bound)
{
    char host[HOST_LEN_MAX + 1];
    const char *port;
    union address bound;
    socklen_t len = sizeof bound;
    int fd = split(address, host, &port);

    if (fd < 0)
        return fd;
    fd = host[0] ? listen_host(host, port, shared) : listen_all(port, shared);
    if (fd < 0)
        return fd;
    if (getsockname(fd, &bound.any, &len) < 0) {
        int err = -errno;

        close(fd);
        return err;
    }
    if (ret_bound) {
        struct td_addr addr = address_of(&bound);
        td_addr_format(&addr, ret_bound);
    }
    return fd;
}

int td_net_accept(int listener, struct td_addr *ret_peer)
{
    union address peer;
    socklen_t len = sizeof peer;
    int fd;

    do
        fd = accept4(listener, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    /* Both only tune; a peer that has gone already will show at the first read. */
    (void)set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    (void)set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES);
    if (ret_peer)
        *ret_peer = address_of(&peer);
    return fd;
}

int64_t td_net_recv(int socket, void *ret_bytes, size_t len)
{
    ssize_t n;

    do
        n = recv(socket, ret_bytes, len, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int64_t td_net_send(int socket, const void *bytes, size_t len)
{
    ssize_t n;

    do
        n = send(socket, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int64_t td_net_sendv(int socket, const struct iovec *parts, int n)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)n};
    ssize_t sent;

    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

uint64_t td_net_unacked(int socket)
{
    int bytes;

    return ioctl(socket, SIOCOUTQ, &bytes) < 0 || bytes < 0 ? 0 : (uint64_t)bytes;
}

void td_net_shutdown(int socket)
{
    (void)shutdown(socket, SHUT_WR);
}

void td_net_close(int socket)
{
    close(socket);
}
