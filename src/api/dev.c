/* SPDX-License-Identifier: Apache-2.0 */
/* GET /dev/people, POST /dev/token: how the workbench signs its users in, in `tidings dev` alone. */
#include "api/dev.h"
#include "api/api.h"
#include "base/err.h"
#include "base/json.h"
#include "os/clock.h"

/* To pages from here, not to those of another name that was bound to this address, and in development only. */
bool td_api_dev_admit(struct td_request *request, const struct td_api *api)
{
    if (!api->dev) {
        td_respond_error(request, TD_ENOTFOUND, TD_S("There is nothing at this path."));
        return false;
    }
    if (request->head->content_length > 4 * TD_KIB) {
        td_respond_error(request, TD_ETOOLARGE, TD_S("A name and a number are asked for."));
        return false;
    }
    if (td_request_host_ok(request) && td_request_origin_ok(request, true))
        return true;
    td_respond_error(request, TD_EFORBIDDEN, TD_S("Only pages of an allowed origin may ask."));
    return false;
}

static void answer(struct td_request *request, const struct td_buf *body)
{
    td_respond(request, &(struct td_response){
                            .status = 200,
                            .content_type = "application/json",
                            .headers = TD_S("Cache-Control: no-store\r\n"),
                            .body = td_buf_slice(body),
                            .err = body->err,
                        });
}

void td_api_dev_people(struct td_request *request, const struct td_api *api)
{
    struct td_buf body = TD_BUF_INIT(16 * TD_KIB);

    if (!td_api_dev_admit(request, api))
        return;
    td_buf_puts(&body, "{\"people\":[");
    for (size_t i = 0; i < api->dev->n_people; i++) {
        const struct td_dev_person *person = &api->dev->people[i];
        td_buf_puts(&body, i > 0 ? ",{\"sub\":" : "{\"sub\":");
        td_json_put_string(&body, person->claims.sub);
        td_buf_puts(&body, ",\"name\":");
        td_json_put_string(&body, person->name);
        td_buf_puts(&body, ",\"about\":");
        td_json_put_string(&body, person->about);
        td_buf_puts(&body, ",\"roles\":[");
        for (size_t k = 0; k < person->claims.roles.n; k++) {
            td_buf_puts(&body, k > 0 ? "," : "");
            td_json_put_string(&body, person->claims.roles.items[k]);
        }
        td_buf_puts(&body, "]}");
    }
    td_buf_puts(&body, "]}\n");
    answer(request, &body);
    td_buf_done(&body);
}

static const struct td_dev_person *find(const struct td_api *api, struct td_slice raw)
{
    for (size_t i = 0; i < api->dev->n_people; i++) {
        struct td_slice sub;
        if (td_json_plain(raw, &sub) && td_slice_eq(sub, api->dev->people[i].claims.sub))
            return &api->dev->people[i];
    }
    return NULL;
}

/* Reads {"sub","expires_in"}; NULL when it is not of this form. */
static const struct td_dev_person *read_body(const struct td_api *api, struct td_slice body,
                                             uint64_t *seconds)
{
    struct td_slice json, sub, value;

    *seconds = TD_DEV_TOKEN_S;
    if (td_json_check(body, &json, NULL) < 0 || !td_json_get(json, "sub", &sub) ||
        td_json_type(sub) != TD_JSON_STRING)
        return NULL;
    if (td_json_get(json, "expires_in", &value) &&
        (td_json_type(value) != TD_JSON_NUMBER || td_json_u64(value, seconds) < 0 ||
         *seconds == 0 || *seconds > TD_DEV_TOKEN_S))
        return NULL;
    return find(api, sub);
}

void td_api_dev_token(struct td_request *request, const struct td_api *api)
{
    struct td_buf body = TD_BUF_INIT(2 * TD_TOKEN_LEN_MAX), token = TD_BUF_INIT(TD_TOKEN_LEN_MAX);
    uint64_t seconds;

    if (!td_api_dev_admit(request, api))
        return;
    const struct td_dev_person *person = read_body(api, request->body, &seconds);
    if (!person) {
        td_respond_error(
            request, TD_EINVAL,
            TD_S("Send {\"sub\":NAME,\"expires_in\":SECONDS}, a name of /dev/people and "
                 "at most a day."));
        return;
    }
    struct td_claims claims = person->claims;
    claims.iat = td_clock_unix_ms();
    claims.exp = claims.iat + seconds * 1000;
    int r = td_token_sign(api->dev->keys, api->dev->rules, &claims, &token);
    td_buf_puts(&body, "{\"token\":");
    td_json_put_string(&body, td_buf_slice(&token));
    td_buf_putf(&body, ",\"expires_in\":%llu}\n", (unsigned long long)seconds);
    if (r < 0)
        td_respond_error(request, r, TD_S("The token could not be signed."));
    else
        answer(request, &body);
    td_buf_done(&token);
    td_buf_done(&body);
}
