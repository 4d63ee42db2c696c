/* SPDX-License-Identifier: Apache-2.0 */
/* The journal alone on the simulated machine: what its parts (publisher, readers, restarts) share. */
#pragma once

#include "model.h"
#include "os/sim/sim.h"
#include "world.h"

#define SIM_HANDLES  3
#define SIM_READERS  8
#define SIM_PATTERNS 4

/* Somebody who reads some patterns and remembers how far, also over restarts. */
struct sim_reader {
    bool on;
    unsigned handle;
    uint64_t position;
    uint64_t fresh_at;  /* the position that it began at */
    uint64_t gap_told;  /* gaps of retention up to here have been told */
    bool oldest;        /* it began with the oldest, and has been told of none yet, … */
    uint32_t oldest_at; /* … at which look at the trims: what went later it is told of */
    struct td_told told;
    struct td_wanted wanted[SIM_PATTERNS];
    char patterns[SIM_PATTERNS][TD_TOPIC_LEN_MAX + 1];
    size_t n_wanted;
    bool must_hear;      /* got something that a crash took back: has to be told */
    unsigned idle_turns; /* without progress */
};

/* A batch with a key of its own, to be repeated. */
#define SIM_BATCH_MAX 12
struct sim_batch {
    uint32_t key; /* 0: none */
    size_t n;
    struct td_model_event events[SIM_BATCH_MAX];
};

struct sim_journal {
    struct td_rng rng;
    struct td_journal_options options;
    struct td_journal *journal; /* NULL while it is down */
    struct td_journal_reader *handles[SIM_HANDLES];
    /* What a handle returned and has not yet said that it is done with. */
    const char *held[SIM_HANDLES];
    struct td_model_event held_event[SIM_HANDLES];
    struct sim_reader readers[SIM_READERS];
    struct sim_batch batches[4];
    struct td_model model;
    uint32_t next_number;
    uint64_t next_batch;
    bool damaged;     /* bits flip at restarts in this world */
    bool sync_failed; /* since the start */
    bool closed;      /* the last process ended in order, with all of it on disk */
    bool blurred;     /* the table of what was trimmed may say too much */
    bool littered;    /* faults may have left files behind, until a restart removes them */
    bool faults_on;
    bool faults_allowed, wall_jumps;
    td_ns faults_until_ns; /* since then an append must succeed */
    struct td_retention_group groups[3];
    struct td_slice patterns[3][2];
    uint32_t looks; /* at what is trimmed */
    uint64_t reads, records, gaps, appends, refusals, restarts, losses, flips, states;
};

/* state.c */
/* The group of a topic, as the model sees it. */
unsigned sim_group_of(const struct sim_journal *sim, unsigned topic);
/* Notes what retention has dropped since. */
void sim_observe_trims(struct sim_journal *sim);
/* Reads the whole state as of what is readable, and as of an older position, and compares. */
void sim_check_state(struct sim_journal *sim);
/* How many keys have something. */
size_t sim_state_keys(const struct sim_journal *sim);

/* publisher.c */
void sim_publish(struct sim_journal *sim);

/* reader.c */
void sim_reader_new(struct sim_journal *sim, struct sim_reader *reader);
void sim_read(struct sim_journal *sim, struct sim_reader *reader);
/* Reads on until all of it has been read. */
void sim_read_out(struct sim_journal *sim, struct sim_reader *reader);
void sim_ask_trimmed(struct sim_journal *sim);
void sim_ask_newest(struct sim_journal *sim);
/* Ends the use of what a handle has returned; it must still be what it was. */
void sim_quiesce(struct sim_journal *sim, unsigned handle, bool doze);
/* Looks for its keys again, once the journal is open; of what was dropped before it is not known when. */
void sim_reader_attach(struct sim_journal *sim, struct sim_reader *reader);

/* restart.c */
enum sim_end {
    SIM_CLOSE,
    SIM_KILL,
    SIM_POWER_LOSS,
};
void sim_boot(struct sim_journal *sim);
void sim_down(struct sim_journal *sim, enum sim_end how);

/* sim_journal.c */
/* Looks at the heads, which never go back, and notes what they promise. */
void sim_observe(struct sim_journal *sim);
/* Runs the keeper until it rests. */
void sim_keep(struct sim_journal *sim);
