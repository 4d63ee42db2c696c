/* SPDX-License-Identifier: Apache-2.0 */
/* How a verb gets at a server: configuration and keys of one that lies on this machine, URL and token of any. */
#include "base/buf.h"
#include "base/err.h"
#include "cli/cli.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "server/config.h"
#include <errno.h>
#include <stdio.h>

#define URL_STANDARD "http://127.0.0.1:8000"
/* Long enough for a `tail` that is left open while developing. */
#define DEV_TOKEN_MS ((uint64_t)7 * 24 * 3600 * 1000)

static bool dev_key_exists(const char *data)
{
    char path[4096];
    int len = snprintf(path, sizeof(path), "%s/dev.key", data);
    int file = len < (int)sizeof(path) ? td_file_open(path, TD_FILE_READ) : -ENAMETOOLONG;

    if (file >= 0)
        td_file_close(file);
    return file >= 0;
}

int td_cli_config(const char *verb, const char *file, const char *data,
                  struct td_config **ret_config)
{
    struct td_config_inputs inputs = {.path = file, .env = td_environment(), .keys_only = true};
    struct td_buf errors = TD_BUF_INIT(TD_CONFIG_ERRORS_MAX);

    if (!file) {
        if (!dev_key_exists(data))
            return td_cli_failed(verb,
                                 "%s/dev.key cannot be read: name the server's --config, or "
                                 "the --data of a development server that has run",
                                 data);
        inputs.dev = true;
        inputs.flags[inputs.n_flags++] = (struct td_config_flag){TD_S("data"), data};
    }
    int r = td_config_load(&inputs, ret_config, &errors);
    if (r < 0)
        fprintf(stderr, "%.*s", (int)errors.len, errors.ptr);
    td_buf_done(&errors);
    return r < 0 ? TD_CLI_FAILED : 0;
}

/* Signs a token for the development server in the working directory. */
static int dev_token(const char *verb, struct td_cli_server *server)
{
    struct td_config *config;
    struct td_buf token = TD_BUF_INIT(TD_TOKEN_LEN_MAX + 1);
    td_unix_ms now = td_clock_unix_ms();
    struct td_claims claims = {.sub = TD_S("dev"), .iat = now, .exp = now + DEV_TOKEN_MS};
    int status = td_cli_config(verb, NULL, TD_CONFIG_DEV_DATA, &config);

    if (status != 0)
        return status;
    int r = td_token_sign(config->auth.keys, &config->auth.rules, &claims, &token);
    td_config_free(config);
    if (r == 0)
        r = td_buf_putc(&token, '\0');
    if (r < 0) {
        td_buf_done(&token);
        return td_cli_failed(verb, "no token could be signed: %s", td_err_name(r));
    }
    server->_memory = token.ptr; /* the buffer's memory is from malloc and now the server's */
    server->token = token.ptr;
    return 0;
}

int td_cli_server_resolve(const char *verb, struct td_cli_server *server)
{
    if (!server->url)
        server->url = getenv("TIDINGS_URL");
    if (!server->url || !server->url[0])
        server->url = URL_STANDARD;
    if (!server->token)
        server->token = getenv("TIDINGS_TOKEN");
    if (server->token && !server->token[0])
        server->token = NULL;
    if (!server->ca)
        server->ca = getenv("TIDINGS_CA");
    if (server->ca && !server->ca[0])
        server->ca = NULL;
    bool here = strcmp(server->url, URL_STANDARD) == 0; /* its key is for no other server */
    if (server->token || !here || !dev_key_exists(TD_CONFIG_DEV_DATA))
        return 0;
    return dev_token(verb, server);
}

void td_cli_server_done(struct td_cli_server *server)
{
    free(server->_memory);
    server->_memory = NULL;
}
