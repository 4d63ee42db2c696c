/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/err.h"
#include "base/rng.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_puts(void **state)
{
    struct td_buf buf;

    td_buf_init(&buf, 1000);
    assert_null(buf.ptr);
    assert_int_equal(td_buf_puts(&buf, "a"), 0);
    assert_int_equal(td_buf_putc(&buf, '='), 0);
    assert_int_equal(td_buf_putu(&buf, 0), 0);
    assert_int_equal(td_buf_putc(&buf, ' '), 0);
    assert_int_equal(td_buf_putu(&buf, UINT64_MAX), 0);
    assert_int_equal(td_buf_putf(&buf, " %s%d", "x", -5), 0);
    assert_int_equal(td_buf_puts(&buf, NULL), 0);
    assert_int_equal(td_buf_put(&buf, (struct td_slice){NULL, 0}), 0);
    assert_true(td_slice_eq(td_buf_slice(&buf), TD_S("a=0 18446744073709551615 x-5")));
    td_buf_consume(&buf, 4);
    assert_true(td_slice_starts(td_buf_slice(&buf), TD_S("184")));
    td_buf_consume(&buf, 0);
    td_buf_consume(&buf, buf.len);
    assert_int_equal(buf.len, 0);
    td_buf_done(&buf);
    assert_null(buf.ptr);
    assert_int_equal(buf.max, 1000);
}

/* What does not fit changes nothing, and is remembered until the buffer is reset. */
static void test_maximum(void **state)
{
    struct td_buf buf = TD_BUF_INIT(8);

    assert_int_equal(td_buf_puts(&buf, "12345"), 0);
    assert_int_equal(td_buf_puts(&buf, "6789"), TD_ETOOLARGE);
    assert_int_equal(td_buf_putf(&buf, "%d", 6789), TD_ETOOLARGE);
    assert_int_equal(buf.err, TD_ETOOLARGE);
    assert_true(td_slice_eq(td_buf_slice(&buf), TD_S("12345")));
    /* A later put that fits goes in; the error stays. */
    assert_int_equal(td_buf_puts(&buf, "678"), 0);
    assert_int_equal(buf.err, TD_ETOOLARGE);
    assert_int_equal(buf.len, buf.max);
    assert_int_equal(td_buf_putc(&buf, '9'), TD_ETOOLARGE);
    assert_int_equal(td_buf_reserve(&buf, SIZE_MAX), TD_ETOOLARGE);
    td_buf_reset(&buf);
    assert_int_equal(buf.err, 0);
    assert_int_equal(buf.len, 0);
    assert_non_null(buf.ptr);
    td_buf_done(&buf);
    buf = TD_BUF_INIT(0);
    assert_int_equal(td_buf_putc(&buf, 'x'), TD_ETOOLARGE);
    assert_int_equal(td_buf_puts(&buf, ""), 0);
    td_buf_done(&buf);
}

/* A formatted text that fills the buffer to its last byte fits like any other. */
static void test_putf_to_the_brim(void **state)
{
    struct td_buf buf = TD_BUF_INIT(8);

    assert_int_equal(td_buf_putf(&buf, "%s", "12345678"), 0);
    assert_true(td_slice_eq(td_buf_slice(&buf), TD_S("12345678")));
    assert_int_equal(td_buf_putf(&buf, "%s", "9"), TD_ETOOLARGE);
    assert_int_equal(td_buf_putf(&buf, "%s", ""), 0);
    assert_int_equal(buf.len, 8);
    td_buf_done(&buf);
}

static void test_invariant(void **state)
{
    struct td_rng rng;
    char bytes[300];

    memset(bytes, 'x', sizeof(bytes));
    td_rng_init(&rng, 9);
    for (size_t max = 0; max < 400; max += 7) {
        struct td_buf buf = TD_BUF_INIT(max);
        for (int round = 0; round < 50; round++) {
            size_t n = td_rng_below(&rng, sizeof(bytes)), before = buf.len;
            int r = td_buf_put(&buf, td_slice(bytes, n));
            assert_int_equal(r, before + n <= max ? 0 : TD_ETOOLARGE);
            assert_int_equal(buf.len, r == 0 ? before + n : before);
            assert_true(buf.len <= buf.cap && buf.cap <= buf.max);
            if (td_rng_one_in(&rng, 2))
                td_buf_consume(&buf, td_rng_below(&rng, buf.len + 1));
        }
        td_buf_done(&buf);
    }
}

/* The linker puts this in place of the allocator's (see meson.build). */
static bool out_of_memory;

void *__real_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size);

void *__wrap_realloc(void *ptr, size_t size)
{
    return out_of_memory ? NULL : __real_realloc(ptr, size);
}

static void test_no_memory(void **state)
{
    struct td_buf buf = TD_BUF_INIT(1000);

    assert_int_equal(td_buf_puts(&buf, "kept"), 0);
    out_of_memory = true;
    int r = td_buf_putf(&buf, "%200s", "");
    out_of_memory = false;
    assert_int_equal(r, -ENOMEM);
    assert_int_equal(buf.err, -ENOMEM);
    assert_true(td_slice_eq(td_buf_slice(&buf), TD_S("kept")));
    td_buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_puts),
        cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_putf_to_the_brim),
        cmocka_unit_test(test_invariant),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
