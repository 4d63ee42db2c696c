/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "cli/cli.h"
#include "os/process.h"
#include "server/config.h"
#include <stdio.h>

static int print(struct td_buf *text)
{
    size_t written = fwrite(text->ptr, 1, text->len, stdout);
    bool good = text->err == 0 && written == text->len && fflush(stdout) == 0;

    td_buf_done(text);
    return good ? TD_CLI_DONE : td_cli_failed("check", "standard output cannot be written");
}

int td_cli_check(int argc, char **argv)
{
    const char *file = NULL;
    bool docs = false, endpoints = false;
    const struct td_cli_option options[] = {
        {"config",          "FILE", "The YAML file; the environment is read over it.",           .value = &file},
        {"print-docs",      NULL,   "Prints docs/configuration.md instead.",                     .flag = &docs },
        {"print-endpoints", NULL,   "Prints the endpoints that ship, as a file would say them.",
         .flag = &endpoints                                                                                    },
    };
    const struct td_cli_usage usage = {
        .verb = "check",
        .operands = "",
        .about =
            "Checks a configuration.  Prints each thing that is wrong: the file and line, what "
            "was\nfound, and what was expected; exit status 1 when there is one.\n",
        .options = options,
        .n_options = TD_ARRAY_LEN(options),
    };
    struct td_buf text = TD_BUF_INIT(TD_MIB);
    struct td_config *config;
    int status;

    if (td_cli_parse(&usage, argc, argv, &status) < 0)
        return status;
    if (docs) {
        td_config_put_docs(&text);
        return print(&text);
    }
    if (endpoints) {
        td_buf_put(&text, td_config_shipped_endpoints());
        return print(&text);
    }
    if (!file)
        return td_cli_wrong("check", "it needs --config FILE");
    struct td_config_inputs inputs = {.path = file, .env = td_environment()};
    if (td_config_load(&inputs, &config, &text) < 0) {
        fprintf(stderr, "%.*s", (int)text.len, text.ptr);
        td_buf_done(&text);
        return TD_CLI_FAILED;
    }
    td_config_free(config);
    td_buf_putf(&text, "%s: good\n", file);
    return print(&text);
}
