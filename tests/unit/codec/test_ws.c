/* SPDX-License-Identifier: Apache-2.0 */
/* Each vector is a stream of a client and what must come out of it, written as in ws_reader.h.  Every stream is replayed whole, byte by
 * byte and cut at every offset, each with one decoder for all of it and with one thrown away whenever it is idle. */
#include "base/rng.h"
#include "ws_reader.h"

/* ---- vectors ---- */

/* clang-format off */
static const struct vector framing[] = {
    {"1.1.1 text of 0", "T0:", {F(TEXT, "")}, M},
    {"1.1.2 text of 125", "T125x*", {BIG(TEXT, 125, '*')}, M},
    {"1.1.3 text of 126", "T126x*", {BIG(TEXT, 126, '*')}, M},
    {"1.1.4 text of 127", "T127x*", {BIG(TEXT, 127, '*')}, M},
    {"1.1.5 text of 128", "T128x*", {BIG(TEXT, 128, '*')}, M},
    {"1.1.6 text of 65535", "T65535x*", {BIG(TEXT, 65535, '*')}, M},
    {"1.1.7 text of 65536", "T65536x*", {BIG(TEXT, 65536, '*')}, M},
    {"1.2.1 binary of 0", "B0:", {F(BINARY, "")}, M},
    {"1.2.2 binary of 126", "B126x\xfe", {BIG(BINARY, 126, '\xfe')}, M},
    {"1.2.3 binary of 65536", "B65536x\xfe", {BIG(BINARY, 65536, '\xfe')}, M},
    {"1.3 several in a row", "T1:a B2:bc T0: T3:def", {F(TEXT, "a"), F(BINARY, "bc"), F(TEXT, ""), F(TEXT, "def")}, M},
    {"RFC 5.7 masked Hello", "T5:Hello", {RAW("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")}, M},
    {"length 125 in 16 bits", "!1002", {RAW("\x82\xfe\0\x7d\0\0\0\0")}, M},
    {"length 0 in 16 bits", "!1002", {RAW("\x82\xfe\0\0\0\0\0\0")}, M},
    {"length 65535 in 64 bits", "!1002", {RAW("\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0")}, M},
    {"length 1 in 64 bits", "!1002", {RAW("\x82\xff\0\0\0\0\0\0\0\1\0\0\0\0")}, M},
    {"length 2^63", "!1002", {RAW("\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0")}, M},
    {"length 2^64-1", "!1002", {RAW("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0")}, M},
    {"length 2^63-1", "!1009", {RAW("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0")}, M},
    {"length 2^63-1 in a fragment", "!1009", {F(TD_WS_BINARY, "ab"), RAW("\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff")}, M},
    {"unmasked", "!1002", {RAW("\x81\x05Hello")}, M},
    {"unmasked ping between", "T1:a !1002", {F(TEXT, "a"), RAW("\x89\0")}, M},
    {"unmasked, empty", "!1002", {RAW("\x82\0")}, M},
};

static const struct vector pings[] = {
    {"2.1 empty ping", "I0:", {F(PING, "")}, M},
    {"2.2 ping with text", "I14:Hello, world! ", {F(PING, "Hello, world! ")}, M},
    {"2.3 ping with bytes", "I4:\xff\xfe\xfd\xfc", {F(PING, "\xff\xfe\xfd\xfc")}, M},
    {"2.4 ping of 125", "I125x\xfe", {BIG(PING, 125, '\xfe')}, M},
    {"2.5 ping of 126", "!1002", {BIG(PING, 126, '\xfe')}, M},
    {"2.5 pong of 126", "!1002", {BIG(PONG, 126, '\xfe')}, M},
    {"2.5 ping of 65536", "!1002", {BIG(PING, 65536, '\xfe')}, M},
    {"2.7 unsolicited pong", "O0:", {F(PONG, "")}, M},
    {"2.8 unsolicited pong with bytes", "O3:abc", {F(PONG, "abc")}, M},
    {"2.9 pong, then ping", "O3:abc I4:ping", {F(PONG, "abc"), F(PING, "ping")}, M},
    {"2.10 pings in a row", "I1:1 I1:2 I1:3 I1:4", {F(PING, "1"), F(PING, "2"), F(PING, "3"), F(PING, "4")}, M},
    {"a ping above the limit of messages", "I5:Hello T3:abc", {F(PING, "Hello"), F(TEXT, "abc")}, 3},
};

static const struct vector reserved[] = {
    {"3.1 RSV3", "!1002", {F(TEXT | 0x10, "x")}, M},
    {"3.2 RSV2 after a message", "T1:a !1002", {F(TEXT, "a"), F(TEXT | 0x20, "x"), F(PING, "")}, M},
    {"3.3 RSV3+RSV2", "!1002", {F(TEXT | 0x30, "x")}, M},
    {"3.4 RSV1", "!1002", {F(TEXT | 0x40, "x")}, M},
    {"3.5 RSV1 on binary", "!1002", {F(BINARY | 0x50, "x")}, M},
    {"3.6 RSV on ping", "!1002", {F(PING | 0x60, "x")}, M},
    {"3.7 RSV on close", "!1002", {F(CLOSE | 0x70, "")}, M},
    {"3.8 RSV on a continuation", "!1002", {F(TD_WS_TEXT, "a"), F(LAST | 0x40, "b")}, M},
    {"4.1 opcode 3", "!1002", {F(FIN | 3, "")}, M},
    {"4.1 opcode 4", "!1002", {F(FIN | 4, "x")}, M},
    {"4.1 opcode 5", "T1:a !1002", {F(TEXT, "a"), F(FIN | 5, ""), F(PING, "")}, M},
    {"4.1 opcode 6, not final", "!1002", {F(6, "x")}, M},
    {"4.1 opcode 7 in a message", "!1002", {F(TD_WS_TEXT, "a"), F(FIN | 7, "x")}, M},
    {"4.2 opcode 11", "!1002", {F(FIN | 11, "")}, M},
    {"4.2 opcode 12", "!1002", {F(FIN | 12, "x")}, M},
    {"4.2 opcode 13", "!1002", {F(FIN | 13, "")}, M},
    {"4.2 opcode 14", "!1002", {F(FIN | 14, "x")}, M},
    {"4.2 opcode 15", "!1002", {F(FIN | 15, "")}, M},
};

static const struct vector fragments[] = {
    {"5.1 ping in two", "!1002", {F(TD_WS_PING, "a"), F(LAST, "b")}, M},
    {"5.2 pong in two", "!1002", {F(TD_WS_PONG, "a"), F(LAST, "b")}, M},
    {"5.2 close in two", "!1002", {F(TD_WS_CLOSE, ""), F(LAST, "")}, M},
    {"5.3 text in two", "T10:fragments!", {F(TD_WS_TEXT, "fragm"), F(LAST, "ents!")}, M},
    {"5.5 binary in three", "B6:\xff\xfe""cd\xfd""f", {F(TD_WS_BINARY, "\xff\xfe"), F(0, "cd"), F(LAST, "\xfd""f")}, M},
    {"5.6 ping between", "I1:p T4:abcd", {F(TD_WS_TEXT, "ab"), F(PING, "p"), F(LAST, "cd")}, M},
    {"5.7 ping, pong between and behind", "I1:1 O1:2 T6:abcdef I1:3",
        {F(TD_WS_TEXT, "ab"), F(PING, "1"), F(0, "cd"), F(PONG, "2"), F(LAST, "ef"), F(PING, "3")}, M},
    {"5.9 continuation of nothing", "!1002", {F(LAST, "x"), F(TEXT, "Hello")}, M},
    {"5.12 not final continuation of nothing", "!1002", {F(0, "x")}, M},
    {"5.13 continuation behind a message", "T2:ab !1002", {F(TEXT, "ab"), F(LAST, "x")}, M},
    {"5.15 continuation behind fragments", "T4:abcd !1002", {F(TD_WS_TEXT, "ab"), F(LAST, "cd"), F(0, "x")}, M},
    {"5.18 text in an open text", "!1002", {F(TD_WS_TEXT, "ab"), F(TEXT, "cd")}, M},
    {"5.18 binary in an open text", "!1002", {F(TD_WS_TEXT, "ab"), F(TD_WS_BINARY, "cd")}, M},
    {"empty fragments", "T0:", {F(TD_WS_TEXT, ""), F(0, ""), F(LAST, "")}, M},
    {"empty fragments around one", "T1:a B1:b", {F(TD_WS_TEXT, ""), F(0, "a"), F(LAST, ""), F(TD_WS_BINARY, ""), F(LAST, "b")}, M},
    {"close in an open message", "C1000:", {F(TD_WS_TEXT, "ab"), F(CLOSE, "\x03\xe8"), F(LAST, "cd")}, M},
    {"a ping in an open text does not end a character", "I1:\xff T2:\xc3\xa9", {F(TD_WS_TEXT, "\xc3"), F(PING, "\xff"), F(LAST, "\xa9")}, M},
};

static const struct vector utf8[] = {
    {"6.1 empty text", "T0:", {F(TEXT, "")}, M},
    {"6.2 valid", "T11:\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", {F(TEXT, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5")}, M},
    {"6.2.2 cut inside a character", "T4:\xf0\x9f\x8e\x89", {F(TD_WS_TEXT, "\xf0\x9f"), F(LAST, "\x8e\x89")}, M},
    {"6.2.3 a byte a fragment", "T4:\xf0\x9f\x8e\x89",
        {F(TD_WS_TEXT, "\xf0"), F(0, "\x9f"), F(0, ""), F(0, "\x8e"), F(LAST, "\x89")}, M},
    {"6.3 surrogate", "!1007", {F(TEXT, "\xce\xba\xed\xa0\x80""edited")}, M},
    {"6.4 surrogate in an open fragment", "!1007", {F(TD_WS_TEXT, "\xce\xba"), F(0, "\xf4\x90\x80\x80"), F(LAST, "x")}, M},
    {"6.5 ends inside a character", "!1007", {F(TEXT, "\xce\xba\xe1\xbd")}, M},
    {"6.5 fragments end inside a character", "!1007", {F(TD_WS_TEXT, "\xce\xba"), F(LAST, "\xe1\xbd")}, M},
    {"6.5 empty last fragment ends inside", "!1007", {F(TD_WS_TEXT, "\xe1\xbd"), F(LAST, "")}, M},
    {"6.6 lone continuation byte", "!1007", {F(TEXT, "\x80")}, M},
    {"6.10 overlong slash", "!1007", {F(TEXT, "\xc0\xaf")}, M},
    {"6.11 overlong in three", "!1007", {F(TEXT, "\xe0\x80\xaf")}, M},
    {"6.12 overlong NUL", "!1007", {F(TEXT, "\xf0\x80\x80\x80")}, M},
    {"6.13 0xfe", "!1007", {F(TEXT, "a\xfe")}, M},
    {"6.14 highest", "T4:\xf4\x8f\xbf\xbf", {F(TEXT, "\xf4\x8f\xbf\xbf")}, M},
    {"6.15 above the highest", "!1007", {F(TEXT, "\xf4\x90\x80\x80")}, M},
    {"6.16 the next text begins anew", "T1:a !1007", {F(TEXT, "a"), F(TEXT, "\xa9")}, M},
    {"binary is not checked", "B3:\xc0\xaf\xff", {F(BINARY, "\xc0\xaf\xff")}, M},
    {"messages before the fault", "T1:a I0: !1007", {F(TEXT, "a"), F(PING, ""), F(TEXT, "\xff"), F(TEXT, "b")}, M},
};

static const struct vector closes[] = {
    {"7.1.2 nothing comes after", "C1005:", {F(CLOSE, ""), F(TEXT, "x"), F(CLOSE, ""), RAW("\xff\xff")}, M},
    {"7.1.3 ping behind a close", "T1:a C1000:", {F(TEXT, "a"), F(CLOSE, "\x03\xe8"), F(PING, "")}, M},
    {"7.3.1 empty", "C1005:", {F(CLOSE, "")}, M},
    {"7.3.2 one byte", "!1002", {F(CLOSE, "\x03")}, M},
    {"7.3.3 code", "C1000:", {F(CLOSE, "\x03\xe8")}, M},
    {"7.3.4 code and reason", "C1000:bye", {F(CLOSE, "\x03\xe8""bye")}, M},
    {"7.3.5 longest reason", "C1001:012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789abc",
        {F(CLOSE, "\x03\xe9""012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789abc")}, M},
    {"7.3.6 too long", "!1002", {BIG(CLOSE, 126, '\x0b')}, M},
    {"7.5.1 reason not UTF-8", "!1007", {F(CLOSE, "\x03\xe8\xce\xba\xed\xa0\x80x")}, M},
    {"7.5.1 reason ends inside a character", "!1007", {F(CLOSE, "\x03\xe8""a\xe1\xbd")}, M},
    {"a bad code with a bad reason", "!1002", {F(CLOSE, "\x03\xed\xff")}, M},
};

static const struct vector limits[] = {
    {"9.1 at the limit", "B8:abcdefgh", {F(BINARY, "abcdefgh")}, 8},
    {"9.2 above", "!1009", {F(BINARY, "abcdefghi")}, 8},
    {"9.3 fragments at the limit", "B8:abcdefgh", {F(TD_WS_BINARY, "abcde"), F(0, "fgh"), F(LAST, "")}, 8},
    {"9.4 fragments above", "I1:p !1009", {F(TD_WS_BINARY, "abcde"), F(PING, "p"), F(LAST, "fghi")}, 8},
    {"9.5 a new message has the limit anew", "B8:abcdefgh T8:abcdefgh", {F(TD_WS_BINARY, "abcd"), F(LAST, "efgh"), F(TEXT, "abcdefgh")}, 8},
    {"9.6 nothing fits but nothing", "T0: B0: !1009", {F(TEXT, ""), F(BINARY, ""), F(TEXT, "a")}, 0},
    {"9.7 too large is told before the payload", "!1009", {RAW("\x82\xfe\x01\0")}, 255},
    {"9.8 too large beats bad UTF-8 behind it", "!1009", {F(TEXT, "\xff\xff\xff\xff")}, 3},
};
/* clang-format on */

VECTORS(framing)
VECTORS(pings)
VECTORS(reserved)
VECTORS(fragments)
VECTORS(utf8)
VECTORS(closes)
VECTORS(limits)

/* ---- what a table can't say ---- */

/* §7.4: every code there is, decoded and asked for. */
static void test_close_codes(void **state)
{
    static const char mask[4] = {1, 2, 3, 4};

    for (int code = 0; code < 65536; code++) {
        bool valid = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                     (code >= 3000 && code <= 4999);
        char bytes[2] = {(char)(code >> 8), (char)code}, expected[16];
        struct td_buf stream = TD_BUF_INIT(64);
        struct reader reader;

        put_frame(&stream, CLOSE, td_slice(bytes, 2), mask);
        reader_init(&reader, M, false);
        reader_feed(&reader, td_buf_slice(&stream));
        snprintf(expected, sizeof(expected), valid ? "C%d:" : "!1002", code);
        check_log(&reader, expected, td_slice_str(expected));
        assert_int_equal(td_ws_close_code_valid(code), valid);
        reader_done(&reader);
        td_buf_done(&stream);
    }
}

/* A fault is found at the byte that is wrong, not at the end of its frame. */
static void test_fault_is_found_at_its_byte(void **state)
{
    static const struct {
        struct td_slice stream; /* masked with zeros */
        size_t at;
    } faults[] = {
        {TD_S("\xc1\x85"),                       1 }, /* RSV */
        {TD_S("\x83\x85"),                       1 }, /* opcode */
        {TD_S("\x80\x85"),                       1 }, /* continuation of nothing */
        {TD_S("\x09\x80"),                       1 }, /* a ping that is not final */
        {TD_S("\x81\x05Hello"),                  2 }, /* unmasked */
        {TD_S("\x89\xfe\0\x80"),                 2 }, /* a long ping */
        {TD_S("\x88\x81\0\0\0\0\3"),             2 }, /* a close of one byte */
        {TD_S("\x81\xfe\0\x7d\0"),               4 }, /* not minimal */
        {TD_S("\x81\xff\x80\0\0\0\0\0\0\0\0"),   10}, /* 2^63 */
        {TD_S("\x81\xff\0\0\0\0\0\1\x11\x71\0"), 10}, /* 70,001 */
        {TD_S("\x81\xfe\xff\xff\0\0\0\0a\xc3("),
         11                                        }, /* UTF-8 of a text that is to be 65,535 long */
        {TD_S("\x01\x84\0\0\0\0a\xed\xa0\x80"),  9 }, /* a surrogate shows in its second byte */
        {TD_S("\x88\x8a\0\0\0\0\x03\xec"
              "abc"),
         8                                         }, /* close code 1004 */
        {TD_S("\x88\x8a\0\0\0\0\x03\xe8"
              "ab\xff"),
         11                                        }, /* its reason */
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(faults); i++) {
        struct reader reader;
        size_t at = 0;

        reader_init(&reader, M, false);
        while (!reader.failed && at < faults[i].stream.len)
            reader_feed(&reader, td_slice(faults[i].stream.ptr + at++, 1));
        assert_true(reader.failed);
        assert_int_equal(at, faults[i].at);
        reader_done(&reader);
    }
}

static void test_failed_stays_failed(void **state)
{
    struct reader reader;
    struct td_ws_event event;
    char bytes[] = "\x81\x80\0\0\0\0", *in = bytes;
    size_t in_len = sizeof(bytes) - 1;

    reader_init(&reader, M, true);
    reader_feed(&reader, TD_S("\x81\x81\0\0\0\0\xff"));
    for (int i = 0; i < 3; i++)
        assert_int_equal(td_ws_decode(&reader.decoder, &in, &in_len, &event), TD_EUTF8);
    assert_int_equal(in_len, sizeof(bytes) - 1);
    assert_int_equal(reader.decoder.failed, 1007);
    assert_false(td_ws_decoder_idle(&reader.decoder));
    reader_done(&reader);
}

static void test_whole_frames_are_not_copied(void **state)
{
    char bytes[] = "\x81\x83\1\2\3\4\x60\x60\x60\x89\x82\1\1\1\1\x60\x60\x88\x83\0\0\0\0\x03\xe8z";
    struct td_ws_decoder decoder;
    struct td_ws_event event;
    char *in = bytes;
    size_t in_len = sizeof(bytes) - 1;

    td_ws_decoder_init(&decoder, M);
    assert_int_equal(td_ws_decode(&decoder, &in, &in_len, &event), 1);
    assert_ptr_equal(event.payload.ptr, bytes + 6);
    assert_memory_equal(bytes + 6, "abc", 3);
    assert_ptr_equal(in, bytes + 9);
    assert_int_equal(td_ws_decode(&decoder, &in, &in_len, &event), 1);
    assert_ptr_equal(event.payload.ptr, bytes + 15);
    assert_memory_equal(event.payload.ptr, "aa", 2);
    assert_int_equal(td_ws_decode(&decoder, &in, &in_len, &event), 1);
    assert_ptr_equal(event.payload.ptr, bytes + 25);
    assert_int_equal(event.payload.len, 1);
    assert_null(decoder._message.ptr);
    td_ws_decoder_done(&decoder);
}

/* What a head announces costs nothing; what has arrived at most twice itself. */
static void test_memory_follows_what_arrived(void **state)
{
    static const char mask[4];
    struct td_buf stream = TD_BUF_INIT(TD_MIB);
    struct reader reader;

    reader_init(&reader, 16 * TD_MIB, false);
    reader_feed(&reader, TD_S("\x82\xff\0\0\0\0\0\xff\xff\xff\0\0\0\0"));
    assert_int_equal(reader.decoder._message.cap, 0);
    for (size_t n = 1; n <= 5000; n++) {
        reader_feed(&reader, TD_S("x"));
        assert_in_range(reader.decoder._message.cap, n, TD_MAX(64, 2 * n));
    }
    reader_done(&reader);

    /* A message that was given is let go by the next call. */
    reader_init(&reader, M, false);
    put_frame(&stream, TD_WS_TEXT, TD_S("Hello, "), mask);
    put_frame(&stream, LAST, TD_S("world"), mask);
    put_frame(&stream, TEXT, TD_S("!"), mask);
    reader_feed(&reader, td_buf_slice(&stream));
    assert_null(reader.decoder._message.ptr);
    check_log(&reader, "given", TD_S("T12:Hello, world T1:!"));
    reader_done(&reader);
    td_buf_done(&stream);
}

static void test_fragments_are_counted(void **state)
{
    static const char mask[4];

    for (int empty = 0; empty < 2; empty++) {
        struct td_slice payload = empty ? TD_S("") : TD_S("x");
        struct td_buf first = TD_BUF_INIT(64), next = TD_BUF_INIT(64), last = TD_BUF_INIT(64);
        struct reader reader;

        put_frame(&first, TD_WS_BINARY, payload, mask);
        put_frame(&next, TD_WS_CONT, payload, mask);
        put_frame(&last, LAST, payload, mask);
        reader_init(&reader, M, true);
        for (int message = 0; message < 2; message++) { /* as many as may be, twice */
            reader_feed(&reader, td_buf_slice(&first));
            for (int i = 0; i < TD_WS_FRAGMENTS_MAX - 2; i++)
                reader_feed(&reader, td_buf_slice(&next));
            reader_feed(&reader, td_buf_slice(&last));
        }
        check_log(&reader, "as many as may be",
                  empty ? TD_S("B0: B0:") : TD_S("B16384xx B16384xx"));
        reader_feed(&reader, td_buf_slice(&first));
        for (int i = 0; i < TD_WS_FRAGMENTS_MAX - 1; i++)
            reader_feed(&reader, td_buf_slice(&next));
        assert_false(reader.failed);
        reader_feed(&reader, td_buf_slice(&last));
        assert_int_equal(reader.decoder.failed, 1009);
        reader_done(&reader);
        td_buf_done(&first);
        td_buf_done(&next);
        td_buf_done(&last);
    }
}

/* ---- random streams ---- */

static void random_payload(struct td_rng *rng, bool text, size_t len, struct td_buf *out)
{
    static const struct td_slice characters[] = {
        {"a",                1},
        {"\xc3\xa9",         2},
        {"\xe2\x82\xac",     3},
        {"\xf0\x9f\x8e\x89", 4},
        {"\n",               1}
    };

    td_buf_reset(out);
    while (out->len < len)
        if (text)
            td_buf_put(out, characters[td_rng_below(rng, TD_ARRAY_LEN(characters))]);
        else
            td_buf_putc(out, (char)td_rng_next(rng));
}

static void put_random_frame(struct td_rng *rng, struct td_buf *stream, int byte0,
                             struct td_slice payload)
{
    uint64_t random = td_rng_next(rng);
    char mask[4];

    memcpy(mask, &random, sizeof(mask));
    put_frame(stream, byte0, payload, mask);
}

static void put_random_control(struct td_rng *rng, struct td_buf *stream, struct td_buf *log)
{
    struct td_buf payload = TD_BUF_INIT(256);
    bool ping = td_rng_one_in(rng, 2);

    random_payload(rng, false, td_rng_below(rng, TD_WS_CONTROL_MAX + 1), &payload);
    put_random_frame(rng, stream, ping ? PING : PONG, td_buf_slice(&payload));
    log_event(log,
              &(struct td_ws_event){ping ? TD_WS_PING : TD_WS_PONG, td_buf_slice(&payload), 0});
    td_buf_done(&payload);
}

/* A message in random fragments with control frames between. */
static void put_random_message(struct td_rng *rng, struct td_buf *stream, struct td_buf *log)
{
    bool text = td_rng_one_in(rng, 2);
    int opcode = text ? TD_WS_TEXT : TD_WS_BINARY;
    struct td_buf payload = TD_BUF_INIT(M);

    random_payload(rng, text, td_rng_below(rng, td_rng_one_in(rng, 20) ? 66000 : 300), &payload);
    struct td_slice rest = td_buf_slice(&payload);
    while (td_rng_one_in(rng, 2)) {
        size_t n = td_rng_below(rng, rest.len + 1);
        put_random_frame(rng, stream, opcode, td_slice_to(rest, n));
        rest = n > 0 ? td_slice_from(rest, n) : rest;
        opcode = TD_WS_CONT;
        if (td_rng_one_in(rng, 3))
            put_random_control(rng, stream, log);
    }
    put_random_frame(rng, stream, FIN | opcode, rest);
    log_event(log,
              &(struct td_ws_event){text ? TD_WS_TEXT : TD_WS_BINARY, td_buf_slice(&payload), 0});
    td_buf_done(&payload);
}

static void feed_random_pieces(struct td_rng *rng, struct reader *reader, struct td_slice rest)
{
    uint64_t piece_max = 1ULL << td_rng_below(rng, 18);

    while (rest.len > 0) {
        size_t n = 1 + td_rng_below(rng, TD_MIN(piece_max, rest.len));
        reader_feed(reader, td_slice_to(rest, n));
        rest = td_slice_from(rest, n);
    }
}

static void test_random_streams(void **state)
{
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct td_buf stream = TD_BUF_INIT(16 * TD_MIB), log = TD_BUF_INIT(16 * TD_MIB);
        struct td_rng rng;
        char name[32];

        td_rng_init(&rng, seed);
        snprintf(name, sizeof(name), "seed %d", (int)seed);
        for (uint64_t n = td_rng_below(&rng, 12); n > 0; n--)
            if (td_rng_one_in(&rng, 3))
                put_random_control(&rng, &stream, &log);
            else
                put_random_message(&rng, &stream, &log);
        if (log.len > 0)
            log.len--; /* the last blank */
        for (int i = 0; i < 4; i++) {
            struct reader reader;

            reader_init(&reader, M, td_rng_one_in(&rng, 2));
            feed_random_pieces(&rng, &reader, td_buf_slice(&stream));
            check_log(&reader, name, td_buf_slice(&log));
            assert_true(td_ws_decoder_idle(&reader.decoder));
            reader_done(&reader);
        }
        td_buf_done(&stream);
        td_buf_done(&log);
    }
}

/* ---- what the server writes ---- */

static void test_heads(void **state)
{
    static const struct {
        uint64_t len;
        struct td_slice head;
    } heads[] = {
        {0,         TD_S("\x82\0")                                  },
        {125,       TD_S("\x82\x7d")                                },
        {126,       TD_S("\x82\x7e\0\x7e")                          },
        {65535,     TD_S("\x82\x7e\xff\xff")                        },
        {65536,     TD_S("\x82\x7f\0\0\0\0\0\1\0\0")                },
        {INT64_MAX, TD_S("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff")},
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(heads); i++) {
        char head[10];
        assert_int_equal(td_ws_frame_head(TD_WS_BINARY, heads[i].len, head), heads[i].head.len);
        assert_int_equal(td_ws_head_len(heads[i].len), heads[i].head.len);
        assert_memory_equal(head, heads[i].head.ptr, heads[i].head.len);
    }
}

static void check_written(struct td_buf *out, struct td_slice expected)
{
    assert_int_equal(out->len, expected.len);
    assert_memory_equal(out->ptr, expected.ptr, expected.len);
    td_buf_reset(out);
}

static void test_put_frame(void **state)
{
    struct td_buf out = TD_BUF_INIT(16);

    assert_int_equal(td_ws_put_frame(&out, TD_WS_TEXT, TD_S("Hello")), 0); /* RFC 5.7 */
    assert_int_equal(td_ws_put_frame(&out, TD_WS_PONG, TD_S("")), 0);
    assert_int_equal(out.len, 9);
    /* A frame that does not fit leaves nothing, not even its head. */
    assert_int_equal(td_ws_put_frame(&out, TD_WS_TEXT, TD_S("Hello!")), TD_ETOOLARGE);
    check_written(&out, TD_S("\x81\x05Hello\x8a\0"));
    td_buf_done(&out);
}

static void test_put_close(void **state)
{
    struct td_buf out = TD_BUF_INIT(1024);
    char reason[200], expected[127] = "\x88\x7d\x03\xf1";

    assert_int_equal(td_ws_put_close(&out, 1000, TD_S("")), 0);
    check_written(&out, TD_S("\x88\x02\x03\xe8"));
    assert_int_equal(td_ws_put_close(&out, 4001, TD_S("expired")), 0);
    check_written(&out, TD_S("\x88\x09\x0f\xa1"
                             "expired"));
    assert_int_equal(td_ws_put_close(&out, TD_WS_NO_CODE, TD_S("")), 0);
    check_written(&out, TD_S("\x88\0"));

    memset(reason, 'a', sizeof(reason));
    memset(expected + 4, 'a', 123);
    assert_int_equal(td_ws_put_close(&out, 1009, td_slice(reason, 123)), 0);
    check_written(&out, td_slice(expected, 127));
    assert_int_equal(td_ws_put_close(&out, 1009, td_slice(reason, 200)), 0);
    check_written(&out, td_slice(expected, 127));
    /* A character of four bytes across the end goes as a whole, wherever it begins. */
    for (size_t at = 120; at < 123; at++) {
        memset(reason, 'a', sizeof(reason));
        memcpy(reason + at, "\xf0\x9f\x8e\x89", 4);
        expected[1] = (char)(at + 2);
        assert_int_equal(td_ws_put_close(&out, 1009, td_slice(reason, 200)), 0);
        check_written(&out, td_slice(expected, at + 4));
    }
    td_buf_done(&out);
}

static void test_accept_key(void **state)
{
    static const struct td_slice bad[] = {
        TD_S(""),
        TD_S("dGhlIHNhbXBsZSBub25jZQ="), /* cut */
        TD_S("dGhlIHNhbXBsZSBub25jZQ"),  /* without padding */
        TD_S("dGhlIHNhbXBsZSBub25jZQ== "),
        TD_S("dGhlIHNhbXBsZSBub25j"),     /* 15 bytes */
        TD_S("dGhlIHNhbXBsZSBub25jZSE="), /* 17 bytes */
        TD_S("dGhlIHNhbXBsZSBub25jZSEh"), /* 18 bytes */
        TD_S("dGhlIHNhbXBsZSBub25jZS-="), /* another alphabet */
        TD_S("dGhlIHNhbXBsZSBub25jZ\0=="),
    };
    char accept[TD_WS_ACCEPT_LEN + 1] = "untouched";

    for (size_t i = 0; i < TD_ARRAY_LEN(bad); i++)
        assert_int_equal(td_ws_accept_key(bad[i], accept), TD_EINVAL);
    assert_string_equal(accept, "untouched");
    assert_int_equal(td_ws_accept_key(TD_S("dGhlIHNhbXBsZSBub25jZQ=="), accept), 0); /* §1.3 */
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_pings),
        cmocka_unit_test(test_reserved),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_closes),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_close_codes),
        cmocka_unit_test(test_fault_is_found_at_its_byte),
        cmocka_unit_test(test_failed_stays_failed),
        cmocka_unit_test(test_whole_frames_are_not_copied),
        cmocka_unit_test(test_memory_follows_what_arrived),
        cmocka_unit_test(test_fragments_are_counted),
        cmocka_unit_test(test_random_streams),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_put_frame),
        cmocka_unit_test(test_put_close),
        cmocka_unit_test(test_accept_key),
    };
    return cmocka_run_group_tests_name("codec/ws", tests, NULL, NULL);
}
