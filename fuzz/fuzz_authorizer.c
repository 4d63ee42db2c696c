/* SPDX-License-Identifier: Apache-2.0 */
/* An authorizer's answer.  Nothing but a whole object with `allow` is one, what it permits does not hold for longer than may be, and what was read
 * reads the same from an answer of our own. */
#include "base/json.h"
#include "desk/authorizer_wire.h"
#include "fuzz.h"
#include <stdlib.h>

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_again(const struct td_authorizer_answer *answer)
{
    struct td_buf text = TD_BUF_INIT(256);
    struct td_authorizer_answer again;

    td_buf_putf(&text, "{\"other\":[{}],\"allow\":%s", answer->allow ? "true" : "false");
    if (answer->has_ttl)
        td_buf_putf(&text, ",\"ttl\":%llu", (unsigned long long)answer->ttl_s);
    td_buf_putc(&text, '}');
    must(td_authorizer_read_answer(td_buf_slice(&text), &again) == 0);
    must(again.allow == answer->allow && again.has_ttl == answer->has_ttl &&
         again.ttl_s == answer->ttl_s);
    td_buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct td_slice body = td_slice(size ? (const char *)data : NULL, size);
    struct td_authorizer_answer answer = {.allow = false};
    struct td_slice json, raw;

    if (size > TD_AUTHORIZER_ANSWER_MAX)
        return 0;
    int r = td_authorizer_read_answer(body, &answer);
    must(r <= 0);
    if (r < 0) { /* it fails closed */
        must(!answer.allow);
        return 0;
    }
    must(answer.ttl_s <= TD_AUTHORIZER_TTL_MAX_S && (answer.has_ttl || answer.ttl_s == 0));
    must(td_json_check(body, &json, NULL) == 0);
    must(td_json_get(json, "allow", &raw) &&
         td_json_type(raw) == (answer.allow ? TD_JSON_TRUE : TD_JSON_FALSE));
    check_again(&answer);
    return 0;
}
