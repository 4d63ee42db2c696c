/* SPDX-License-Identifier: Apache-2.0 */
/* What kinds of jobs are given that do not say it themselves: the model of all, and, those of the examples, where they are; and how they are lent. */
#include "base/err.h"
#include "os/process.h"
#include "server/config_schema.h"

void td_config_default_llm(struct td_config *config, const char *const *env)
{
    const char *key =
        config->llm.key_env.len > 0 ? td_config_env_value(env, config->llm.key_env.ptr) : NULL;

    for (size_t i = 0; i < config->jobs.specs.n; i++) {
        struct td_kind_spec *kind = &config->jobs.specs.items[i];
        if (kind->runner != TD_RUNNER_LLM)
            continue;
        if (kind->model.len == 0)
            kind->model = config->llm.model;
        if (kind->url.len > 0 || config->llm.url.len == 0)
            continue;
        kind->url = config->llm.url;
        /* The key is for that upstream, and many need none. */
        if (key && kind->key_env.len == 0 && kind->key_file.len == 0)
            kind->key_env = config->llm.key_env;
    }
}

static void give_back(void *arg)
{
    td_config_free(arg);
}

struct td_kinds_lent td_config_lend_kinds(struct td_config *config,
                                          struct td_jobs_limits *ret_limits)
{
    *ret_limits = (struct td_jobs_limits){
        .unfinished_max = config->jobs.unfinished,
        .owner_unfinished_max = config->jobs.owner_unfinished,
        .owner_running_max = config->jobs.owner_running,
    };
    return (struct td_kinds_lent){config->jobs.kinds, give_back, td_config_ref(config)};
}

/* A path within a template: a brace of its own is no name. */
static void put_literal(struct td_buf *out, struct td_slice path)
{
    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] == '{')
            td_buf_putc(out, '{');
        td_buf_putc(out, path.ptr[i]);
    }
}

static void put_absolute(struct td_buf *out, struct td_slice path, struct td_slice from)
{
    if (path.len == 0 || path.ptr[0] != '/') {
        put_literal(out, from);
        td_buf_putc(out, '/');
    }
    put_literal(out, path);
}

static void add_env(struct td_config *config, struct td_kind_spec *kind,
                    const struct td_slice *more, size_t n)
{
    struct td_slice *all = td_config_alloc(config, (kind->env.n + n) * sizeof(*all));

    for (size_t i = 0; i < n; i++)
        all[i] = more[i];
    for (size_t i = 0; i < kind->env.n; i++)
        all[n + i] = kind->env.items[i];
    kind->env = (struct td_slices){all, kind->env.n + n};
}

void td_config_place_examples(struct td_config *config, size_t n, const char *dir,
                              struct td_buf *errors)
{
    struct td_buf here = TD_BUF_INIT(4096), examples = TD_BUF_INIT(8192), work = TD_BUF_INIT(8192),
                  place = TD_BUF_INIT(8192);

    if (n == 0)
        return;
    if (td_working_directory(&here) < 0)
        td_buf_puts(errors, "--examples: the working directory can't be told\n");
    if (here.len > 0)
        here.len--; /* its NUL */
    td_buf_puts(&examples, "TIDINGS_EXAMPLES=");
    put_absolute(&examples, td_slice_str(dir), td_buf_slice(&here));
    td_buf_puts(&work, "TIDINGS_WORK=");
    put_absolute(&work, config->data, td_buf_slice(&here));
    td_buf_puts(&work, "/work");
    put_absolute(&place, td_slice_str(dir), td_buf_slice(&here));
    const struct td_slice env[] = {
        td_config_copy(config, td_buf_slice(&examples)),
        td_config_copy(config, td_buf_slice(&work)),
    };
    struct td_slice directory = td_config_copy(config, td_buf_slice(&place));
    for (size_t i = 0; i < n; i++) {
        struct td_kind_spec *kind = &config->jobs.specs.items[i];
        if (kind->runner != TD_RUNNER_COMMAND)
            continue;
        if (kind->dir.len == 0)
            kind->dir = directory;
        add_env(config, kind, env, TD_ARRAY_LEN(env));
    }
    td_buf_done(&here);
    td_buf_done(&examples);
    td_buf_done(&work);
    td_buf_done(&place);
}
