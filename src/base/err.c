/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include <stddef.h>
#include <string.h>

struct entry {
    int number;
    int http, close;
    const char *name, *code, *hint;
};

static const struct entry entries[] = {
#define TD_ERR(name, number, code, http, close, hint) {-(number), http, close, #name, code, hint},
#include "base/err.def"
#undef TD_ERR
};

static const struct entry unknown = {
    0, 503, 1013, "UNKNOWN", "unavailable", "Retry later; the server's log says more.",
};

static const struct entry *find(int err)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(entries); i++)
        if (entries[i].number == err)
            return &entries[i];
    return &unknown;
}

const char *td_err_code(int err)
{
    return find(err)->code;
}

const char *td_err_hint(int err)
{
    return find(err)->hint;
}

const char *td_err_name(int err)
{
    const char *text = err < 0 && err > -1000 ? strerrordesc_np(-err) : NULL;

    return text ? text : find(err)->name;
}

int td_err_http(int err)
{
    return find(err)->http;
}

int td_err_close(int err)
{
    return find(err)->close;
}
