/* SPDX-License-Identifier: Apache-2.0 */
/* For a program that is linked with --wrap=malloc, --wrap=calloc and --wrap=realloc: one block fails that is asked for while `armed`. */
#pragma once

#include <stdbool.h>
#include <stdlib.h>

static struct {
    bool armed;
    unsigned made, fails_at; /* the first is 1 */
} memory;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool memory_is_out(void)
{
    return memory.armed && ++memory.made == memory.fails_at;
}

void *__wrap_malloc(size_t size)
{
    return memory_is_out() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return memory_is_out() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return memory_is_out() ? NULL : __real_realloc(old, size);
}

static void memory_arm(unsigned fails_at)
{
    memory.made = 0;
    memory.fails_at = fails_at;
    memory.armed = true;
}

/* Whether one has failed. */
static bool memory_disarm(void)
{
    memory.armed = false;
    return memory.made >= memory.fails_at;
}
