/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config.h"
#include "base/assert.h"
#include "base/err.h"
#include "os/file.h"
#include "server/config_schema.h"
#include <errno.h>

/* ---- layers: defaults, file, environment, flags ---- */

static void apply_defaults(struct td_config *config)
{
    for (size_t i = 0; i < td_config_n_options; i++) {
        const struct td_config_option *option = &td_config_options[i];
        if (!option->standard)
            continue;
        bool set = td_config_set(config, config, option, td_slice_str(option->standard));
        TD_ASSERT(set); /* the table's own text */
    }
}

/* What `tidings dev` has instead of the defaults. */
static void apply_dev(struct td_config *config)
{
    static const struct {
        const char *path, *value;
    } settings[] = {
        {"listen",                        TD_CONFIG_DEV_LISTEN                   },
        {"data",                          TD_CONFIG_DEV_DATA                     },
        {"auth.default_grants.subscribe", "**"                                   },
        {"auth.default_grants.publish",   "**"                                   },
        {"auth.cookie",                   "tidings"                              },
        {"origins",                       "http://localhost:*,http://127.0.0.1:*"},
        {"log.format",                    "text"                                 },
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(settings); i++) {
        const struct td_config_option *option = td_config_find(td_slice_str(settings[i].path));
        TD_ASSERT(option);
        bool set = td_config_set(config, config, option, td_slice_str(settings[i].value));
        TD_ASSERT(set);
    }
}

/* What `tidings run` writes is bulk: it pushes out nothing else. */
static void add_dev_group(struct td_config *config)
{
    struct td_config_group *group = td_config_append(
        config, (struct td_config_array *)(void *)&config->retention.groups, sizeof(*group));
    struct td_slice *topic = td_config_alloc(config, sizeof(*topic));

    *topic = TD_S("runs/**");
    *group = (struct td_config_group){
        .name = TD_S("runs"),
        .topics = {topic, 1},
        .age_ms = UINT64_C(7) * 24 * 3600 * 1000,
        .bytes = (uint64_t)1024 * TD_MIB,
        .state_ttl_ms = UINT64_C(7) * 24 * 3600 * 1000,
    };
}

/* Whether the topics of a pattern are of a group that the configuration names. */
static bool is_grouped(const struct td_config_groups *groups, struct td_slice pattern)
{
    for (size_t i = 0; i < groups->n; i++)
        for (size_t j = 0; j < groups->items[i].topics.n; j++)
            if (td_pattern_covers(groups->items[i].topics.items[j], pattern))
                return true;
    return false;
}

static bool has_group(const struct td_config_groups *groups, struct td_slice name)
{
    for (size_t i = 0; i < groups->n; i++)
        if (td_slice_eq(groups->items[i].name, name))
            return true;
    return false;
}

/* Each job leaves its document as state: unless a group of the user's says otherwise, that is for a week. */
static void add_jobs_group(struct td_config *config)
{
    static const struct td_slice patterns[] = {
        {"jobs/**",    7 },
        {"enhance/**", 10}
    };
    const struct td_config_groups *groups = &config->retention.groups;
    struct td_slice *topics = td_config_alloc(config, sizeof(patterns));
    size_t n = 0;

    for (size_t i = 0; i < TD_ARRAY_LEN(patterns); i++)
        if (!is_grouped(groups, patterns[i]))
            topics[n++] = patterns[i];
    if (n == 0 || groups->n >= TD_GROUPS_MAX || has_group(groups, TD_S("jobs")))
        return;
    struct td_config_group *group = td_config_append(
        config, (struct td_config_array *)(void *)&config->retention.groups, sizeof(*group));
    *group = (struct td_config_group){
        .name = TD_S("jobs"),
        .topics = {topics, n},
        .age_ms = UINT64_C(7) * 24 * 3600 * 1000,
        .bytes = (uint64_t)1024 * TD_MIB,
        .state_ttl_ms = UINT64_C(7) * 24 * 3600 * 1000,
    };
}

static void put_value_fault(struct td_buf *errors, const char *source, const char *value,
                            const struct td_config_option *option)
{
    td_buf_putf(errors, "%s: %s must be ", source, option->path);
    td_config_put_expected(errors, option);
    if (!option->secret)
        td_buf_putf(errors, ", not '%.64s'", value);
    if (option->type == TD_CONFIG_RECORDS || option->type == TD_CONFIG_NAMED)
        td_buf_puts(errors, "; it can only stand in the file");
    td_buf_putc(errors, '\n');
}

static void apply_file(struct td_config *config, const char *path, struct td_buf *errors)
{
    struct td_buf text = TD_BUF_INIT(TD_CONFIG_FILE_MAX);
    int r = td_file_load(path, &text);

    if (r < 0)
        td_buf_putf(errors, "%s: cannot be read: %s\n", path, td_err_name(r));
    else
        td_config_read_yaml(config, path, td_buf_slice(&text), errors);
    td_buf_done(&text);
}

/* How many kinds they have. */
static size_t apply_examples(struct td_config *config, const struct td_config_inputs *inputs,
                             struct td_buf *errors)
{
    char path[4096];

    if (!inputs->examples)
        return 0;
    int len = snprintf(path, sizeof(path), "%s/dev.yaml", inputs->examples);
    if ((size_t)len >= sizeof(path))
        td_buf_puts(errors, "--examples: the path is too long\n");
    else
        apply_file(config, path, errors);
    return config->jobs.specs.n;
}

const char *td_config_env_value(const char *const *env, const char *name)
{
    size_t len = strlen(name);

    for (; env && *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

static void apply_env(struct td_config *config, const char *const *env, struct td_buf *errors)
{
    for (size_t i = 0; i < td_config_n_options; i++) {
        const struct td_config_option *option = &td_config_options[i];
        char name[64];
        td_config_env_name(option, name);
        const char *value = td_config_env_value(env, name);
        if (value && !td_config_set(config, config, option, td_slice_str(value)))
            put_value_fault(errors, name, value, option);
    }
}

static void apply_flags(struct td_config *config, const struct td_config_inputs *inputs,
                        struct td_buf *errors)
{
    for (size_t i = 0; i < inputs->n_flags; i++) {
        const struct td_config_flag *flag = &inputs->flags[i];
        const struct td_config_option *option = td_config_find(flag->path);
        char name[80];
        TD_ASSERT(option);
        snprintf(name, sizeof(name), "--%s", option->path);
        if (!td_config_set(config, config, option, td_slice_str(flag->value)))
            put_value_fault(errors, name, flag->value, option);
    }
}

/* ---- what no option can see alone ---- */

static void check_groups(const struct td_config_groups *groups, struct td_buf *errors)
{
    if (groups->n > TD_GROUPS_MAX)
        td_buf_putf(errors, "retention.groups: %d at most\n", TD_GROUPS_MAX);
    for (size_t i = 0; i < groups->n; i++) {
        const struct td_config_group *group = &groups->items[i];
        if (group->topics.n == 0 || group->topics.n > TD_GROUP_PATTERNS_MAX)
            td_buf_putf(errors, "retention.groups.%s: name 1 to %d topics\n", group->name.ptr,
                        TD_GROUP_PATTERNS_MAX);
        for (size_t j = 0; j < i; j++)
            if (td_slice_eq(groups->items[j].name, group->name))
                td_buf_putf(errors, "retention.groups.%s: stands twice\n", group->name.ptr);
    }
}

static void check_relations(const struct td_config *config, struct td_buf *errors)
{
    check_groups(&config->retention.groups, errors);
    if (config->listen.n + config->tls.listen.n == 0)
        td_buf_puts(errors, "listen: name one address at least, here or in tls.listen\n");
    if (config->listen.n + config->tls.listen.n > TD_CONFIG_LISTEN_MAX)
        td_buf_putf(errors, "listen: %d addresses at most, with those of tls.listen\n",
                    TD_CONFIG_LISTEN_MAX);
    if (config->retention.bytes > 0 && config->retention.bytes < 2 * config->segment_bytes)
        td_buf_puts(errors, "retention.bytes: must be 0 or at least twice segment_bytes, because "
                            "whole segments are dropped\n");
    if (config->limits.message_bytes > config->limits.body_bytes)
        td_buf_puts(errors, "limits.message_bytes: must not be greater than limits.body_bytes\n");
    if (config->limits.body_bytes > config->segment_bytes / 2)
        td_buf_puts(errors, "limits.body_bytes: must be at most half of segment_bytes, because a "
                            "publish lies in one segment\n");
}

/* ---- TLS ---- */

static void compile_tls(struct td_config *config, struct td_buf *errors)
{
    const struct td_tls_options options = {
        .certificate = config->tls.certificate.ptr,
        .key = config->tls.key.ptr,
        .min_version = (enum td_tls_version)config->tls.min_version,
    };
    bool certificate = config->tls.certificate.len > 0, key = config->tls.key.len > 0;

    if (config->tls.listen.n == 0 && (certificate || key))
        td_buf_puts(errors, "tls.listen: name an address, or a certificate and key serve nobody\n");
    else if (config->tls.listen.n > 0 && !certificate)
        td_buf_puts(errors, "tls.certificate: must be a path, because tls.listen is set\n");
    else if (config->tls.listen.n > 0 && !key)
        td_buf_puts(errors, "tls.key: must be a path, because tls.listen is set\n");
    else if (config->tls.listen.n > 0 &&
             td_tls_context_new(&options, &config->tls.context, errors) == -ENOMEM)
        td_buf_puts(errors, "tls: no memory\n");
}

int td_config_load(const struct td_config_inputs *inputs, struct td_config **ret_config,
                   struct td_buf *errors)
{
    struct td_config *config = calloc(1, sizeof(*config));
    size_t errors_before = errors->len;

    TD_ASSERT(config);
    atomic_init(&config->_refs, 1);
    apply_defaults(config);
    td_config_ship_endpoints(config, errors);
    if (inputs->dev)
        apply_dev(config);
    size_t n_examples = apply_examples(config, inputs, errors);
    if (inputs->path)
        apply_file(config, inputs->path, errors);
    if (inputs->env)
        apply_env(config, inputs->env, errors);
    apply_flags(config, inputs, errors);
    if (inputs->dev && config->retention.groups.n == 0)
        add_dev_group(config);
    if (errors->len == errors_before) /* what could not be read is told already */
        td_config_compile_endpoints(config, inputs->path, errors);
    td_config_default_llm(config, inputs->env);
    td_config_place_examples(config, n_examples, inputs->examples, errors);
    check_relations(config, errors);
    add_jobs_group(config);
    td_config_compile_keys(config, inputs, errors);
    if (td_kinds_new(config->jobs.specs.items, config->jobs.specs.n, &config->jobs.kinds, errors) ==
        -ENOMEM)
        td_buf_puts(errors, "jobs.kinds: no memory\n");
    if (!inputs->keys_only)
        compile_tls(config, errors);
    if (errors->len > errors_before || errors->err < 0) {
        td_config_free(config);
        return TD_EINVAL;
    }
    *ret_config = config;
    return 0;
}

struct td_config *td_config_ref(struct td_config *config)
{
    TD_ASSERT(config->_refs > 0);
    atomic_fetch_add(&config->_refs, 1);
    return config;
}

void td_config_free(struct td_config *config)
{
    if (!config || atomic_fetch_sub(&config->_refs, 1) > 1)
        return;
    td_config_release_keys(config);
    td_tls_context_free(config->tls.context);
    td_kinds_free(config->jobs.kinds);
    td_endpoints_done(&config->served);
    td_config_release(config);
    free(config);
}

/* ---- flags ---- */

/* What is no option: where others come from. */
static bool is_input(struct td_slice name, bool dev)
{
    return td_slice_eq(name, TD_S("config")) || (dev && td_slice_eq(name, TD_S("examples")));
}

/* Takes one argument off: `--PATH=VALUE`, or `--PATH` and the next.  Returns how many were used, 0 when it is no flag of ours. */
static int take_flag(int argc, char **argv, int at, bool dev, struct td_config_flag *ret_flag,
                     struct td_buf *errors)
{
    struct td_slice name = td_slice_str(argv[at]);
    struct td_config_flag flag;
    int used = 1;

    if (!td_slice_starts(name, TD_S("--"))) {
        td_buf_putf(errors, "'%.64s' is not a flag\n", argv[at]);
        return 0;
    }
    const char *equals = strchr(argv[at], '=');
    flag.path = td_slice_from(equals ? td_slice_to(name, (size_t)(equals - argv[at])) : name, 2);
    flag.value = equals ? equals + 1 : NULL;
    if (!is_input(flag.path, dev) && !td_config_find(flag.path)) {
        char nearest[64];
        const char *meant = td_config_nearest(flag.path, nearest);
        td_buf_putf(errors, "--%.*s is not a flag%s%s%s\n", (int)flag.path.len, flag.path.ptr,
                    meant ? "; did you mean --" : "", meant ? meant : "", meant ? "?" : "");
        return 0;
    }
    if (!flag.value) {
        flag.value = at + 1 < argc ? argv[at + 1] : NULL;
        used = 2;
    }
    if (!flag.value) {
        td_buf_putf(errors, "%s needs a value\n", argv[at]);
        return 0;
    }
    *ret_flag = flag;
    return used;
}

int td_config_flags(int argc, char **argv, struct td_config_inputs *inputs, struct td_buf *errors)
{
    size_t errors_before = errors->len;

    for (int at = 1; at < argc;) {
        struct td_config_flag flag;
        int used = take_flag(argc, argv, at, inputs->dev, &flag, errors);
        at += used > 0 ? used : 1;
        if (used == 0)
            continue;
        if (td_slice_eq(flag.path, TD_S("config")))
            inputs->path = flag.value;
        else if (td_slice_eq(flag.path, TD_S("examples")))
            inputs->examples = flag.value;
        else if (inputs->n_flags < TD_CONFIG_FLAGS_MAX)
            inputs->flags[inputs->n_flags++] = flag;
        else
            td_buf_puts(errors, "there are more than 64 flags\n");
    }
    return errors->len > errors_before || errors->err < 0 ? TD_EINVAL : 0;
}

/* ---- reload ---- */

static bool same(const void *a, const void *b, const struct td_config_option *option);

static bool same_records(const struct td_config_array *a, const struct td_config_array *b,
                         const struct td_config_fields *fields)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        for (size_t j = 0; j < fields->n; j++)
            if (!same((const char *)a->items + i * fields->size,
                      (const char *)b->items + i * fields->size, &fields->items[j]))
                return false;
    return true;
}

/* `a` and `b` are configurations, or records of them. */
static bool same(const void *a, const void *b, const struct td_config_option *option)
{
    const char *left = (const char *)a + option->offset, *right = (const char *)b + option->offset;
    const struct td_slices *lists[2] = {(const void *)left, (const void *)right};

    switch (option->type) {
    case TD_CONFIG_BOOL: return memcmp(left, right, sizeof(bool)) == 0;
    case TD_CONFIG_NUMBER:
    case TD_CONFIG_BYTES:
    case TD_CONFIG_DURATION: return memcmp(left, right, sizeof(uint64_t)) == 0;
    case TD_CONFIG_WORD: return memcmp(left, right, sizeof(unsigned)) == 0;
    case TD_CONFIG_TEXT:
        return td_slice_eq(*(const struct td_slice *)(const void *)left,
                           *(const struct td_slice *)(const void *)right);
    case TD_CONFIG_LIST:
        if (lists[0]->n != lists[1]->n)
            return false;
        for (size_t i = 0; i < lists[0]->n; i++)
            if (!td_slice_eq(lists[0]->items[i], lists[1]->items[i]))
                return false;
        return true;
    case TD_CONFIG_RECORDS:
    case TD_CONFIG_NAMED:
        return same_records((const void *)left, (const void *)right, option->fields);
    }
    return true;
}

size_t td_config_diff_fixed(const struct td_config *old, const struct td_config *new,
                            struct td_buf *out)
{
    size_t n = 0;

    for (size_t i = 0; i < td_config_n_options; i++) {
        const struct td_config_option *option = &td_config_options[i];
        if (option->reloadable || same(old, new, option))
            continue;
        td_buf_putf(out, "%s\n", option->path);
        n++;
    }
    return n;
}
