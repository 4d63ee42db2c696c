/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/resource.h>

uint64_t bench_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * BENCH_NS_PER_S + (uint64_t)ts.tv_nsec;
}

void bench_fail(const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

void *bench_alloc(size_t count, size_t size)
{
    void *p = calloc(count > 0 ? count : 1, size);

    if (!p)
        bench_fail("out of memory");
    return p;
}

uint64_t bench_number(const char *what, const char *text, uint64_t least, uint64_t most)
{
    char *end;

    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least || value > most)
        bench_fail("%s is a number from %ju to %ju, not %s", what, (uintmax_t)least,
                   (uintmax_t)most, text);
    return value;
}

struct sockaddr_in bench_address(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *colon = strrchr(text, ':');
    char host[INET_ADDRSTRLEN];

    if (!colon || (size_t)(colon - text) >= sizeof(host))
        bench_fail("an address is written 127.0.0.1:8000, not %s", text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        bench_fail("%s is no IPv4 address", host);
    address.sin_port = htons((uint16_t)bench_number("a port", colon + 1, 1, UINT16_MAX));
    return address;
}

uint64_t bench_raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        bench_fail("can't read the limit of descriptors");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        bench_fail("can't raise the limit of descriptors");
    return limit.rlim_cur;
}
