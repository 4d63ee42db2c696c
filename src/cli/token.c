/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/err.h"
#include "base/topic.h"
#include "cli/cli.h"
#include "os/clock.h"
#include "server/config.h"
#include <stdio.h>

struct request {
    const char *file, *data, *sub, *ttl;
    struct td_cli_list roles, subscribe, publish;
};

static struct td_slices slices(const struct td_cli_list *list,
                               struct td_slice ret_items[TD_CLI_LIST_MAX])
{
    for (size_t i = 0; i < list->n; i++)
        ret_items[i] = td_slice_str(list->items[i]);
    return (struct td_slices){ret_items, list->n};
}

/* The first pattern of the list that is none. */
static const char *invalid(const struct td_cli_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (!td_pattern_valid(td_slice_str(list->items[i])))
            return list->items[i];
    return NULL;
}

static int sign(const struct request *request, uint64_t ttl_ms)
{
    struct td_slice roles[TD_CLI_LIST_MAX], subscribe[TD_CLI_LIST_MAX], publish[TD_CLI_LIST_MAX];
    struct td_buf token = TD_BUF_INIT(TD_TOKEN_LEN_MAX + 1);
    td_unix_ms now = td_clock_unix_ms();
    struct td_config *config;
    struct td_claims claims = {
        .sub = td_slice_str(request->sub),
        .roles = slices(&request->roles, roles),
        .has_grants = request->subscribe.n > 0 || request->publish.n > 0,
        .grants = {.subscribe = slices(&request->subscribe, subscribe),
                   .publish = slices(&request->publish, publish)},
        .iat = now,
        .exp = now + ttl_ms,
    };
    int status = td_cli_config("token", request->file, request->data, &config);

    if (status != 0)
        return status;
    bool can_sign = td_keys_can_sign(config->auth.keys);
    int r = td_token_sign(config->auth.keys, &config->auth.rules, &claims, &token);
    td_config_free(config);
    if (!can_sign)
        return td_cli_failed("token", "the configuration has no secret to sign with: tokens of its "
                                      "public keys and issuers are signed elsewhere");
    if (r == 0)
        printf("%.*s\n", (int)token.len, token.ptr);
    td_buf_done(&token);
    if (r < 0)
        return td_cli_failed("token", "this cannot be signed: %s",
                             r == TD_EINVAL
                                 ? "the subject, a role or the whole is too long or no text"
                                 : td_err_name(r));
    if (fflush(stdout) != 0)
        return td_cli_failed("token", "standard output cannot be written");
    return TD_CLI_DONE;
}

int td_cli_token(int argc, char **argv)
{
    struct request request = {.data = TD_CONFIG_DEV_DATA, .ttl = "1h"};
    const struct td_cli_option options[] = {
        {"sub",       "SUBJECT",  "Who the token speaks for.",                                      .value = &request.sub },
        {"role",      "ROLE",     "A role; admin may do everything.",                               .list = &request.roles},
        {"subscribe", "PATTERN",  "A pattern that may be subscribed; replaces what roles grant.",
         .list = &request.subscribe                                                                                       },
        {"publish",   "PATTERN",  "A pattern that may be published to; replaces what roles grant.",
         .list = &request.publish                                                                                         },
        {"ttl",       "DURATION", "How long the token is valid: 30s, 5m, 1h (the default), 7d.",
         .value = &request.ttl                                                                                            },
        {"config",    "FILE",     "Signs with the first secret of this configuration.",
         .value = &request.file                                                                                           },
        {"data",      "DIR",
         "Signs with the key of the development server whose data lies in DIR "
         "(default: ./" TD_CONFIG_DEV_DATA ").",
         .value = &request.data                                                                                           },
    };
    const struct td_cli_usage usage = {
        .verb = "token",
        .operands = "",
        .about =
            "Prints a signed token.  Without --subscribe and --publish the subject may do what "
            "its\nroles and the configured default grants allow.\n",
        .options = options,
        .n_options = TD_ARRAY_LEN(options),
    };
    uint64_t ttl_ms;
    int status;

    if (td_cli_parse(&usage, argc, argv, &status) < 0)
        return status;
    if (!request.sub || !request.sub[0])
        return td_cli_wrong("token", "it needs --sub SUBJECT");
    if (td_config_duration(td_slice_str(request.ttl), &ttl_ms) < 0 || ttl_ms < 1000 ||
        ttl_ms > (uint64_t)3650 * 24 * 3600 * 1000)
        return td_cli_wrong("token", "--ttl must be a duration such as 30s, 5m, 1h or 7d");
    const char *wrong = invalid(&request.subscribe);
    if (!wrong)
        wrong = invalid(&request.publish);
    if (wrong)
        return td_cli_wrong("token", "'%s' is not a pattern: %s", wrong, td_err_hint(TD_ETOPIC));
    return sign(&request, ttl_ms);
}
