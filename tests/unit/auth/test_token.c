/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/token.h"
#include "base/err.h"
#include "forge.h"

static const struct td_token_rules rules = {.leeway_ms = TD_TOKEN_LEEWAY_MS};

static int verify_with(struct td_keys *keys, const struct td_token_rules *with,
                       struct td_slice token, struct td_claims **ret_claims)
{
    const char *reason = NULL;
    int r = td_token_verify(keys, with, token, NOW, ret_claims, &reason);

    if (r < 0)
        assert_non_null(reason);
    return r;
}

/* 0 or the error, with the one test key. */
static int verify(struct td_slice token)
{
    struct td_keys *keys = forge_keys();
    struct td_claims *claims = NULL;
    int r = verify_with(keys, &rules, token, &claims);

    if (r < 0)
        assert_null(claims);
    td_claims_free(claims);
    td_keys_unref(keys);
    return r;
}

#define GOOD "{\"sub\":\"ann\",\"exp\":1800000060}"

static void a_good_token_says_what_it_says(void **state)
{
    struct td_keys *keys = forge_keys();
    struct td_claims *claims;
    struct td_slice token = forge(
        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"sub\":\"ann\",\"exp\":1800000060,\"iat\":1799999999,\"roles\":[\"editor\"],"
        "\"role\":\"Admin\",\"tidings\":{\"subscribe\":[\"a/**\",\"b/*\"],\"publish\":\"c\"}}");

    assert_int_equal(verify_with(keys, &rules, token, &claims), 0);
    assert_true(td_slice_eq(claims->sub, TD_S("ann")));
    assert_int_equal(claims->exp, 1800000060000);
    assert_int_equal(claims->iat, 1799999999000);
    assert_int_equal(claims->roles.n, 2);
    assert_true(td_slice_eq(claims->roles.items[0], TD_S("editor")));
    assert_true(td_slice_eq(claims->roles.items[1], TD_S("Admin")));
    assert_true(claims->has_grants);
    assert_int_equal(claims->grants.subscribe.n, 2);
    assert_true(td_slice_eq(claims->grants.subscribe.items[1], TD_S("b/*")));
    assert_int_equal(claims->grants.publish.n, 1);
    assert_true(td_slice_eq(claims->grants.publish.items[0], TD_S("c")));
    td_claims_free(claims);
    td_keys_unref(keys);
}

/* RFC 7515 appendix A.1: the signature is good, so that what is wrong is the claims (it has no `sub`). */
static void the_vector_of_the_rfc_is_signed(void **state)
{
    static const unsigned char secret[] = {
        3,   35,  53, 75,  43,  15, 165, 188, 131, 126, 6,   101, 119, 123, 166, 143,
        90,  179, 40, 230, 240, 84, 201, 40,  169, 15,  132, 178, 210, 80,  46,  191,
        211, 251, 90, 146, 210, 6,  71,  239, 150, 138, 180, 195, 119, 98,  61,  34,
        61,  46,  33, 114, 5,   46, 79,  8,   192, 205, 154, 245, 103, 208, 128, 163};
    const struct td_slice token = TD_S(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0"
        "dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    struct td_key key = {.alg = TD_S("HS256"),
                         .secret = td_slice((const char *)secret, sizeof(secret))};
    struct td_keys *keys = td_keys_new();
    struct td_claims *claims;
    const char *reason;

    assert_int_equal(td_keys_add(keys, &key, &reason), 0);
    assert_int_equal(td_token_verify(keys, &rules, token, NOW, &claims, &reason), TD_EUNAUTHORIZED);
    assert_string_equal(reason, "sub must be a string of 1 to 255 bytes");
    td_keys_unref(keys);
}

/* Headers that are signed with the right secret and must be refused none the less. */
static void headers_are_refused(void **state)
{
    static const char *const headers[] = {
        "{}",
        "[]",
        "\"HS256\"",
        "{\"alg\":\"none\"}",
        "{\"alg\":\"None\"}",
        "{\"alg\":\"nOnE\"}",
        "{\"alg\":\"\"}",
        "{\"alg\":null}",
        "{\"alg\":256}",
        "{\"alg\":[\"HS256\"]}",
        "{\"alg\":\"hs256\"}",
        "{\"alg\":\"HS256 \"}",
        "{\"alg\":\"HS384\"}",
        "{\"alg\":\"HS512\"}",
        "{\"alg\":\"RS256\"}",
        "{\"alg\":\"ES256\"}",
        "{\"alg\":\"PS256\"}",
        "{\"alg\":\"HS256\",\"alg\":\"none\"}",
        "{\"alg\":\"none\",\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\\u0000\"}",
        "{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}",
        "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}",
        "{\"alg\":\"HS256\",\"crit\":[]}",
        "{\"alg\":\"HS256\",\"crit\":null}",
        "{\"alg\":\"HS256\",\"kid\":1}",
        "{\"alg\":\"HS256\",\"kid\":\"a\\u0000b\"}",
        "{\"alg\":\"HS256\"",
        "{\"alg\":\"HS256\"}}",
        "\xef\xbb\xbf{\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"x\":\"\xff\"}",
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(headers); i++)
        if (verify(forge(headers[i], GOOD)) != TD_EUNAUTHORIZED)
            fail_msg("accepted: %s", headers[i]);
}

/* What a header may hold without effect: nothing in it but alg and kid is used, and a kid is only compared. */
static void headers_without_effect(void **state)
{
    static const char *const headers[] = {
        HS256,
        "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}",
        "{\"alg\":\"HS256\",\"kid\":\"' OR 1=1 --\"}",
        "{\"alg\":\"HS256\",\"jku\":\"http://127.0.0.1:1/keys\",\"x5u\":\"file:///etc/passwd\"}",
        "{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}",
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(headers); i++)
        if (verify(forge(headers[i], GOOD)) != 0)
            fail_msg("refused: %s", headers[i]);
}

/* The key that a token brings along does not verify it. */
static void a_key_in_the_token_is_not_a_key(void **state)
{
    const char *header = "{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"alg\":\"HS256\","
                         "\"k\":\"eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg\"}}";
    struct td_slice token =
        forge_bytes(TD_S("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), td_slice_str(header), TD_S(GOOD));

    assert_int_equal(verify(token), TD_EUNAUTHORIZED);
    assert_int_equal(verify(forge_bytes(TD_S(""), TD_S(HS256), TD_S(GOOD))), TD_EUNAUTHORIZED);
}

static void payloads_are_refused(void **state)
{
    static const char *const payloads[] = {
        "",
        "null",
        "[]",
        "\"ann\"",
        "{\"sub\":\"ann\",\"exp\":1800000060",
        "{\"sub\":\"ann\",\"sub\":\"root\",\"exp\":1800000060}",
        "{\"sub\":\"ann\",\"exp\":1800000060,\"exp\":9999999999}",
        "{\"exp\":1800000060}",
        "{\"sub\":\"\",\"exp\":1800000060}",
        "{\"sub\":1,\"exp\":1800000060}",
        "{\"sub\":null,\"exp\":1800000060}",
        "{\"sub\":[\"ann\"],\"exp\":1800000060}",
        "{\"sub\":\"a\\u0000b\",\"exp\":1800000060}",
        "{\"sub\":\"\\ud800\",\"exp\":1800000060}",
        /* exp */
        "{\"sub\":\"ann\"}",
        "{\"sub\":\"ann\",\"exp\":null}",
        "{\"sub\":\"ann\",\"exp\":\"1800000060\"}",
        "{\"sub\":\"ann\",\"exp\":true}",
        "{\"sub\":\"ann\",\"exp\":[1800000060]}",
        "{\"sub\":\"ann\",\"exp\":-1}",
        "{\"sub\":\"ann\",\"exp\":-9223372036854775808}",
        "{\"sub\":\"ann\",\"exp\":1800000060.5}",
        "{\"sub\":\"ann\",\"exp\":1.8e9}",
        "{\"sub\":\"ann\",\"exp\":1e400}",
        "{\"sub\":\"ann\",\"exp\":NaN}",
        "{\"sub\":\"ann\",\"exp\":9223372036854775807}",
        "{\"sub\":\"ann\",\"exp\":18446744073709551615}",
        "{\"sub\":\"ann\",\"exp\":99999999999999999999999999}",
        "{\"sub\":\"ann\",\"exp\":253402300800}",
        /* nbf, iat */
        "{\"sub\":\"ann\",\"exp\":1800000060,\"nbf\":1800000006}",
        "{\"sub\":\"ann\",\"exp\":1800000060,\"nbf\":\"0\"}",
        "{\"sub\":\"ann\",\"exp\":1800000060,\"nbf\":-1}",
        "{\"sub\":\"ann\",\"exp\":1800000060,\"nbf\":1.5}",
        "{\"sub\":\"ann\",\"exp\":1800000060,\"iat\":\"now\"}",
        "{\"sub\":\"ann\",\"exp\":1800000060,\"iat\":-5}",
        /* roles and grants */
        "{\"sub\":\"ann\",\"exp\":1800000060,\"roles\":{}}",
        "{\"sub\":\"ann\",\"exp\":1800000060,\"roles\":[1]}",
        "{\"sub\":\"ann\",\"exp\":1800000060,\"roles\":[\"\"]}",
        "{\"sub\":\"ann\",\"exp\":1800000060,\"role\":7}",
        "{\"sub\":\"ann\",\"exp\":1800000060,\"tidings\":null}",
        "{\"sub\":\"ann\",\"exp\":1800000060,\"tidings\":[]}",
        "{\"sub\":\"ann\",\"exp\":1800000060,\"tidings\":\"**\"}",
        "{\"sub\":\"ann\",\"exp\":1800000060,\"tidings\":{\"subscribe\":{}}}",
        "{\"sub\":\"ann\",\"exp\":1800000060,\"tidings\":{\"subscribe\":[1]}}",
        "{\"sub\":\"ann\",\"exp\":1800000060,\"tidings\":{\"subscribe\":[\"a//b\"]}}",
        "{\"sub\":\"ann\",\"exp\":1800000060,\"tidings\":{\"subscribe\":[\"a/**/b\"]}}",
        "{\"sub\":\"ann\",\"exp\":1800000060,\"tidings\":{\"publish\":[\"\"]}}",
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(payloads); i++)
        if (verify(forge(HS256, payloads[i])) != TD_EUNAUTHORIZED)
            fail_msg("accepted: %s", payloads[i]);
}

static void time_is_exact(void **state)
{
    assert_int_equal(verify(forge(HS256, "{\"sub\":\"a\",\"exp\":1800000001}")), 0);
    assert_int_equal(verify(forge(HS256, "{\"sub\":\"a\",\"exp\":1800000000}")), TD_EEXPIRED);
    assert_int_equal(verify(forge(HS256, "{\"sub\":\"a\",\"exp\":0}")), TD_EEXPIRED);
    assert_int_equal(verify(forge(HS256, "{\"sub\":\"a\",\"exp\":253402300799}")), 0);
    assert_int_equal(verify(forge(HS256, "{\"sub\":\"a\",\"exp\":1800000060,\"nbf\":1800000005}")),
                     0);
    assert_int_equal(verify(forge(HS256, "{\"sub\":\"a\",\"exp\":1800000060,\"nbf\":1800000000}")),
                     0);
}

static void exp_may_be_optional(void **state)
{
    const struct td_token_rules optional = {.exp_optional = true};
    struct td_keys *keys = forge_keys();
    struct td_claims *claims;

    assert_int_equal(verify_with(keys, &optional, forge(HS256, "{\"sub\":\"a\"}"), &claims), 0);
    assert_true(claims->exp == TD_EXP_NEVER);
    td_claims_free(claims);
    assert_int_equal(
        verify_with(keys, &optional, forge(HS256, "{\"sub\":\"a\",\"exp\":\"1\"}"), &claims),
        TD_EUNAUTHORIZED);
    td_keys_unref(keys);
}

static void issuer_and_audience(void **state)
{
    static const struct {
        const char *claims;
        bool good;
    } cases[] = {
        {"\"iss\":\"login\",\"aud\":\"tidings\"",         true },
        {"\"iss\":\"login\",\"aud\":[\"x\",\"tidings\"]", true },
        {"\"iss\":\"login\",\"aud\":[]",                  false},
        {"\"iss\":\"login\",\"aud\":[[\"tidings\"]]",     false},
        {"\"iss\":\"login\",\"aud\":\"tidings2\"",        false},
        {"\"iss\":\"login\",\"aud\":\"tiding\"",          false},
        {"\"iss\":\"login\",\"aud\":{\"tidings\":1}",     false},
        {"\"iss\":\"login\"",                             false},
        {"\"iss\":\"Login\",\"aud\":\"tidings\"",         false},
        {"\"iss\":[\"login\"],\"aud\":\"tidings\"",       false},
        {"\"iss\":\"\",\"aud\":\"tidings\"",              false},
        {"\"aud\":\"tidings\"",                           false},
    };
    const struct td_token_rules both = {.issuer = TD_S("login"), .audience = TD_S("tidings")};
    struct td_keys *keys = forge_keys();

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        char payload[256];
        struct td_claims *claims = NULL;
        snprintf(payload, sizeof(payload), "{\"sub\":\"a\",\"exp\":1800000060,%s}",
                 cases[i].claims);
        int r = verify_with(keys, &both, forge(HS256, payload), &claims);
        if (r != (cases[i].good ? 0 : TD_EUNAUTHORIZED))
            fail_msg("%s: %d", cases[i].claims, r);
        td_claims_free(claims);
    }
    td_keys_unref(keys);
}

/* One token has one spelling: whatever else its letters could be decoded to is refused. */
static void spelling_is_strict(void **state)
{
    struct td_slice good = forge(HS256, GOOD);
    char text[1024];

    assert_int_equal(verify(good), 0);
    for (size_t i = 0; i < good.len; i++) { /* one byte less anywhere */
        memcpy(text, good.ptr, i);
        memcpy(text + i, good.ptr + i + 1, good.len - i - 1);
        assert_int_equal(verify(td_slice(text, good.len - 1)), TD_EUNAUTHORIZED);
    }
    for (size_t i = 0; i <= good.len; i++) { /* one byte more anywhere */
        static const char more[] = ".=+/ \n\0A";
        for (size_t k = 0; k < sizeof(more) - 1; k++) {
            memcpy(text, good.ptr, i);
            text[i] = more[k];
            memcpy(text + i + 1, good.ptr + i, good.len - i);
            assert_int_equal(verify(td_slice(text, good.len + 1)), TD_EUNAUTHORIZED);
        }
    }
    for (size_t i = 0; i < good.len;
         i++) { /* one bit other anywhere, also the last letter's spare bits */
        for (int bit = 0; bit < 8; bit++) {
            memcpy(text, good.ptr, good.len);
            text[i] = (char)(text[i] ^ (1 << bit));
            assert_int_equal(verify(td_slice(text, good.len)), TD_EUNAUTHORIZED);
        }
    }
}

static void shapes_are_refused(void **state)
{
    static char big[1024 * 1024];
    struct td_slice good = forge(HS256, GOOD);
    const char *dot = memrchr(good.ptr, '.', good.len);
    char text[1024];

    assert_int_equal(verify(TD_S("")), TD_EUNAUTHORIZED);
    assert_int_equal(verify(TD_S(".")), TD_EUNAUTHORIZED);
    assert_int_equal(verify(TD_S("..")), TD_EUNAUTHORIZED);
    assert_int_equal(verify(TD_S("...")), TD_EUNAUTHORIZED);
    assert_int_equal(verify(TD_S("a.b.c")), TD_EUNAUTHORIZED);
    assert_int_equal(verify(td_slice(good.ptr, (size_t)(dot - good.ptr))), TD_EUNAUTHORIZED);
    assert_int_equal(verify(td_slice(good.ptr, (size_t)(dot - good.ptr) + 1)), TD_EUNAUTHORIZED);
    int len = snprintf(text, sizeof(text), "%.*s.AA", (int)good.len, good.ptr);
    assert_int_equal(verify(td_slice(text, (size_t)len)), TD_EUNAUTHORIZED);
    memset(big, 'A', sizeof(big));
    assert_int_equal(verify(td_slice(big, sizeof(big))), TD_EUNAUTHORIZED);
    assert_int_equal(verify(td_slice(big, TD_TOKEN_LEN_MAX)), TD_EUNAUTHORIZED);
}

/* Nests as deep as a token's length allows; the parser must not run out of stack. */
static void deep_payloads_do_not_crash(void **state)
{
    char payload[5000];

    memset(payload, '[', sizeof(payload));
    assert_int_equal(
        verify(forge_bytes(TD_S(SECRET), TD_S(HS256), td_slice(payload, sizeof(payload)))),
        TD_EUNAUTHORIZED);
}

static void limits_of_sub_and_lists(void **state)
{
    char payload[TD_TOKEN_LEN_MAX], sub[257];
    size_t len;

    memset(sub, 's', sizeof(sub));
    snprintf(payload, sizeof(payload), "{\"sub\":\"%.255s\",\"exp\":1800000060}", sub);
    assert_int_equal(verify(forge(HS256, payload)), 0);
    snprintf(payload, sizeof(payload), "{\"sub\":\"%.256s\",\"exp\":1800000060}", sub);
    assert_int_equal(verify(forge(HS256, payload)), TD_EUNAUTHORIZED);
    for (int n = 256; n <= 257; n++) {
        len = (size_t)snprintf(payload, sizeof(payload),
                               "{\"sub\":\"a\",\"exp\":1800000060,\"tidings\":{\"subscribe\":[");
        for (int i = 0; i < n; i++)
            len += (size_t)snprintf(payload + len, sizeof(payload) - len, "%s\"t/%d\"",
                                    i ? "," : "", i);
        snprintf(payload + len, sizeof(payload) - len, "]}}");
        assert_int_equal(verify(forge(HS256, payload)), n == 256 ? 0 : TD_EUNAUTHORIZED);
    }
    for (int n = 64; n <= 65; n++) {
        len = (size_t)snprintf(payload, sizeof(payload),
                               "{\"sub\":\"a\",\"exp\":1800000060,\"role\":\"x\",\"roles\":[");
        for (int i = 0; i < n - 1; i++)
            len += (size_t)snprintf(payload + len, sizeof(payload) - len, "%s\"r%d\"", i ? "," : "",
                                    i);
        snprintf(payload + len, sizeof(payload) - len, "]}");
        assert_int_equal(verify(forge(HS256, payload)), n == 64 ? 0 : TD_EUNAUTHORIZED);
    }
}

static void keys_are_checked(void **state)
{
    static char longest[TD_KEY_SECRET_MAX + 1];
    struct td_keys *keys = td_keys_new();
    const char *reason = NULL;
    struct td_key key = {.alg = TD_S("HS256"), .secret = TD_S(SECRET)};

    memset(longest, 'k', sizeof(longest));
    key.secret = td_slice(SECRET, 31);
    assert_int_equal(td_keys_add(keys, &key, &reason), TD_EINVAL);
    key.secret = TD_S("");
    assert_int_equal(td_keys_add(keys, &key, &reason), TD_EINVAL);
    key.secret = td_slice(longest, sizeof(longest));
    assert_int_equal(td_keys_add(keys, &key, &reason), TD_EINVAL);
    key = (struct td_key){.alg = TD_S("none"), .secret = TD_S(SECRET)};
    assert_int_equal(td_keys_add(keys, &key, &reason), TD_EINVAL);
    key.alg = TD_S("RS256");
    assert_int_equal(td_keys_add(keys, &key, &reason), TD_EINVAL);
    key.alg = TD_S("HS384");
    assert_int_equal(td_keys_add(keys, &key, &reason), TD_EINVAL);
    key.alg = TD_S("HS256");
    assert_int_equal(td_keys_len(keys), 0);
    for (int i = 0; i < TD_KEYS_MAX; i++)
        assert_int_equal(td_keys_add(keys, &key, &reason), 0);
    assert_int_equal(td_keys_add(keys, &key, &reason), TD_EINVAL);
    assert_non_null(reason);
    td_keys_unref(keys);
}

/* Without any key nothing is verified, whatever it says. */
static void no_keys_no_entry(void **state)
{
    struct td_keys *keys = td_keys_new();
    struct td_claims *claims;

    assert_int_equal(verify_with(keys, &rules, forge(HS256, GOOD), &claims), TD_EUNAUTHORIZED);
    assert_int_equal(verify_with(keys, &rules, forge("{\"alg\":\"none\"}", GOOD), &claims),
                     TD_EUNAUTHORIZED);
    td_keys_unref(keys);
}

/* A kid that both sides have must be the same; a key without one answers to all. */
static void kid_chooses_among_the_configured(void **state)
{
    struct td_keys *keys = td_keys_new();
    struct td_claims *claims;
    const char *reason;
    struct td_key named = {TD_S("HS256"), TD_S("2026"), TD_S(SECRET)};
    const struct {
        const char *header;
        bool good;
    } cases[] = {
        {"{\"alg\":\"HS256\",\"kid\":\"2026\"}",  true },
        {"{\"alg\":\"HS256\"}",                   true },
        {"{\"alg\":\"HS256\",\"kid\":\"2025\"}",  false},
        {"{\"alg\":\"HS256\",\"kid\":\"\"}",      false},
        {"{\"alg\":\"HS256\",\"kid\":\"20266\"}", false},
    };

    assert_int_equal(td_keys_add(keys, &named, &reason), 0);
    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        int r = verify_with(keys, &rules, forge(cases[i].header, GOOD), &claims);
        if (r != (cases[i].good ? 0 : TD_EUNAUTHORIZED))
            fail_msg("%s: %d", cases[i].header, r);
        if (r == 0)
            td_claims_free(claims);
    }
    td_keys_unref(keys);
}

static void one_of_several_keys_is_enough(void **state)
{
    struct td_keys *keys = td_keys_new();
    struct td_claims *claims;
    const char *reason;
    struct td_key old = {.alg = TD_S("HS256"),
                         .secret = TD_S("an older secret of thirty-two bytes")};
    struct td_key other = {.alg = TD_S("HS512"), .secret = TD_S(SECRET SECRET)};
    struct td_key current = {.alg = TD_S("HS256"), .secret = TD_S(SECRET)};

    assert_int_equal(td_keys_add(keys, &old, &reason), 0);
    assert_int_equal(td_keys_add(keys, &other, &reason), 0);
    assert_int_equal(verify_with(keys, &rules, forge(HS256, GOOD), &claims), TD_EUNAUTHORIZED);
    assert_int_equal(td_keys_add(keys, &current, &reason), 0);
    assert_int_equal(verify_with(keys, &rules, forge(HS256, GOOD), &claims), 0);
    td_claims_free(claims);
    td_keys_unref(keys);
}

static void what_is_signed_is_verified(void **state)
{
    static const char *const algs[] = {"HS256", "HS384", "HS512"};
    const struct td_token_rules strict = {.issuer = TD_S("login"), .audience = TD_S("tidings")};
    struct td_slice roles[] = {TD_S("editor")}, patterns[] = {TD_S("a/**"), TD_S("b/*/c")};
    struct td_claims said = {
        .sub = TD_S("Änne \"O'Hara\""),
        .roles = {roles,                      1                       },
        .has_grants = true,
        .grants = {.subscribe = {patterns, 2}, .publish = {patterns, 1}},
        .iat = NOW,
        .exp = NOW + 60000,
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(algs); i++) {
        struct td_buf token = TD_BUF_INIT(TD_TOKEN_LEN_MAX);
        struct td_keys *keys = td_keys_new();
        struct td_claims *claims;
        const char *reason;
        struct td_key key = {td_slice_str(algs[i]), TD_S("k1"), TD_S(SECRET SECRET)};
        assert_int_equal(td_keys_add(keys, &key, &reason), 0);
        assert_int_equal(td_token_sign(keys, &strict, &said, &token), 0);
        assert_int_equal(verify_with(keys, &strict, td_buf_slice(&token), &claims), 0);
        assert_true(td_slice_eq(claims->sub, said.sub));
        assert_int_equal(claims->exp, said.exp);
        assert_int_equal(claims->iat, said.iat);
        assert_int_equal(claims->grants.subscribe.n, 2);
        assert_true(td_slice_eq(claims->grants.subscribe.items[1], patterns[1]));
        assert_int_equal(claims->roles.n, 1);
        td_claims_free(claims);
        td_keys_unref(keys);
        td_buf_done(&token);
    }
}

static void what_could_not_be_verified_is_not_signed(void **state)
{
    static char sub[TD_TOKEN_SUB_MAX + 1];
    struct td_slice bad[] = {TD_S("a//b")}, none[] = {TD_S("")};
    struct td_keys *keys = forge_keys(), *empty = td_keys_new();
    struct td_buf token = TD_BUF_INIT(TD_TOKEN_LEN_MAX);
    struct td_claims claims = {.sub = TD_S("a"), .exp = NOW};

    assert_int_equal(td_token_sign(empty, &rules, &claims, &token), TD_EINVAL);
    claims.sub = TD_S("");
    assert_int_equal(td_token_sign(keys, &rules, &claims, &token), TD_EINVAL);
    memset(sub, 's', sizeof(sub));
    claims.sub = td_slice(sub, sizeof(sub));
    assert_int_equal(td_token_sign(keys, &rules, &claims, &token), TD_EINVAL);
    claims.sub = TD_S("\xff");
    assert_int_equal(td_token_sign(keys, &rules, &claims, &token), TD_EINVAL);
    claims = (struct td_claims){
        .sub = TD_S("a"), .exp = NOW, .roles = {none, 1}
    };
    assert_int_equal(td_token_sign(keys, &rules, &claims, &token), TD_EINVAL);
    claims = (struct td_claims){
        .sub = TD_S("a"), .exp = NOW, .has_grants = true, .grants.subscribe = {bad, 1}
    };
    assert_int_equal(td_token_sign(keys, &rules, &claims, &token), TD_EINVAL);
    assert_int_equal(token.len, 0);
    td_buf_done(&token);
    td_keys_unref(empty);
    td_keys_unref(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_token_says_what_it_says),
        cmocka_unit_test(the_vector_of_the_rfc_is_signed),
        cmocka_unit_test(headers_are_refused),
        cmocka_unit_test(headers_without_effect),
        cmocka_unit_test(a_key_in_the_token_is_not_a_key),
        cmocka_unit_test(payloads_are_refused),
        cmocka_unit_test(time_is_exact),
        cmocka_unit_test(exp_may_be_optional),
        cmocka_unit_test(issuer_and_audience),
        cmocka_unit_test(spelling_is_strict),
        cmocka_unit_test(shapes_are_refused),
        cmocka_unit_test(deep_payloads_do_not_crash),
        cmocka_unit_test(limits_of_sub_and_lists),
        cmocka_unit_test(keys_are_checked),
        cmocka_unit_test(no_keys_no_entry),
        cmocka_unit_test(kid_chooses_among_the_configured),
        cmocka_unit_test(one_of_several_keys_is_enough),
        cmocka_unit_test(what_is_signed_is_verified),
        cmocka_unit_test(what_could_not_be_verified_is_not_signed),
    };

    return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
