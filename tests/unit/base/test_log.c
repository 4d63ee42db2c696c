/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/log.h"
#include <jansson.h>
#include <string.h>

static char written[TD_LOG_LINE_MAX + 1];
static size_t n_written;

static void take(struct td_slice line)
{
    assert_true(line.len <= TD_LOG_LINE_MAX);
    memcpy(written, line.ptr, line.len);
    written[line.len] = '\0';
    n_written++;
}

static td_unix_ms now(void)
{
    return 1700000000123;
}

static void open_log(bool json)
{
    n_written = 0;
    td_log_open(
        &(struct td_log_sink){.write = take, .now = now, .level = TD_LOG_INFO, .json = json});
}

/* The line as JSON, which it has to be: one object on one line of printable ASCII. */
static json_t *read_line(void)
{
    size_t len = strlen(written);

    assert_int_equal(written[len - 1], '\n');
    for (size_t i = 0; i + 1 < len; i++)
        assert_in_range((unsigned char)written[i], 0x20, 0x7e);
    json_t *line = json_loads(written, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    assert_non_null(line);
    return line;
}

static void a_line_is_an_object(void **state)
{
    struct td_log_line line;

    open_log(true);
    assert_true(td_log_begin(&line, TD_LOG_WARN, "test"));
    td_log_str(&line, "text", TD_S("a\"b\\c"));
    td_log_u64(&line, "number", INT64_MAX);
    td_log_end(&line);
    assert_string_equal(
        written, "{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"warn\",\"event\":\"test\","
                 "\"text\":\"a\\\"b\\\\c\",\"number\":9223372036854775807}\n");
    json_decref(read_line());
}

static void levels_are_kept_and_changed(void **state)
{
    open_log(true);
    td_log(TD_LOG_DEBUG, "x", "no");
    assert_int_equal(n_written, 0);
    td_log_set_level(TD_LOG_DEBUG);
    td_log(TD_LOG_DEBUG, "x", "yes");
    assert_int_equal(n_written, 1);
    td_log_set_level(TD_LOG_NONE);
    td_log(TD_LOG_ERROR, "x", "no");
    assert_int_equal(n_written, 1);
}

/* Each byte, alone and among others: what stands there can neither end the line nor the string, nor steer a terminal. */
static void no_byte_forges(void **state)
{
    for (int json = 0; json < 2; json++) {
        open_log(json);
        for (int c = 0; c < 256; c++) {
            char text[] = {'a', (char)c, 'b'};
            struct td_log_line line;
            assert_true(td_log_begin(&line, TD_LOG_INFO, "test"));
            td_log_str(&line, "text", td_slice(text, sizeof(text)));
            td_log_end(&line);
            size_t len = strlen(written);
            assert_ptr_equal(strchr(written, '\n'), written + len - 1);
            for (size_t i = 0; i + 1 < len; i++)
                assert_in_range((unsigned char)written[i], 0x20, 0x7e);
            if (json)
                json_decref(read_line());
        }
    }
}

static void long_values_are_cut(void **state)
{
    static char text[1024 * 1024];
    struct td_log_line line;

    open_log(true);
    memset(text, 'x', sizeof(text));
    assert_true(td_log_begin(&line, TD_LOG_INFO, "test"));
    td_log_str(&line, "text", td_slice(text, sizeof(text)));
    td_log_end(&line);
    json_t *read = read_line();
    assert_int_equal(json_string_length(json_object_get(read, "text")), TD_LOG_VALUE_MAX + 3);
    json_decref(read);
}

/* Values that grow when they are escaped, more of them than fit: those that do not are left out whole. */
static void a_full_line_is_still_one(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    char text[TD_LOG_VALUE_MAX];
    struct td_log_line line;

    for (int c = 0; c < 2; c++) {
        memset(text, c ? '"' : '\x1b', sizeof(text));
        open_log(true);
        for (size_t len = 1; len <= sizeof(text); len++) {
            assert_true(td_log_begin(&line, TD_LOG_INFO, "test"));
            for (size_t i = 0; i < TD_ARRAY_LEN(names); i++)
                td_log_str(&line, names[i], td_slice(text, len));
            td_log_u64(&line, "last", len);
            td_log_end(&line);
            json_t *read = read_line();
            bool whole = json_object_get(read, "e") && json_object_get(read, "last");
            assert_int_equal(json_object_get(read, "cut") == NULL, whole);
            assert_non_null(json_object_get(read, "a"));
            json_decref(read);
        }
    }
    open_log(false);
    assert_true(td_log_begin(&line, TD_LOG_INFO, "test"));
    for (size_t i = 0; i < TD_ARRAY_LEN(names); i++)
        td_log_str(&line, names[i], td_slice(text, sizeof(text)));
    td_log_end(&line);
    assert_non_null(strstr(written, "\" cut=true\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_an_object),      cmocka_unit_test(levels_are_kept_and_changed),
        cmocka_unit_test(no_byte_forges),           cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(a_full_line_is_still_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
