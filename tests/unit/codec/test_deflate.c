/* SPDX-License-Identifier: Apache-2.0 */
/* What the server compresses, read by zlib as a client would. */
#include "base/err.h"
#include "base/rng.h"
#include "base/units.h"
#include "codec/deflate.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <zlib.h>

static void fill(struct td_rng *rng, char *text, size_t n, unsigned letters)
{
    for (size_t i = 0; i < n; i++)
        text[i] = (char)td_rng_below(rng, letters);
}

/* Inflates one message from nothing with the smallest window that is agreed to. */
static void check_inflates(struct td_slice bytes, struct td_slice expected)
{
    static char out[300000];
    z_stream z = {0};

    assert_int_equal(inflateInit2(&z, -TD_DEFLATE_BITS), Z_OK);
    z.next_out = (Bytef *)out;
    z.avail_out = sizeof(out);
    z.next_in = (Bytef *)(uintptr_t)bytes.ptr;
    z.avail_in = (uInt)bytes.len;
    assert_int_equal(inflate(&z, Z_SYNC_FLUSH), Z_OK);
    z.next_in = (Bytef *)(uintptr_t) "\0\0\xff\xff";
    z.avail_in = 4;
    assert_int_equal(inflate(&z, Z_BLOCK), Z_OK);
    assert_true(z.data_type & 128);
    assert_int_equal(z.total_out, expected.len);
    assert_memory_equal(out, expected.ptr, expected.len);
    inflateEnd(&z);
}

static void test_messages(void **state)
{
    static char text[200000];
    struct td_buf out = TD_BUF_INIT(TD_MIB), again = TD_BUF_INIT(TD_MIB);
    struct td_deflater *deflater, *other;
    struct td_rng rng;

    (void)state;
    td_rng_init(&rng, 1);
    assert_int_equal(td_deflater_new(&deflater), 0);
    for (int i = 0; i < 400; i++) {
        size_t n = i % 40 == 0 ? sizeof(text) : td_rng_below(&rng, 3000);
        fill(&rng, text, n, i % 3 == 0 ? 4 : i % 3 == 1 ? 60 : 256);
        struct td_slice message = td_slice(text, n);
        td_buf_reset(&out);
        assert_int_equal(td_buf_puts(&out, "before"), 0);
        int r = td_deflate(deflater, message, &out);
        assert_in_range(r, 0, 1);
        assert_memory_equal(out.ptr, "before", 6);
        struct td_slice bytes = td_slice_from(td_buf_slice(&out), 6);
        if (r == 0) {
            assert_int_equal(bytes.len, 0);
            continue;
        }
        assert_true(bytes.len < n);
        check_inflates(bytes, message);
        /* Whatever else it has compressed, or which one it is: the same bytes. */
        td_buf_reset(&again);
        assert_int_equal(td_deflater_new(&other), 0);
        assert_int_equal(td_deflate(other, message, &again), 1);
        td_deflater_free(other);
        assert_true(td_slice_eq(bytes, td_buf_slice(&again)));
    }
    td_deflater_free(deflater);
    td_buf_done(&out);
    td_buf_done(&again);
}

static void test_what_gets_no_shorter(void **state)
{
    static char text[100000];
    struct td_buf out = TD_BUF_INIT(TD_MIB);
    struct td_deflater *deflater;
    struct td_rng rng;

    (void)state;
    td_rng_init(&rng, 2);
    fill(&rng, text, sizeof(text), 256);
    assert_int_equal(td_deflater_new(&deflater), 0);
    for (size_t n = 0; n < 40; n++)
        assert_int_equal(td_deflate(deflater, td_slice(text, n), &out), 0);
    assert_int_equal(td_deflate(deflater, td_slice(text, sizeof(text)), &out), 0);
    assert_int_equal(out.len, 0);
    memset(text, ' ', sizeof(text));
    assert_int_equal(td_deflate(deflater, td_slice(text, sizeof(text)), &out), 1);
    td_deflater_free(deflater);
    td_buf_done(&out);
}

static void test_no_room(void **state)
{
    struct td_buf out = TD_BUF_INIT(100);
    struct td_deflater *deflater;
    char text[200];

    (void)state;
    memset(text, ' ', sizeof(text));
    assert_int_equal(td_deflater_new(&deflater), 0);
    assert_int_equal(td_deflate(deflater, td_slice(text, sizeof(text)), &out), TD_ETOOLARGE);
    assert_int_equal(out.len, 0);
    td_deflater_free(deflater);
    td_buf_done(&out);
}

/* Every window takes what is no longer than itself, in pieces and whole, one message after the other. */
static void check_window(unsigned bits, struct td_slice text)
{
    struct td_buf bytes = TD_BUF_INIT(TD_MIB), out = TD_BUF_INIT(text.len + 1);
    struct td_deflater *deflater;
    struct td_inflater *inflater;
    struct td_utf8 utf8 = {0};

    assert_int_equal(td_deflater_new(&deflater), 0);
    assert_int_equal(td_deflate(deflater, text, &bytes), 1);
    assert_int_equal(td_inflater_new(bits, &inflater), 0);
    struct td_slice all = td_buf_slice(&bytes);
    assert_int_equal(td_inflate(inflater, all, true, &utf8, &out), 0);
    assert_true(td_slice_eq(td_buf_slice(&out), text));
    td_buf_reset(&out);
    assert_int_equal(td_inflate(inflater, td_slice_to(all, 9), false, NULL, &out), 0);
    assert_int_equal(td_inflate(inflater, td_slice_from(all, 9), false, NULL, &out), 0);
    assert_int_equal(td_inflate(inflater, (struct td_slice){NULL, 0}, true, NULL, &out), 0);
    assert_true(td_slice_eq(td_buf_slice(&out), text));
    /* Of the next there is room for one byte. */
    assert_int_equal(td_inflate(inflater, all, true, NULL, &out), TD_ETOOLARGE);
    assert_int_equal(out.len, text.len);
    td_inflater_free(inflater);
    td_deflater_free(deflater);
    td_buf_done(&bytes);
    td_buf_done(&out);
}

static void test_inflate(void **state)
{
    static char text[1 << TD_DEFLATE_BITS_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 7);
    for (unsigned bits = TD_DEFLATE_BITS_MIN; bits <= TD_DEFLATE_BITS_MAX; bits++)
        check_window(bits, td_slice(text, (size_t)1 << bits));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_what_gets_no_shorter),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_inflate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
