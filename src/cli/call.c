/* SPDX-License-Identifier: Apache-2.0 */
/* One request to the server at a time, for verbs that ask and print. */
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/client.h"
#include <stdio.h>

int td_cli_connect(const char *verb, struct td_cli_server *server, struct td_client **ret_client)
{
    int status = td_cli_server_resolve(verb, server);

    if (status != 0)
        return status;
    int r = td_client_new(server->url, server->token, server->ca, ret_client);
    if (r == TD_EINVAL)
        return td_cli_wrong(verb, "the token holds characters that no token has");
    return r < 0 ? td_cli_failed(verb, "%s", td_err_name(r)) : 0;
}

int td_cli_call(const char *verb, struct td_client *client, const char *method,
                const struct td_buf *path, struct td_slice json, struct td_slice *ret_body)
{
    struct td_client_answer answer;
    int r = path->err;

    if (r == 0)
        r = td_client_request(client, method, td_buf_slice(path), json);
    if (r < 0)
        return td_cli_failed(verb, "%s", td_err_name(r));
    while (!td_client_answered(client, &answer))
        td_client_wait(client, NULL, 0, 1000);
    if (answer.verdict != TD_CLIENT_DONE)
        return td_cli_failed(verb, "%s", answer.message);
    *ret_body = answer.body;
    return 0;
}

void td_cli_print(struct td_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        putchar(byte < ' ' || byte == 0x7F ? ' ' : byte);
    }
}

struct td_slice td_cli_member(struct td_slice object, const char *name, struct td_buf *text)
{
    struct td_slice value;

    td_buf_reset(text);
    if (!td_json_get(object, name, &value) || td_json_type(value) == TD_JSON_NULL)
        return TD_S("");
    if (td_json_type(value) != TD_JSON_STRING)
        return value;
    td_json_unescape(value, text);
    return td_buf_slice(text);
}
