/* SPDX-License-Identifier: Apache-2.0 */
/* What is played on the stage, again and again with another call failing. */
#pragma once

#include "stage.h"

struct scene {
    const char *name;
    /* What has to be there before, without failures; NULL: nothing. */
    void (*prepare)(struct stage *stage);
    /* Whether it was done.  With `strict` it must be, else whoever asks is answered with an error, or let go. */
    bool (*act)(struct stage *stage);
    bool keeping; /* the keeper works meanwhile, and its calls fail too */
    bool alone;   /* without a bystander, so that the first connection is the scene's */
};

extern const struct scene scenes[];
extern const size_t n_scenes;
