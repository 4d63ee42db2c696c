/* SPDX-License-Identifier: Apache-2.0 */
/* `tidings dev`: a server without any configuration, with the examples beside the program. */
#include "api/dev.h"
#include "auth/token.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "cli/dev_banner.h"
#include "cli/imitation.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "server/server.h"
#include <errno.h>
#include <stdio.h>

#define PATH_BYTES ((size_t)8 * 1024)

struct dev {
    struct td_config_inputs inputs;
    struct td_config *config;
    struct td_buf examples; /* a path with a NUL behind it, or nothing */
    struct td_imitation imitation;
    struct td_buf tokens[TD_DEV_PEOPLE];
    struct td_dev_banner banner;
};

static void print_help(void)
{
    printf(
        "Usage: tidings dev [--listen ADDR] [--data DIR] [--examples DIR] [--OPTION VALUE]...\n\n"
        "Starts a development server without any configuration: on %s, with its data in\n"
        "./%s, a secret of its own, and a workbench at / to see it at work.\n"
        "Every token of its key may do everything but read the audit. Not for production.\n\n"
        "  --listen ADDR    where to listen, HOST:PORT\n"
        "  --data DIR       where the log and the key are kept\n"
        "  --examples DIR   jobs to try (examples/README.md); none: no jobs. Otherwise they are\n"
        "                   looked for in ./examples and beside the program\n"
        "  --config FILE    a configuration besides (YAML)\n\n"
        "The examples ask the language model of TIDINGS_LLM_URL and TIDINGS_LLM_MODEL, with the\n"
        "key in TIDINGS_LLM_KEY. Without a URL a small server is started that only imitates "
        "one.\n\n"
        "Example: tidings dev --listen 127.0.0.1:9000 --data /tmp/try\n\n",
        TD_CONFIG_DEV_LISTEN, TD_CONFIG_DEV_DATA);
    td_cli_print_options();
}

/* ---- the examples ---- */

static bool is_there(const char *dir)
{
    char path[PATH_BYTES];
    int len = snprintf(path, sizeof(path), "%s/dev.yaml", dir);
    int file = (size_t)len < sizeof(path) ? td_file_open(path, TD_FILE_READ) : -ENAMETOOLONG;

    if (file >= 0)
        td_file_close(file);
    return file >= 0;
}

/* The folder that a path lies in, `up` folders higher, with its last slash; of "/" itself. */
static struct td_slice folder_of(struct td_slice path, unsigned up)
{
    for (up++; up > 0; up--) {
        path.len -= path.len > 1 && path.ptr[path.len - 1] == '/';
        while (path.len > 1 && path.ptr[path.len - 1] != '/')
            path.len--;
    }
    return path;
}

/* Beside the program: in the clone that it was built in, or where it is installed. */
static bool find_beside(struct td_buf *examples)
{
    static const struct {
        unsigned up;
        const char *name;
    } places[] = {
        {2, "examples"              },
        {1, "share/tidings/examples"},
    };
    struct td_buf program = TD_BUF_INIT(PATH_BYTES);
    bool found = false;

    if (td_program_path(&program) == 0) {
        struct td_slice path = td_slice(program.ptr, program.len - 1);
        for (size_t i = 0; i < TD_ARRAY_LEN(places) && !found; i++) {
            td_buf_reset(examples);
            td_buf_put(examples, folder_of(path, places[i].up));
            td_buf_puts(examples, places[i].name);
            td_buf_putc(examples, '\0');
            found = examples->err == 0 && is_there(examples->ptr);
        }
    }
    td_buf_done(&program);
    return found;
}

/* 0, or an exit status: examples that were named have to be there. */
static int find_examples(struct dev *dev)
{
    const char *named = dev->inputs.examples;

    if (named && strcmp(named, "none") == 0) {
        dev->inputs.examples = NULL;
        return 0;
    }
    if (named && !is_there(named))
        return td_cli_failed("dev", "%s has no dev.yaml; --examples none starts without examples",
                             named);
    if (named)
        return 0;
    if (is_there("examples"))
        dev->inputs.examples = "examples";
    else if (find_beside(&dev->examples))
        dev->inputs.examples = dev->examples.ptr;
    else
        fprintf(stderr, "tidings dev: no examples were found in ./examples or beside the program; "
                        "starting without jobs\n");
    return 0;
}

/* ---- the model ---- */

static void set_flag(struct td_config_inputs *inputs, struct td_slice path, const char *value)
{
    if (inputs->n_flags < TD_CONFIG_FLAGS_MAX)
        inputs->flags[inputs->n_flags++] = (struct td_config_flag){path, value};
}

static bool has_flag(const struct td_config_inputs *inputs, struct td_slice path)
{
    for (size_t i = 0; i < inputs->n_flags; i++)
        if (td_slice_eq(inputs->flags[i].path, path))
            return true;
    return false;
}

static bool has_variable(const struct td_config_inputs *inputs, const char *name)
{
    size_t len = strlen(name);

    for (const char *const *env = inputs->env; *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=' && (*env)[len + 1] != '\0')
            return true;
    return false;
}

/* Names a model for the examples, which start one where nobody has named another.  0, or an exit status. */
static int find_model(struct dev *dev)
{
    bool has_model = has_flag(&dev->inputs, TD_S("llm.model")) ||
                     has_variable(&dev->inputs, "TIDINGS_LLM_MODEL");

    if (!dev->inputs.examples)
        return 0;
    if (has_flag(&dev->inputs, TD_S("llm.url")) || has_variable(&dev->inputs, "TIDINGS_LLM_URL")) {
        if (!has_model)
            return td_cli_failed("dev", "TIDINGS_LLM_MODEL has to name a model of the upstream in "
                                        "TIDINGS_LLM_URL");
        return 0;
    }
    int r = td_imitation_start(&dev->imitation, dev->inputs.examples);
    if (r == -ENOENT) {
        fprintf(stderr, "tidings dev: python3 is not installed, and the examples need it; starting "
                        "without jobs\n");
        dev->inputs.examples = NULL;
        return 0;
    }
    if (r < 0)
        return td_cli_failed("dev", "the imitation of a language model could not be started: %s",
                             td_err_name(r));
    set_flag(&dev->inputs, TD_S("llm.url"), dev->imitation.url.ptr);
    if (!has_model)
        set_flag(&dev->inputs, TD_S("llm.model"), "imitation");
    return 0;
}

/* ---- people ---- */

static int sign(const struct dev *dev, const struct td_claims *claims, struct td_buf *token)
{
    td_unix_ms now = td_clock_unix_ms();
    struct td_claims whole = *claims;

    whole.iat = now;
    whole.exp = now + TD_DEV_TOKEN_S * 1000;
    *token = TD_BUF_INIT(TD_TOKEN_LEN_MAX);
    return td_token_sign(dev->config->auth.keys, &dev->config->auth.rules, &whole, token);
}

static const struct td_slice admin[] = {TD_S("admin")};
static const struct td_slice look[] = {TD_S("projects/demo/**"), TD_S("entities/**")};
static const struct td_slice work[] = {TD_S("projects/**"), TD_S("entities/**"), TD_S("locks/**")};

/* Whom to sign in as. */
static const struct td_dev_person people[TD_DEV_PEOPLE] = {
    {.name = TD_S("Dev"),
     .about = TD_S("An admin: may do everything, and sees the audit."),
     .claims = {.sub = TD_S("dev"), .roles = {admin, 1}}       },
    {.name = TD_S("Ann"),
     .about = TD_S("Works on all projects and records."),
     .claims = {.sub = TD_S("ann"),
                .has_grants = true,
                .grants.subscribe = {work, TD_ARRAY_LEN(work)},
                .grants.publish = {work, 2}}                   },
    {.name = TD_S("Bob"),
     .about = TD_S("Only looks at the project demo and at records."),
     .claims = {.sub = TD_S("bob"),
                .has_grants = true,
                .grants.subscribe = {look, TD_ARRAY_LEN(look)}}},
    {.name = TD_S("Root"),
     .about = TD_S("An admin: may do everything, and sees the audit."),
     .claims = {.sub = TD_S("root"), .roles = {admin, 1}}      },
};

static int sign_tokens(struct dev *dev)
{
    for (size_t i = 0; i < TD_DEV_PEOPLE; i++) {
        int r = sign(dev, &people[i].claims, &dev->tokens[i]);
        if (r < 0)
            return td_cli_failed("dev", "can't sign a token: %s", td_err_name(r));
        dev->banner.tokens[i] = td_buf_slice(&dev->tokens[i]);
    }
    return 0;
}

/* ---- all of it ---- */

static int prepare(struct dev *dev, int argc, char **argv)
{
    int status = td_cli_flags(argc, argv, &dev->inputs);

    if (status == 0)
        status = find_examples(dev);
    if (status == 0)
        status = find_model(dev);
    if (status == 0)
        status = td_cli_load(&dev->inputs, &dev->config);
    return status == 0 ? sign_tokens(dev) : status;
}

int td_cli_dev(int argc, char **argv)
{
    struct dev dev = {.inputs = {.dev = true}, .examples = TD_BUF_INIT(PATH_BYTES)};

    if (td_cli_wants_help(argc, argv)) {
        print_help();
        return TD_CLI_DONE;
    }
    int status = prepare(&dev, argc, argv);
    if (status == 0) {
        dev.banner.data = dev.config->data;
        dev.banner.examples = dev.inputs.examples;
        dev.banner.imitates = dev.imitation.runs;
        int r = td_server_run(&(struct td_server_options){
            .config = dev.config,
            .inputs = &dev.inputs,
            .version = TD_VERSION,
            .dev = &(struct td_api_dev){people, TD_ARRAY_LEN(people), dev.config->auth.keys,
                                        &dev.config->auth.rules, dev.banner.tokens[0]},
            .ready = td_dev_banner_print,
            .arg = &dev.banner,
        });
        status = r < 0 ? TD_CLI_FAILED : TD_CLI_DONE;
    }
    td_imitation_stop(&dev.imitation);
    for (size_t i = 0; i < TD_DEV_PEOPLE; i++)
        td_buf_done(&dev.tokens[i]);
    td_buf_done(&dev.examples);
    td_config_free(dev.config);
    return status;
}
