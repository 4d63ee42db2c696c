/* SPDX-License-Identifier: Apache-2.0 */
/* Each case is what a client offers, in one header or several, and what is answered: with takeover refused, and allowed. */
#include "base/err.h"
#include "codec/ws_extension.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define NONE ""  /* no extension is agreed to */
#define BAD  "!" /* the handshake fails */
#define PMD  "permessage-deflate; server_no_context_takeover"
#define CNO  "; client_no_context_takeover"

/* clang-format off */
static const struct {
    const char *offers[3];
    const char *answer, *answer_takeover;
} cases[] = {
    {{"permessage-deflate"}, PMD CNO, PMD},
    {{"  permessage-deflate\t"}, PMD CNO, PMD},
    {{"Permessage-Deflate"}, PMD CNO, PMD},
    {{"permessage-deflate; client_max_window_bits"}, PMD CNO, PMD "; client_max_window_bits=12"},
    {{"permessage-deflate;client_max_window_bits=15"}, PMD CNO, PMD "; client_max_window_bits=12"},
    {{"permessage-deflate; client_max_window_bits=10"}, PMD CNO, PMD "; client_max_window_bits=10"},
    {{"permessage-deflate; client_max_window_bits=8"}, PMD CNO, PMD "; client_max_window_bits=8"},
    {{"permessage-deflate ; client_no_context_takeover"}, PMD CNO, PMD CNO},
    {{"permessage-deflate; client_no_context_takeover; client_max_window_bits"}, PMD CNO, PMD CNO},
    {{"permessage-deflate; server_no_context_takeover"}, PMD CNO, PMD},
    {{"permessage-deflate; server_max_window_bits=15"}, PMD CNO "; server_max_window_bits=12", PMD "; server_max_window_bits=12"},
    {{"permessage-deflate; server_max_window_bits=12"}, PMD CNO "; server_max_window_bits=12", PMD "; server_max_window_bits=12"},
    {{"permessage-deflate; server_max_window_bits=11"}, PMD CNO "; server_max_window_bits=11", PMD "; server_max_window_bits=11"},
    {{"permessage-deflate; server_max_window_bits=8"}, PMD CNO "; server_max_window_bits=8", PMD "; server_max_window_bits=8"},
    {{"permessage-deflate; server_max_window_bits=\"10\""}, PMD CNO "; server_max_window_bits=10", PMD "; server_max_window_bits=10"},
    {{"permessage-deflate; server_max_window_bits = \"\\1\\0\" ; client_max_window_bits"},
     PMD CNO "; server_max_window_bits=10", PMD "; server_max_window_bits=10; client_max_window_bits=12"},
    {{"permessage-deflate; server_max_window_bits=9; client_max_window_bits=9; client_no_context_takeover; server_no_context_takeover"},
     PMD CNO "; server_max_window_bits=9", PMD CNO "; server_max_window_bits=9"},

    /* What can't be agreed to, and the next. */
    {{"permessage-deflate; server_max_window_bits"}, NONE, NONE},
    {{"permessage-deflate; server_max_window_bits=7"}, NONE, NONE},
    {{"permessage-deflate; server_max_window_bits=16"}, NONE, NONE},
    {{"permessage-deflate; server_max_window_bits=08"}, NONE, NONE},
    {{"permessage-deflate; server_max_window_bits=010"}, NONE, NONE},
    {{"permessage-deflate; server_max_window_bits=0"}, NONE, NONE},
    {{"permessage-deflate; server_max_window_bits=+9"}, NONE, NONE},
    {{"permessage-deflate; server_max_window_bits=1.0"}, NONE, NONE},
    {{"permessage-deflate; server_max_window_bits=12345678901234567890123456789012345678901234567890"}, NONE, NONE},
    {{"permessage-deflate; client_max_window_bits=7"}, NONE, NONE},
    {{"permessage-deflate; client_max_window_bits=x"}, NONE, NONE},
    {{"permessage-deflate; client_no_context_takeover=1"}, NONE, NONE},
    {{"permessage-deflate; server_no_context_takeover=\"true\""}, NONE, NONE},
    {{"permessage-deflate; server_no_context_takeover; server_no_context_takeover"}, NONE, NONE},
    {{"permessage-deflate; client_no_context_takeover; client_no_context_takeover"}, NONE, NONE},
    {{"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10"}, NONE, NONE},
    {{"permessage-deflate; client_max_window_bits; client_max_window_bits"}, NONE, NONE},
    {{"permessage-deflate; unknown"}, NONE, NONE},
    {{"permessage-deflate; x=y; client_max_window_bits"}, NONE, NONE},
    {{"x-webkit-deflate-frame"}, NONE, NONE},
    {{"permessage-deflat"}, NONE, NONE},
    {{"x; server_max_window_bits=10, permessage-bzip2"}, NONE, NONE},
    {{"permessage-deflate; server_max_window_bits=7, permessage-deflate; server_max_window_bits=9, permessage-deflate"},
     PMD CNO "; server_max_window_bits=9", PMD "; server_max_window_bits=9"},
    {{"permessage-deflate; what, permessage-deflate; client_no_context_takeover"}, PMD CNO, PMD CNO},
    {{"x-unknown; a=1, permessage-deflate"}, PMD CNO, PMD},
    {{"x-unknown", "permessage-deflate; client_max_window_bits"}, PMD CNO, PMD "; client_max_window_bits=12"},
    {{"permessage-deflate; server_max_window_bits=11", "permessage-deflate"}, PMD CNO "; server_max_window_bits=11", PMD "; server_max_window_bits=11"},
    {{"x; v=\"a\\b\", permessage-deflate"}, PMD CNO, PMD},

    /* Lists with nothing in them. */
    {{NULL}, NONE, NONE},
    {{""}, NONE, NONE},
    {{" , ,"}, NONE, NONE},
    {{", permessage-deflate,,"}, PMD CNO, PMD},

    /* What is no list of extensions. */
    {{";"}, BAD, BAD},
    {{"permessage-deflate;"}, BAD, BAD},
    {{"permessage-deflate; ,x"}, BAD, BAD},
    {{"permessage-deflate; =1"}, BAD, BAD},
    {{"permessage-deflate; a="}, BAD, BAD},
    {{"permessage-deflate; a=\""}, BAD, BAD},
    {{"permessage-deflate; a=\"\""}, BAD, BAD},
    {{"permessage-deflate; a=\"b"}, BAD, BAD},
    {{"permessage-deflate; a=\"b\\"}, BAD, BAD},
    {{"permessage-deflate; a=\"b c\""}, BAD, BAD},
    {{"permessage-deflate; a=\"b\\;\""}, BAD, BAD},
    {{"permessage-deflate; a=\"b\"c"}, BAD, BAD},
    {{"permessage-deflate; a=b=c"}, BAD, BAD},
    {{"permessage-deflate a"}, BAD, BAD},
    {{"permessage deflate"}, BAD, BAD},
    {{"permessage-deflate/1"}, BAD, BAD},
    {{"\"permessage-deflate\""}, BAD, BAD},
    {{"permessage-deflate", "x;"}, BAD, BAD},
    {{"permessage-deflate, \xc3\xa9"}, BAD, BAD},
};
/* clang-format on */

static void check_case(size_t number, bool takeover)
{
    struct td_http_request request = {0};
    struct td_ws_deflate agreed;
    struct td_buf answer = TD_BUF_INIT(256);
    const char *expected = takeover ? cases[number].answer_takeover : cases[number].answer;

    for (size_t i = 0; i < 3 && cases[number].offers[i]; i++) {
        /* A heap copy of its exact size, so that the sanitizers see a step too far. */
        size_t len = strlen(cases[number].offers[i]);
        char *copy = malloc(len > 0 ? len : 1);
        assert_non_null(copy);
        memcpy(copy, cases[number].offers[i], len);
        request.headers[request.n_headers++] =
            (struct td_http_header){TD_S("Sec-WebSocket-EXTENSIONS"), td_slice(copy, len)};
        request.headers[request.n_headers++] =
            (struct td_http_header){TD_S("Other"), TD_S("permessage-deflate")};
    }
    int r = td_ws_deflate_choose(&request, takeover, &agreed);
    if (r == TD_EINVAL)
        assert_int_equal(td_buf_puts(&answer, BAD), 0);
    else if (r > 0)
        assert_int_equal(td_ws_deflate_put(&agreed, &answer), 0);
    else
        assert_int_equal(r, 0);
    if (!td_slice_eq(td_buf_slice(&answer), td_slice_str(expected)))
        fail_msg("%s: got \"%.*s\", expected \"%s\"", cases[number].offers[0], (int)answer.len,
                 answer.ptr ? answer.ptr : "", expected);
    for (size_t i = 0; i < request.n_headers; i += 2)
        free((void *)(uintptr_t)request.headers[i].value.ptr);
    td_buf_done(&answer);
}

static void test_offers(void **state)
{
    (void)state;
    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        check_case(i, false);
        check_case(i, true);
    }
}

/* What the answer says is what is held to. */
static void test_what_is_agreed_to(void **state)
{
    static const struct {
        const char *offer;
        bool takeover;
        struct td_ws_deflate agreed;
    } offers[] = {
        {"permessage-deflate",                            false, {15, 15, false, false, false}},
        {"permessage-deflate",                            true,  {15, 15, true, false, false} },
        {"permessage-deflate; client_max_window_bits=9",  false, {15, 15, false, false, false}},
        {"permessage-deflate; client_max_window_bits=9",  true,  {15, 9, true, false, true}   },
        {"permessage-deflate; server_max_window_bits=9",  true,  {9, 15, true, true, false}   },
        {"permessage-deflate; server_max_window_bits=15", true,  {12, 15, true, true, false}  },
    };

    (void)state;
    for (size_t i = 0; i < TD_ARRAY_LEN(offers); i++) {
        struct td_http_request request = {
            .n_headers = 1,
            .headers = {{TD_S("Sec-WebSocket-Extensions"), td_slice_str(offers[i].offer)}},
        };
        struct td_ws_deflate agreed;
        assert_int_equal(td_ws_deflate_choose(&request, offers[i].takeover, &agreed), 1);
        assert_memory_equal(&agreed, &offers[i].agreed, sizeof(agreed));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offers),
        cmocka_unit_test(test_what_is_agreed_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
