/* SPDX-License-Identifier: Apache-2.0 */
/* The stand-in for a language model that comes with the examples (examples/imitation_llm.py), as a child of `tidings dev`. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "os/process.h"

struct td_imitation {
    struct td_process process;
    bool runs;
    struct td_buf url; /* with a NUL behind it */
};

/* Starts it, and waits until it says where it listens.  0; -ENOENT when there is no python3; another error, and then what it said, if anything, was
 * printed.  It is killed when the thread that calls this ends, however that comes about. */
TD_MUST_USE int td_imitation_start(struct td_imitation *imitation, const char *examples);
/* Ends it.  Fine also when it was not started. */
void td_imitation_stop(struct td_imitation *imitation);
