/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs of the benchmark share.  They use nothing of the server's own code, so that a
 * fault of the server can't hide itself in what measures it. */
#pragma once

#include "base/compiler.h"
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_NS_PER_S  UINT64_C(1000000000)
#define BENCH_NS_PER_MS UINT64_C(1000000)

/* The monotonic clock; the same for all processes of the machine. */
uint64_t bench_now_ns(void);

/* Says what went wrong on standard error and ends the program with status 1. */
TD_NORETURN TD_PRINTF(1, 2) void bench_fail(const char *fmt, ...);

/* `count` zeroed elements of `size` bytes; does not return without them. */
void *bench_alloc(size_t count, size_t size);

/* The number that `text` is, which lies from `least` to `most`; anything else is an error that names `what`. */
uint64_t bench_number(const char *what, const char *text, uint64_t least, uint64_t most);

/* "127.0.0.1:8000" as an address. */
struct sockaddr_in bench_address(const char *text);

/* Allows as many descriptors as the machine lets a process have.  Returns how many. */
uint64_t bench_raise_descriptors(void);
