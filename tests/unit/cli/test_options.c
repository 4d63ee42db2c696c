/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cli/cli.h"

static bool flag;
static const char *value;
static struct td_cli_list list;

/* Parses a verb's arguments, of which the first is the verb.  Returns the operands, or TD_CLI_STOP with `ret_exit`. */
static int parse(const char **argv, int *ret_exit)
{
    const struct td_cli_option options[] = {
        {"flag",  NULL, "A flag.",  .flag = &flag  },
        {"value", "V",  "A value.", .value = &value},
        {"list",  "L",  "A list.",  .list = &list  },
    };
    const struct td_cli_usage usage = {
        .verb = "verb",
        .operands = "A [B]",
        .about = "Tests.\n",
        .options = options,
        .n_options = 3,
        .operands_min = 1,
        .operands_max = 2,
    };
    int argc = 0;

    flag = false;
    value = NULL;
    list = (struct td_cli_list){.n = 0};
    while (argv[argc])
        argc++;
    return td_cli_parse(&usage, argc, (char **)(uintptr_t)argv, ret_exit);
}

static void options_stand_anywhere(void **state)
{
    const char *argv[] = {"verb",     "--flag", "a",      "--value", "v",
                          "--list=1", "-",      "--list", "2",       NULL};
    int status;

    assert_int_equal(parse(argv, &status), 2);
    assert_string_equal(argv[1], "a");
    assert_string_equal(argv[2], "-");
    assert_true(flag);
    assert_string_equal(value, "v");
    assert_int_equal(list.n, 2);
    assert_string_equal(list.items[0], "1");
    assert_string_equal(list.items[1], "2");
}

static void two_dashes_end_them(void **state)
{
    const char *argv[] = {"verb", "--value=x=y", "--", "--flag", "--help", NULL};
    int status;

    assert_int_equal(parse(argv, &status), 2);
    assert_string_equal(argv[1], "--flag");
    assert_string_equal(argv[2], "--help");
    assert_false(flag);
    assert_string_equal(value, "x=y");
}

static void wrong_usage_is_2(void **state)
{
    /* clang-format off */
    static const char *const cases[][5] = {
        {"verb"},
        {"verb", "a", "b", "c"},
        {"verb", "a", "--nope"},
        {"verb", "a", "-x"},
        {"verb", "a", "--value"},
        {"verb", "a", "--flag=1"},
    };
    /* clang-format on */

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        const char *argv[5];
        int status = -1;
        memcpy(argv, cases[i], sizeof(argv));
        assert_int_equal(parse(argv, &status), TD_CLI_STOP);
        assert_int_equal(status, TD_CLI_USAGE);
    }
}

static void a_list_is_bounded(void **state)
{
    const char *argv[TD_CLI_LIST_MAX + 4] = {"verb", "a"};
    int status;

    for (int i = 0; i < TD_CLI_LIST_MAX; i++)
        argv[2 + i] = "--list=x";
    assert_int_equal(parse(argv, &status), 1);
    assert_int_equal(list.n, TD_CLI_LIST_MAX);
    argv[1] = "a";
    argv[2 + TD_CLI_LIST_MAX] = "--list=x";
    assert_int_equal(parse(argv, &status), TD_CLI_STOP);
    assert_int_equal(status, TD_CLI_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(two_dashes_end_them),
        cmocka_unit_test(wrong_usage_is_2),
        cmocka_unit_test(a_list_is_bounded),
    };

    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
