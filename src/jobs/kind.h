/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of jobs: what is declared in the option `jobs.kinds` (docs/jobs.md, docs/decisions/0016), compiled once.
 *
 * Pure and immutable: a set of kinds may be read by any thread.  Texts are those of the configuration, which outlives it. */
#pragma once

#include "auth/principal.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"
#include <regex.h>

#define TD_KINDS_MAX        256
#define TD_KIND_PARAMS_MAX  32
#define TD_KIND_STEPS_MAX   64
#define TD_KIND_ARGS_MAX    256
#define TD_KIND_TEXT_MAX    ((size_t)64 * 1024) /* of one template */
#define TD_PARAM_BYTES_MAX  ((size_t)64 * 1024) /* of one value */
#define TD_PARAMS_BYTES_MAX ((size_t)256 * 1024)

enum td_runner {
    TD_RUNNER_COMMAND,
    TD_RUNNER_LLM,
    TD_RUNNER_PIPELINE,
    TD_RUNNER_EXTERNAL, /* none of ours: a worker somewhere else reports */
};
#define TD_RUNNERS 4

/* What a kind may tell on its own topic. */
enum td_kind_event {
    TD_KIND_START,
    TD_KIND_STATUS,
    TD_KIND_PROGRESS,
    TD_KIND_OUTPUT,
    TD_KIND_TEXT,
    TD_KIND_LOG,
    TD_KIND_STEP,
    TD_KIND_COMPLETE,
    TD_KIND_ERROR,
    TD_KIND_CANCELLED,
};
#define TD_KIND_EVENTS 10

/* An entry of jobs.kinds as it is configured: see docs/configuration.md.  Texts end with a NUL behind their last byte. */
struct td_kind_spec {
    struct td_slice name, title;
    unsigned runner; /* enum td_runner */
    struct td_slices params;
    struct td_slice topic;
    struct td_slices events, carry;
    struct td_slice who;
    bool internal, shared;
    struct td_slices steps;
    uint64_t time_ms, concurrency, queue, session_concurrency; /* time_ms, session_…: 0: no limit */

    /* command */
    struct td_slices argv, env; /* env: NAME=VALUE */
    struct td_slice dir;        /* empty: the server's */
    unsigned exit_status;       /* 0: another than 0 is a failure; 1: it is a result */
    uint64_t memory_bytes;      /* of each process; 0: no limit */
    uint64_t cpu_ms;            /* likewise */
    uint64_t grace_ms;          /* from SIGTERM to SIGKILL */
    uint64_t output_bytes;      /* of all lines; 0: no limit */

    /* llm */
    struct td_slice url, model, key_env, key_file, system, prompt;
    uint64_t max_tokens;         /* 0: the upstream's */
    struct td_slice temperature; /* td_kind_temperature; empty: the upstream's */
    struct td_slice extra;       /* an object of JSON, whose members are sent too; or empty */
    uint64_t retries, retry_delay_ms;
    uint64_t connect_ms, first_byte_ms, idle_ms;
};

/* A kind may be started by … */
enum td_who {
    TD_WHO_PUBLISH, /* who may publish its topic */
    TD_WHO_ANY,     /* any valid token */
    TD_WHO_ROLE,
};

struct td_param {
    struct td_slice name;
    bool optional;
    bool is_segment; /* it stands in the topic */
    regex_t regex;   /* of the whole value */
};

struct td_kind {
    const struct td_kind_spec *spec;
    size_t index; /* in the set */
    struct td_param params[TD_KIND_PARAMS_MAX];
    size_t n_params;
    struct td_slice events[TD_KIND_EVENTS]; /* the names; empty: not told */
    enum td_who who;
    struct td_slice role;
    const struct td_kind *steps[TD_KIND_STEPS_MAX];
    size_t n_steps;
};

struct td_kinds {
    struct td_kind *items;
    size_t n;
};

/* What `tidings check` asks of texts alone. */
bool td_kind_param_valid(struct td_slice text); /* NAME[?]=REGEX */
bool td_kind_event_valid(struct td_slice text); /* start=NAME */
bool td_kind_who_valid(struct td_slice text);   /* publish, any, role:NAME */
bool td_kind_extra_valid(struct td_slice text); /* an object of JSON */
bool td_kind_temperature_valid(struct td_slice text);
/* The number of a valid one; negative for an empty one. */
double td_kind_temperature(struct td_slice text);

/* Compiles kinds.  0; or TD_EINVAL with a line in `errors` for each fault: "jobs.kinds.NAME: a sentence".  -ENOMEM likewise. */
TD_MUST_USE int td_kinds_new(const struct td_kind_spec *specs, size_t n,
                             struct td_kinds **ret_kinds, struct td_buf *errors);
/* NULL is fine. */
void td_kinds_free(struct td_kinds *kinds);
/* The kind of that name; NULL: there is none.  NULL kinds are none. */
const struct td_kind *td_kinds_find(const struct td_kinds *kinds, struct td_slice name);

/* The nth parameter's number by its name; negative: not declared. */
int td_kind_param(const struct td_kind *kind, struct td_slice name);
/* Whether a value fits a parameter: its regex, and the length of TD_PARAM_BYTES_MAX.  `value` ends with a NUL behind its last byte. */
bool td_param_fits(const struct td_param *param, struct td_slice value);
