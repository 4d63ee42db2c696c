/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/llm_request.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/json.h"
#include "jobs/template.h"
#include "os/file.h"
#include "os/process.h"
#include <errno.h>

#define URL_MAX  ((size_t)4096)
#define BODY_MAX (16 * TD_MIB)
#define PATH     TD_S("/chat/completions")
#define BEARER   TD_S("Authorization: Bearer ")
#define WORD_MAX ((size_t)256)

void td_llm_request_init(struct td_llm_request *request)
{
    *request = (struct td_llm_request){
        .url = TD_BUF_INIT(URL_MAX),
        .authorization = TD_BUF_INIT(BEARER.len + TD_LLM_KEY_MAX + 1),
        .body = TD_BUF_INIT(BODY_MAX),
    };
}

void td_llm_request_done(struct td_llm_request *request)
{
    if (request->authorization.ptr)
        explicit_bzero(request->authorization.ptr, request->authorization.cap);
    td_buf_done(&request->url);
    td_buf_done(&request->authorization);
    td_buf_done(&request->body);
    request->key = td_slice(NULL, 0);
}

/* --- where to --- */

static bool ends_with(struct td_slice text, struct td_slice end)
{
    return text.len >= end.len && td_slice_eq(td_slice_from(text, text.len - end.len), end);
}

/* The path of the chat completions below a base, in front of a query. */
static int put_url(struct td_buf *out, struct td_slice url)
{
    const char *mark = url.len ? memchr(url.ptr, '?', url.len) : NULL;
    struct td_slice base = mark ? td_slice_to(url, (size_t)(mark - url.ptr)) : url;
    struct td_slice query = td_slice_from(url, base.len);

    while (base.len > 0 && base.ptr[base.len - 1] == '/')
        base.len--;
    td_buf_put(out, base);
    if (!ends_with(base, PATH))
        td_buf_put(out, PATH);
    td_buf_put(out, query);
    td_buf_putc(out, '\0');
    return out->err;
}

/* --- the key --- */

/* A copy with a NUL, for the system's door. */
static int put_name(struct td_buf *out, struct td_slice name)
{
    td_buf_put(out, name);
    td_buf_putc(out, '\0');
    return out->err;
}

static struct td_slice environment(struct td_slice name)
{
    for (const char *const *at = td_environment(); *at; at++) {
        struct td_slice entry = td_slice_str(*at);
        if (td_slice_starts(entry, name) && entry.len > name.len && entry.ptr[name.len] == '=')
            return td_slice_from(entry, name.len + 1);
    }
    return td_slice(NULL, 0);
}

static struct td_slice without_end_of_line(struct td_slice text)
{
    while (text.len > 0 && strchr(" \t\r\n", text.ptr[text.len - 1]) && text.ptr[text.len - 1])
        text.len--;
    return text;
}

/* Whether a header may carry it: visible ASCII (RFC 6750 §2.1 allows less). */
static bool is_key(struct td_slice key)
{
    for (size_t i = 0; i < key.len; i++)
        if (key.ptr[i] <= ' ' || key.ptr[i] > '~')
            return false;
    return key.len > 0;
}

static int put_key(struct td_llm_request *request, struct td_slice key)
{
    if (!is_key(key))
        return TD_EINVAL;
    /* At once, so that growing leaves no copy behind. */
    int r = td_buf_reserve(&request->authorization, BEARER.len + key.len + 1);
    if (r < 0)
        return r;
    td_buf_put(&request->authorization, BEARER);
    td_buf_put(&request->authorization, key);
    td_buf_putc(&request->authorization, '\0');
    request->key = td_slice_from(td_buf_slice(&request->authorization), BEARER.len);
    request->key.len--;
    return request->authorization.err;
}

static int key_from_environment(struct td_llm_request *request, struct td_slice name,
                                struct td_buf *why)
{
    struct td_slice key = environment(name);
    int r = key.len > TD_LLM_KEY_MAX ? TD_EINVAL : put_key(request, key);

    if (r < 0)
        td_buf_putf(why, "The environment variable %.*s, which is to hold the upstream's key, %s.",
                    (int)name.len, name.ptr, key.len ? "holds none" : "is not set, or empty");
    return r;
}

static int key_from_file(struct td_llm_request *request, struct td_slice name, struct td_buf *why)
{
    struct td_buf path = TD_BUF_INIT(URL_MAX), content = TD_BUF_INIT(TD_LLM_KEY_MAX);
    int r = put_name(&path, name);

    if (r == 0)
        r = td_file_load(path.ptr, &content);
    if (r == 0)
        r = put_key(request, without_end_of_line(td_buf_slice(&content)));
    if (r < 0)
        td_buf_putf(why, "The upstream's key can't be read from the file %.*s: %s.", (int)name.len,
                    name.ptr, r == TD_EINVAL ? "it holds none" : td_err_name(r));
    if (content.ptr)
        explicit_bzero(content.ptr, content.cap);
    td_buf_done(&content);
    td_buf_done(&path);
    return r;
}

/* --- the body --- */

/* One message, its template filled. */
static int put_message(struct td_buf *out, const char *role, struct td_slice template,
                       const struct td_run_input *input)
{
    struct td_buf text = TD_BUF_INIT(TD_LLM_PROMPT_MAX);
    int r = td_template_expand(template, input->value, input->arg, &text);

    if (r == 0) {
        td_buf_putf(out, "{\"role\":\"%s\",\"content\":", role);
        td_json_put_string(out, td_buf_slice(&text));
        td_buf_putc(out, '}');
        r = out->err;
    }
    td_buf_done(&text);
    return r;
}

/* Begins a member of the body, unless `extra` (checked) has one of that name. */
static bool begin_member(struct td_buf *out, struct td_slice extra, const char *name)
{
    struct td_slice value;

    if (extra.len > 0 && td_json_get(extra, name, &value))
        return false;
    td_buf_putf(out, "%c\"%s\":", out->len > 0 ? ',' : '{', name);
    return true;
}

static int put_messages(struct td_buf *out, const struct td_llm_spec *spec,
                        const struct td_run_input *input)
{
    int r = 0;

    td_buf_putc(out, '[');
    if (spec->system.len > 0) {
        r = put_message(out, "system", spec->system, input);
        td_buf_putc(out, ',');
    }
    if (r == 0)
        r = put_message(out, "user", spec->prompt, input);
    td_buf_putc(out, ']');
    return r < 0 ? r : out->err;
}

static int put_body(struct td_buf *out, const struct td_llm_spec *spec,
                    const struct td_run_input *input)
{
    struct td_slice extra = {NULL, 0}, name, value;
    int r = 0;

    if (spec->extra.len > 0)
        r = td_json_check(spec->extra, &extra, NULL);
    if (r == 0 && begin_member(out, extra, "model"))
        r = td_json_put_string(out, spec->model);
    if (r == 0 && begin_member(out, extra, "messages"))
        r = put_messages(out, spec, input);
    if (r < 0)
        return r;
    if (begin_member(out, extra, "stream"))
        td_buf_puts(out, "true");
    if (begin_member(out, extra, "stream_options"))
        td_buf_puts(out, "{\"include_usage\":true}");
    if (spec->max_tokens > 0 && begin_member(out, extra, "max_tokens"))
        td_buf_putu(out, spec->max_tokens);
    if (spec->temperature >= 0 && begin_member(out, extra, "temperature"))
        td_buf_putf(out, "%.6g", spec->temperature);
    for (struct td_json_iter it = td_json_iter(extra); td_json_next(&it, &name, &value);) {
        td_buf_putc(out, out->len > 0 ? ',' : '{');
        td_buf_put(out, name);
        td_buf_putc(out, ':');
        td_buf_put(out, value);
    }
    td_buf_putc(out, '}');
    return out->err;
}

int td_llm_request_make(struct td_llm_request *request, const struct td_llm_spec *spec,
                        const struct td_run_input *input, struct td_buf *why)
{
    const char *fault;
    int r = td_llm_spec_check(spec, &fault);

    if (r < 0) {
        td_buf_putf(why, "The kind can't be run: its %s.", fault);
        return r;
    }
    r = put_url(&request->url, spec->url);
    if (r == 0 && spec->key_env.len > 0)
        r = key_from_environment(request, spec->key_env, why);
    if (r == 0 && spec->key_file.len > 0)
        r = key_from_file(request, spec->key_file, why);
    if (r < 0)
        return r;
    r = put_body(&request->body, spec, input);
    if (r == TD_ETOOLARGE)
        td_buf_putf(why, "The prompt, once filled, is longer than %zu bytes.", TD_LLM_PROMPT_MAX);
    else if (r < 0)
        td_buf_puts(why, "The request could not be made: out of memory.");
    return r;
}

void td_llm_request_redact(const struct td_llm_request *request, struct td_buf *text)
{
    struct td_slice key = request->key;
    size_t kept = 0;

    if (key.len < 3)
        return;
    for (size_t i = 0; i < text->len; kept++) {
        struct td_slice here = td_slice(text->ptr + i, text->len - i);
        if (!td_slice_starts(here, key)) {
            text->ptr[kept] = text->ptr[i++];
            continue;
        }
        memcpy(text->ptr + kept, "***", 3);
        kept += 2;
        i += key.len;
    }
    text->len = kept;
}

/* --- what can be said of a specification alone --- */

static bool is_object(struct td_slice json)
{
    struct td_slice value;

    return td_json_check(json, &value, NULL) == 0 && td_json_type(value) == TD_JSON_OBJECT;
}

static const char *fault_of(const struct td_llm_spec *spec, const char *url)
{
    const char *why;

    if (td_upstream_url_check(url, &why) < 0)
        return "url is no http or https URL with a host and without user, password and fragment";
    if (spec->model.len == 0 || spec->model.len > WORD_MAX)
        return "model must be named, with 256 bytes at most";
    if (spec->prompt.len == 0)
        return "prompt is empty";
    if (spec->key_env.len > 0 && spec->key_file.len > 0)
        return "key comes from key_env or from key_file, not from both";
    if (spec->key_env.len > WORD_MAX || spec->key_file.len >= URL_MAX)
        return "key_env or key_file is too long";
    if (spec->extra.len > 0 && !is_object(spec->extra))
        return "extra is no JSON object";
    if (spec->text_max == 0 || spec->text_max > 16 * TD_MIB)
        return "text_max is not within 1 byte and 16 MiB";
    return NULL;
}

int td_llm_spec_check(const struct td_llm_spec *spec, const char **ret_why)
{
    struct td_buf url = TD_BUF_INIT(URL_MAX);
    int r = put_url(&url, spec->url);
    const char *fault = r == 0 ? fault_of(spec, url.ptr) : "url is longer than 4,000 bytes";

    td_buf_done(&url);
    if (fault)
        *ret_why = fault;
    return fault ? TD_EINVAL : 0;
}
