/* SPDX-License-Identifier: Apache-2.0 */
/* `tidings serve` and `tidings dev`. */
#include "auth/token.h"
#include "base/err.h"
#include "cli/cli.h"
#include "os/clock.h"
#include "os/process.h"
#include "server/config.h"
#include "server/server.h"
#include <stdio.h>

/* A day: long enough for an afternoon's work, short enough not to be kept. */
#define DEV_TOKEN_TTL_MS (UINT64_C(24) * 60 * 60 * 1000)

static void print_help(bool dev)
{
    struct td_buf options = TD_BUF_INIT(64 * TD_KIB);

    if (dev)
        printf(
            "Usage: tidings dev [--listen ADDR] [--data DIR] [--OPTION VALUE]...\n\n"
            "Starts a development server without any configuration: on %s, with its data in\n"
            "./%s, a secret of its own, and a page at / that shows events live.\n"
            "Every token of its key may do everything but read the audit. Not for production.\n\n"
            "  --listen ADDR   where to listen, HOST:PORT\n"
            "  --data DIR      where the log and the key are kept\n\n"
            "Example: tidings dev --listen 127.0.0.1:9000 --data /tmp/try\n\n",
            TD_CONFIG_DEV_LISTEN, TD_CONFIG_DEV_DATA);
    else
        printf("Usage: tidings serve --config FILE [--OPTION VALUE]...\n\n"
               "Starts a server. It refuses to start without a key to verify tokens with, and\n"
               "says what is missing. SIGTERM drains it, SIGHUP loads the configuration\n"
               "again; `tidings check` tries one.\n\n"
               "  --config FILE   the configuration (YAML)\n\n"
               "Example: tidings serve --config /etc/tidings/tidings.yaml\n\n");
    printf("Options, in the file, as TIDINGS_… in the environment, or as flags:\n\n");
    td_config_put_help(&options);
    fwrite(options.ptr, 1, options.len, stdout);
    td_buf_done(&options);
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

/* Loads what the arguments, the file and the environment say.  0, or an exit status. */
static int load(const char *verb, int argc, char **argv, struct td_config_inputs *inputs,
                struct td_config **ret_config)
{
    struct td_buf errors = TD_BUF_INIT(TD_CONFIG_ERRORS_MAX);
    int status = 0;

    inputs->env = td_environment();
    if (td_config_flags(argc, argv, inputs, &errors) < 0)
        status = TD_CLI_USAGE;
    else if (!inputs->dev && !inputs->path)
        return td_cli_wrong(verb, "--config FILE is needed");
    else if (td_config_load(inputs, ret_config, &errors) < 0)
        status = TD_CLI_FAILED;
    if (errors.len > 0)
        fwrite(errors.ptr, 1, errors.len, stderr);
    td_buf_done(&errors);
    return status;
}

int td_cli_serve(int argc, char **argv)
{
    struct td_config_inputs inputs = {.dev = false};
    struct td_config *config;

    if (wants_help(argc, argv)) {
        print_help(false);
        return TD_CLI_DONE;
    }
    int status = load("serve", argc, argv, &inputs, &config);
    if (status != 0)
        return status;
    int r = td_server_run(
        &(struct td_server_options){.config = config, .inputs = &inputs, .version = TD_VERSION});
    td_config_free(config);
    return r < 0 ? TD_CLI_FAILED : TD_CLI_DONE;
}

/* What `tidings dev` says once it listens. */
struct banner {
    struct td_slice token;
    struct td_slice data;
};

static void print_banner(const char *url, void *arg)
{
    const struct banner *banner = arg;

    printf(
        "\nTidings listens on %s/   (development: the key lies in %.*s/dev.key)\n\n"
        "A token, good for a day:\n\n  export TIDINGS_TOKEN=%.*s\n\n"
        "See events live, in one terminal:\n\n"
        "  curl -N -H \"Authorization: Bearer $TIDINGS_TOKEN\" -H 'Accept: text/event-stream' \\\n"
        "    '%s/api/v1/events?topic=**'\n\n"
        "publish one, in another:\n\n"
        "  curl -H \"Authorization: Bearer $TIDINGS_TOKEN\" %s/api/v1/events \\\n"
        "    -d '{\"topic\":\"hello\",\"type\":\"greeting\",\"data\":{\"text\":\"world\"}}'\n\n"
        "stop the first curl, publish more, and resume with the last `id:` that it showed:\n\n"
        "  curl -N -H \"Authorization: Bearer $TIDINGS_TOKEN\" -H 'Accept: text/event-stream' \\\n"
        "    -H 'Last-Event-ID: POSITION' '%s/api/v1/events?topic=**'\n\n",
        url, (int)banner->data.len, banner->data.ptr, (int)banner->token.len, banner->token.ptr,
        url, url, url);
    fflush(stdout);
}

static int sign_dev_token(const struct td_config *config, struct td_buf *token)
{
    td_unix_ms now = td_clock_unix_ms();
    const struct td_slice admin = TD_S("admin");
    const struct td_claims claims = {
        .sub = TD_S("dev"),
        .roles = {&admin, 1},
        .iat = now,
        .exp = now + DEV_TOKEN_TTL_MS,
    };

    return td_token_sign(config->auth.keys, &config->auth.rules, &claims, token);
}

int td_cli_dev(int argc, char **argv)
{
    struct td_config_inputs inputs = {.dev = true};
    struct td_config *config;
    struct td_buf token = TD_BUF_INIT(TD_TOKEN_LEN_MAX);

    if (wants_help(argc, argv)) {
        print_help(true);
        return TD_CLI_DONE;
    }
    int status = load("dev", argc, argv, &inputs, &config);
    if (status != 0)
        return status;
    int r = sign_dev_token(config, &token);
    if (r < 0) {
        td_config_free(config);
        return td_cli_failed("dev", "can't sign a token: %s", td_err_name(r));
    }
    struct banner banner = {td_buf_slice(&token), config->data};
    r = td_server_run(&(struct td_server_options){
        .config = config,
        .inputs = &inputs,
        .version = TD_VERSION,
        .dev = true,
        .dev_token = td_buf_slice(&token),
        .ready = print_banner,
        .arg = &banner,
    });
    td_buf_done(&token);
    td_config_free(config);
    return r < 0 ? TD_CLI_FAILED : TD_CLI_DONE;
}
