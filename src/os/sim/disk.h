/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated disk below the file calls: content with and without sync, names with and without sync. */
#pragma once

#include "base/compiler.h"
#include "os/sim/impl.h"

#define TD_SIM_BLOCK          ((uint64_t)4096)
#define TD_SIM_FILE_BYTES_MAX ((uint64_t)1 << 30)

/* A change to a file since its last sync. */
enum td_sim_change_kind {
    TD_SIM_WRITE,
    TD_SIM_GROW, /* the size alone: an allocation, or a truncation to more */
    TD_SIM_CUT,  /* truncation to less: what comes later cannot survive without it */
};

struct td_sim_change {
    enum td_sim_change_kind kind;
    uint64_t at; /* of a write; else the new size */
    size_t len;
    char *bytes; /* of a write; owned */
};

/* What is written lies in memory of its own behind a descriptor, so that each mapping of it is a real one: a read
 * after the unmapping, or behind the end, stops the run. */
struct td_sim_inode {
    int memory;
    uint64_t size;
    uint64_t blocks; /* bytes that it takes on the disk */
    char *synced;    /* what is synced, zeros beyond synced_len */
    size_t synced_len;
    uint64_t synced_size;
    struct td_sim_change *changes; /* since the last sync, oldest first */
    size_t n_changes, changes_cap;
    int locked_by;  /* a file, 0: nobody */
    unsigned opens; /* files and mappings that hold it */
};

/* Looks a name up; NULL when there is no such file. */
struct td_sim_inode *td_sim_inode_find(const char *path);
/* Makes an empty file under a new name. */
struct td_sim_inode *td_sim_inode_new(const char *path);
/* Frees what has neither a name nor a holder. */
void td_sim_inodes_sweep(void);

void td_sim_inode_write(struct td_sim_inode *inode, const char *bytes, size_t len, uint64_t at);
void td_sim_inode_resize(struct td_sim_inode *inode, uint64_t size);
void td_sim_inode_sync(struct td_sim_inode *inode);
/* Replaces what is synced by what a crash (or a failed sync) leaves of the changes. */
void td_sim_inode_tear(struct td_sim_inode *inode);
/* Makes what is written what is synced, in new memory. */
void td_sim_inode_reload(struct td_sim_inode *inode);
void td_sim_inode_flip(struct td_sim_inode *inode, uint64_t at, unsigned bit);
void td_sim_inode_free(struct td_sim_inode *inode);
struct td_sim_inode *td_sim_inode_alloc(void);

/* Names.  Renames replace what `to` named before. */
void td_sim_name_rename(const char *from, const char *to);
void td_sim_name_unlink(const char *path);
void td_sim_names_sync(const char *dir);
void td_sim_names_crash(void);
void td_sim_names_reset(void);
/* Calls `each` with the path of each file, in order of creation; stops when it answers other than 0 and returns that. */
int td_sim_names_each(int (*each)(const char *path, struct td_sim_inode *inode, void *arg),
                      void *arg);

bool td_sim_dir_exists(const char *dir);
void td_sim_dir_add(const char *dir);
/* The length of the directory part of a path, without the slash; 0 when there is none. */
size_t td_sim_dir_len(const char *path);
/* Whether `path` lies directly in `dir`. */
bool td_sim_dir_holds(const char *dir, const char *path);

/* Faults.  Whether this call, which changes the disk, is the last one of the process; a coin says whether it is still done. */
bool td_sim_dies(bool *ret_done);
/* Whether this call is the one that fails. */
bool td_sim_write_fails(void);
bool td_sim_sync_fails(void);
bool td_sim_read_fails(void);
/* Where a file may end by the space that is left. */
uint64_t td_sim_end_max(const struct td_sim_inode *inode);
void td_sim_faults_reset(void);
/* Closes all files of the process that died. */
void td_sim_files_kill(void);
