/* SPDX-License-Identifier: Apache-2.0 */
/* JWT claims (RFC 7519 §4.1), strict: a claim that is there has the type and the range that it should have, or the
 * whole token is refused.  Dates are integers: a fraction of a second is nobody's intent, and a float of any size or
 * sign compares in surprising ways. */
#include "auth/claims.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/topic.h"
#include <errno.h>

/* The last second of the year 9999. */
#define DATE_MAX 253402300799

/* The claims, the tree that their texts lie in, and the lists that point there: one allocation besides the tree. */
struct box {
    struct td_claims claims;
    json_t *payload;
    struct td_slice items[];
};

static int refuse(const char **reason, const char *text)
{
    *reason = text;
    return TD_EUNAUTHORIZED;
}

static struct td_slice text_of(const json_t *string)
{
    return td_slice(json_string_value(string), json_string_length(string));
}

static bool string_is(const json_t *value, struct td_slice text)
{
    return json_is_string(value) && td_slice_eq(text_of(value), text);
}

/* Reads a NumericDate (§2).  1 with the time, 0 when the claim is absent, TD_EUNAUTHORIZED. */
static int date(const json_t *payload, const char *name, td_unix_ms *ret_time)
{
    const json_t *value = json_object_get(payload, name);

    if (!value)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > DATE_MAX)
        return TD_EUNAUTHORIZED;
    *ret_time = (td_unix_ms)json_integer_value(value) * 1000;
    return 1;
}

static int check_dates(const json_t *payload, const struct td_token_rules *rules, td_unix_ms now,
                       struct td_claims *claims, const char **reason)
{
    td_unix_ms nbf = 0;

    claims->exp = TD_EXP_NEVER;
    int has_exp = date(payload, "exp", &claims->exp);
    if (has_exp < 0)
        return refuse(reason, "exp must be an integer, seconds since 1970");
    if (has_exp == 0 && !rules->exp_optional)
        return refuse(reason, "the token has no exp");
    if (date(payload, "iat", &claims->iat) < 0)
        return refuse(reason, "iat must be an integer, seconds since 1970");
    if (date(payload, "nbf", &nbf) < 0)
        return refuse(reason, "nbf must be an integer, seconds since 1970");
    if (nbf > now && nbf - now > rules->leeway_ms)
        return refuse(reason, "the token is not valid yet");
    if (now >= claims->exp) {
        *reason = "the token has expired";
        return TD_EEXPIRED;
    }
    return 0;
}

/* `aud` is a string or an array of strings (§4.1.3). */
static bool audience_is(const json_t *aud, struct td_slice audience)
{
    size_t i;
    json_t *item;

    if (!json_is_array(aud))
        return string_is(aud, audience);
    json_array_foreach(aud, i, item)
    {
        if (string_is(item, audience))
            return true;
    }
    return false;
}

static int check_parties(const json_t *payload, const struct td_token_rules *rules,
                         struct td_claims *claims, const char **reason)
{
    const json_t *sub = json_object_get(payload, "sub");

    if (rules->issuer.len > 0 && !string_is(json_object_get(payload, "iss"), rules->issuer))
        return refuse(reason, "iss is not the configured issuer");
    if (rules->audience.len > 0 && !audience_is(json_object_get(payload, "aud"), rules->audience))
        return refuse(reason, "aud does not name the configured audience");
    if (!json_is_string(sub) || json_string_length(sub) == 0 ||
        json_string_length(sub) > TD_TOKEN_SUB_MAX)
        return refuse(reason, "sub must be a string of 1 to 255 bytes");
    claims->sub = text_of(sub);
    return 0;
}

/* Points `ret_list` at the texts of a string or an array of strings, appended to `items`.  False when it is something else, or an
 * element does not pass `valid`. */
static bool list(const json_t *value, bool (*valid)(struct td_slice), struct td_slice *items,
                 struct td_slices *ret_list)
{
    size_t i;
    json_t *item;

    *ret_list = (struct td_slices){items, 0};
    if (!value)
        return true;
    if (json_is_string(value)) {
        items[ret_list->n++] = text_of(value);
        return valid(items[0]);
    }
    if (!json_is_array(value))
        return false;
    json_array_foreach(value, i, item)
    {
        if (!json_is_string(item) || !valid(text_of(item)))
            return false;
        items[ret_list->n++] = text_of(item);
    }
    return true;
}

static size_t list_len(const json_t *value)
{
    return json_is_string(value) ? 1 : json_array_size(value); /* 0 for anything else */
}

static bool role_valid(struct td_slice role)
{
    return role.len > 0;
}

/* `roles`, or `role`, or both. */
static int read_roles(const json_t *payload, struct box *box, const char **reason)
{
    const json_t *roles = json_object_get(payload, "roles");
    const json_t *role = json_object_get(payload, "role");
    struct td_slices first, second;

    if (list_len(roles) + list_len(role) > TD_TOKEN_ROLES_MAX)
        return refuse(reason, "the token has more than 64 roles");
    if (!list(roles, role_valid, box->items, &first) ||
        !list(role, role_valid, box->items + first.n, &second))
        return refuse(reason, "roles must be a string or an array of strings, none empty");
    box->claims.roles = (struct td_slices){box->items, first.n + second.n};
    return 0;
}

static int read_grants(const json_t *tidings, struct box *box, const char **reason)
{
    const json_t *subscribe = json_object_get(tidings, "subscribe");
    const json_t *publish = json_object_get(tidings, "publish");
    struct td_grants *grants = &box->claims.grants;
    struct td_slice *items = box->items + box->claims.roles.n;

    if (!tidings)
        return 0;
    if (!json_is_object(tidings))
        return refuse(reason, "tidings must be an object with subscribe and publish");
    if (list_len(subscribe) > TD_TOKEN_PATTERNS_MAX || list_len(publish) > TD_TOKEN_PATTERNS_MAX)
        return refuse(reason, "tidings has more than 256 patterns in a list");
    if (!list(subscribe, td_pattern_valid, items, &grants->subscribe))
        return refuse(reason, "tidings.subscribe must be an array of valid patterns");
    items += grants->subscribe.n;
    if (!list(publish, td_pattern_valid, items, &grants->publish))
        return refuse(reason, "tidings.publish must be an array of valid patterns");
    box->claims.has_grants = true;
    return 0;
}

int td_claims_parse(json_t *payload, const struct td_token_rules *rules, td_unix_ms now,
                    struct td_claims **ret_claims, const char **reason)
{
    const json_t *tidings = json_object_get(payload, "tidings");
    size_t n = list_len(json_object_get(payload, "roles")) +
               list_len(json_object_get(payload, "role")) +
               list_len(json_object_get(tidings, "subscribe")) +
               list_len(json_object_get(tidings, "publish"));
    struct box *box = calloc(1, sizeof(*box) + n * sizeof(box->items[0]));

    if (!box) {
        json_decref(payload);
        *reason = "out of memory";
        return -ENOMEM;
    }
    box->payload = payload;
    int r = check_parties(payload, rules, &box->claims, reason);
    if (r == 0)
        r = check_dates(payload, rules, now, &box->claims, reason);
    if (r == 0)
        r = read_roles(payload, box, reason);
    if (r == 0)
        r = read_grants(tidings, box, reason);
    if (r < 0) {
        td_claims_free(&box->claims);
        return r;
    }
    *ret_claims = &box->claims;
    return 0;
}

void td_claims_free(struct td_claims *claims)
{
    if (!claims)
        return;
    struct box *box = TD_CONTAINER_OF(claims, struct box, claims);

    json_decref(box->payload);
    free(box);
}

/* Sets `name` to a new value; a value that could not be made (NULL) is text that is no UTF-8, or no memory. */
static int set(json_t *object, const char *name, json_t *value)
{
    if (!value)
        return TD_EINVAL;
    return json_object_set_new(object, name, value) == 0 ? 0 : -ENOMEM;
}

static json_t *text(struct td_slice slice)
{
    return json_stringn(slice.ptr, slice.len);
}

static int set_list(json_t *object, const char *name, struct td_slices values,
                    bool (*valid)(struct td_slice))
{
    json_t *array = json_array();

    for (size_t i = 0; i < values.n; i++) {
        json_t *item = valid(values.items[i]) ? text(values.items[i]) : NULL;
        if (json_array_append_new(array, item) < 0) { /* fails for NULL too */
            json_decref(array);
            return TD_EINVAL;
        }
    }
    return set(object, name, array);
}

static int set_grants(json_t *payload, const struct td_grants *grants)
{
    json_t *tidings = json_object();
    int r = set(payload, "tidings", tidings);

    if (r == 0)
        r = set_list(tidings, "subscribe", grants->subscribe, td_pattern_valid);
    if (r == 0)
        r = set_list(tidings, "publish", grants->publish, td_pattern_valid);
    return r;
}

static int fill(json_t *payload, const struct td_claims *claims, const struct td_token_rules *rules)
{
    int r = set(payload, "sub", text(claims->sub));

    if (r == 0 && rules->issuer.len > 0)
        r = set(payload, "iss", text(rules->issuer));
    if (r == 0 && rules->audience.len > 0)
        r = set(payload, "aud", text(rules->audience));
    if (r == 0 && claims->iat > 0)
        r = set(payload, "iat", json_integer((json_int_t)(claims->iat / 1000)));
    if (r == 0 && claims->exp != TD_EXP_NEVER)
        r = set(payload, "exp", json_integer((json_int_t)(claims->exp / 1000)));
    if (r == 0 && claims->roles.n > 0)
        r = set_list(payload, "roles", claims->roles, role_valid);
    if (r == 0 && claims->has_grants)
        r = set_grants(payload, &claims->grants);
    return r;
}

int td_claims_pack(const struct td_claims *claims, const struct td_token_rules *rules,
                   json_t **ret_payload)
{
    bool dated = claims->exp == TD_EXP_NEVER || claims->exp / 1000 <= DATE_MAX;

    if (claims->sub.len == 0 || claims->sub.len > TD_TOKEN_SUB_MAX || !dated ||
        claims->roles.n > TD_TOKEN_ROLES_MAX ||
        claims->grants.subscribe.n > TD_TOKEN_PATTERNS_MAX ||
        claims->grants.publish.n > TD_TOKEN_PATTERNS_MAX)
        return TD_EINVAL;
    json_t *payload = json_object();
    if (!payload)
        return -ENOMEM;
    int r = fill(payload, claims, rules);
    if (r < 0) {
        json_decref(payload);
        return r;
    }
    *ret_payload = payload;
    return 0;
}
