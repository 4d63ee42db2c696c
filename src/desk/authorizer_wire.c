/* SPDX-License-Identifier: Apache-2.0 */
#include "desk/authorizer_wire.h"
#include "auth/principal.h"
#include "base/err.h"
#include "base/json.h"
#include "desk/permit.h"

static void put_roles(const struct td_principal *principal, struct td_buf *out)
{
    td_buf_putc(out, '[');
    for (size_t i = 0; i < principal->roles.n; i++) {
        if (i > 0)
            td_buf_putc(out, ',');
        td_json_put_string(out, principal->roles.items[i]);
    }
    td_buf_putc(out, ']');
}

void td_authorizer_put_question(const struct td_principal *principal,
                                const struct td_permits *permits, struct td_slice pattern,
                                struct td_buf *out)
{
    td_buf_puts(out, "{\"subject\":");
    td_buf_put(out, principal->subject_json);
    td_buf_puts(out, ",\"roles\":");
    put_roles(principal, out);
    td_buf_puts(out, ",\"action\":\"subscribe\",\"topic\":");
    td_json_put_string(out, pattern);
    if (permits->endpoint.len > 0) {
        td_buf_puts(out, ",\"endpoint\":");
        td_json_put_string(out, permits->endpoint);
    }
    td_buf_puts(out, ",\"address\":");
    td_json_put_string(out, td_slice_str(permits->address));
    td_buf_putc(out, '}');
}

void td_authorizer_put_key(const struct td_principal *principal, struct td_slice pattern,
                           struct td_buf *out)
{
    /* A pattern holds no blank, and no JSON text begins before another has ended. */
    td_buf_put(out, pattern);
    td_buf_putc(out, ' ');
    td_buf_put(out, principal->subject_json);
    put_roles(principal, out);
}

int td_authorizer_read_answer(struct td_slice body, struct td_authorizer_answer *ret_answer)
{
    struct td_authorizer_answer answer = {.allow = false};
    struct td_slice json, raw;

    if (td_json_check(body, &json, NULL) < 0 || td_json_type(json) != TD_JSON_OBJECT ||
        !td_json_get(json, "allow", &raw))
        return TD_EINVAL;
    if (td_json_type(raw) != TD_JSON_TRUE && td_json_type(raw) != TD_JSON_FALSE)
        return TD_EINVAL;
    answer.allow = td_json_type(raw) == TD_JSON_TRUE;
    if (td_json_get(json, "ttl", &raw) && td_json_type(raw) != TD_JSON_NULL) {
        answer.has_ttl = true;
        if (td_json_u64(raw, &answer.ttl_s) < 0 || answer.ttl_s > TD_AUTHORIZER_TTL_MAX_S)
            return TD_EINVAL;
    }
    *ret_answer = answer;
    return 0;
}
