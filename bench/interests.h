/* SPDX-License-Identifier: Apache-2.0 */
/* Which of many topics each subscriber asks for: some of them by chance, the same ones in each run. */
#pragma once

enum { INTERESTS_MAX = 16, TOPIC_DIGITS = 5, TOPICS_MAX = 100000 };

/* Writes `each` different numbers below `topics`, those of subscriber `number`. */
void interests_of(unsigned number, unsigned topics, unsigned each,
                  unsigned ret_topics[INTERESTS_MAX]);
