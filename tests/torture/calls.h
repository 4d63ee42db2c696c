/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of the server that can fail: allocations, and what it asks of the machine.  The linker leads each of them
 * through here (--wrap); while armed they are numbered, and one of them fails.
 *
 * Nothing that os/sim allocates is counted: it stands for the kernel. */
#pragma once

#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>

/* From now on call number `fails_at` (from 1) of those made while armed fails; 0: none does. */
void calls_begin(unsigned fails_at);
/* How many were made since then. */
unsigned calls_end(void);
/* Around the server's own code, so that what the test does meanwhile is left alone. */
void calls_arm(void);
void calls_disarm(void);
/* The name of the call that failed; NULL when none has. */
const char *calls_failed(void);
/* Whether it was an allocation. */
bool calls_failed_memory(void);
/* Whether it was one that makes the log read-only until a restart. */
bool calls_failed_sync(void);
/* Blocks of memory that are held. */
size_t calls_blocks(void);
/* Prints where the call fails, when it does. */
extern bool calls_trace;
