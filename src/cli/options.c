/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "cli/cli.h"
#include <stdarg.h>
#include <stdio.h>

static void say(const char *verb, const char *format, va_list args) TD_PRINTF(2, 0);

static void say(const char *verb, const char *format, va_list args)
{
    fprintf(stderr, "tidings %s: ", verb);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int td_cli_wrong(const char *verb, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(verb, format, args);
    va_end(args);
    fprintf(stderr, "Try 'tidings %s --help'.\n", verb);
    return TD_CLI_USAGE;
}

int td_cli_failed(const char *verb, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(verb, format, args);
    va_end(args);
    return TD_CLI_FAILED;
}

static void print_help(const struct td_cli_usage *usage)
{
    printf("Usage: tidings %s%s%s%s\n\n%s", usage->verb, usage->n_options ? " [OPTION]…" : "",
           usage->operands[0] ? " " : "", usage->operands, usage->about);
    if (usage->n_options > 0)
        printf("\n");
    for (size_t i = 0; i < usage->n_options; i++) {
        const struct td_cli_option *option = &usage->options[i];
        printf("  --%s%s%s%s\n        %s\n", option->name, option->operand ? " " : "",
               option->operand ? option->operand : "", option->list ? "  (may be repeated)" : "",
               option->help);
    }
}

static const struct td_cli_option *option_named(const struct td_cli_usage *usage,
                                                struct td_slice name)
{
    for (size_t i = 0; i < usage->n_options; i++)
        if (td_slice_eq(td_slice_str(usage->options[i].name), name))
            return &usage->options[i];
    return NULL;
}

/* Takes the option at argv[at].  Returns how many arguments it used; 0 when it is wrong, which has been said. */
static int take_option(const struct td_cli_usage *usage, int argc, char **argv, int at)
{
    const char *equals = strchr(argv[at], '=');
    struct td_slice name = td_slice_str(argv[at] + 2);

    if (equals)
        name.len = (size_t)(equals - name.ptr);
    const struct td_cli_option *option = option_named(usage, name);
    if (!option) {
        td_cli_wrong(usage->verb, "--%.*s is not an option", (int)name.len, name.ptr);
        return 0;
    }
    if (option->flag) {
        *option->flag = true;
        if (equals)
            td_cli_wrong(usage->verb, "--%s takes no value", option->name);
        return equals ? 0 : 1;
    }
    const char *value = equals ? equals + 1 : at + 1 < argc ? argv[at + 1] : NULL;
    if (!value) {
        td_cli_wrong(usage->verb, "--%s needs a value: %s", option->name, option->operand);
        return 0;
    }
    if (option->value) {
        *option->value = value;
    } else if (option->list->n < TD_CLI_LIST_MAX) {
        option->list->items[option->list->n++] = value;
    } else {
        td_cli_wrong(usage->verb, "--%s stands there more than 64 times", option->name);
        return 0;
    }
    return equals ? 1 : 2;
}

static int stop(int status, int *ret_exit)
{
    *ret_exit = status;
    return TD_CLI_STOP;
}

int td_cli_parse(const struct td_cli_usage *usage, int argc, char **argv, int *ret_exit)
{
    bool options_end = false;
    int n = 0;

    for (int at = 1; at < argc;) {
        const char *arg = argv[at];
        if (options_end || arg[0] != '-' || strcmp(arg, "-") == 0) {
            argv[++n] = argv[at++]; /* n < at always: nothing unread is overwritten */
            continue;
        }
        if (strcmp(arg, "--") == 0) {
            options_end = true;
            at++;
            continue;
        }
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            print_help(usage);
            return stop(TD_CLI_DONE, ret_exit);
        }
        if (arg[1] != '-')
            return stop(td_cli_wrong(usage->verb, "%s is not an option", arg), ret_exit);
        int used = take_option(usage, argc, argv, at);
        if (used == 0)
            return stop(TD_CLI_USAGE, ret_exit);
        at += used;
    }
    if ((size_t)n < usage->operands_min)
        return stop(td_cli_wrong(usage->verb, "it needs %s", usage->operands), ret_exit);
    if ((size_t)n > usage->operands_max)
        return stop(td_cli_wrong(usage->verb, "'%s' is too much", argv[usage->operands_max + 1]),
                    ret_exit);
    return n;
}
