/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options, rendered for people. */
#include "server/config_schema.h"

/* How a default reads: the empty text and the empty list have none. */
static const char *standard_of(const struct td_config_option *option)
{
    return option->standard && option->standard[0] ? option->standard : NULL;
}

void td_config_put_help(struct td_buf *out)
{
    for (size_t i = 0; i < td_config_n_options; i++) {
        const struct td_config_option *option = &td_config_options[i];
        if (option->fields)
            continue; /* only in the file */
        td_buf_putf(out, "  --%s", option->path);
        if (standard_of(option))
            td_buf_putf(out, " (%s)", option->standard);
        td_buf_putf(out, "\n        %s\n", option->help);
    }
}

/* Text in a cell of a table: what Markdown would read is quoted. */
static void put_cell(struct td_buf *out, struct td_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (strchr("|*<>\\", text.ptr[i]))
            td_buf_putc(out, '\\');
        td_buf_putc(out, text.ptr[i]);
    }
}

static void put_row(struct td_buf *out, const struct td_config_option *option, bool fixed)
{
    struct td_buf expected = TD_BUF_INIT(512);

    td_config_put_expected(&expected, option);
    td_buf_putf(out, "| `%s` | ", option->path);
    put_cell(out, td_buf_slice(&expected));
    if (standard_of(option))
        td_buf_putf(out, " | `%s` | ", option->standard);
    else
        td_buf_puts(out, " | | ");
    put_cell(out, td_slice_str(option->help));
    td_buf_puts(out, fixed ? " Only a restart changes it. |\n" : " |\n");
    td_buf_done(&expected);
}

static void put_fields(struct td_buf *out, const struct td_config_option *option)
{
    size_t first = option->type == TD_CONFIG_NAMED ? 1 : 0; /* the name is the key */

    td_buf_putf(out,
                "\n%s of `%s`:\n\n| name | value | default | what it does |\n|---|---|---|---|\n",
                option->type == TD_CONFIG_NAMED ? "Each name" : "Each entry", option->path);
    for (size_t i = first; i < option->fields->n; i++)
        put_row(out, &option->fields->items[i], false);
}

/* The first word of a path, or nothing for an option that stands alone. */
static struct td_slice section_of(const struct td_config_option *option)
{
    const char *dot = strchr(option->path, '.');

    return td_slice(option->path, dot ? (size_t)(dot - option->path) : 0);
}

static const char intro[] =
    "# Configuration\n\n"
    "<!-- Made by `tidings check --print-docs`; a test fails when it is not fresh. -->\n\n"
    "Options come from four places; each overrides those before it:\n\n"
    "1. the defaults below,\n"
    "2. one YAML file (`--config FILE`), in which `retention.age` is the key `age` in the mapping "
    "`retention`,\n"
    "3. the environment: `TIDINGS_` and the path in upper case with `_` for `.`: "
    "`TIDINGS_RETENTION_AGE`,\n"
    "4. flags: the path itself: `--retention.age 7d`.\n\n"
    "In the environment and in flags a list is separated by commas; `auth.keys`, `auth.issuers`, "
    "`roles`, `endpoints`, `retention.groups` and `jobs.kinds` can only stand in the file. "
    "Relative paths start "
    "at the working directory.\n\n"
    "`tidings check --config FILE` tells everything that is wrong at once: file, line, what was "
    "found and what was expected; an unknown name is answered with the nearest known one.\n\n"
    "SIGHUP makes a running server load all of it again, without dropping a connection. A "
    "configuration with an error changes nothing, and each error is a line of the log. Options "
    "that only a restart changes say so below; the others count from then on.\n\n"
    "A small production file:\n\n"
    "```yaml\n"
    "listen: [\"127.0.0.1:8000\"]\n"
    "data: /var/lib/tidings\n"
    "retention: {age: 7d, bytes: 10GiB}\n"
    "auth:\n"
    "  secret_file: /etc/tidings/token.key\n"
    "  issuers:\n"
    "    - issuer: https://login.example.com\n"
    "      audience: tidings\n"
    "      algorithms: [RS256, ES256]\n"
    "      jwks_url: https://login.example.com/.well-known/jwks.json\n"
    "roles:\n"
    "  editor:\n"
    "    subscribe: [\"projects/**\"]\n"
    "    publish: [\"projects/**\"]\n"
    "origins: [\"https://app.example.com\"]\n"
    "```\n";

void td_config_put_docs(struct td_buf *out)
{
    static const char head[] = "| option | value | default | what it does |\n|---|---|---|---|\n";
    struct td_slice section = {"?", 1};
    bool in_table = false;

    td_buf_puts(out, intro);
    for (size_t i = 0; i < td_config_n_options; i++) {
        const struct td_config_option *option = &td_config_options[i];
        struct td_slice its_section = section_of(option);
        if (!td_slice_eq(section, its_section)) {
            section = its_section;
            td_buf_putf(out, "\n## %.*s\n\n", section.len ? (int)section.len : 7,
                        section.len ? section.ptr : "general");
            in_table = false;
        } else if (!in_table) {
            td_buf_putc(out, '\n');
        }
        if (!in_table)
            td_buf_puts(out, head);
        in_table = !option->fields; /* the table of its fields stands between */
        put_row(out, option, !option->reloadable);
        if (option->fields)
            put_fields(out, option);
    }
    td_buf_puts(out, "\n## endpoints that ship\n\n`tidings check --print-endpoints` prints the "
                     "same.\n\n```yaml\n");
    td_buf_put(out, td_config_shipped_endpoints());
    td_buf_puts(out, "```\n");
}
