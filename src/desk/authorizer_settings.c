/* SPDX-License-Identifier: Apache-2.0 */
#include "desk/authorizer_settings.h"
#include <stdlib.h>

static struct td_slice keep(char **at, struct td_slice text)
{
    struct td_slice copy = {*at, text.len};

    if (text.len > 0)
        memcpy(*at, text.ptr, text.len);
    (*at)[text.len] = '\0';
    *at += text.len + 1;
    return copy;
}

struct td_authorizer_settings *td_authorizer_settings_new(
    const struct td_authorizer_options *options)
{
    struct td_authorizer_settings *settings =
        malloc(sizeof(*settings) + options->url.len + options->header.len + 2);

    if (!settings)
        return NULL;
    char *at = settings->text;
    settings->options = *options;
    settings->options.url = keep(&at, options->url);
    settings->options.header = keep(&at, options->header);
    return settings;
}

void td_authorizer_settings_free(struct td_authorizer_settings *settings)
{
    if (settings)
        explicit_bzero((char *)(uintptr_t)settings->options.header.ptr,
                       settings->options.header.len);
    free(settings);
}

bool td_authorizer_settings_same(const struct td_authorizer_options *a,
                                 const struct td_authorizer_options *b)
{
    return td_slice_eq(a->url, b->url) && td_slice_eq(a->header, b->header) &&
           a->timeout_ms == b->timeout_ms && a->cache_ms == b->cache_ms &&
           a->denied_ms == b->denied_ms && a->entries == b->entries &&
           a->concurrency == b->concurrency;
}
