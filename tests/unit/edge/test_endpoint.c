/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/err.h"
#include "edge/endpoint.h"
#include <stdio.h>

static const struct td_slice project_topics[] = {
    {"projects/{project_id}/**",                     24},
    {"users/{sub}/** where project_id={project_id}", 44}
};

static struct td_endpoint_spec spec_of(const char *path)
{
    return (struct td_endpoint_spec){
        .name = TD_S("x"),
        .path = td_slice_str(path),
        .rule = TD_S("any"),
        .transports = TD_ENDPOINT_WEBSOCKET,
        .limits.subscriptions_max = 10,
    };
}

static struct td_endpoint *make(const struct td_endpoint_spec *spec)
{
    struct td_endpoint *endpoint = NULL;
    struct td_buf why = TD_BUF_INIT(512);

    if (td_endpoint_new(spec, &endpoint, &why) < 0)
        fail_msg("%.*s", (int)why.len, why.ptr);
    td_buf_done(&why);
    return endpoint;
}

static void refused(const struct td_endpoint_spec *spec, const char *expected)
{
    struct td_endpoint *endpoint;
    struct td_buf why = TD_BUF_INIT(512);

    assert_int_equal(td_endpoint_new(spec, &endpoint, &why), TD_EINVAL);
    td_buf_putc(&why, '\0');
    assert_string_equal(why.ptr, expected);
    td_buf_done(&why);
}

static void forms(void **state)
{
    assert_true(td_endpoint_path_valid(TD_S("/ws")));
    assert_true(td_endpoint_path_valid(TD_S("/ws/projects/{project_id}")));
    assert_true(td_endpoint_path_valid(TD_S("/{a}/{b}")));
    assert_false(td_endpoint_path_valid(TD_S("/")));
    assert_false(td_endpoint_path_valid(TD_S("")));
    assert_false(td_endpoint_path_valid(TD_S("ws")));
    assert_false(td_endpoint_path_valid(TD_S("/ws/")));
    assert_false(td_endpoint_path_valid(TD_S("/ws//x")));
    assert_false(td_endpoint_path_valid(TD_S("/ws/p-{id}")));
    assert_false(td_endpoint_path_valid(TD_S("/ws/{}")));
    assert_false(td_endpoint_path_valid(TD_S("/ws/{Id}")));
    assert_false(td_endpoint_path_valid(TD_S("/ws/{1}")));
    assert_false(td_endpoint_path_valid(TD_S("/ws/*")));
    assert_false(td_endpoint_path_valid(TD_S("/ws/%41")));

    assert_true(td_endpoint_topic_valid(TD_S("projects/{id}/**")));
    assert_true(td_endpoint_topic_valid(TD_S("teams/of-{sub}/*")));
    assert_true(td_endpoint_topic_valid(TD_S("**")));
    assert_true(td_endpoint_topic_valid(TD_S("users/{sub}/** where proposal_id={id}")));
    assert_true(td_endpoint_topic_valid(TD_S("users/{sub}/** where kind = note")));
    assert_false(td_endpoint_topic_valid(TD_S("")));
    assert_false(td_endpoint_topic_valid(TD_S("a/**/b")));
    assert_false(td_endpoint_topic_valid(TD_S("a/{b")));
    assert_false(td_endpoint_topic_valid(TD_S("a/b}")));
    assert_false(td_endpoint_topic_valid(TD_S("a/{}")));
    assert_false(td_endpoint_topic_valid(TD_S("a where b")));
    assert_false(td_endpoint_topic_valid(TD_S("a where =c")));
    assert_false(td_endpoint_topic_valid(TD_S("a where b=")));
    assert_false(td_endpoint_topic_valid(TD_S("a where b=c d")));
    assert_false(td_endpoint_topic_valid(TD_S(" where b=c")));

    assert_true(td_endpoint_rule_valid(TD_S("subscribe")));
    assert_true(td_endpoint_rule_valid(TD_S("role:admin")));
    assert_false(td_endpoint_rule_valid(TD_S("role:")));
    assert_false(td_endpoint_rule_valid(TD_S("anybody")));
    assert_false(td_endpoint_filter_valid(TD_S("since")));
    assert_true(td_endpoint_filter_valid(TD_S("action")));
}

static void parts_that_do_not_fit(void **state)
{
    const struct td_slice strange[] = {TD_S("a/{other}")}, own[] = {TD_S("users/{sub}/**")},
                          plain[] = {TD_S("a")};
    struct td_endpoint_spec spec = spec_of("/ws/{id}/{id}");

    refused(&spec, "path: {id} is taken; call the variable otherwise");
    spec = spec_of("/ws/{session}");
    refused(&spec, "path: {session} is taken; call the variable otherwise");
    spec = spec_of("/ws/{user}");
    refused(&spec, "path: {user} is taken; call the variable otherwise");
    spec = spec_of("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}");
    refused(&spec, "path: 8 variables at most");
    spec = spec_of("/x/{id}");
    spec.topics = strange;
    spec.n_topics = 1;
    refused(&spec, "topics: {other} is no variable of the path, and not {sub} or {session}");
    spec.topics = own;
    spec.rule = TD_S("subscribe");
    refused(&spec, "rule: subscribe asks who may subscribe a topic without {sub} and {session}, "
                   "and there is none; use any");
    spec.rule = TD_S("public");
    refused(&spec, "topics: {sub} means nothing where the rule is public");
    spec.topics = plain;
    spec.connections_per_user = 1;
    refused(&spec, "connections_per_user: nobody is known where the rule is public; "
                   "connections_per_address counts");
    spec.connections_per_user = 0;
    spec.n_topics = 0;
    refused(&spec, "topics: name one at least, because a public reader has no grants");
    spec.rule = TD_S("job");
    refused(&spec, "rule: job needs {job_id} in the path");
    spec.rule = TD_S("any");
    spec.transports = 0;
    refused(&spec, "transports: name websocket, http, or both");
    spec.transports = TD_ENDPOINT_HTTP;
    refused(&spec, "topics: name one at least, because there are no commands on http");
    spec.transports = TD_ENDPOINT_WEBSOCKET;
    spec.filters = plain;
    spec.n_filters = 1;
    refused(&spec, "filters: they need topics");
}

/* The path of the endpoint that has it, "" for none; `values` joined by '|'. */
static void finds(const struct td_endpoints *endpoints, const char *path, const char *expected,
                  const char *expected_values)
{
    struct td_endpoint_values values;
    struct td_endpoint *found = td_endpoints_find(endpoints, td_slice_str(path), &values);
    char text[512] = "";
    size_t len = 0;

    if (!td_slice_eq(td_slice_str(expected), found ? found->path : TD_S("")))
        fail_msg("%s leads to %.*s", path, found ? (int)found->path.len : 0,
                 found ? found->path.ptr : "");
    for (size_t i = 0; found && i < found->n_variables; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s", i ? "|" : "",
                                (int)values.items[i].len, values.items[i].ptr);
    assert_string_equal(text, expected_values);
}

static void paths_lead_to_endpoints(void **state)
{
    static const char *const paths[] = {"/ws/{kind}",  "/ws",        "/ws/{kind}/{id}",
                                        "/ws/job/{x}", "/{a}/job/1", "/ws/audit"};
    struct td_endpoints endpoints = {0};
    char longest[256];

    for (size_t i = 0; i < TD_ARRAY_LEN(paths); i++) {
        struct td_endpoint_spec spec = spec_of(paths[i]);
        assert_int_equal(td_endpoints_add(&endpoints, make(&spec)), 0);
    }
    finds(&endpoints, "/ws", "/ws", "");
    finds(&endpoints, "/ws/audit", "/ws/audit", "");
    finds(&endpoints, "/ws/audits", "/ws/{kind}", "audits");
    finds(&endpoints, "/ws/job/1", "/ws/job/{x}", "1"); /* literal before variable, from the left */
    finds(&endpoints, "/wt/job/1", "/{a}/job/1", "wt");
    finds(&endpoints, "/ws/a/b", "/ws/{kind}/{id}", "a|b");
    finds(&endpoints, "/ws/a%40b.c/~%7e", "/ws/{kind}/{id}", "a@b.c|~~");
    finds(&endpoints, "/ws/", "", "");
    finds(&endpoints, "/ws/a/", "", "");
    finds(&endpoints, "/ws/*", "", "");
    finds(&endpoints, "/ws/%2A", "", "");
    finds(&endpoints, "/ws/a%2fb", "", "");
    finds(&endpoints, "/ws/a%00", "", "");
    finds(&endpoints, "/ws/a%4", "", "");
    finds(&endpoints, "/ws/a b", "", "");
    finds(&endpoints, "/ws/\xc3\xa4", "", "");
    finds(&endpoints, "/WS/a", "", "");
    finds(&endpoints, "/", "", "");
    finds(&endpoints, "", "", "");
    snprintf(longest, sizeof(longest), "/ws/%064d", 7);
    finds(&endpoints, longest, "/ws/{kind}", longest + 4);
    snprintf(longest, sizeof(longest), "/ws/%065d", 7);
    finds(&endpoints, longest, "", "");
    finds(NULL, "/ws", "", "");
    assert_non_null(td_endpoints_of_path(&endpoints, TD_S("/ws/{kind}")));
    assert_null(td_endpoints_of_path(&endpoints, TD_S("/ws/{other}")));
    assert_true(td_endpoint_path_eq(TD_S("/ws/{kind}"), TD_S("/ws/{other}")));
    assert_false(td_endpoint_path_eq(TD_S("/ws/{kind}"), TD_S("/ws/kind")));
    assert_false(td_endpoint_path_eq(TD_S("/ws/{kind}"), TD_S("/ws/{kind}/x")));
    td_endpoints_done(&endpoints);
}

static void expands(const struct td_endpoint *endpoint, const struct td_endpoint_values *values,
                    struct td_slice template, const char *expected)
{
    struct td_buf text = TD_BUF_INIT(64);
    int r = td_endpoint_expand(endpoint, values, template, &text);

    td_buf_putc(&text, '\0');
    assert_int_equal(r, expected ? 0 : TD_ETOPIC);
    if (expected)
        assert_string_equal(text.ptr, expected);
    td_buf_done(&text);
}

static void templates_become_topics(void **state)
{
    struct td_endpoint_spec spec = spec_of("/ws/projects/{project_id}");
    struct td_endpoint_values values;

    spec.topics = project_topics;
    spec.n_topics = 2;
    spec.rule = TD_S("role:Editor");
    struct td_endpoint *endpoint = make(&spec), *same = td_endpoint_ref(endpoint);
    struct td_endpoints endpoints = {{endpoint}, 1};

    assert_int_equal(endpoint->rule, TD_RULE_ROLE);
    assert_true(td_slice_eq(endpoint->role, TD_S("Editor")));
    assert_false(endpoint->topics[0].own);
    assert_true(endpoint->topics[1].own);
    assert_true(td_slice_eq(endpoint->topics[1].member, TD_S("project_id")));
    assert_true(td_endpoints_find(&endpoints, TD_S("/ws/projects/42"), &values) == endpoint);
    expands(endpoint, &values, endpoint->topics[0].pattern, "projects/42/**");
    expands(endpoint, &values, endpoint->topics[1].pattern, NULL); /* nobody is known yet */
    values.sub = TD_S("ann");
    expands(endpoint, &values, endpoint->topics[1].pattern, "users/ann/**");
    expands(endpoint, &values, endpoint->topics[1].value, "42");
    expands(endpoint, &values, TD_S("{sub}{project_id}"), "ann42");
    expands(endpoint, &values, TD_S("a"), "a");
    td_endpoints_done(&endpoints);
    td_endpoint_unref(same);
}

static void there_is_a_limit(void **state)
{
    struct td_endpoints endpoints = {0};
    char path[32];

    for (int i = 0; i <= TD_ENDPOINTS_MAX; i++) {
        snprintf(path, sizeof(path), "/e%d", i);
        struct td_endpoint_spec spec = spec_of(path);
        struct td_endpoint *endpoint = make(&spec);
        int r = td_endpoints_add(&endpoints, endpoint);
        assert_int_equal(r, i < TD_ENDPOINTS_MAX ? 0 : TD_ETOOLARGE);
        if (r < 0)
            td_endpoint_unref(endpoint);
    }
    td_endpoints_done(&endpoints);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),
        cmocka_unit_test(parts_that_do_not_fit),
        cmocka_unit_test(paths_lead_to_endpoints),
        cmocka_unit_test(templates_become_topics),
        cmocka_unit_test(there_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
