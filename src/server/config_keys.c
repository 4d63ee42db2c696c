/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a configuration: read from its files, checked, and put into the table that verifies tokens. */
#include "base/assert.h"
#include "base/err.h"
#include "jobs/upstream.h"
#include "os/file.h"
#include "os/random.h"
#include "server/config_schema.h"
#include <errno.h>

/* Reads a file that is named by the option `what`, into a buffer that the caller ends. */
static bool load(const char *what, struct td_slice path, struct td_buf *text, struct td_buf *errors)
{
    int r = td_file_load(path.ptr, text);

    if (r < 0)
        td_buf_putf(errors, "%s: the %s cannot be read: %s\n", path.ptr, what, td_err_name(r));
    return r == 0;
}

/* Reads a secret's file into the configuration, without the newline that editors put at its end. */
static bool load_secret(struct td_config *config, struct td_slice path, struct td_slice *ret_secret,
                        struct td_buf *errors)
{
    struct td_buf text = TD_BUF_INIT(TD_KEY_SECRET_MAX + 2);

    if (!load("secret", path, &text, errors)) {
        td_buf_done(&text);
        return false;
    }
    struct td_slice secret = td_buf_slice(&text);
    if (secret.len > 0 && secret.ptr[secret.len - 1] == '\n')
        secret.len--;
    if (secret.len > 0 && secret.ptr[secret.len - 1] == '\r')
        secret.len--;
    *ret_secret = td_config_copy(config, secret);
    if (text.ptr)
        explicit_bzero(text.ptr, text.len);
    td_buf_done(&text);
    return true;
}

/* The header that the authorizer is sent, whole. */
static void compile_authorizer(struct td_config *config, struct td_buf *errors)
{
    struct td_slice secret, header = config->authorizer.header;
    struct td_buf line = TD_BUF_INIT(TD_KEY_SECRET_MAX + 128);
    const char *why;

    if (config->authorizer.url.len == 0) {
        if (config->authorizer.secret_file.len > 0)
            td_buf_puts(errors, "authorizer.url: must be set, because authorizer.secret_file is\n");
        return;
    }
    if (td_upstream_url_check(config->authorizer.url.ptr, &why) < 0)
        td_buf_putf(errors, "authorizer.url: %s\n", why);
    if (config->authorizer.secret_file.len == 0 ||
        !load_secret(config, config->authorizer.secret_file, &secret, errors))
        return;
    bool printable = secret.len > 0;
    for (size_t i = 0; i < secret.len; i++)
        printable &= secret.ptr[i] >= ' ' && secret.ptr[i] < 127;
    if (!printable) {
        td_buf_puts(errors, "authorizer.secret_file: must hold one line of printable ASCII\n");
        return;
    }
    td_buf_put(&line, header);
    td_buf_puts(&line, td_slice_eq_nocase(header, TD_S("Authorization")) ? ": Bearer " : ": ");
    td_buf_put(&line, secret);
    if (line.err < 0)
        td_buf_puts(errors, "authorizer.secret_file: the secret is too long\n");
    else
        config->authorizer.line = td_config_copy(config, td_buf_slice(&line));
    if (line.ptr)
        explicit_bzero(line.ptr, line.len);
    td_buf_done(&line);
}

/* Adds the public keys of a file; what is wrong is told with `path`, the option that names it. */
static void add_public(struct td_keys *keys, const char *path, struct td_slice file,
                       const struct td_key_choice *choice, struct td_buf *errors)
{
    struct td_buf text = TD_BUF_INIT(TD_KEY_TEXT_MAX);
    const char *reason;

    if (load("public key", file, &text, errors) &&
        td_keys_add_text(keys, td_buf_slice(&text), choice, &reason) < 0)
        td_buf_putf(errors, "%s: %s: %s\n", path, file.ptr, reason);
    td_buf_done(&text);
}

static void compile_key(struct td_config *config, const char *path, const struct td_config_key *key,
                        struct td_buf *errors)
{
    struct td_key made = {.alg = key->alg, .kid = key->kid, .secret = key->secret};
    size_t sources = (key->secret.len > 0) + (key->secret_file.len > 0);
    const char *reason;

    if (sources + (key->public_key_file.len > 0) > 1) {
        td_buf_putf(errors, "%s: give secret or secret_file, not both%s\n", path,
                    key->public_key_file.len > 0 ? ", and neither beside public_key_file" : "");
        return;
    }
    if (key->public_key_file.len > 0) {
        const struct td_key_choice choice = {&key->alg, 1, key->kid};
        if (td_alg_is_secret(key->alg))
            td_buf_putf(errors, "%s: alg %s is for shared secrets; name that of the public key\n",
                        path, key->alg.ptr);
        else
            add_public(config->_keys, path, key->public_key_file, &choice, errors);
        return;
    }
    if (key->secret_file.len > 0 && !load_secret(config, key->secret_file, &made.secret, errors))
        return;
    if (td_keys_add(config->_keys, &made, &reason) < 0)
        td_buf_putf(errors, "%s: %s\n", path, reason);
}

/* The secret of a development server: made once, kept beside its log. */
static void compile_dev_key(struct td_config *config, struct td_buf *errors)
{
    static const char hex[] = "0123456789abcdef";
    struct td_config_key key = {.alg = TD_S("HS256")};
    struct td_buf path = TD_BUF_INIT(4096);
    unsigned char bytes[32];
    char secret[2 * sizeof(bytes)];
    uint64_t size;

    td_buf_putf(&path, "%.*s/dev.key", (int)config->data.len, config->data.ptr);
    td_buf_putc(&path, '\0');
    if (path.err < 0) {
        td_buf_puts(errors, "data: the path is too long\n");
        td_buf_done(&path);
        return;
    }
    key.secret_file = td_slice(path.ptr, path.len - 1);
    int file = td_file_open(path.ptr, TD_FILE_READ);
    int r = file < 0 ? file : td_file_size(file, &size);
    if (file >= 0)
        td_file_close(file);
    if (r == -ENOENT) {
        td_random_bytes(bytes, sizeof(bytes));
        for (size_t i = 0; i < sizeof(secret); i++)
            secret[i] = hex[i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4];
        r = td_dir_make(config->data.ptr);
        if (r == 0)
            r = td_file_store(path.ptr, td_slice(secret, sizeof(secret)));
        explicit_bzero(secret, sizeof(secret));
        explicit_bzero(bytes, sizeof(bytes));
    }
    if (r < 0)
        td_buf_putf(errors, "%s: %s\n", path.ptr, td_err_name(r));
    else
        compile_key(config, path.ptr, &key, errors);
    td_buf_done(&path);
}

/* ---- issuers ---- */

/* The secret of an issuer is for the first of its algorithms that uses one. */
static void add_issuer_secret(struct td_config *config, struct td_config_issuer *issuer,
                              const char *path, struct td_buf *errors)
{
    struct td_key key = {
        .alg = {NULL, 0}
    };
    const char *reason;

    for (size_t i = issuer->algorithms.n; i-- > 0;)
        if (td_alg_is_secret(issuer->algorithms.items[i]))
            key.alg = issuer->algorithms.items[i];
    if (!key.alg.ptr)
        td_buf_putf(errors, "%s: none of its algorithms uses the secret of secret_file\n", path);
    else if (load_secret(config, issuer->secret_file, &key.secret, errors) &&
             td_keys_add(issuer->keys, &key, &reason) < 0)
        td_buf_putf(errors, "%s: %s\n", path, reason);
}

static void compile_issuer(struct td_config *config, size_t number, struct td_buf *errors)
{
    struct td_config_issuer *issuer = &config->issuers.items[number];
    const struct td_key_choice choice = {
        issuer->algorithms.items, issuer->algorithms.n, {NULL, 0}
    };
    bool files = issuer->public_key_files.n > 0 || issuer->secret_file.len > 0;
    char path[48];

    snprintf(path, sizeof(path), "auth.issuers[%zu]", number);
    if (issuer->rules.issuer.len == 0)
        td_buf_putf(errors, "%s: name the issuer, as its tokens say it in iss\n", path);
    if (issuer->algorithms.n == 0)
        td_buf_putf(errors, "%s: name the algorithms that its keys are for\n", path);
    if (files == (issuer->jwks_url.len > 0))
        td_buf_putf(errors,
                    "%s: give its keys either as files (public_key_files, secret_file) or as a "
                    "jwks_url\n",
                    path);
    if (issuer->jwks_url.len > 0)
        return;
    issuer->keys = td_keys_new();
    TD_ASSERT(issuer->keys);
    for (size_t i = 0; i < issuer->public_key_files.n; i++)
        add_public(issuer->keys, path, issuer->public_key_files.items[i], &choice, errors);
    if (issuer->secret_file.len > 0)
        add_issuer_secret(config, issuer, path, errors);
}

/* No two rows may answer to one name: which of them did would depend on their order. */
static void check_names(const struct td_config *config, struct td_buf *errors)
{
    for (size_t i = 0; i < config->issuers.n; i++) {
        struct td_slice name = config->issuers.items[i].rules.issuer;
        bool twice = td_slice_eq(name, config->auth.rules.issuer);
        for (size_t j = 0; j < i; j++)
            twice |= td_slice_eq(name, config->issuers.items[j].rules.issuer);
        if (twice && name.len > 0)
            td_buf_putf(errors, "auth.issuers[%zu]: another entry, or auth.issuer, has its name\n",
                        i);
    }
}

/* The issuers in their order, then the keys of the short form, when it has any. */
static void fill_table(struct td_config *config)
{
    size_t n = config->issuers.n;
    struct td_issuer *rows = td_config_alloc(config, (n + 1) * sizeof(*rows));

    for (size_t i = 0; i < n; i++)
        rows[i] = (struct td_issuer){config->issuers.items[i].rules, config->issuers.items[i].keys};
    if (td_keys_len(config->_keys) > 0)
        rows[n++] = (struct td_issuer){config->auth.rules, config->_keys};
    config->verify = (struct td_auth){rows, n, config->auth.policy, NULL, NULL};
}

void td_config_compile_keys(struct td_config *config, const struct td_config_inputs *inputs,
                            struct td_buf *errors)
{
    struct td_config_key *single = &config->_auth_key;
    size_t errors_before = errors->len;

    config->_keys = td_keys_new();
    TD_ASSERT(config->_keys);
    config->auth.keys = config->_keys;
    single->alg = TD_S("HS256");
    if (single->secret.len > 0 || single->secret_file.len > 0)
        compile_key(config, "auth.secret", single, errors);
    for (size_t i = 0; i < config->_auth_keys.n; i++) {
        char path[32];
        snprintf(path, sizeof(path), "auth.keys[%zu]", i);
        compile_key(config, path, &config->_auth_keys.items[i], errors);
    }
    for (size_t i = 0; i < config->issuers.n; i++)
        compile_issuer(config, i, errors);
    check_names(config, errors);
    if (inputs->dev && td_keys_len(config->_keys) == 0 && errors->len == errors_before)
        compile_dev_key(config, errors);
    else if (td_keys_len(config->_keys) == 0 && config->issuers.n == 0 &&
             errors->len == errors_before)
        td_buf_putf(errors,
                    "%s: no key to verify tokens with: set auth.secret_file (or auth.secret, "
                    "auth.keys, auth.issuers, TIDINGS_AUTH_SECRET, TIDINGS_AUTH_SECRET_FILE)\n",
                    inputs->path ? inputs->path : "configuration");
    fill_table(config);
    if (!inputs->keys_only)
        compile_authorizer(config, errors);
}

void td_config_release_keys(struct td_config *config)
{
    td_keys_unref(config->_keys);
    for (size_t i = 0; i < config->issuers.n; i++)
        td_keys_unref(config->issuers.items[i].keys);
}
