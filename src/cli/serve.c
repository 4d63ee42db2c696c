/* SPDX-License-Identifier: Apache-2.0 */
/* `tidings serve`, and what it shares with `tidings dev`. */
#include "cli/cli.h"
#include "cli/config.h"
#include "os/process.h"
#include "server/server.h"
#include <stdio.h>

bool td_cli_wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

void td_cli_print_options(void)
{
    struct td_buf options = TD_BUF_INIT(64 * TD_KIB);

    printf("Options, in the file, as TIDINGS_… in the environment, or as flags:\n\n");
    td_config_put_help(&options);
    fwrite(options.ptr, 1, options.len, stdout);
    td_buf_done(&options);
}

int td_cli_load(const struct td_config_inputs *inputs, struct td_config **ret_config)
{
    struct td_buf errors = TD_BUF_INIT(TD_CONFIG_ERRORS_MAX);
    int r = td_config_load(inputs, ret_config, &errors);

    if (errors.len > 0)
        fwrite(errors.ptr, 1, errors.len, stderr);
    td_buf_done(&errors);
    return r < 0 ? TD_CLI_FAILED : 0;
}

int td_cli_flags(int argc, char **argv, struct td_config_inputs *inputs)
{
    struct td_buf errors = TD_BUF_INIT(TD_CONFIG_ERRORS_MAX);
    int r = td_config_flags(argc, argv, inputs, &errors);

    inputs->env = td_environment();
    if (errors.len > 0)
        fwrite(errors.ptr, 1, errors.len, stderr);
    td_buf_done(&errors);
    return r < 0 ? TD_CLI_USAGE : 0;
}

static void print_help(void)
{
    printf("Usage: tidings serve --config FILE [--OPTION VALUE]...\n\n"
           "Starts a server. It refuses to start without a key to verify tokens with, and\n"
           "says what is missing. SIGTERM drains it, SIGHUP loads the configuration\n"
           "again; `tidings check` tries one.\n\n"
           "  --config FILE   the configuration (YAML)\n\n"
           "Example: tidings serve --config /etc/tidings/tidings.yaml\n\n");
    td_cli_print_options();
}

int td_cli_serve(int argc, char **argv)
{
    struct td_config_inputs inputs = {.dev = false};
    struct td_config *config = NULL;

    if (td_cli_wants_help(argc, argv)) {
        print_help();
        return TD_CLI_DONE;
    }
    int status = td_cli_flags(argc, argv, &inputs);
    if (status == 0 && !inputs.path)
        return td_cli_wrong("serve", "--config FILE is needed");
    if (status == 0)
        status = td_cli_load(&inputs, &config);
    if (status != 0)
        return status;
    int r = td_server_run(
        &(struct td_server_options){.config = config, .inputs = &inputs, .version = TD_VERSION});
    td_config_free(config);
    return r < 0 ? TD_CLI_FAILED : TD_CLI_DONE;
}
