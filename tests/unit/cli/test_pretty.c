/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka wants these in front of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/units.h"
#include "cli/pretty.h"
#include <cmocka.h>

static void check(struct td_slice event, bool color, const char *expected)
{
    struct td_buf out = TD_BUF_INIT(TD_MIB);

    td_pretty_event(&out, event, color);
    td_buf_putc(&out, '\0');
    assert_string_equal(out.ptr, expected);
    td_buf_done(&out);
}

static void test_event(void **state)
{
    (void)state;
    check(TD_S("{\"id\":\"e.1\",\"topic\":\"a/b\",\"type\":\"t\","
               "\"time\":\"2026-11-20T20:44:01.123Z\",\"data\":{\"x\": [1]}}"),
          false, "20:44:01.123 a/b t {\"x\": [1]}\n");
    check(TD_S("{\"topic\":\"a\",\"type\":\"t\",\"time\":\"soon\",\"data\":null}"), false,
          "soon a t null\n");
}

static void test_colour(void **state)
{
    (void)state;
    check(TD_S("{\"topic\":\"a\",\"type\":\"t\",\"data\":1}"), true,
          "\x1b[36ma\x1b[0m \x1b[1mt\x1b[0m 1\n");
}

static void test_what_is_no_event_is_shown_whole(void **state)
{
    (void)state;
    check(TD_S("[1]"), false, "[1]\n");
    check(TD_S("{\"topic\":\"a\"}"), false, "{\"topic\":\"a\"}\n");
    check(TD_S("no \x1b[2J json"), false, "no \\x1b[2J json\n");
}

/* No byte sequence of up to three bytes leaves a control character or broken UTF-8 behind. */
static void test_no_control_character_passes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 0x1000000; i += i < 0x20000 ? 1 : 97) {
        char bytes[3] = {(char)(i & 0xFF), (char)(i >> 8 & 0xFF), (char)(i >> 16)};
        char memory[64];
        struct td_buf out = {.ptr = memory, .cap = sizeof(memory), .max = sizeof(memory)};

        td_pretty_text(&out, td_slice(bytes, sizeof(bytes)));
        assert_int_equal(out.err, 0);
        for (size_t k = 0; k < out.len; k++) {
            unsigned char byte = (unsigned char)memory[k];
            assert_true(byte >= ' ' && byte != 0x7F);
            assert_false(byte == 0xC2 && k + 1 < out.len && (unsigned char)memory[k + 1] < 0xA0);
        }
    }
}

static void test_text_passes(void **state)
{
    struct td_buf out = TD_BUF_INIT(TD_KIB);
    struct td_slice text = TD_S("h\xC3\xA9llo \xE2\x82\xAC \xF0\x9F\x98\x80 \xC2\xA0");

    (void)state;
    td_pretty_text(&out, text);
    assert_true(td_slice_eq(td_buf_slice(&out), text));
    td_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event),
        cmocka_unit_test(test_colour),
        cmocka_unit_test(test_what_is_no_event_is_shown_whole),
        cmocka_unit_test(test_no_control_character_passes),
        cmocka_unit_test(test_text_passes),
    };
    return cmocka_run_group_tests_name("pretty", tests, NULL, NULL);
}
