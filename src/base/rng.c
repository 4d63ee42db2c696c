/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"
#include "base/assert.h"

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

/* splitmix64: spreads a seed, 0 too, over the whole state. */
static uint64_t spread(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void td_rng_init(struct td_rng *rng, uint64_t seed)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(rng->_s); i++)
        rng->_s[i] = spread(&seed);
}

uint64_t td_rng_next(struct td_rng *rng)
{
    uint64_t *s = rng->_s, shifted = s[1] << 17;
    uint64_t number = rotate(s[1] * 5, 7) * 9;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return number;
}

uint64_t td_rng_below(struct td_rng *rng, uint64_t below)
{
    TD_ASSERT(below > 0);
    /* 2^64 mod below numbers at the bottom would make the small results likelier. */
    uint64_t number, unfair = -below % below;

    do
        number = td_rng_next(rng);
    while (number < unfair);
    return number % below;
}

bool td_rng_one_in(struct td_rng *rng, uint64_t n)
{
    return td_rng_below(rng, n) == 0;
}
