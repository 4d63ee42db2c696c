/* SPDX-License-Identifier: Apache-2.0 */
/* The content of a simulated file: what is written, what is synced, and the changes between the two. */
#include "base/assert.h"
#include "os/sim/disk.h"
#include <sys/mman.h>
#include <unistd.h>

#define SECTOR ((uint64_t)512)

static void memory_write(int memory, const char *bytes, size_t len, uint64_t at)
{
    while (len > 0) {
        ssize_t n = pwrite(memory, bytes, len, (off_t)at);

        TD_ASSERT(n > 0);
        bytes += n;
        len -= (size_t)n;
        at += (uint64_t)n;
    }
}

static int memory_new(uint64_t size)
{
    int memory = memfd_create("sim-file", MFD_CLOEXEC);

    TD_ASSERT(memory >= 0);
    TD_ASSERT(ftruncate(memory, (off_t)size) == 0);
    return memory;
}

struct td_sim_inode *td_sim_inode_alloc(void)
{
    struct td_sim_inode *inode = calloc(1, sizeof *inode);

    TD_ASSERT(inode);
    inode->memory = memory_new(0);
    return inode;
}

static void changes_clear(struct td_sim_inode *inode)
{
    for (size_t i = 0; i < inode->n_changes; i++)
        free(inode->changes[i].bytes);
    inode->n_changes = 0;
}

void td_sim_inode_free(struct td_sim_inode *inode)
{
    changes_clear(inode);
    free(inode->changes);
    free(inode->synced);
    close(inode->memory);
    free(inode);
}

static struct td_sim_change *change_add(struct td_sim_inode *inode, enum td_sim_change_kind kind,
                                        uint64_t at)
{
    if (inode->n_changes == inode->changes_cap) {
        inode->changes_cap = inode->changes_cap ? inode->changes_cap * 2 : 8;
        inode->changes = realloc(inode->changes, inode->changes_cap * sizeof *inode->changes);
        TD_ASSERT(inode->changes);
    }
    struct td_sim_change *change = &inode->changes[inode->n_changes++];
    *change = (struct td_sim_change){.kind = kind, .at = at};
    return change;
}

void td_sim_inode_write(struct td_sim_inode *inode, const char *bytes, size_t len, uint64_t at)
{
    if (len == 0)
        return;
    struct td_sim_change *change = change_add(inode, TD_SIM_WRITE, at);
    change->bytes = malloc(len);
    TD_ASSERT(change->bytes);
    memcpy(change->bytes, bytes, len);
    change->len = len;
    memory_write(inode->memory, bytes, len, at);
    inode->size = TD_MAX(inode->size, at + len);
    inode->blocks = TD_MAX(inode->blocks, TD_ALIGN_UP(at + len, TD_SIM_BLOCK));
}

void td_sim_inode_resize(struct td_sim_inode *inode, uint64_t size)
{
    if (size == inode->size)
        return;
    change_add(inode, size > inode->size ? TD_SIM_GROW : TD_SIM_CUT, size);
    inode->size = size;
    inode->blocks = TD_MIN(inode->blocks, TD_ALIGN_UP(size, TD_SIM_BLOCK));
    TD_ASSERT(ftruncate(inode->memory, (off_t)size) == 0);
}

static void synced_put(struct td_sim_inode *inode, const char *bytes, size_t len, uint64_t at)
{
    size_t end = (size_t)at + len;

    if (end > inode->synced_len) {
        inode->synced = realloc(inode->synced, end);
        TD_ASSERT(inode->synced);
        memset(inode->synced + inode->synced_len, 0, end - inode->synced_len);
        inode->synced_len = end;
    }
    memcpy(inode->synced + at, bytes, len);
}

static void synced_cut(struct td_sim_inode *inode, uint64_t size)
{
    inode->synced_len = (size_t)TD_MIN((uint64_t)inode->synced_len, size);
}

void td_sim_inode_sync(struct td_sim_inode *inode)
{
    for (size_t i = 0; i < inode->n_changes; i++) {
        const struct td_sim_change *change = &inode->changes[i];

        if (change->kind == TD_SIM_WRITE) {
            synced_put(inode, change->bytes, change->len, change->at);
            inode->synced_size = TD_MAX(inode->synced_size, change->at + change->len);
        } else {
            if (change->kind == TD_SIM_CUT)
                synced_cut(inode, change->at);
            inode->synced_size = change->at;
        }
    }
    changes_clear(inode);
}

/* Decides up to which change the history of the file goes on (nothing comes after a cut that did not survive) and
 * returns that; the size is one that it had between the last cut that did and there. */
static size_t tear_history(struct td_sim_inode *inode, uint64_t *ret_size)
{
    struct td_rng *rng = td_sim_rng(TD_SIM_DISK);
    uint64_t size = inode->synced_size, chosen = size;
    uint64_t candidates = 1;

    for (size_t i = 0; i < inode->n_changes; i++) {
        const struct td_sim_change *change = &inode->changes[i];

        if (change->kind == TD_SIM_CUT) {
            if (td_rng_one_in(rng, 2)) {
                *ret_size = chosen;
                return i;
            }
            size = chosen = change->at;
            candidates = 1;
            continue;
        }
        uint64_t end = change->kind == TD_SIM_WRITE ? change->at + change->len : change->at;
        if (end > size) {
            size = end;
            if (td_rng_one_in(rng, ++candidates))
                chosen = size;
        }
    }
    *ret_size = chosen;
    return inode->n_changes;
}

/* For each sector up to `sectors` the last change to it that survives, counted from 1. */
static uint32_t *tear_sectors(const struct td_sim_inode *inode, size_t n_changes, size_t sectors)
{
    struct td_rng *rng = td_sim_rng(TD_SIM_DISK);
    uint32_t *last = calloc(sectors + 1, sizeof *last);

    TD_ASSERT(last);
    for (size_t i = 0; i < n_changes; i++) {
        const struct td_sim_change *change = &inode->changes[i];

        if (change->kind == TD_SIM_CUT) {
            for (size_t s = change->at / SECTOR; s < sectors; s++)
                last[s] = (uint32_t)i + 1;
        } else if (change->kind == TD_SIM_WRITE) {
            uint64_t fate = td_rng_below(rng, 3); /* none, all, torn */
            size_t end = (size_t)((change->at + change->len + SECTOR - 1) / SECTOR);

            for (size_t s = change->at / SECTOR; s < end; s++)
                if (fate == 1 || (fate == 2 && td_rng_one_in(rng, 2)))
                    last[s] = (uint32_t)i + 1;
        }
    }
    return last;
}

static void tear_apply(struct td_sim_inode *inode, size_t n_changes, const uint32_t *last)
{
    for (size_t i = 0; i < n_changes; i++) {
        const struct td_sim_change *change = &inode->changes[i];

        if (change->kind == TD_SIM_CUT)
            synced_cut(inode, change->at);
        if (change->kind != TD_SIM_WRITE)
            continue;
        uint64_t end = change->at + change->len;
        for (uint64_t at = change->at, next; at < end; at = next) {
            next = TD_MIN(end, (at / SECTOR + 1) * SECTOR);
            if (last[at / SECTOR] > i)
                synced_put(inode, change->bytes + (at - change->at), (size_t)(next - at), at);
        }
    }
}

void td_sim_inode_tear(struct td_sim_inode *inode)
{
    uint64_t end = inode->synced_size, size = 0;

    if (inode->n_changes == 0)
        return;
    for (size_t i = 0; i < inode->n_changes; i++)
        end = TD_MAX(end, inode->changes[i].at + inode->changes[i].len);
    size_t n_changes = tear_history(inode, &size);
    uint32_t *last = tear_sectors(inode, n_changes, (size_t)((end + SECTOR - 1) / SECTOR));
    tear_apply(inode, n_changes, last);
    free(last);
    inode->synced_size = size;
    synced_cut(inode, size);
    changes_clear(inode);
}

void td_sim_inode_reload(struct td_sim_inode *inode)
{
    TD_ASSERT(inode->n_changes == 0);
    close(inode->memory);
    inode->memory = memory_new(inode->synced_size);
    memory_write(inode->memory, inode->synced, inode->synced_len, 0);
    inode->size = inode->synced_size;
    inode->blocks = TD_ALIGN_UP(inode->size, TD_SIM_BLOCK);
    inode->locked_by = 0;
}

void td_sim_inode_flip(struct td_sim_inode *inode, uint64_t at, unsigned bit)
{
    char mask = (char)(1U << (bit & 7)), byte;

    TD_ASSERT(at < inode->size);
    TD_ASSERT(pread(inode->memory, &byte, 1, (off_t)at) == 1);
    byte = (char)(byte ^ mask);
    memory_write(inode->memory, &byte, 1, at);
    if (at < inode->synced_size) {
        char synced = at < inode->synced_len ? inode->synced[at] : 0;

        synced = (char)(synced ^ mask);
        synced_put(inode, &synced, 1, at);
    }
    for (size_t i = 0; i < inode->n_changes; i++) {
        struct td_sim_change *change = &inode->changes[i];

        if (change->kind == TD_SIM_WRITE && at >= change->at && at - change->at < change->len)
            change->bytes[at - change->at] = (char)(change->bytes[at - change->at] ^ mask);
    }
}
