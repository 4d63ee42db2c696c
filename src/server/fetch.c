/* SPDX-License-Identifier: Apache-2.0 */
#include "server/fetch.h"
#include "base/err.h"
#include <curl/curl.h>

static size_t take_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct td_fetch *fetch = arg;

    /* Any other number than was given ends the transfer. */
    return td_buf_put(&fetch->body, td_slice(bytes, size * n)) < 0 ? 0 : size * n;
}

void td_fetch_read_header(struct td_fetch *fetch, struct td_slice line)
{
    struct td_slice name, item;
    uint64_t seconds;

    if (!td_slice_split(&line, ':', &name) || !td_slice_eq_nocase(name, TD_S("cache-control")))
        return;
    while (td_slice_split(&line, ',', &item)) {
        while (item.len > 0 && (item.ptr[item.len - 1] == '\n' || item.ptr[item.len - 1] == '\r'))
            item.len--;
        item = td_slice_trim(item);
        if (td_slice_eq_nocase(item, TD_S("no-cache")) ||
            td_slice_eq_nocase(item, TD_S("no-store"))) {
            fetch->has_max_age = true;
            fetch->max_age_s = 0;
            return;
        }
        if (item.len > 8 && td_slice_eq_nocase(td_slice_to(item, 8), TD_S("max-age=")) &&
            td_slice_u64(td_slice_from(item, 8), &seconds) == 0) {
            fetch->has_max_age = true;
            fetch->max_age_s = seconds;
        }
    }
}

static size_t take_header(char *bytes, size_t size, size_t n, void *arg)
{
    td_fetch_read_header(arg, td_slice(bytes, size * n));
    return size * n;
}

static int on_progress(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                       curl_off_t up)
{
    const struct td_fetch *fetch = arg;

    (void)down_all, (void)down, (void)up_all, (void)up;
    return atomic_load_explicit(fetch->give_up, memory_order_relaxed); /* not 0: it ends here */
}

static CURLcode prepare(CURL *curl, struct td_fetch *fetch, struct curl_slist *headers)
{
    CURLcode code = CURLE_OK;

#define SET(option, value) code = code ? code : curl_easy_setopt(curl, CURLOPT_##option, value)
    SET(URL, fetch->url);
    SET(PROTOCOLS_STR, "http,https");
    SET(FOLLOWLOCATION, 0L);
    SET(TIMEOUT_MS, (long)fetch->timeout_ms);
    SET(NOSIGNAL, 1L);
    SET(HTTPHEADER, headers);
    SET(USERAGENT, "tidings");
    SET(ERRORBUFFER, fetch->error);
    SET(WRITEFUNCTION, take_body);
    SET(WRITEDATA, fetch);
    SET(HEADERFUNCTION, take_header);
    SET(HEADERDATA, fetch);
    SET(XFERINFOFUNCTION, on_progress);
    SET(XFERINFODATA, fetch);
    SET(NOPROGRESS, 0L);
#undef SET
    return code;
}

static int perform(CURL *curl, struct td_fetch *fetch, struct curl_slist *headers)
{
    long status = 0;
    CURLcode code = prepare(curl, fetch, headers);

    if (code == CURLE_OK)
        code = curl_easy_perform(curl);
    if (fetch->body.err < 0) {
        snprintf(fetch->error, sizeof(fetch->error), "the answer is longer than %zu bytes",
                 fetch->body.max);
        return TD_EUNAVAILABLE;
    }
    if (code != CURLE_OK) {
        if (!fetch->error[0])
            snprintf(fetch->error, sizeof(fetch->error), "%s", curl_easy_strerror(code));
        return TD_EUNAVAILABLE;
    }
    if (curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status != 200) {
        snprintf(fetch->error, sizeof(fetch->error),
                 "the answer was %ld, not 200 (redirects are not followed)", status);
        return TD_EUNAVAILABLE;
    }
    return 0;
}

int td_fetch(struct td_fetch *fetch)
{
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    int r = TD_EUNAVAILABLE;

    fetch->error[0] = '\0';
    fetch->has_max_age = false;
    if (curl && headers)
        r = perform(curl, fetch, headers);
    else
        snprintf(fetch->error, sizeof(fetch->error), "out of memory");
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return r;
}
