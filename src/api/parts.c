/* SPDX-License-Identifier: Apache-2.0 */
/* What several resources read of a request. */
#include "api/api.h"
#include "base/err.h"

int td_api_topic(const struct td_request *request, const char *prefix, struct td_buf *topic)
{
    struct td_slice path = td_slice_from(request->head->path, strlen(prefix));

    if (td_http_unescape(path, false, topic) < 0 || !td_topic_valid(td_buf_slice(topic)))
        return TD_ETOPIC;
    return 0;
}

uint64_t td_api_number(const struct td_request *request, const char *name, uint64_t absent,
                       uint64_t max)
{
    struct td_slice query = request->head->query, at, value;
    uint64_t number = absent;

    while (td_http_query_next(&query, &at, &value))
        if (td_slice_eq(at, td_slice_str(name)) &&
            (td_slice_u64(value, &number) < 0 || number > max))
            return 0;
    return number;
}
