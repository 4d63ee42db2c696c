/* SPDX-License-Identifier: Apache-2.0 */
#include "base/compiler.h"
#include "base/crc32c.h"
#include "base/rng.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The definition, bit by bit. */
static uint32_t bitwise(uint32_t crc, const unsigned char *bytes, size_t len)
{
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    return ~crc;
}

/* RFC 3720 appendix B.4. */
static void test_vectors(void **state)
{
    unsigned char bytes[32];

    assert_int_equal(td_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(td_crc32c(0, "", 0), 0);
    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(td_crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(td_crc32c(0, bytes, 32), 0x62a8ab43);
    for (size_t i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    assert_int_equal(td_crc32c(0, bytes, 32), 0x46dd794e);
}

/* Each byte, that is each entry of the table, and both ways of computing at every alignment and length. */
static void test_both_ways(void **state)
{
    unsigned char bytes[96];
    struct td_rng rng;

    for (unsigned i = 0; i < 256; i++) {
        unsigned char byte = (unsigned char)i;
        assert_int_equal(td_crc32c_portable(0, &byte, 1), bitwise(0, &byte, 1));
        assert_int_equal(td_crc32c(0, &byte, 1), bitwise(0, &byte, 1));
    }
    td_rng_init(&rng, 5);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)td_rng_next(&rng);
    for (size_t from = 0; from < 8; from++) {
        for (size_t len = 0; len + from <= sizeof(bytes); len++) {
            uint32_t begin = (uint32_t)td_rng_next(&rng);
            uint32_t want = bitwise(begin, bytes + from, len);
            assert_int_equal(td_crc32c(begin, bytes + from, len), want);
            assert_int_equal(td_crc32c_portable(begin, bytes + from, len), want);
        }
    }
}

static void test_split_everywhere(void **state)
{
    static const char text[] = "a record is summed in the parts in which it lies";
    uint32_t whole = td_crc32c(0, text, sizeof(text));

    for (size_t cut = 0; cut <= sizeof(text); cut++)
        assert_int_equal(td_crc32c(td_crc32c(0, text, cut), text + cut, sizeof(text) - cut), whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_split_everywhere),
    };

    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
