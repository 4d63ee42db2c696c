/* SPDX-License-Identifier: Apache-2.0 */
/* What a client says of its ClientHello's length, in records of any cut. */
#include "base/compiler.h"
#include "os/linux/tls_hello.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
    const uint8_t *bytes;
    size_t len;
    size_t rest; /* zeros behind them */
    bool good;
} cases[] = {
  /* In one record; as large as may be, over two; two messages in one record. */
    {(const uint8_t *)"\x16\x03\x01\x00\x08\x01\x00\x00\x04",                                 9,  4, true },
    {(const uint8_t *)"\x16\x03\x01\x00\x04\x01\x00\x40\x00",                                 9,  0, true },
    {(const uint8_t *)"\x16\x03\x01\x00\x04\x01\x00\x00\x03\x16\x03\x01\x00\x03\x01\xff\xff", 17, 0,
     true                                                                                                 },
    {(const uint8_t *)"\x16\x03\x01\x00\x0a\x01\x00\x00\x01\x01\x01\x00\x00\x01\x01",         15, 0, true },
 /* Others than a hello may be longer; their own limits are OpenSSL's. */
    {(const uint8_t *)"\x16\x03\x01\x00\x04\x10\x00\x40\x01",                                 9,  0, true },
 /* After a retry request (RFC 8446 appendix D.4): change_cipher_spec, and the second hello. */
    {(const uint8_t *)"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x01\x14\x03\x03\x00\x01\x01"
                      "\x16\x03\x03\x00\x08\x01\x00\x00\x04",                            25, 4, true },
    {(const uint8_t *)"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x01\x14\x03\x03\x00\x01\x01"
                      "\x16\x03\x03\x00\x08\x01\x01\x00\x04",                            25, 4, false},
 /* One too long, also as the second message of a record, or with its head over two records. */
    {(const uint8_t *)"\x16\x03\x01\x00\x08\x01\x00\x40\x01",                                 9,  0, false},
    {(const uint8_t *)"\x16\x03\x01\x00\x09\x01\x00\x00\x01\x01\x01\x01\x00\x00",             14, 0, false},
    {(const uint8_t *)"\x16\x03\x01\x00\x03\x01\x01\x00",                                     8,  0, false},
    {(const uint8_t *)"\x16\x03\x01\x00\x06\x01\x00\x00\x01\x01\x01",                         11, 0, false},
    {(const uint8_t *)"\x16\x03\x01\x00\x00",                                                 5,  0, false},
 /* Records of other kinds are passed over, whatever is in them. */
    {(const uint8_t *)"\x17\x03\x03\x00\x04\x01\xff\xff\xff\x15\x03\x03\x00\x02\x01\x00",     16, 0,
     true                                                                                                 },
    {(const uint8_t *)"\x17\x03\x03\x00\x00\x17\x03\x03\x00\x01\x01",                         11, 0, true },
};

/* Given at once, byte by byte, and cut at each place. */
static bool take(const uint8_t *bytes, size_t len, size_t step, size_t first)
{
    struct td_tls_hello hello = {.n = 0};

    if (first > 0 && !td_tls_hello_take(&hello, bytes, first))
        return false;
    for (size_t at = first; at < len; at += step)
        if (!td_tls_hello_take(&hello, bytes + at, TD_MIN(step, len - at)))
            return false;
    return true;
}

static void hellos(void **state)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        uint8_t bytes[64] = {0};
        size_t len = cases[i].len + cases[i].rest;
        memcpy(bytes, cases[i].bytes, cases[i].len);
        if (take(bytes, len, len, 0) != cases[i].good)
            fail_msg("case %zu", i);
        assert_int_equal(take(bytes, len, 1, 0), cases[i].good);
        for (size_t cut = 1; cut < len; cut++)
            assert_int_equal(take(bytes, len, len, cut), cases[i].good);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hellos),
    };

    return cmocka_run_group_tests_name("os/tls_hello", tests, NULL, NULL);
}
