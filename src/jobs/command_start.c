/* SPDX-License-Identifier: Apache-2.0 */
/* From templates to what exec(2) wants. */
#include "base/err.h"
#include "jobs/command_impl.h"
#include "jobs/template.h"
#include "os/process.h"
#include <errno.h>
#include <stdlib.h>

/* What a command keeps of the server's environment without being asked. */
static const struct td_slice kept[] = {
    {"PATH", 4},
    {"HOME", 4},
    {"LANG", 4},
};

/* Strings in the making.  `bytes` has all of its memory from the start, so that what points into it stays. */
struct strings {
    const struct td_run_input *input;
    struct td_buf bytes;
    const char **argv, **env; /* with room for all, and NULL behind the last */
    size_t n_argv, n_env;
};

/* A segment of a path that leads nowhere else. */
static bool is_segment(struct td_slice value)
{
    return value.len > 0 && !memchr(value.ptr, '/', value.len) && !td_slice_eq(value, TD_S(".")) &&
           !td_slice_eq(value, TD_S(".."));
}

static int put_value(struct strings *strings, struct td_slice name, bool as_segment)
{
    struct td_slice value;

    if (!strings->input->value || !strings->input->value(strings->input->arg, name, &value))
        return 0;
    if (as_segment && !is_segment(value))
        return TD_EINVAL;
    int r = td_buf_put(&strings->bytes, value);
    return r < 0 ? r : 1;
}

/* Fills a template: 1 with the string; 0: a name in it has no value, there is none; or an error. */
static int fill(struct strings *strings, struct td_slice template, bool of_segments,
                const char **ret_string)
{
    struct td_slice literal, name;
    size_t begin = strings->bytes.len;
    int r = 1;

    while (r > 0 && td_template_next(&template, &literal, &name)) {
        r = td_buf_put(&strings->bytes, literal) < 0 ? strings->bytes.err : 1;
        if (r > 0 && name.ptr)
            r = put_value(strings, name, of_segments);
    }
    size_t len = strings->bytes.len - begin;
    if (r > 0 && len > 0 && memchr(strings->bytes.ptr + begin, '\0', len))
        r = TD_EINVAL;
    if (r > 0)
        r = td_buf_putc(&strings->bytes, '\0') < 0 ? strings->bytes.err : 1;
    if (r <= 0)
        strings->bytes.len = begin;
    else
        *ret_string = strings->bytes.ptr + begin;
    return r;
}

static int fill_argv(struct strings *strings, const struct td_command_spec *spec)
{
    for (size_t i = 0; i < spec->n_argv; i++) {
        int r = fill(strings, spec->argv[i], false, &strings->argv[strings->n_argv]);
        if (r < 0 || (r == 0 && i == 0))
            return r < 0 ? r : TD_EINVAL;
        strings->n_argv += (size_t)r;
    }
    return 0;
}

/* ---- the environment ---- */

static struct td_slice name_of(struct td_slice variable)
{
    struct td_slice name = {NULL, 0};

    (void)td_slice_split(&variable, '=', &name);
    return name;
}

static const char *find_variable(const char *const *env, struct td_slice name)
{
    for (; *env; env++)
        if (td_slice_eq(name_of(td_slice_str(*env)), name))
            return *env;
    return NULL;
}

/* The last of one name counts. */
static void set_variable(struct strings *strings, const char *variable)
{
    struct td_slice name = name_of(td_slice_str(variable));
    size_t i = 0;

    while (i < strings->n_env && !td_slice_eq(name_of(td_slice_str(strings->env[i])), name))
        i++;
    strings->env[i] = variable;
    strings->n_env += i == strings->n_env;
}

static void keep_variable(struct strings *strings, struct td_slice name)
{
    const char *variable = find_variable(td_environment(), name);

    if (variable)
        set_variable(strings, variable);
}

static int fill_env(struct strings *strings, const struct td_command_spec *spec)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(kept); i++)
        keep_variable(strings, kept[i]);
    for (size_t i = 0; i < spec->n_env; i++) {
        struct td_slice variable = spec->env[i];
        const char *string;
        if (variable.len == 0 || !memchr(variable.ptr, '=', variable.len)) {
            keep_variable(strings, variable);
            continue;
        }
        int r = fill(strings, variable, false, &string);
        if (r < 0)
            return r;
        if (r > 0)
            set_variable(strings, string);
    }
    return 0;
}

/* ---- all of it ---- */

static int fill_and_start(const struct td_launcher *launcher, struct strings *strings,
                          const struct td_command_spec *spec, struct td_launched *ret_launched)
{
    struct td_launch launch = {
        .argv = strings->argv,
        .env = strings->env,
        .input = strings->input->document,
        .memory_bytes = spec->memory_bytes,
        .cpu_s = spec->cpu_s,
    };
    int r = fill_argv(strings, spec);

    if (r == 0)
        r = fill_env(strings, spec);
    if (r == 0 && spec->dir.len > 0) {
        r = fill(strings, spec->dir, true, &launch.dir);
        r = r == 0 ? TD_EINVAL : r < 0 ? r : 0;
    }
    if (r == 0)
        r = td_launcher_start(launcher, &launch, ret_launched);
    return r == -E2BIG || r == -EFBIG ? TD_ETOOLARGE : r;
}

int td_command_launch(const struct td_launcher *launcher, const struct td_command_spec *spec,
                      const struct td_run_input *input, struct td_launched *ret_launched)
{
    struct strings strings = {
        .input = input,
        .bytes = TD_BUF_INIT(TD_LAUNCH_STRINGS_MAX),
        .argv = calloc(spec->n_argv + 1, sizeof(*strings.argv)),
        .env = calloc(spec->n_env + TD_ARRAY_LEN(kept) + 1, sizeof(*strings.env)),
    };
    int r = strings.argv && strings.env ? td_buf_reserve(&strings.bytes, TD_LAUNCH_STRINGS_MAX)
                                        : -ENOMEM;

    if (r == 0)
        r = fill_and_start(launcher, &strings, spec, ret_launched);
    free(strings.argv);
    free(strings.env);
    td_buf_done(&strings.bytes);
    return r;
}
