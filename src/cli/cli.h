/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of the command line share: exit statuses, options, and the way to the server. */
#pragma once

#include "base/compiler.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>

enum td_cli_exit {
    TD_CLI_DONE = 0,
    TD_CLI_FAILED = 1, /* the thing failed; standard error says why */
    TD_CLI_USAGE = 2,  /* wrong usage; standard error says what is right */
};

/* The verbs.  Each gets the arguments from its own name on and returns an exit status. */
int td_cli_serve(int argc, char **argv);
int td_cli_dev(int argc, char **argv);
int td_cli_check(int argc, char **argv);
int td_cli_token(int argc, char **argv);
int td_cli_publish(int argc, char **argv);
int td_cli_tail(int argc, char **argv);
int td_cli_run(int argc, char **argv);
int td_cli_jobs(int argc, char **argv);
int td_cli_log(int argc, char **argv);
int td_cli_why(int argc, char **argv);
int td_cli_top(int argc, char **argv);

/* One option of a verb.  Exactly one of the targets is set. */
struct td_cli_option {
    const char *name;    /* without the dashes */
    const char *operand; /* what it takes, for help; NULL for a flag */
    const char *help;
    bool *flag;               /* set to true */
    const char **value;       /* set to the operand; the last one counts */
    struct td_cli_list *list; /* the operand is added */
};

#define TD_CLI_LIST_MAX 64
struct td_cli_list {
    const char *items[TD_CLI_LIST_MAX];
    size_t n;
};

struct td_cli_usage {
    const char *verb;
    const char *operands; /* "TOPIC TYPE [JSON]" */
    const char *about;    /* some sentences, each line ending with a newline */
    const struct td_cli_option *options;
    size_t n_options;
    size_t operands_min, operands_max;
};

/* Takes `--name`, `--name VALUE`, `--name=VALUE` anywhere before `--`, and leaves the operands in argv[1] … argv[n].
 * Returns n; or TD_CLI_STOP with `*ret_exit` set: help was asked for and printed (0), or usage was wrong and explained (2). */
#define TD_CLI_STOP (-1)
TD_MUST_USE int td_cli_parse(const struct td_cli_usage *usage, int argc, char **argv,
                             int *ret_exit);

/* Prints "tidings VERB: …" and how to get help on standard error; returns TD_CLI_USAGE. */
int td_cli_wrong(const char *verb, const char *format, ...) TD_PRINTF(2, 3);
/* Prints "tidings VERB: …" on standard error; returns TD_CLI_FAILED. */
int td_cli_failed(const char *verb, const char *format, ...) TD_PRINTF(2, 3);

struct td_config;
/* Loads the configuration whose keys a verb signs with: `file`, or where that is NULL the one of the development server whose data
 * lies in `data`, which must have its key already.  0, or an exit status after the reason was printed. */
TD_MUST_USE int td_cli_config(const char *verb, const char *file, const char *data,
                              struct td_config **ret_config);

/* The server that a verb talks to.  The rows below go into the verb's options. */
struct td_cli_server {
    const char *url;   /* http://127.0.0.1:8000 */
    const char *token; /* NULL: there is none */
    const char *ca;    /* certificates to trust, a PEM file; NULL: those of the system */
    char *_memory;
};

/* clang-format off */
#define TD_CLI_SERVER_OPTIONS(server)                                                              \
    {"server", "URL", "The server; also TIDINGS_URL. Default: http://127.0.0.1:8000.",             \
     .value = &(server)->url},                                                                     \
    {"token", "TOKEN", "Who asks; also TIDINGS_TOKEN. Default: made with the key of the "          \
     "development server whose data lies in ./tidings-data.", .value = &(server)->token},          \
    {"ca", "FILE", "For https://: the certificates to trust, in PEM, instead of the system's; "    \
     "also TIDINGS_CA.", .value = &(server)->ca}
/* clang-format on */

/* Fills in what the options left open: from TIDINGS_URL, TIDINGS_TOKEN and TIDINGS_CA, then, for a token, from ./tidings-data/dev.key
 * where that exists.  0, or an exit status after the reason was printed. */
TD_MUST_USE int td_cli_server_resolve(const char *verb, struct td_cli_server *server);
void td_cli_server_done(struct td_cli_server *server);

struct td_client;
struct td_buf;
/* A client of the server that the options name.  0, or an exit status after the reason was printed. */
TD_MUST_USE int td_cli_connect(const char *verb, struct td_cli_server *server,
                               struct td_client **ret_client);
/* One request and its answer, which is good until the next: `path` with its query, escaped; `json` may be empty.  0, or an exit status after the reason
 * was printed. */
TD_MUST_USE int td_cli_call(const char *verb, struct td_client *client, const char *method,
                            const struct td_buf *path, struct td_slice json,
                            struct td_slice *ret_body);
/* Prints text that came from elsewhere, without control characters. */
void td_cli_print(struct td_slice text);
/* A member of a JSON object as text, unescaped into `text` (a string), or as it stands; empty when it is not there. */
struct td_slice td_cli_member(struct td_slice object, const char *name, struct td_buf *text);
