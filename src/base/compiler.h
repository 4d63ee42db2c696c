/* SPDX-License-Identifier: Apache-2.0 */
/* The compiler extensions that the code uses, each behind one name.  Nothing else in the tree uses
 * __attribute__ or __builtin directly. */
#pragma once

#define TD_MUST_USE        __attribute__((warn_unused_result))
#define TD_PRINTF(fmt, va) __attribute__((format(printf, fmt, va)))
#define TD_NORETURN        __attribute__((noreturn))
#define TD_UNUSED          __attribute__((unused))
#define TD_LIKELY(x)       __builtin_expect(!!(x), 1)
#define TD_UNLIKELY(x)     __builtin_expect(!!(x), 0)

/* The number of the lowest bit that is set in a nonzero 64-bit word. */
#define TD_LOW_BIT(word) ((unsigned)__builtin_ctzll(word))

/* Compiles one function for a processor that has more than the baseline, and asks for it at run time. */
#define TD_TARGET(isa)  __attribute__((target(isa)))
#define TD_CPU_HAS(isa) __builtin_cpu_supports(isa)

/* Runs `fn(&variable)` when the variable leaves its scope.  For cold code and tests. */
#define TD_CLEANUP(fn) __attribute__((cleanup(fn)))

#define TD_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
/* One argument is evaluated twice: give them nothing that another thread changes. */
#define TD_MIN(a, b)          ((a) < (b) ? (a) : (b))
#define TD_MAX(a, b)          ((a) > (b) ? (a) : (b))
#define TD_ALIGN_UP(n, align) (((n) + (align)-1) & ~((__typeof__(n))(align)-1))
/* The structure that `member` (at `ptr`) lies in. */
#define TD_CONTAINER_OF(ptr, type, member) \
    ((type *)(void *)((char *)(ptr) - __builtin_offsetof(type, member)))
