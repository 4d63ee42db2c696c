/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/deflated.h"
#include <stdlib.h>

/* Larger frames would push out too many others. */
#define FRAME_MAX (TD_DEFLATED_BYTES / 16)

struct slot {
    uint64_t seq; /* 0: empty */
    char *bytes;
    uint32_t len;
    enum td_wire wire : 8;
};

struct td_deflated {
    size_t bytes; /* in all slots */
    size_t hand;  /* the slot to be emptied next when there is no room */
    struct slot slots[TD_DEFLATED_SLOTS];
};

struct td_deflated *td_deflated_new(void)
{
    return calloc(1, sizeof(struct td_deflated));
}

static void empty(struct td_deflated *kept, struct slot *slot)
{
    free(slot->bytes);
    kept->bytes -= slot->len;
    *slot = (struct slot){0};
}

void td_deflated_free(struct td_deflated *kept)
{
    if (!kept)
        return;
    for (size_t i = 0; i < TD_DEFLATED_SLOTS; i++)
        empty(kept, &kept->slots[i]);
    free(kept);
}

/* Neighbours on one wire do not meet, nor does one record on its three wires. */
static size_t place(uint64_t seq, enum td_wire wire)
{
    return (size_t)(seq * 3 + wire) % TD_DEFLATED_SLOTS;
}

struct td_slice td_deflated_find(const struct td_deflated *kept, uint64_t seq, enum td_wire wire)
{
    if (!kept)
        return (struct td_slice){NULL, 0};
    const struct slot *slot = &kept->slots[place(seq, wire)];
    if (slot->seq != seq || slot->wire != wire)
        return (struct td_slice){NULL, 0};
    return td_slice(slot->bytes, slot->len);
}

void td_deflated_keep(struct td_deflated *kept, uint64_t seq, enum td_wire wire,
                      struct td_slice frame)
{
    struct slot *slot = &kept->slots[place(seq, wire)];

    if (seq == 0 || frame.len > FRAME_MAX)
        return;
    empty(kept, slot);
    while (kept->bytes + frame.len > TD_DEFLATED_BYTES) {
        empty(kept, &kept->slots[kept->hand]);
        kept->hand = (kept->hand + 1) % TD_DEFLATED_SLOTS;
    }
    char *bytes = malloc(frame.len);
    if (!bytes)
        return;
    memcpy(bytes, frame.ptr, frame.len);
    *slot = (struct slot){seq, bytes, (uint32_t)frame.len, wire};
    kept->bytes += frame.len;
}
