/* SPDX-License-Identifier: Apache-2.0 */
#include "api/metrics_text.h"

void td_metric_head(struct td_buf *out, const char *name, const char *type, const char *help)
{
    td_buf_putf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void td_metric_value(struct td_buf *out, const char *name, const char *labels, uint64_t value)
{
    td_buf_putf(out, "%s%s%s%s %llu\n", name, labels ? "{" : "", labels ? labels : "",
                labels ? "}" : "", (unsigned long long)value);
}

void td_metric(struct td_buf *out, const char *name, const char *type, const char *help,
               uint64_t value)
{
    td_metric_head(out, name, type, help);
    td_metric_value(out, name, NULL, value);
}

/* Nanoseconds as a decimal number of seconds, exact, without the zeros at its end. */
static void put_seconds(struct td_buf *out, td_ns ns)
{
    char text[40];
    size_t len =
        (size_t)snprintf(text, sizeof(text), "%llu.%09llu", (unsigned long long)(ns / TD_NS_PER_S),
                         (unsigned long long)(ns % TD_NS_PER_S));

    while (text[len - 1] == '0')
        len--;
    if (text[len - 1] == '.')
        len--;
    td_buf_put(out, td_slice(text, len));
}

void td_metric_seconds(struct td_buf *out, const char *name, const char *type, const char *help,
                       td_ns value)
{
    td_metric_head(out, name, type, help);
    td_buf_putf(out, "%s ", name);
    put_seconds(out, value);
    td_buf_putc(out, '\n');
}

void td_metric_histogram(struct td_buf *out, const char *name, const char *help,
                         const struct td_histogram_sum *sum)
{
    uint64_t cumulative = 0;

    td_metric_head(out, name, "histogram", help);
    for (size_t i = 0; i <= TD_HISTOGRAM_BOUNDS; i++) {
        cumulative += sum->buckets[i];
        td_buf_putf(out, "%s_bucket{le=\"", name);
        if (i < TD_HISTOGRAM_BOUNDS)
            put_seconds(out, td_histogram_bounds[i]);
        else
            td_buf_puts(out, "+Inf");
        td_buf_putf(out, "\"} %llu\n", (unsigned long long)cumulative);
    }
    td_buf_putf(out, "%s_sum ", name);
    put_seconds(out, sum->sum_ns);
    td_buf_putf(out, "\n%s_count %llu\n", name, (unsigned long long)sum->count);
}
