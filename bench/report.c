/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"
#include "bench.h"

static double quotient(double dividend, double divisor)
{
    return divisor > 0 ? dividend / divisor : 0;
}

static double quantile_ms(const struct histogram *histogram, double quantile)
{
    return (double)histogram_quantile_ns(histogram, quantile) / BENCH_NS_PER_MS;
}

static void print_connections(const struct report *report)
{
    const struct subscribers_tally *subscribers = report->subscribers;
    double ready = subscribers->ready;
    double cpu_ns = (double)(report->idle.server.cpu_ns - report->start.server.cpu_ns);
    double rss = (double)report->idle.server.rss_bytes - (double)report->start.server.rss_bytes;

    printf("\"connected\":%u,\"refused\":%u,\"lost\":%u,\"connects_per_s\":%.0f,"
           "\"connect_cpu_us\":%.2f,\"rss_bytes_per_connection\":%.1f,\"rss_bytes\":%ju,",
           subscribers->ready, subscribers->refused, subscribers->lost,
           quotient(ready * BENCH_NS_PER_S, (double)report->connected_ns),
           quotient(cpu_ns / 1e3, ready), quotient(rss, ready),
           (uintmax_t)report->to.server.rss_bytes);
}

static void print_deliveries(const struct report *report)
{
    const struct subscribers_tally *subscribers = report->subscribers;
    double span_s = (double)(report->to.at_ns - report->from.at_ns) / BENCH_NS_PER_S;
    double delivered = (double)(report->to.delivered - report->from.delivered);
    double bytes = (double)(report->to.bytes - report->from.bytes);
    double server_us = (double)(report->to.server.cpu_ns - report->from.server.cpu_ns) / 1e3;
    double own_us = (double)(report->to.own_cpu_ns - report->from.own_cpu_ns) / 1e3;

    printf("\"span_s\":%.3f,\"deliveries\":%ju,\"missing\":%jd,\"duplicates\":%ju,"
           "\"out_of_order\":%ju,\"deliveries_per_s\":%.0f,\"server_us_per_delivery\":%.4f,"
           "\"bytes_per_delivery\":%.1f,\"server_cpu_share\":%.3f,\"generator_cpu_share\":%.3f,",
           span_s, (uintmax_t)subscribers->delivered,
           (intmax_t)(report->expected - subscribers->delivered),
           (uintmax_t)subscribers->duplicates, (uintmax_t)subscribers->out_of_order,
           quotient(delivered, span_s), quotient(server_us, delivered), quotient(bytes, delivered),
           quotient(server_us / 1e6, span_s), quotient(own_us / 1e6, span_s));
    printf("\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_ms\":%.3f",
           quantile_ms(&subscribers->latency, 0.5), quantile_ms(&subscribers->latency, 0.99),
           quantile_ms(&subscribers->latency, 0.999),
           (double)subscribers->latency.max_ns / BENCH_NS_PER_MS);
}

static void print_publishes(const struct report *report)
{
    const struct publishers_tally *publishers = report->publishers;
    double span_s = (double)(report->to.at_ns - report->from.at_ns) / BENCH_NS_PER_S;
    double acked = (double)(report->to.acked - report->from.acked);
    double server_us = (double)(report->to.server.cpu_ns - report->from.server.cpu_ns) / 1e3;

    printf(",\"sent\":%ju,\"acked\":%ju,\"publishes_refused\":%ju,\"acked_per_s\":%.0f,"
           "\"server_us_per_acked\":%.3f,\"ack_p50_ms\":%.3f,\"ack_p99_ms\":%.3f",
           (uintmax_t)publishers->sent, (uintmax_t)publishers->acked,
           (uintmax_t)publishers->refused, quotient(acked, span_s), quotient(server_us, acked),
           quantile_ms(&publishers->ack, 0.5), quantile_ms(&publishers->ack, 0.99));
}

void report_print(const struct report *report)
{
    putchar('{');
    print_connections(report);
    print_deliveries(report);
    if (report->publishers)
        print_publishes(report);
    puts("}");
}
