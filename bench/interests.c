/* SPDX-License-Identifier: Apache-2.0 */
#include "interests.h"
#include <stdbool.h>
#include <stdint.h>

/* SplitMix64: any state, also a small number, gives a well mixed value. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static bool contains(const unsigned *topics, unsigned n, unsigned topic)
{
    for (unsigned i = 0; i < n; i++)
        if (topics[i] == topic)
            return true;
    return false;
}

void interests_of(unsigned number, unsigned topics, unsigned each,
                  unsigned ret_topics[INTERESTS_MAX])
{
    uint64_t state = (uint64_t)number << 32;

    for (unsigned n = 0; n < each;) {
        unsigned topic = (unsigned)(next_random(&state) % topics);
        if (!contains(ret_topics, n, topic))
            ret_topics[n++] = topic;
    }
}
