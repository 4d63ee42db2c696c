/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder with permessage-deflate (RFC 7692), fed by vectors and by zlib as a client would use it. */
#include "base/rng.h"
#include "codec/deflate.h"
#include "ws_reader.h"
#include <zlib.h>

#define RSV1    TD_WS_RSV1
#define ZTEXT   (TEXT | RSV1)
#define ZBINARY (BINARY | RSV1)
#define HELLO   "\xf2\x48\xcd\xc9\xc9\x07\x00"

/* clang-format off */
static const struct vector rfc_examples[] = {
    {"7.2.3.1", "T5:Hello", {F(ZTEXT, HELLO)}, M},
    {"7.2.3.1 in fragments", "T5:Hello", {F(TD_WS_TEXT | RSV1, "\xf2\x48\xcd"), F(LAST, "\xc9\xc9\x07\x00")}, M},
    {"7.2.3.3 a stored block", "T5:Hello", {F(ZTEXT, "\0\5\0\xfa\xff""Hello\0")}, M},
    {"7.2.3.4 a final block", "T5:Hello", {F(ZTEXT, "\xf3\x48\xcd\xc9\xc9\x07\0\0")}, M},
    {"7.2.3.5 two blocks", "T5:Hello", {F(ZTEXT, "\xf2\x48\5\0\0\0\xff\xff\xca\xc9\xc9\7\0")}, M},
    {"7.2.3.6 an empty message", "T0:", {F(ZTEXT, "\0")}, M},
};

static const struct vector reserved_bits[] = {
    {"RSV1 on a continuation", "!1002", {F(TD_WS_TEXT | RSV1, "\xf2\x48\xcd"), F(LAST | RSV1, "\xc9\xc9\x07\x00")}, M},
    {"RSV1 on a continuation of a plain message", "!1002", {F(TD_WS_TEXT, "a"), F(LAST | RSV1, "\0")}, M},
    {"RSV1 on a ping", "!1002", {F(PING | RSV1, "")}, M},
    {"RSV1 on a pong", "!1002", {F(PONG | RSV1, "")}, M},
    {"RSV1 on a close", "!1002", {F(CLOSE | RSV1, "")}, M},
    {"RSV2", "!1002", {F(ZTEXT | 0x20, HELLO)}, M},
    {"RSV3", "!1002", {F(ZTEXT | 0x10, HELLO)}, M},
};

static const struct vector mixtures[] = {
    {"plain between compressed", "T5:Hello T3:abc T5:Hello", {F(ZTEXT, HELLO), F(TEXT, "abc"), F(ZTEXT, HELLO)}, M},
    {"ping in a compressed message", "I1:p T5:Hello O0:",
        {F(TD_WS_TEXT | RSV1, "\xf2\x48"), F(PING, "p"), F(0, "\xcd\xc9\xc9"), F(LAST, "\7\0"), F(PONG, "")}, M},
    {"binary", "B5:Hello", {F(ZBINARY, HELLO)}, M},
    {"empty fragments", "T5:Hello", {F(TD_WS_TEXT | RSV1, ""), F(0, HELLO), F(LAST, "")}, M},
    {"no byte at all", "T0: B0: T5:Hello", {F(ZTEXT, ""), F(ZBINARY, ""), F(ZTEXT, HELLO)}, M},
    {"no byte in fragments", "T0: T1:a", {F(TD_WS_TEXT | RSV1, ""), F(LAST, ""), F(TEXT, "a")}, M},
    {"a final block and nothing behind it", "T5:Hello T5:Hello", {F(ZTEXT, "\xf3\x48\xcd\xc9\xc9\x07\0"), F(ZTEXT, HELLO)}, M},
    {"final blocks in a row", "T10:HelloHello T5:Hello",
        {F(ZTEXT, "\xf3\x48\xcd\xc9\xc9\x07\0" "\xf3\x48\xcd\xc9\xc9\x07\0" "\0"), F(ZTEXT, HELLO)}, M},
    {"close in a compressed message", "C1000:", {F(TD_WS_TEXT | RSV1, "\xf2\x48"), F(CLOSE, "\x03\xe8"), F(LAST, "x")}, M},
};

static const struct vector faults[] = {
    {"a block type that is none", "!1002", {F(ZTEXT, "\x06")}, M},
    {"a stored length that is wrong", "!1002", {F(ZTEXT, "\0\5\0\xfa\xfe""Hello\0")}, M},
    {"cut in a code", "!1002", {F(ZTEXT, "\xf2\x48\xcd\xc9\xc9")}, M},
    {"cut in a stored block", "!1002", {F(ZBINARY, "\0\x0a\0\xf5\xff""Hel")}, M},
    {"a block that ends with a byte", "!1002", {F(ZTEXT, "\0\5\0\xfa\xff""Hello")}, M},
    {"a match from before the beginning", "!1002", {F(ZTEXT, "\xf2\x00\x11\x00\x00")}, M},
    {"what went before is forgotten", "T5:Hello !1002", {F(ZTEXT, HELLO), F(ZTEXT, "\xf2\x00\x11\x00\x00")}, M},
    {"a fault in an open message", "!1002", {F(TD_WS_BINARY | RSV1, "\xf2\x48\xcd"), F(0, "\xff\xff\xff\xff"), F(LAST, "x")}, M},
    {"text that is not UTF-8", "!1007", {F(ZTEXT, "\0\2\0\xfd\xff""a\xff\0")}, M},
    {"the same as binary", "B2:a\xff", {F(ZBINARY, "\0\2\0\xfd\xff""a\xff\0")}, M},
    {"UTF-8 that ends too early", "!1007", {F(ZTEXT, "\0\2\0\xfd\xff""a\xc3\0")}, M},
    {"UTF-8 over blocks and fragments", "T3:a\xc3\xa9",
        {F(TD_WS_TEXT | RSV1, "\0\2\0\xfd\xff""a\xc3"), F(LAST, "\0\1\0\xfe\xff\xa9\0")}, M},
    {"bad UTF-8 beats the fault behind it", "!1007", {F(ZTEXT, "\0\1\0\xfe\xff\xff\x06")}, M},
    {"at the limit", "T5:Hello", {F(ZTEXT, HELLO)}, 5},
    {"above", "!1009", {F(ZTEXT, HELLO)}, 4},
    {"above beats bad UTF-8 behind it", "!1009", {F(ZTEXT, "\0\2\0\xfd\xff""a\xff\0")}, 1},
    {"above beats the fault behind it", "!1009", {F(ZTEXT, "\0\2\0\xfd\xff""ab\x06")}, 1},
    {"a head above a quarter more", "!1009", {RAW("\xc1\xfe\x01\0")}, 128},
    {"a head at a quarter more", "", {RAW("\xc1\xfe\x00\xe0\0\0\0")}, 128},
    {"heads above in all", "!1009", {F(TD_WS_TEXT | RSV1, "\0\0\0\xff\xff"), RAW("\x80\xfe\0\xdc")}, 128},
};

static const struct vector takeover[] = {
    {"7.2.3.2", "T5:Hello T5:Hello", {F(ZTEXT, HELLO), F(ZTEXT, "\xf2\x00\x11\x00\x00")}, M},
    {"a plain message between", "T5:Hello T1:a T5:Hello", {F(ZTEXT, HELLO), F(TEXT, "a"), F(ZTEXT, "\xf2\x00\x11\x00\x00")}, M},
    {"behind a final block", "T5:Hello T5:Hello", {F(ZTEXT, "\xf3\x48\xcd\xc9\xc9\x07\0\0"), F(ZTEXT, "\xf2\x00\x11\x00\x00")}, M},
    {"behind a final block and nothing", "T5:Hello T5:Hello", {F(ZTEXT, "\xf3\x48\xcd\xc9\xc9\x07\0"), F(ZTEXT, "\xf2\x00\x11\x00\x00")}, M},
    {"no byte at all between", "T5:Hello T0: T5:Hello", {F(ZTEXT, HELLO), F(ZTEXT, ""), F(ZTEXT, "\xf2\x00\x11\x00\x00")}, M},
    {"the first has nothing before it", "!1002", {F(ZTEXT, "\xf2\x00\x11\x00\x00")}, M},
    {"each has the limit anew", "T5:Hello T5:Hello !1009", {F(ZTEXT, HELLO), F(ZTEXT, "\xf2\x00\x11\x00\x00"), F(TEXT, "abcdef")}, 5},
};
/* clang-format on */

VECTORS(rfc_examples)
VECTORS(reserved_bits)
VECTORS(mixtures)
VECTORS(faults)
VECTORS(takeover)

static int without_takeover(void **state)
{
    (void)state;
    agreed.window_bits = 15;
    agreed.takeover = false;
    return 0;
}

static int with_takeover(void **state)
{
    (void)state;
    agreed.window_bits = 15;
    agreed.takeover = true;
    return 0;
}

/* ---- a client that compresses ---- */

static void deflate_begin(z_stream *z, int bits)
{
    *z = (z_stream){0};
    assert_int_equal(deflateInit2(z, 6, Z_DEFLATED, -bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
}

/* Appends the message as one compressed frame, or as two. */
static void put_compressed(struct td_buf *out, z_stream *z, int byte0, struct td_slice message,
                           size_t fragment)
{
    static const char mask[4] = {0x37, (char)0xfa, 0x21, 0x3d};
    size_t room = deflateBound(z, message.len) + 64;
    char *bytes = malloc(room);

    assert_non_null(bytes);
    z->next_in = (Bytef *)(uintptr_t)message.ptr;
    z->avail_in = (uInt)message.len;
    z->next_out = (Bytef *)bytes;
    z->avail_out = (uInt)room;
    assert_int_equal(deflate(z, Z_SYNC_FLUSH), Z_OK);
    struct td_slice all = td_slice(bytes, room - z->avail_out - 4);
    if (fragment > 0 && fragment < all.len) {
        put_frame(out, (byte0 & ~FIN) | RSV1, td_slice_to(all, fragment), mask);
        put_frame(out, LAST, td_slice_from(all, fragment), mask);
    } else {
        put_frame(out, byte0 | RSV1, all, mask);
    }
    free(bytes);
}

/* Text with repetitions near and far. */
static void fill_text(struct td_rng *rng, char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t back = 1 + td_rng_below(rng, 40000);
        text[i] = i > back && td_rng_below(rng, 8) > 0 ? text[i - back]
                                                       : (char)(' ' + td_rng_below(rng, 90));
        for (size_t run = td_rng_below(rng, 60); back < i && run > 0 && i + 1 < n; run--, i++)
            text[i + 1] = text[i + 1 - back];
    }
}

static void check_client(int bits, bool keeps, size_t piece)
{
    static char text[60000];
    struct td_rng rng;
    struct td_buf stream = TD_BUF_INIT(8 * TD_MIB), expected = TD_BUF_INIT(8 * TD_MIB);
    struct reader reader;
    z_stream z;

    td_rng_init(&rng, (uint64_t)bits * 2 + keeps);
    deflate_begin(&z, bits);
    for (int i = 0; i < 6; i++) {
        size_t n = i % 3 == 0 ? sizeof(text) - (size_t)i : td_rng_below(&rng, 600);
        fill_text(&rng, text, n);
        if (!keeps)
            assert_int_equal(deflateReset(&z), Z_OK);
        put_compressed(&stream, &z, TEXT, td_slice(text, n), td_rng_below(&rng, 300));
        log_event(&expected, &(struct td_ws_event){TD_WS_TEXT, td_slice(text, n), 0});
    }
    agreed.window_bits = (unsigned)bits;
    agreed.takeover = keeps;
    reader_init(&reader, M, true);
    struct td_slice rest = td_buf_slice(&stream);
    while (rest.len > 0) {
        size_t n = piece > 0 ? piece : 1 + td_rng_below(&rng, 9000);
        n = TD_MIN(n, rest.len);
        reader_feed(&reader, td_slice_to(rest, n));
        rest = td_slice_from(rest, n);
    }
    expected.len--; /* the blank at the end */
    check_log(&reader, "a client", td_buf_slice(&expected));
    reader_done(&reader);
    deflateEnd(&z);
    td_buf_done(&stream);
    td_buf_done(&expected);
}

static void test_clients(void **state)
{
    (void)state;
    for (int bits = 9; bits <= 15; bits++)
        for (int keeps = 0; keeps < 2; keeps++) {
            check_client(bits, keeps, 1);
            check_client(bits, keeps, SIZE_MAX);
            check_client(bits, keeps, 0);
        }
}

/* A match that reaches further back than was agreed to is not inflated: there is no such window. */
static void test_a_window_that_is_too_large(void **state)
{
    static char text[8000];
    struct td_buf stream = TD_BUF_INIT(TD_MIB);
    struct td_rng rng;
    struct reader reader;
    z_stream z;

    (void)state;
    td_rng_init(&rng, 1);
    for (size_t i = 0; i < sizeof(text) / 2; i++)
        text[i] = text[sizeof(text) / 2 + i] = (char)(' ' + td_rng_below(&rng, 90));
    deflate_begin(&z, 15);
    put_compressed(&stream, &z, TEXT, td_slice(text, 4000), 0);
    put_compressed(&stream, &z, TEXT, td_slice(text + 4000, 4000), 0);
    agreed.window_bits = 10;
    agreed.takeover = true;
    reader_init(&reader, M, false);
    reader_feed(&reader, td_buf_slice(&stream));
    assert_true(reader.failed);
    assert_int_equal(reader.decoder.failed, 1002);
    reader_done(&reader);
    deflateEnd(&z);
    td_buf_done(&stream);
}

/* ---- limits ---- */

/* A message of a mebibyte of zeros in each kibibyte: 1 GiB out of 1 MiB.  Inflating stops at the limit. */
static void test_a_bomb_goes_no_further_than_the_limit(void **state)
{
    enum { LIMIT = 1024 * 1024 };
    static const char mask[4];
    static char zeros[TD_MIB];
    struct td_buf payload = TD_BUF_INIT(4 * TD_MIB), stream = TD_BUF_INIT(4 * TD_MIB);
    struct td_ws_decoder decoder;
    struct td_ws_event event;
    z_stream z;

    (void)state;
    memset(zeros, '0', sizeof(zeros));
    deflate_begin(&z, 15);
    assert_int_equal(td_buf_reserve(&payload, 2 * TD_MIB), 0);
    z.next_out = (Bytef *)payload.ptr;
    z.avail_out = 2 * TD_MIB;
    for (int i = 0; i < 1024; i++) {
        z.next_in = (Bytef *)zeros;
        z.avail_in = sizeof(zeros);
        assert_int_equal(deflate(&z, i < 1023 ? Z_NO_FLUSH : Z_SYNC_FLUSH), Z_OK);
    }
    payload.len = z.total_out;
    deflateEnd(&z);
    assert_in_range(payload.len, 1024, LIMIT + LIMIT / 4); /* or its head would be refused */
    put_frame(&stream, ZTEXT, td_buf_slice(&payload), mask);

    td_ws_decoder_init(&decoder, LIMIT);
    td_ws_decoder_inflate(&decoder, 15, false);
    size_t fed = 0, peak = 0;
    int r = 0;
    while (r == 0 && fed < stream.len) {
        char *in = stream.ptr + fed;
        size_t n = TD_MIN(stream.len - fed, (size_t)64), left = n;
        r = td_ws_decode(&decoder, &in, &left, &event);
        fed += n;
        peak = TD_MAX(peak, decoder._message.cap);
    }
    assert_int_equal(r, TD_ETOOLARGE);
    assert_int_equal(decoder.failed, 1009);
    assert_in_range(fed, 512, 2048); /* a kibibyte said it all */
    assert_in_range(peak, LIMIT / 2, LIMIT);
    assert_null(decoder._message.ptr);
    td_ws_decoder_done(&decoder);
    td_buf_done(&payload);
    td_buf_done(&stream);
}

/* Blocks of nothing: no byte comes out, and what may be sent is bounded all the same. */
static void test_blocks_of_nothing(void **state)
{
    static const char mask[4];
    struct td_buf stream = TD_BUF_INIT(TD_MIB), blocks = TD_BUF_INIT(TD_MIB);
    struct reader reader;

    without_takeover(state);
    for (int i = 0; i < 200; i++)
        assert_int_equal(td_buf_put(&blocks, TD_S("\0\0\0\xff\xff\x03\0")), 0); /* one is final */
    reader_init(&reader, 4096, false);
    put_frame(&stream, TD_WS_TEXT | RSV1, td_buf_slice(&blocks), mask);
    for (int i = 0; i < 4; i++)
        put_frame(&stream, TD_WS_CONT, td_buf_slice(&blocks), mask);
    reader_feed(&reader, td_buf_slice(&stream));
    check_log(&reader, "blocks of nothing", TD_S("!1009"));
    reader_done(&reader);
    td_buf_done(&stream);
    td_buf_done(&blocks);
}

/* Between messages there is an inflater only where its window is wanted. */
static void test_what_is_held(void **state)
{
    static const char mask[4];
    struct td_buf stream = TD_BUF_INIT(64);
    struct reader reader;

    put_frame(&stream, ZTEXT, TD_S(HELLO), mask);
    for (int keeps = 0; keeps < 2; keeps++) {
        (void)(keeps ? with_takeover : without_takeover)(state);
        reader_init(&reader, M, false);
        assert_true(td_ws_decoder_idle(&reader.decoder));
        reader_feed(&reader, td_slice_to(td_buf_slice(&stream), 8));
        assert_non_null(reader.decoder._inflater);
        assert_false(td_ws_decoder_idle(&reader.decoder));
        reader_feed(&reader, td_slice_from(td_buf_slice(&stream), 8));
        check_log(&reader, "held", TD_S("T5:Hello"));
        assert_int_equal(reader.decoder._inflater != NULL, keeps);
        assert_int_equal(td_ws_decoder_idle(&reader.decoder), !keeps);
        assert_null(reader.decoder._message.ptr);
        reader_done(&reader);
    }
    td_buf_done(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_rfc_examples, without_takeover),
        cmocka_unit_test_setup(test_rfc_examples, with_takeover),
        cmocka_unit_test_setup(test_reserved_bits, without_takeover),
        cmocka_unit_test_setup(test_mixtures, without_takeover),
        cmocka_unit_test_setup(test_mixtures, with_takeover),
        cmocka_unit_test_setup(test_faults, without_takeover),
        cmocka_unit_test_setup(test_takeover, with_takeover),
        cmocka_unit_test(test_clients),
        cmocka_unit_test(test_a_window_that_is_too_large),
        cmocka_unit_test(test_a_bomb_goes_no_further_than_the_limit),
        cmocka_unit_test(test_blocks_of_nothing),
        cmocka_unit_test(test_what_is_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
