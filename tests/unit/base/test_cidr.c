/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cidr.h"
#include "base/err.h"
#include <stdlib.h>

static struct td_addr addr_of(const char *text)
{
    struct td_addr addr;

    if (td_addr_parse(td_slice_str(text), &addr) < 0)
        fail_msg("not an address: %s", text);
    return addr;
}

static void addresses_are_read(void **state)
{
    static const struct {
        const char *text, *same;
    } cases[] = {
        {"192.0.2.1",            "192.0.2.1:0"     },
        {"192.0.2.1:65535",      "192.0.2.1:65535" },
        {"::1",                  "[::1]:0"         },
        {"[::1]",                "[::1]:0"         },
        {"[2001:db8::1]:80",     "[2001:db8::1]:80"},
        {"2001:DB8:0:0:0:0:0:1", "[2001:db8::1]:0" },
        {"::ffff:192.0.2.1",     "192.0.2.1:0"     },
        {"[::ffff:192.0.2.1]:1", "192.0.2.1:1"     },
    };
    static const char *const wrong[] = {
        "",
        " ",
        ".",
        ":",
        "::1::",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "01.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:x",
        "1.2.3.4:65536",
        "1.2.3.4:-1",
        "1.2.3.4:000080",
        "1.2.3.4 ",
        " 1.2.3.4",
        "[1.2.3.4]",
        "[1.2.3.4]:80",
        "[::1",
        "::1]",
        "[]",
        "[]:80",
        "[::1]80",
        "[::1]:",
        "[::1]:x",
        "::1%eth0",
        "fe80::1%1",
        "localhost",
        "unknown",
        "_hidden",
        "\"[::1]\"",
        "0x7f.1",
        "2130706433",
        "1.2.3.4/8",
        "1,2",
        "1.2.3.4\n",
        "g::1",
        ":::",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999",
        "11112222:1::",
    };
    char text[TD_ADDR_LEN_MAX + 1];
    struct td_addr addr;

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        addr = addr_of(cases[i].text);
        td_addr_format(&addr, text);
        assert_string_equal(text, cases[i].same);
    }
    for (size_t i = 0; i < TD_ARRAY_LEN(wrong); i++)
        if (td_addr_parse(td_slice_str(wrong[i]), &addr) != TD_EINVAL)
            fail_msg("read: %s", wrong[i]);
    assert_int_equal(td_addr_parse(TD_S("1.2.3.4\0"), &addr), TD_EINVAL);
    assert_int_equal(td_addr_parse((struct td_slice){NULL, 0}, &addr), TD_EINVAL);
}

static void networks_hold_addresses(void **state)
{
    static const struct {
        const char *cidr, *in, *out;
    } cases[] = {
        {"10.0.0.0/8",    "10.255.255.255",   "11.0.0.0"       },
        {"10.0.0.0/9",    "10.127.255.255",   "10.128.0.0"     },
        {"192.0.2.1",     "192.0.2.1",        "192.0.2.0"      },
        {"192.0.2.1/32",  "192.0.2.1:99",     "192.0.2.3"      },
        {"0.0.0.0/0",     "255.255.255.255",  "::1"            },
        {"127.0.0.0/31",  "::ffff:127.0.0.1", "127.0.0.2"      },
        {"fd00::/8",      "fdff::1",          "fe00::"         },
        {"2001:db8::/33", "2001:db8:7fff::",  "2001:db8:8000::"},
        {"::1",           "::1",              "::2"            },
        {"::1/128",       "::1",              "0.0.0.1"        },
    };
    static const char *const wrong[] = {
        "",           "/",           "/8",          "10.0.0.0/",     "10.0.0.0/33",
        "10.0.0.1/8", "10.0.0.0/-1", "10.0.0.0/x",  "10.0.0.0/8/8",  "10.0.0/8",
        "fd00::/129", "fd00::1/8",   "[fd00::]/8",  "10.0.0.0:80/8", "*",
        "10.*",       "all",         "10.0.0.0 /8", "10.0.0.0/ 8",   "10.0.0.0/0008",
        "localhost",
    };
    struct td_cidr cidr;

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        assert_int_equal(td_cidr_parse(td_slice_str(cases[i].cidr), &cidr), 0);
        struct td_addr in = addr_of(cases[i].in), out = addr_of(cases[i].out);
        if (!td_cidr_has(&cidr, &in) || td_cidr_has(&cidr, &out))
            fail_msg("%s", cases[i].cidr);
    }
    for (size_t i = 0; i < TD_ARRAY_LEN(wrong); i++)
        if (td_cidr_parse(td_slice_str(wrong[i]), &cidr) != TD_EINVAL)
            fail_msg("read: %s", wrong[i]);
    assert_int_equal(td_cidr_parse((struct td_slice){NULL, 0}, &cidr), TD_EINVAL);
    assert_int_equal(td_cidr_parse(TD_S("::/0"), &cidr), 0);
    struct td_addr any = addr_of("1.2.3.4");
    assert_true(td_cidr_has(&cidr, &any));
}

/* From whom a request comes, over the lines of its header from the last to the first. */
static void the_way_is_believed_as_far_as_it_is_trusted(void **state)
{
    static const struct {
        const char *peer, *lines[3], *from;
    } cases[] = {
  /* not a proxy of ours: what it says does not count */
        {"192.0.2.9",        {"198.51.100.1"},                               "192.0.2.9"   },
        {"127.0.0.1",        {"198.51.100.1"},                               "198.51.100.1"},
        {"127.0.0.1",        {NULL},                                         "127.0.0.1"   },
        {"127.0.0.1",        {""},                                           "127.0.0.1"   },
        {"127.0.0.1",        {","},                                          "127.0.0.1"   },
        {"127.0.0.1",        {" , ,"},                                       "127.0.0.1"   },
 /* the rightmost that is not trusted; what a client wrote in front is nothing */
        {"127.0.0.1",        {"203.0.113.7, 198.51.100.1"},                  "198.51.100.1"},
        {"127.0.0.1",        {"203.0.113.7, 198.51.100.1, 10.1.2.3"},        "198.51.100.1"},
        {"127.0.0.1",        {"10.9.9.9, 198.51.100.1 ,10.1.2.3,127.0.0.1"}, "198.51.100.1"},
        {"127.0.0.1",        {"198.51.100.1,10.1.2.3,"},                     "127.0.0.1"   },
        {"127.0.0.1",        {"10.0.0.1, 10.0.0.2"},                         "10.0.0.1"    },
        {"127.0.0.1",        {"garbage, 10.0.0.2"},                          "10.0.0.2"    },
        {"127.0.0.1",        {"198.51.100.1, garbage"},                      "127.0.0.1"   },
        {"127.0.0.1",        {"198.51.100.1, unknown, 10.0.0.2"},            "10.0.0.2"    },
        {"127.0.0.1",        {"198.51.100.1:4711"},                          "198.51.100.1"},
        {"127.0.0.1",        {"[2001:db8::1]:4711"},                         "2001:db8::1" },
        {"127.0.0.1",        {"2001:db8::1"},                                "2001:db8::1" },
        {"127.0.0.1",        {"::ffff:198.51.100.1"},                        "198.51.100.1"},
        {"::1",              {"198.51.100.1"},                               "198.51.100.1"},
        {"::ffff:127.0.0.1", {"198.51.100.1"},                               "198.51.100.1"},
 /* several lines are one list */
        {"127.0.0.1",        {"203.0.113.7", "198.51.100.1", "10.0.0.2"},    "198.51.100.1"},
        {"127.0.0.1",        {"203.0.113.7", "10.0.0.3", "10.0.0.2"},        "203.0.113.7" },
        {"127.0.0.1",        {"203.0.113.7", "garbage", "10.0.0.2"},         "10.0.0.2"    },
    };
    struct td_cidr items[3];
    const struct td_cidrs trusted = {items, 3};

    assert_int_equal(td_cidr_parse(TD_S("127.0.0.1"), &items[0]), 0);
    assert_int_equal(td_cidr_parse(TD_S("10.0.0.0/8"), &items[1]), 0);
    assert_int_equal(td_cidr_parse(TD_S("::1"), &items[2]), 0);
    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        struct td_addr addr = addr_of(cases[i].peer), from = addr_of(cases[i].from);
        bool on = true;
        for (int k = 3; k-- > 0;)
            if (cases[i].lines[k] && on)
                on = td_forwarded_for(&trusted, td_slice_str(cases[i].lines[k]), &addr);
        if (memcmp(addr.ip, from.ip, 16) != 0)
            fail_msg("case %zu", i);
    }
    /* Without proxies that are trusted nobody's word counts. */
    struct td_addr addr = addr_of("127.0.0.1");
    assert_false(td_forwarded_for(&(struct td_cidrs){NULL, 0}, TD_S("198.51.100.1"), &addr));
    assert_int_equal(addr.ip[15], 1);
}

static void a_long_line_is_no_trouble(void **state)
{
    enum { LEN = 64 * 1024 };
    static const char *const pieces[] = {"10.0.0.1,", ",",        "x",    "[",
                                         ":",         "1.2.3.4 ", "\t, ", "[::1]:1, "};
    struct td_cidr all;
    char *line = malloc(LEN);

    assert_int_equal(td_cidr_parse(TD_S("::/0"), &all), 0);
    const struct td_cidrs trusted = {&all, 1};
    for (size_t i = 0; i < TD_ARRAY_LEN(pieces); i++) {
        size_t len = strlen(pieces[i]);
        for (size_t at = 0; at < LEN; at++)
            line[at] = pieces[i][at % len];
        struct td_addr addr = addr_of("127.0.0.1");
        (void)td_forwarded_for(&trusted, td_slice(line, LEN), &addr);
        (void)td_forwarded_for(&trusted, td_slice(line, LEN / len * len), &addr);
    }
    free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read),
        cmocka_unit_test(networks_hold_addresses),
        cmocka_unit_test(the_way_is_believed_as_far_as_it_is_trusted),
        cmocka_unit_test(a_long_line_is_no_trouble),
    };

    return cmocka_run_group_tests_name("cidr", tests, NULL, NULL);
}
