/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/err.h"
#include "jobs/kind.h"

/* A list that outlives the block that it is written in. */
#define LIST(...)                                                  \
    ({                                                             \
        static const struct td_slice items[] = {__VA_ARGS__};      \
        (struct td_slices){items, sizeof(items) / sizeof(*items)}; \
    })

/* Compiles, and gives what was said against it. */
static int compile(const struct td_kind_spec *specs, size_t n, struct td_kinds **ret_kinds,
                   char said[4096])
{
    struct td_buf errors = TD_BUF_INIT(4000);
    int r = td_kinds_new(specs, n, ret_kinds, &errors);

    snprintf(said, 4096, "%.*s", (int)errors.len, errors.ptr ? errors.ptr : "");
    td_buf_done(&errors);
    return r;
}

static void refused(struct td_kind_spec spec, const char *sentence)
{
    struct td_kinds *kinds = NULL;
    char said[4096];

    spec.name = TD_S("k");
    assert_int_equal(compile(&spec, 1, &kinds, said), TD_EINVAL);
    if (!strstr(said, sentence))
        fail_msg("'%s' does not say '%s'", said, sentence);
}

static const struct td_kind_spec validate = {
    .name = {"validate",                                      8 },
    .who = {"publish",                                       7 },
    .topic = {"projects/{project_id}/proposals/{proposal_id}", 45},
};

static struct td_kind_spec whole(void)
{
    struct td_kind_spec spec = validate;

    spec.params = LIST(TD_S("project_id=[a-z0-9-]{1,64}"), TD_S("proposal_id=[a-z0-9-]{1,64}"),
                       TD_S("file?=[A-Za-z0-9_./-]{1,200}"));
    spec.events = LIST(TD_S("start=validation_start"), TD_S("complete=validation_complete"));
    spec.carry = LIST(TD_S("proposal_id"));
    spec.argv = LIST(TD_S("tools/check"), TD_S("{file}"), TD_S("--job={job_id}"));
    return spec;
}

static void a_kind_is_compiled(void **state)
{
    struct td_kinds *kinds = NULL;
    struct td_kind_spec spec = whole();
    char said[4096];

    (void)state;
    assert_int_equal(compile(&spec, 1, &kinds, said), 0);
    const struct td_kind *kind = td_kinds_find(kinds, TD_S("validate"));
    assert_non_null(kind);
    assert_null(td_kinds_find(kinds, TD_S("valid")));
    assert_int_equal(kind->n_params, 3);
    assert_int_equal(td_kind_param(kind, TD_S("file")), 2);
    assert_int_equal(td_kind_param(kind, TD_S("fil")), -1);
    assert_true(kind->params[0].is_segment);
    assert_false(kind->params[2].is_segment);
    assert_true(kind->params[2].optional);
    assert_true(td_slice_eq(kind->events[TD_KIND_START], TD_S("validation_start")));
    assert_int_equal(kind->events[TD_KIND_OUTPUT].len, 0);
    td_kinds_free(kinds);
}

static void a_regex_matches_the_whole_value(void **state)
{
    struct td_kinds *kinds = NULL;
    struct td_kind_spec spec = whole();
    char said[4096];

    (void)state;
    spec.params = LIST(TD_S("project_id=a|b"), TD_S("proposal_id=[0-9]{1,3}"), TD_S("file=.*"));
    assert_int_equal(compile(&spec, 1, &kinds, said), 0);
    const struct td_param *params = kinds->items[0].params;
    assert_true(td_param_fits(&params[0], TD_S("a")));
    assert_true(td_param_fits(&params[0], TD_S("b")));
    assert_false(td_param_fits(&params[0], TD_S("ab")));
    assert_false(td_param_fits(&params[0], TD_S("xa")));
    assert_false(td_param_fits(&params[0], TD_S("")));
    assert_true(td_param_fits(&params[1], TD_S("123")));
    assert_false(td_param_fits(&params[1], TD_S("123\n")));
    assert_false(td_param_fits(&params[1], TD_S("1234")));
    assert_false(td_param_fits(&params[2], TD_S("a\0b")));
    td_kinds_free(kinds);
}

static void what_is_wrong_is_said(void **state)
{
    struct td_kind_spec spec = whole();

    (void)state;
    spec.params = LIST(TD_S("project_id=[a-z"), TD_S("proposal_id=.*"));
    refused(spec, "the pattern of project_id is no POSIX extended regular expression: ");
    spec.params = LIST(TD_S("project_id=a{3,256}"), TD_S("proposal_id=.*"));
    refused(spec, "the pattern of project_id repeats more than 255 times");
    spec = whole();
    spec.params = LIST(TD_S("project_id=.*"), TD_S("project_id=.*"), TD_S("proposal_id=.*"));
    refused(spec, "jobs.kinds.k: params: project_id stands twice");
    spec.params = LIST(TD_S("sub=.*"));
    refused(spec, "sub is given by the server");
    spec = whole();
    spec.argv = LIST(TD_S("check"), TD_S("{fiel}"));
    refused(spec, "argv: {fiel} is no parameter");
    spec.argv = LIST(TD_S("{file}"));
    refused(spec, "which program it is can't depend on a parameter");
    spec.argv = LIST(TD_S("check"), TD_S("{result.a}"));
    refused(spec, "say internal: true");
    spec.argv.n = 0;
    refused(spec, "argv: name the program");
    spec = whole();
    spec.topic = TD_S("projects/{file}");
    refused(spec, "file stands in it, so it can't be optional");
    spec.topic = TD_S("projects//{project_id}");
    refused(spec, "makes no valid topic");
    spec.topic = TD_S("jobs/{project_id}");
    refused(spec, "the server's own");
    spec.topic = TD_S("enhance/{sub}/{session}");
    refused(spec, "who: must be any or role:NAME, because nobody may publish to enhance");
    spec.topic = TD_S("");
    refused(spec, "events: need a topic to go to");
    spec = whole();
    spec.carry = LIST(TD_S("other"));
    refused(spec, "carry: other is no parameter");
    spec = whole();
    spec.events = LIST(TD_S("start=a"), TD_S("start=b"));
    refused(spec, "events: start stands twice");
    spec = whole();
    spec.env = LIST(TD_S("=a"));
    refused(spec, "env: each must be NAME=VALUE, or NAME alone");
    spec.env = LIST(TD_S("A={b}"));
    refused(spec, "env: {b} is no parameter");
    refused((struct td_kind_spec){.runner = TD_RUNNER_EXTERNAL, .who = TD_S("publish")},
            "where there is no topic");
    refused((struct td_kind_spec){.runner = TD_RUNNER_LLM, .who = TD_S("any")}, "url: where");
    spec = whole();
    spec.temperature = TD_S("1");
    refused(spec, "temperature and extra: are for the runner llm");
    refused((struct td_kind_spec){.runner = TD_RUNNER_PIPELINE, .who = TD_S("any")},
            "steps: name one kind at least");
}

static struct td_kind_spec step(const char *name, struct td_slice arg)
{
    struct td_slice *argv = test_calloc(2, sizeof(*argv));

    argv[0] = TD_S("run");
    argv[1] = arg;
    return (struct td_kind_spec){
        .name = td_slice_str(name), .internal = true, .who = TD_S("publish"), .argv = {argv, 2}
    };
}

static void pipelines_are_checked(void **state)
{
    static const struct {
        const char *steps[3];
        const char *sentence;
    } cases[] = {
        {{"one", "two"},     NULL                                                   },
        {{"two", "one"},     "two wants {result.one}, which is no step before it"   },
        {{"one", "one"},     "one stands twice"                                     },
        {{"one", "missing"}, "there is no kind named missing"                       },
        {{"one", "pipe"},    "it would run itself for ever"                         },
        {{"one", "other"},   "other is neither a command nor an llm; a step must be"},
        {{"one", "three"},   "its step three needs word; declare it here too"       },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct td_kind_spec specs[] = {
            step("one", TD_S("a")),
            step("two", TD_S("{result.one}")),
            step("three", TD_S("{word}")),
            {.name = TD_S("other"), .runner = TD_RUNNER_EXTERNAL, .who = TD_S("any")},
            {.name = TD_S("pipe"),  .runner = TD_RUNNER_PIPELINE, .who = TD_S("any")},
        };
        struct td_kinds *kinds = NULL;
        char said[4096];
        struct td_slice names[2];
        specs[2].params = LIST(TD_S("word=[a-z]+"));
        for (size_t j = 0; j < 2; j++)
            names[j] = td_slice_str(cases[i].steps[j]);
        specs[4].steps = (struct td_slices){names, 2};
        int r = compile(specs, 5, &kinds, said);
        if (cases[i].sentence && !strstr(said, cases[i].sentence))
            fail_msg("'%s' does not say '%s'", said, cases[i].sentence);
        assert_int_equal(r, cases[i].sentence ? TD_EINVAL : 0);
        if (r == 0)
            assert_int_equal(kinds->items[4].n_steps, 2);
        td_kinds_free(kinds);
        for (size_t j = 0; j < 3; j++)
            test_free((void *)(uintptr_t)specs[j].argv.items);
    }
}

static void names_are_unique(void **state)
{
    struct td_kind_spec specs[2] = {whole(), whole()};
    struct td_kinds *kinds = NULL;
    char said[4096];

    (void)state;
    assert_int_equal(compile(specs, 2, &kinds, said), TD_EINVAL);
    assert_non_null(strstr(said, "jobs.kinds.validate: stands twice"));
    specs[1].name = (struct td_slice){"", 0};
    assert_int_equal(compile(specs, 2, &kinds, said), TD_EINVAL);
    assert_non_null(strstr(said, "entry 2 has no name"));
}

static void forms_of_texts(void **state)
{
    (void)state;
    assert_true(td_kind_param_valid(TD_S("a=b")));
    assert_true(td_kind_param_valid(TD_S("a_1?=b=c")));
    assert_false(td_kind_param_valid(TD_S("a")));
    assert_false(td_kind_param_valid(TD_S("a=")));
    assert_false(td_kind_param_valid(TD_S("=b")));
    assert_false(td_kind_param_valid(TD_S("a.b=c")));
    assert_false(td_kind_param_valid(TD_S("a}=c")));
    assert_true(td_kind_event_valid(TD_S("text=token")));
    assert_false(td_kind_event_valid(TD_S("text=")));
    assert_false(td_kind_event_valid(TD_S("text=a b")));
    assert_false(td_kind_event_valid(TD_S("token=token")));
    assert_true(td_kind_who_valid(TD_S("role:editor")));
    assert_false(td_kind_who_valid(TD_S("role:")));
    assert_false(td_kind_who_valid(TD_S("everyone")));
    assert_true(td_kind_temperature_valid(TD_S("0")));
    assert_true(td_kind_temperature_valid(TD_S("0.25")));
    assert_true(td_kind_temperature_valid(TD_S("2")));
    assert_false(td_kind_temperature_valid(TD_S("2.1")));
    assert_false(td_kind_temperature_valid(TD_S("-1")));
    assert_false(td_kind_temperature_valid(TD_S("0x1")));
    assert_false(td_kind_temperature_valid(TD_S("warm")));
    assert_false(td_kind_temperature_valid(TD_S("")));
    assert_false(td_kind_temperature_valid(TD_S("0.00000000000001")));
    assert_true(td_kind_temperature(TD_S("0.25")) > 0.24 &&
                td_kind_temperature(TD_S("0.25")) < 0.26);
    assert_true(td_kind_temperature(TD_S("")) < 0);
    assert_true(td_kind_extra_valid(TD_S("{\"top_p\":0.9}")));
    assert_false(td_kind_extra_valid(TD_S("[1]")));
    assert_false(td_kind_extra_valid(TD_S("{\"top_p\"}")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kind_is_compiled),    cmocka_unit_test(a_regex_matches_the_whole_value),
        cmocka_unit_test(what_is_wrong_is_said), cmocka_unit_test(pipelines_are_checked),
        cmocka_unit_test(names_are_unique),      cmocka_unit_test(forms_of_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
