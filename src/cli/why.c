/* SPDX-License-Identifier: Apache-2.0 */
/* `tidings why`: explains why a subject does or does not get a topic's events, by asking the server that decides it. */
#include "base/buf.h"
#include "base/json.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/client.h"
#include <stdio.h>

#define VERB "why"

struct why {
    struct td_cli_server server;
    struct td_client *client;
    const char *sub, *topic;
    struct td_cli_list roles, subscribe, publish;
    bool json;
    struct td_buf text; /* of the member that is being printed */
};

static const char about[] =
    "Explains why a subject does or does not get a topic: its grants, revocations, what its open\n"
    "connections are subscribed to, and what retention has left.  Needs the role admin.\n"
    "--role, --subscribe and --publish say what the subject's token holds, as for 'tidings "
    "token'.\n";

static int put_parameter(struct why *why, struct td_buf *path, const char *name, const char *value)
{
    td_buf_putf(path, "&%s=", name);
    return td_client_escape(why->client, td_slice_str(value), path);
}

static int put_list(struct why *why, struct td_buf *path, const char *name,
                    const struct td_cli_list *list)
{
    int r = 0;

    for (size_t i = 0; i < list->n && r == 0; i++)
        r = put_parameter(why, path, name, list->items[i]);
    return r;
}

static bool is_true(struct td_slice object, const char *name)
{
    struct td_slice value;

    return td_json_get(object, name, &value) && td_json_type(value) == TD_JSON_TRUE;
}

static void print_member(struct why *why, struct td_slice object, const char *before,
                         const char *name)
{
    struct td_slice text = td_cli_member(object, name, &why->text);

    if (text.len == 0)
        return;
    printf("%s", before);
    td_cli_print(text);
}

/* "may subscribe: by the grant a/\*", or why not. */
static void print_decision(struct why *why, struct td_slice object, const char *indent)
{
    bool may = is_true(object, "may_subscribe");

    printf("%ssubscribe  %s", indent, may ? "yes" : "no");
    print_member(why, object, ": ", "reason");
    print_member(why, object, may ? " by " : ": ", "pattern");
    print_member(why, object, ", for seconds: ", "expires_in");
    if (is_true(object, "asks_authorizer"))
        printf("; the authorizer is asked");
    printf("\n%spublish    %s", indent, is_true(object, "may_publish") ? "yes" : "no");
    print_member(why, object, ": ", "publish_reason");
    printf("\n");
}

static void print_patterns(struct why *why, struct td_slice object, const char *label,
                           const char *name)
{
    struct td_slice list, ignored, item;

    if (!td_json_get(object, name, &list))
        return;
    struct td_json_iter it = td_json_iter(list);
    for (const char *before = label; td_json_next(&it, &ignored, &item); before = "           ") {
        td_buf_reset(&why->text);
        td_json_unescape(item, &why->text);
        printf("%s", before);
        td_cli_print(td_buf_slice(&why->text));
        printf("\n");
    }
}

static void print_connections(struct why *why, struct td_slice object)
{
    struct td_slice list, ignored, item;
    size_t n = 0;

    if (!td_json_get(object, "connections", &list))
        return;
    struct td_json_iter it = td_json_iter(list);
    while (td_json_next(&it, &ignored, &item)) {
        n++;
        printf("\nconnection ");
        print_member(why, item, "", "id");
        printf("%s\n", is_true(item, "filtered") ? " (filters what it gets)" : "");
        print_decision(why, item, "  ");
        print_patterns(why, item, "  as       ", "subscribed_as");
        print_member(why, item, "  behind     ", "behind");
        printf("\n");
    }
    if (n == 0)
        printf("\nno open connection of this subject\n");
}

static void print_answer(struct why *why, struct td_slice answer)
{
    struct td_slice newest;

    print_member(why, answer, "", "sub");
    print_member(why, answer, " and ", "topic");
    printf("\n");
    print_decision(why, answer, "");
    print_patterns(why, answer, "grants     ", "subscribe");
    print_patterns(why, answer, "publishes  ", "publish");
    print_patterns(why, answer, "revoked    ", "taken");
    if (td_json_get(answer, "newest", &newest)) {
        print_member(why, newest, "newest     ", "id");
        print_member(why, newest, " of ", "time");
        printf("\n");
    } else {
        printf("newest     there is no event\n");
    }
    if (is_true(answer, "trimmed"))
        printf("           older ones have been dropped by retention\n");
    print_connections(why, answer);
}

static int ask(struct why *why)
{
    struct td_buf path = TD_BUF_INIT(64 * TD_KIB);
    struct td_slice body = {NULL, 0}, answer;

    int status = td_cli_connect(VERB, &why->server, &why->client);
    if (status != 0)
        return status;
    td_buf_puts(&path, "/api/v1/admin/why?v=1");
    int r = put_parameter(why, &path, "sub", why->sub);
    if (r == 0)
        r = put_parameter(why, &path, "topic", why->topic);
    if (r == 0)
        r = put_list(why, &path, "role", &why->roles);
    if (r == 0)
        r = put_list(why, &path, "subscribe", &why->subscribe);
    if (r == 0)
        r = put_list(why, &path, "publish", &why->publish);
    status = r < 0 ? td_cli_failed(VERB, "the question is too long")
                   : td_cli_call(VERB, why->client, "GET", &path, TD_S(""), &body);
    td_buf_done(&path);
    if (status != 0)
        return status;
    if (why->json)
        printf("%.*s", (int)body.len, body.ptr);
    else if (td_json_check(body, &answer, NULL) < 0)
        return td_cli_failed(VERB, "the answer can't be read; check --server");
    else
        print_answer(why, answer);
    return fflush(stdout) == 0 ? TD_CLI_DONE
                               : td_cli_failed(VERB, "standard output cannot be written");
}

int td_cli_why(int argc, char **argv)
{
    struct why why = {.text = TD_BUF_INIT(64 * TD_KIB)};
    /* clang-format off */
    const struct td_cli_option options[] = {
        {"sub", "SUBJECT", "Who.", .value = &why.sub},
        {"topic", "TOPIC", "What.", .value = &why.topic},
        {"role", "ROLE", "A role that the token holds; may be repeated.", .list = &why.roles},
        {"subscribe", "PATTERN", "A grant that the token holds; may be repeated.", .list = &why.subscribe},
        {"publish", "PATTERN", "Likewise, for publishing.", .list = &why.publish},
        {"json", NULL, "Print the server's answer as it is.", .flag = &why.json},
        TD_CLI_SERVER_OPTIONS(&why.server),
    };
    /* clang-format on */
    const struct td_cli_usage usage = {
        .verb = VERB,
        .operands = "--sub SUBJECT --topic TOPIC",
        .about = about,
        .options = options,
        .n_options = TD_ARRAY_LEN(options),
    };
    int status;

    if (td_cli_parse(&usage, argc, argv, &status) == TD_CLI_STOP)
        return status;
    if (!why.sub || !why.topic)
        return td_cli_wrong(VERB, "it needs --sub and --topic");
    status = ask(&why);
    td_client_free(why.client);
    td_buf_done(&why.text);
    td_cli_server_done(&why.server);
    return status;
}
