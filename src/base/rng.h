/* SPDX-License-Identifier: Apache-2.0 */
/* A small fast generator for tests, jitter and the simulator (splitmix64 seeding, xoshiro256**).  Not for
 * secrets: those come from os/random.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct td_rng {
    uint64_t _s[4];
};

void td_rng_init(struct td_rng *rng, uint64_t seed);
uint64_t td_rng_next(struct td_rng *rng);
/* Uniform in [0, below); below > 0. */
uint64_t td_rng_below(struct td_rng *rng, uint64_t below);
/* True once in `n` calls on average. */
bool td_rng_one_in(struct td_rng *rng, uint64_t n);
