/* SPDX-License-Identifier: Apache-2.0 */
/* The Prometheus text format, version 0.0.4: a head for each name, then its values.  Errors stay in the buffer. */
#pragma once

#include "api/api.h"
#include "base/assert.h"
#include "base/histogram.h"

void td_metric_head(struct td_buf *out, const char *name, const char *type, const char *help);
/* `labels` without braces; NULL: none. */
void td_metric_value(struct td_buf *out, const char *name, const char *labels, uint64_t value);
/* Head and one value. */
void td_metric(struct td_buf *out, const char *name, const char *type, const char *help,
               uint64_t value);
void td_metric_seconds(struct td_buf *out, const char *name, const char *type, const char *help,
                       td_ns value);
/* metrics_jobs.c: what is told of jobs. */
void td_api_put_jobs(const struct td_api *api, struct td_buf *out);
/* Head, cumulative buckets, sum and count, in seconds. */
void td_metric_histogram(struct td_buf *out, const char *name, const char *help,
                         const struct td_histogram_sum *sum);
