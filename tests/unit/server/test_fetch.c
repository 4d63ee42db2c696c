/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "server/fetch.h"

static void freshness_is_read_from_the_header(void **state)
{
    static const struct {
        const char *line;
        bool said;
        uint64_t seconds;
    } cases[] = {
        {"Cache-Control: max-age=300\r\n",                  true,  300  },
        {"cache-control:public,MAX-AGE=86400\r\n",          true,  86400},
        {"Cache-Control: public, max-age=20, x=\"y\"\r\n",  true,  20   },
        {"Cache-Control: max-age=20, no-cache\r\n",         true,  0    },
        {"Cache-Control: no-store\r\n",                     true,  0    },
        {"Cache-Control: max-age=\r\n",                     false, 0    },
        {"Cache-Control: max-age=-1\r\n",                   false, 0    },
        {"Cache-Control: max-age=1.5\r\n",                  false, 0    },
        {"Cache-Control: max-age=99999999999999999999\r\n", false, 0    },
        {"Cache-Control: s-maxage=5\r\n",                   false, 0    },
        {"Cache-Control:\r\n",                              false, 0    },
        {"Cache-Control\r\n",                               false, 0    },
        {"X-Cache-Control: max-age=5\r\n",                  false, 0    },
        {"\r\n",                                            false, 0    },
        {"",                                                false, 0    },
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        struct td_fetch fetch = {.max_age_s = 0};
        td_fetch_read_header(&fetch, td_slice_str(cases[i].line));
        if (fetch.has_max_age != cases[i].said || fetch.max_age_s != cases[i].seconds)
            fail_msg("%s: %d, %llu", cases[i].line, fetch.has_max_age,
                     (unsigned long long)fetch.max_age_s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freshness_is_read_from_the_header),
    };

    return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
