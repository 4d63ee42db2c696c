/* SPDX-License-Identifier: Apache-2.0 */
/* A world: real code on the simulated machine, random deeds, and a checker that knows what must be true.  One seed = one
 * run.  A run that finds something says so and ends the process: each runs in its own. */
#pragma once

#include "base/compiler.h"
#include <stdbool.h>
#include <stdint.h>

struct td_world {
    const char *name;
    void (*run)(uint64_t seed);
};

extern const struct td_world td_world_journal;
extern const struct td_world td_world_damage;
extern const struct td_world td_world_server;

/* Says what went wrong, and where the run was, and exits. */
TD_NORETURN void td_world_fail(const char *format, ...) TD_PRINTF(1, 2);
/* With -v: what the run does, a line each. */
void td_world_say(const char *format, ...) TD_PRINTF(1, 2);
/* Counts the deeds, for the messages. */
extern unsigned td_world_step;

#define TD_MUST(cond, ...)              \
    do {                                \
        if (!(cond))                    \
            td_world_fail(__VA_ARGS__); \
    } while (0)
