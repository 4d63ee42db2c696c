/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/principal.h"
#include "base/err.h"
#include "base/rng.h"
#include <stdio.h>

/* Lists of literals, as struct td_slices. */
#define LIST(...)                                               \
    ((struct td_slices){(const struct td_slice[]){__VA_ARGS__}, \
                        sizeof((const struct td_slice[]){__VA_ARGS__}) / sizeof(struct td_slice)})

static const struct td_slice viewer_patterns[] = {
    {"projects/*/news", 15},
    {"people/{sub}/**", 15}
};
static const struct td_slice editor_patterns[] = {
    {"projects/**", 11}
};
static const struct td_slice default_patterns[] = {
    {"news/**", 7}
};
static const struct td_role roles[] = {
    {{"viewer", 6}, {{viewer_patterns, 2}, {NULL, 0}}           },
    {{"Editor", 6}, {{editor_patterns, 1}, {editor_patterns, 1}}},
};
static const struct td_policy policy = {
    .default_grants = {{default_patterns, 1}, {NULL, 0}},
    .roles = roles,
    .n_roles = 2,
};
static const struct td_policy nothing = {0};

static struct td_principal *make(const struct td_claims *claims, const struct td_policy *with)
{
    struct td_principal *principal;
    const char *reason;

    assert_int_equal(td_principal_new(claims, with, &principal, &reason), 0);
    return principal;
}

static struct td_principal *of_roles(struct td_slices names)
{
    return make(&(struct td_claims){.sub = TD_S("ann"), .roles = names, .exp = 1}, &policy);
}

static struct td_principal *of_claim(struct td_slices subscribe, struct td_slices publish)
{
    return make(
        &(struct td_claims){
            .sub = TD_S("ann"), .exp = 1, .has_grants = true, .grants = {subscribe, publish}
    },
        &policy);
}

#define SEES(p, topic)     assert_true(td_principal_may_see(p, TD_S(topic)))
#define SEES_NOT(p, topic) assert_false(td_principal_may_see(p, TD_S(topic)))
#define PUBLISH(p, topic)  td_principal_check_publish(p, TD_S(topic))

static void default_grants_and_ones_own(void **state)
{
    struct td_principal *p = of_roles((struct td_slices){NULL, 0});

    SEES(p, "news");
    SEES(p, "news/today");
    SEES(p, "users/ann");
    SEES(p, "users/ann/inbox/1");
    SEES_NOT(p, "users/anna");
    SEES_NOT(p, "users/bob/inbox");
    SEES_NOT(p, "projects/1/news");
    assert_int_equal(PUBLISH(p, "news/today"), TD_EFORBIDDEN);
    assert_int_equal(PUBLISH(p, "users/ann/inbox"), TD_EFORBIDDEN);
    assert_false(p->is_admin);
    td_principal_unref(p);
}

static void roles_add_to_the_default(void **state)
{
    struct td_principal *p = of_roles(LIST(TD_S("unknown"), TD_S("VIEWER")));

    SEES(p, "news/today");
    SEES(p, "projects/7/news");
    SEES(p, "people/ann/notes");
    SEES_NOT(p, "people/bob/notes");
    SEES_NOT(p, "projects/7/plans");
    td_principal_unref(p);

    p = of_roles(LIST(TD_S("viewer"), TD_S("editor")));
    SEES(p, "projects/7/plans");
    assert_int_equal(PUBLISH(p, "projects/7/plans"), 0);
    assert_int_equal(p->roles.n, 2);
    assert_true(td_slice_eq(p->roles.items[1], TD_S("editor")));
    td_principal_unref(p);
}

static void a_claim_replaces_roles_and_default(void **state)
{
    struct td_claims claims = {
        .sub = TD_S("ann"),
        .roles = LIST(TD_S("editor")),
        .exp = 1,
        .has_grants = true,
        .grants = {LIST(TD_S("a/*")), LIST(TD_S("b"))},
    };
    struct td_principal *p = make(&claims, &policy);

    SEES(p, "a/1");
    SEES(p, "users/ann/x");
    SEES_NOT(p, "news/today");
    SEES_NOT(p, "projects/7");
    assert_int_equal(PUBLISH(p, "b"), 0);
    assert_int_equal(PUBLISH(p, "a/1"), TD_EFORBIDDEN);
    assert_int_equal(PUBLISH(p, "projects/7"), TD_EFORBIDDEN);
    td_principal_unref(p);

    claims.grants = (struct td_grants){
        {NULL, 0},
        {NULL, 0}
    }; /* an empty claim grants nothing */
    p = make(&claims, &policy);
    SEES(p, "users/ann");
    SEES_NOT(p, "news");
    td_principal_unref(p);
}

static void admin_may_all_but_what_only_the_server_writes(void **state)
{
    struct td_claims claims = {
        .sub = TD_S("root"), .roles = LIST(TD_S("aDmIn")), .has_grants = true, .exp = 1};
    struct td_principal *p = make(&claims, &nothing);

    assert_true(p->is_admin);
    SEES(p, "audit");
    SEES(p, "audit/connections");
    SEES(p, "users/ann/inbox");
    assert_int_equal(PUBLISH(p, "anything/at/all"), 0);
    assert_int_equal(PUBLISH(p, "audit/x"), TD_ERESERVED);
    assert_int_equal(PUBLISH(p, "audit"), TD_ERESERVED);
    assert_int_equal(PUBLISH(p, "jobs/1"), TD_ERESERVED);
    assert_int_equal(PUBLISH(p, "locks/a"), TD_ERESERVED);
    assert_int_equal(PUBLISH(p, "enhance/a/b"), TD_ERESERVED);
    assert_int_equal(PUBLISH(p, "auditors"), 0);
    assert_int_equal(PUBLISH(p, "jobs-old/1"), 0);
    td_principal_unref(p);
}

static void nobody_else_sees_audit(void **state)
{
    struct td_principal *p = of_claim(LIST(TD_S("**"), TD_S("audit/**")), LIST(TD_S("**")));

    SEES(p, "a");
    SEES(p, "auditors/a");
    SEES(p, "a/audit");
    SEES_NOT(p, "audit");
    SEES_NOT(p, "audit/connections");
    assert_true(td_principal_excludes(p, TD_S("audit/x")));
    assert_false(td_principal_excludes(p, TD_S("auditors/x")));
    assert_int_equal(PUBLISH(p, "audit/x"), TD_ERESERVED);
    td_principal_unref(p);
}

/* Intersects and compares with a space-separated list. */
static void intersects(const struct td_principal *p, struct td_slice pattern, const char *expected,
                       bool check_expected)
{
    struct td_slice parts[TD_GRANTS_MAX];
    struct td_buf text = TD_BUF_INIT(TD_INTERSECT_TEXT_MAX);
    char got[1024] = "";
    size_t len = 0;
    bool check;
    int n = td_principal_intersect(p, pattern, &text, parts, &check);

    assert_true(n >= 0);
    for (int i = 0; i < n; i++)
        len += (size_t)snprintf(got + len, sizeof(got) - len, "%s%.*s", i ? " " : "",
                                (int)parts[i].len, parts[i].ptr);
    assert_string_equal(got, expected);
    assert_int_equal(check, check_expected);
    td_buf_done(&text);
}

/* Who may see everything does not see what is somebody's own: that has to be granted by name. */
static void wildcards_do_not_reach_what_is_private(void **state)
{
    struct td_principal *p =
        of_claim(LIST(TD_S("**"), TD_S("*/ann/*"), TD_S("jobs/7/**")), (struct td_slices){NULL, 0});

    SEES(p, "jobs/7");
    SEES(p, "jobs/7/x");
    SEES_NOT(p, "jobs/8");
    SEES_NOT(p, "jobs");
    SEES_NOT(p, "jobs/ann/x");
    SEES(p, "jobsite/8");
    SEES(p, "enhance/ann/s1/x");
    SEES_NOT(p, "enhance/bob/s1");
    SEES(p, "locks/a");
    intersects(p, TD_S("jobs/**"), "jobs/7/**", false);
    intersects(p, TD_S("jobs/8"), "", false);
    intersects(p, TD_S("enhance/**"), "enhance/ann/**", false);
    intersects(p, TD_S("**"), "**", true);
    assert_true(td_principal_excludes(p, TD_S("jobs/8")));
    assert_false(td_principal_excludes(p, TD_S("jobs/7")));
    assert_true(td_principal_excludes(p, TD_S("enhance/bob/s")));
    assert_false(td_principal_excludes(p, TD_S("enhance/ann/s")));
    td_principal_unref(p);

    p = of_roles(LIST(TD_S("admin")));
    SEES(p, "jobs/8");
    SEES(p, "enhance/bob/s1");
    assert_false(td_principal_excludes(p, TD_S("jobs/8")));
    td_principal_unref(p);
}

static void grants_are_minimal(void **state)
{
    struct td_principal *p = of_claim(
        LIST(TD_S("a/b"), TD_S("a/*"), TD_S("a/b"), TD_S("a/**"), TD_S("a/c/d"), TD_S("x/*/y")),
        (struct td_slices){NULL, 0});

    assert_int_equal(p->grants.subscribe.n, 4);
    assert_true(td_slice_eq(p->grants.subscribe.items[0], TD_S("a/**")));
    assert_true(td_slice_eq(p->grants.subscribe.items[1], TD_S("x/*/y")));
    assert_true(td_slice_eq(p->grants.subscribe.items[2], TD_S("users/ann/**")));
    assert_true(td_slice_eq(p->grants.subscribe.items[3], TD_S("enhance/ann/**")));
    assert_int_equal(p->grants.publish.n, 0);
    td_principal_unref(p);
}

static void intersections(void **state)
{
    struct td_slices none = {NULL, 0};
    struct td_principal *p = of_claim(LIST(TD_S("projects/*/news"), TD_S("a/**")), none);

    intersects(p, TD_S("projects/42/**"), "projects/42/news", false);
    intersects(p, TD_S("a/b"), "a/b", false);
    intersects(p, TD_S("b/**"), "", false);
    intersects(p, TD_S("**"), "projects/*/news a/** users/ann/** enhance/ann/**", false);
    intersects(p, TD_S("*/*/news"), "projects/*/news a/*/news users/ann/news enhance/ann/news",
               false);
    intersects(p, TD_S("users/*"), "users/ann", false);
    intersects(p, TD_S("audit/**"), "", false);
    td_principal_unref(p);

    p = of_claim(LIST(TD_S("**")), none);
    intersects(p, TD_S("a/**"), "a/**", false);
    intersects(p, TD_S("**"), "**", true);
    intersects(p, TD_S("*/x"), "*/x", true);
    intersects(p, TD_S("audit/**"), "", false);
    intersects(p, TD_S("audit"), "", false);
    td_principal_unref(p);

    p = of_claim(LIST(TD_S("*/*/x"), TD_S("a/**")), none);
    intersects(p, TD_S("a/**"), "a/**", false); /* what the other grant gives is covered */
    intersects(p, TD_S("*/b/**"), "*/b/x a/b/**", true);
    td_principal_unref(p);

    p = of_roles(LIST(TD_S("admin")));
    intersects(p, TD_S("**"), "**", false);
    intersects(p, TD_S("audit/**"), "audit/**", false);
    td_principal_unref(p);
}

static struct td_slice random_pattern(struct td_rng *rng, bool topic, char *text)
{
    static const char *const words[] = {"a",     "b",   "audit", "jobs", "enhance",
                                        "users", "ann", "*",     "*"};
    size_t len = 0, n = 1 + td_rng_below(rng, 4);

    for (size_t i = 0; i < n; i++) {
        const char *word = words[td_rng_below(rng, topic ? 7 : 9)];
        if (!topic && i + 1 == n && td_rng_one_in(rng, 3))
            word = "**";
        len += (size_t)snprintf(text + len, 64 - len, "%s%s", i ? "/" : "", word);
    }
    return td_slice(text, len);
}

/* What a subscription is made of says the same as the whole question, for any pattern, grants and topic. */
static void intersection_is_pattern_and_grants(void **state)
{
    struct td_rng rng;

    td_rng_init(&rng, 7);
    for (int round = 0; round < 3000; round++) {
        char texts[6][64];
        struct td_slice granted[4], parts[TD_GRANTS_MAX];
        struct td_buf text = TD_BUF_INIT(TD_INTERSECT_TEXT_MAX);
        bool check, admin = td_rng_one_in(&rng, 10);
        for (int i = 0; i < 4; i++)
            granted[i] = random_pattern(&rng, false, texts[i]);
        struct td_slice pattern = random_pattern(&rng, false, texts[4]);
        struct td_claims claims = {
            .sub = TD_S("ann"),
            .exp = 1,
            .has_grants = true,
            .roles = admin ? LIST(TD_S("admin")) : (struct td_slices){NULL,                             0        },
            .grants = {{granted, td_rng_below(&rng, 5)}, {NULL, 0}}
        };
        struct td_principal *p = make(&claims, &nothing);
        int n = td_principal_intersect(p, pattern, &text, parts, &check);
        assert_true(n >= 0);
        for (int probe = 0; probe < 20; probe++) {
            struct td_slice topic = random_pattern(&rng, true, texts[5]);
            bool in_parts = false;
            for (int i = 0; i < n; i++)
                in_parts |= td_pattern_match(parts[i], topic);
            bool delivered = in_parts && !(check && td_principal_excludes(p, topic));
            bool right = td_pattern_match(pattern, topic) && td_principal_may_see(p, topic);
            if (delivered != right)
                fail_msg("round %d: %.*s for %.*s", round, (int)topic.len, topic.ptr,
                         (int)pattern.len, pattern.ptr);
        }
        td_principal_unref(p);
        td_buf_done(&text);
    }
}

static void subjects_become_segments(void **state)
{
    static const struct {
        struct td_slice text;
        const char *segment;
    } cases[] = {
        {{"ann", 3},              "ann"            },
        {{"ann@example.com", 15}, "ann@example.com"},
        {{"a|b", 3},              "a~7Cb"          },
        {{"a/b", 3},              "a~2Fb"          },
        {{"**", 2},               "~2A~2A"         },
        {{"~", 1},                "~7E"            },
        {{"{sub}", 5},            "~7Bsub~7D"      },
        {{"\xc3\xa4", 2},         "~C3~A4"         },
        {{"a b\n", 4},            "a~20b~0A"       },
        {{"A-Z.a_z:0", 9},        "A-Z.a_z:0"      },
    };
    char segment[TD_SEGMENT_LEN_MAX + 1], longest[65];

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        int len = td_segment_escape(cases[i].text, segment);
        assert_int_equal(len, strlen(cases[i].segment));
        assert_string_equal(segment, cases[i].segment);
        assert_true(td_segment_valid(td_slice(segment, (size_t)len)));
    }
    memset(longest, 'x', sizeof(longest));
    assert_int_equal(td_segment_escape(td_slice(longest, 64), segment), 64);
    assert_int_equal(td_segment_escape(td_slice(longest, 65), segment), TD_ETOOLARGE);
    memset(longest, '/', sizeof(longest));
    assert_int_equal(td_segment_escape(td_slice(longest, 21), segment), 63);
    assert_int_equal(td_segment_escape(td_slice(longest, 22), segment), TD_ETOOLARGE);
    assert_int_equal(td_segment_escape(TD_S(""), segment), TD_EINVAL);
}

static void a_subject_is_told_three_ways(void **state)
{
    struct td_claims claims = {.sub = TD_S("o\"hara/1"), .exp = 5, .iat = 4};
    struct td_principal *p = make(&claims, &policy);

    assert_true(td_slice_eq(p->subject, TD_S("o\"hara/1")));
    assert_true(td_slice_eq(p->segment, TD_S("o~22hara~2F1")));
    assert_true(td_slice_eq(p->subject_json, TD_S("\"o\\\"hara/1\"")));
    assert_int_equal(p->exp, 5);
    assert_int_equal(p->iat, 4);
    SEES(p, "users/o~22hara~2F1/inbox");
    td_principal_unref(p);
}

static void a_subject_too_long_is_refused(void **state)
{
    char sub[65];
    struct td_claims claims = {
        .sub = {sub, sizeof(sub)},
          .exp = 1
    };
    struct td_principal *p = NULL;
    const char *reason = NULL;

    memset(sub, 's', sizeof(sub));
    assert_int_equal(td_principal_new(&claims, &policy, &p, &reason), TD_EUNAUTHORIZED);
    assert_non_null(reason);
    assert_null(p);
}

static void grants_have_a_limit(void **state)
{
    static char texts[TD_GRANTS_MAX][16];
    struct td_slice patterns[TD_GRANTS_MAX];
    struct td_claims claims = {
        .sub = TD_S("ann"), .exp = 1, .has_grants = true, .grants.subscribe = {patterns, 0}
    };
    struct td_principal *p = NULL;
    const char *reason = NULL;

    for (size_t i = 0; i < TD_GRANTS_MAX; i++)
        patterns[i] = td_slice(texts[i], (size_t)snprintf(texts[i], 16, "t/%zu", i));
    claims.grants.subscribe.n = TD_TOKEN_PATTERNS_MAX;
    p = make(&claims, &nothing);
    assert_int_equal(p->grants.subscribe.n, TD_GRANTS_MAX);
    intersects(p, TD_S("t/7"), "t/7", false);
    td_principal_unref(p);
    p = NULL;
    claims.grants.subscribe.n = TD_TOKEN_PATTERNS_MAX + 1; /* and one's own */
    assert_int_equal(td_principal_new(&claims, &nothing, &p, &reason), TD_EUNAUTHORIZED);
    assert_null(p);
}

static void configured_patterns(void **state)
{
    assert_true(td_policy_pattern_valid(TD_S("users/{sub}/**")));
    assert_true(td_policy_pattern_valid(TD_S("teams/of-{sub}/*")));
    assert_true(td_policy_pattern_valid(TD_S("**")));
    assert_false(td_policy_pattern_valid(TD_S("users/{user}/**")));
    assert_false(td_policy_pattern_valid(TD_S("{sub")));
    assert_false(td_policy_pattern_valid(TD_S("")));
    assert_false(td_policy_pattern_valid(TD_S("a//b")));
}

static void another_policy(void **state)
{
    struct td_policy later = {
        .default_grants = {{viewer_patterns, 2}, {default_patterns, 1}},
          .version = 1
    };
    struct td_principal *p = of_roles(LIST(TD_S("editor"))), *q, *same;
    const char *reason;

    assert_true(td_principal_is_current(p, &policy));
    assert_false(td_principal_is_current(p, &later));
    assert_int_equal(td_principal_renew(p, &later, &q, &reason), 0);
    assert_true(td_principal_is_current(q, &later));
    assert_false(td_principal_grants_eq(p, q));
    SEES(q, "people/ann/1");
    SEES(q, "users/ann/1");
    SEES_NOT(q, "projects/1");
    assert_int_equal(PUBLISH(q, "news/1"), 0);
    assert_int_equal(PUBLISH(q, "projects/1"), TD_EFORBIDDEN);
    assert_true(td_slice_eq(q->subject, TD_S("ann")) && q->exp == 1 && q->roles.n == 1);

    /* Who shares the one shares the other; the next version is made anew. */
    assert_int_equal(td_principal_renew(p, &later, &same, &reason), 0);
    assert_ptr_equal(q, same);
    td_principal_unref(same);
    assert_int_equal(td_principal_renew(q, &later, &same, &reason), 0);
    assert_ptr_equal(q, same);
    td_principal_unref(same);
    struct td_policy last = policy;
    last.version = 2;
    assert_int_equal(td_principal_renew(p, &last, &same, &reason), 0);
    assert_ptr_not_equal(q, same);
    assert_true(td_principal_grants_eq(p, same));
    td_principal_unref(same);
    td_principal_unref(p);
    SEES(q, "people/ann/1"); /* it lives as long as it is held */
    td_principal_unref(q);
}

static void another_policy_is_nothing_to_claims_and_admins(void **state)
{
    struct td_policy later = {.version = 1};
    struct td_principal *all[] = {of_claim(LIST(TD_S("a")), LIST(TD_S("b"))),
                                  of_roles(LIST(TD_S("Admin")))};
    const char *reason;

    for (size_t i = 0; i < TD_ARRAY_LEN(all); i++) {
        struct td_principal *same;
        assert_true(td_principal_is_current(all[i], &later));
        assert_int_equal(td_principal_renew(all[i], &later, &same, &reason), 0);
        assert_ptr_equal(all[i], same);
        td_principal_unref(same);
        td_principal_unref(all[i]);
    }
}

static void another_policy_may_grant_too_much(void **state)
{
    static struct td_slice many[TD_GRANTS_MAX + 1];
    static char texts[TD_GRANTS_MAX + 1][16];
    const char *reason = NULL;
    struct td_principal *p = of_roles((struct td_slices){NULL, 0}), *q = NULL;

    for (size_t i = 0; i < TD_ARRAY_LEN(many); i++) {
        snprintf(texts[i], sizeof(texts[i]), "t/%zu", i);
        many[i] = td_slice_str(texts[i]);
    }
    struct td_policy later = {
        .default_grants = {{many, TD_ARRAY_LEN(many)}, {NULL, 0}},
          .version = 1
    };
    assert_int_equal(td_principal_renew(p, &later, &q, &reason), TD_EUNAUTHORIZED);
    assert_non_null(reason);
    assert_null(q);
    td_principal_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_grants_and_ones_own),
        cmocka_unit_test(roles_add_to_the_default),
        cmocka_unit_test(a_claim_replaces_roles_and_default),
        cmocka_unit_test(admin_may_all_but_what_only_the_server_writes),
        cmocka_unit_test(nobody_else_sees_audit),
        cmocka_unit_test(wildcards_do_not_reach_what_is_private),
        cmocka_unit_test(grants_are_minimal),
        cmocka_unit_test(intersections),
        cmocka_unit_test(intersection_is_pattern_and_grants),
        cmocka_unit_test(subjects_become_segments),
        cmocka_unit_test(a_subject_is_told_three_ways),
        cmocka_unit_test(a_subject_too_long_is_refused),
        cmocka_unit_test(grants_have_a_limit),
        cmocka_unit_test(configured_patterns),
        cmocka_unit_test(another_policy),
        cmocka_unit_test(another_policy_is_nothing_to_claims_and_admins),
        cmocka_unit_test(another_policy_may_grant_too_much),
    };

    return cmocka_run_group_tests_name("principal", tests, NULL, NULL);
}
