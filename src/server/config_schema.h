/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of options, and how text becomes a value of each type.  For config*.c only. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"
#include "server/config.h"

enum td_config_type {
    TD_CONFIG_BOOL,     /* bool: true or false */
    TD_CONFIG_NUMBER,   /* uint64_t */
    TD_CONFIG_BYTES,    /* uint64_t: 4096, 512KiB, 64MiB, 10GiB */
    TD_CONFIG_DURATION, /* uint64_t, milliseconds: 500ms, 30s, 5m, 1h, 7d, or 0 */
    TD_CONFIG_WORD,     /* unsigned: the index of one of `words` */
    TD_CONFIG_TEXT,     /* struct td_slice */
    TD_CONFIG_LIST,     /* struct td_slices, each a text */
    TD_CONFIG_RECORDS,  /* an array of structures; in YAML a list of mappings with `fields` */
    TD_CONFIG_NAMED, /* the same; in YAML a mapping from a name (the first field) to a mapping with the others */
};

struct td_config_option {
    const char *path; /* of a field: its name */
    enum td_config_type type;
    size_t offset;        /* in struct td_config; of a field: in its structure */
    const char *standard; /* the default as text; NULL: none, the value stays zero */
    uint64_t min,
        max; /* of numbers, bytes and durations; 0 passes below `min` when `off` says what it means */
    const char *off;
    const char *const *words;            /* ending with NULL */
    bool (*valid)(struct td_slice text); /* of texts and elements of lists; NULL: any */
    const char *expected;                /* what `valid` wants, after "must be" */
    const struct td_config_fields *fields;
    bool secret;     /* never shown */
    bool reloadable; /* SIGHUP changes it while the server runs */
    const char *help;
};

struct td_config_fields {
    const struct td_config_option *items;
    size_t n;
    size_t size;    /* of the structure */
    size_t line_at; /* where in it an unsigned for its line is; 0: nowhere */
};

/* How all arrays of records lie in struct td_config. */
struct td_config_array {
    void *items;
    size_t n;
};

/* All options, in the order of the documentation: those without a section first, then section by section; in each, records last. */
extern const struct td_config_option td_config_options[];
extern const size_t td_config_n_options;

/* The option of that path; NULL when there is none. */
const struct td_config_option *td_config_find(struct td_slice path);
/* Whether options stand below `path` (`retention` for `retention.age`). */
bool td_config_is_section(struct td_slice path);
/* The path that was probably meant (an option or a section, in the section of `path`); NULL when nothing is near. */
const char *td_config_nearest(struct td_slice path, char ret_path[64]);
/* How many edits (insert, remove, replace, swap neighbours) lead from one to the other, at most `max` + 1. */
size_t td_config_distance(struct td_slice a, struct td_slice b, size_t max);
/* The name in the environment: TIDINGS_RETENTION_AGE. */
void td_config_env_name(const struct td_config_option *option, char ret_name[64]);
/* The value of a variable; NULL when it is not there.  `env` may be NULL. */
const char *td_config_env_value(const char *const *env, const char *name);
/* What the option takes, after "must be": "a duration such as 500ms, 30s, 5m, 1h or 7d, from 1s". */
void td_config_put_expected(struct td_buf *out, const struct td_config_option *option);

/* Memory of the configuration, zeroed, freed with it.  Aborts when memory is out: this runs at start, on the operator's own
 * input. */
void *td_config_alloc(struct td_config *config, size_t size);
void td_config_release(struct td_config *config);
/* A copy with a NUL behind it. */
struct td_slice td_config_copy(struct td_config *config, struct td_slice text);
/* Appends a zeroed element and returns it. */
void *td_config_append(struct td_config *config, struct td_config_array *array, size_t size);

/* Sets a scalar, or the comma-separated elements of a list, in `base` (the configuration, or a record of it).  False when the
 * text is no such value; nothing is changed then. */
bool td_config_set(struct td_config *config, void *base, const struct td_config_option *option,
                   struct td_slice text);
/* Adds one element to a list in `base`; `text` is taken whole.  False when it is not valid. */
bool td_config_add(struct td_config *config, void *base, const struct td_config_option *option,
                   struct td_slice text);

/* Compiles `auth`, `issuers` and `verify`, from keys in the configuration and in files that it names. */
void td_config_compile_keys(struct td_config *config, const struct td_config_inputs *inputs,
                            struct td_buf *errors);
void td_config_release_keys(struct td_config *config);

/* Gives each kind that asks a model, and does not say which, what `llm` says. */
void td_config_default_llm(struct td_config *config, const char *const *env);
/* Gives the first `n` kinds, those of the examples in `dir`, their directory and their environment. */
void td_config_place_examples(struct td_config *config, size_t n, const char *dir,
                              struct td_buf *errors);

/* Puts the endpoints that ship in front of those of the file. */
void td_config_ship_endpoints(struct td_config *config, struct td_buf *errors);
/* Makes `served` of what all of them say; `file` is where those that do not ship stand. */
void td_config_compile_endpoints(struct td_config *config, const char *file, struct td_buf *errors);

/* Reads a YAML text into the configuration; faults become lines in `errors`, each with `name` and the line. */
void td_config_read_yaml(struct td_config *config, const char *name, struct td_slice text,
                         struct td_buf *errors);
