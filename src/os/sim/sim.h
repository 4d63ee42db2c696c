/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated machine, the second implementation of os/: one process, one thread, one seed = one run.
 *
 * The program under test sees clock.h, random.h, thread.h, file.h, net.h and loop.h as on a real machine; the
 * test drives what it cannot: time, faults, crashes and the clients at the other end of the sockets.  All of it is
 * decided by the seed, so a run that failed fails again.  There is one machine in a process. */
#pragma once

#include "base/compiler.h"
#include "base/rng.h"
#include "base/slice.h"
#include "base/units.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct td_loop;

/* ---- the machine ---- */

/* A new machine: empty disk, no sockets, the clock at its beginning.  What the last one held is freed, so
 * nothing of it may be used any more; mappings that were not given back are counted as a leak by td_sim_maps_open before. */
void td_sim_reset(uint64_t seed);
/* Moves the monotonic clock on, and the bytes on their way with it. */
void td_sim_advance(td_ns ns);
/* Jumps the wall clock, forth or back. */
void td_sim_jump_wall(int64_t ms);
/* When the next byte, end or connection arrives somewhere; UINT64_MAX when nothing is on its way. */
td_ns td_sim_next_ns(void);

/* The process is dead: every file call answers -EIO and does nothing, except that files may be closed and mappings given
 * back.  A dead process stays so until td_sim_boot. */
bool td_sim_dead(void);
void td_sim_boot(void);

/* ---- the disk ----
 *
 * A file has what is written (the page cache) and what is synced.  td_file_sync makes content and size durable,
 * td_dir_sync the names in a directory: a file that was synced but whose directory was not may be gone.  Directories
 * themselves are durable once made. */

/* Power loss.  Each write since the last sync survives wholly, not at all, or torn: any of its 512-byte sectors.  A
 * sector holds a state that it once had: what was written to it later never survives without what was written to it earlier.  The size is one
 * that the file had since.  Names that were not synced survive up to a random point, or each or not by itself;
 * a rename is atomic.  Kills the process. */
void td_sim_disk_crash(void);
/* kill -9: the process is dead, what it wrote stays. */
void td_sim_disk_kill(void);

struct td_sim_disk_faults {
    uint64_t
        space_bytes; /* the disk's size, 0: without bound; what would pass it fails with -ENOSPC */
    unsigned
        fail_write_in; /* 1: the next write or allocation fails with -EIO, 2: the one after, …; 0: none */
    unsigned fail_sync_in; /* likewise for syncs of files and directories */
    unsigned
        fail_read_in; /* likewise for td_file_populate: its mapping can't be read from then on */
    unsigned
        die_in; /* the process dies in the n-th call that changes the disk, which may be done in part */
};

/* Sets the faults to come.  A failed write leaves a random prefix; after a failed sync of a file what was not synced is
 * as after a crash, although it can still be read: a later sync does not bring it back (as on Linux). */
void td_sim_disk_set(const struct td_sim_disk_faults *faults);
/* What is left of them. */
struct td_sim_disk_faults td_sim_disk_get(void);
uint64_t td_sim_disk_used_bytes(void);
/* Flips a bit on the disk and in the page cache.  -ENOENT, or -EINVAL beyond the end. */
TD_MUST_USE int td_sim_disk_flip(const char *path, uint64_t at, unsigned bit);
/* The name and size of the i-th file, in order of creation of the names; false behind the last. */
bool td_sim_disk_file(size_t i, const char **ret_path, uint64_t *ret_size);
/* Files and mappings that are open: to find leaks.  A crash closes files, never mappings. */
size_t td_sim_files_open(void);
size_t td_sim_maps_open(void);

/* ---- the network ----
 *
 * TCP: bytes arrive in order, in pieces of random size after random delays, and none is lost.  Edges are told
 * once, on a transition only: an edge that the program forgets shows as a stall. */

struct td_sim_net_faults {
    td_ns delay_max;      /* 5 ms when 0 */
    size_t piece_max;     /* 4,096 when 0 */
    size_t room;          /* of a connection's buffer on the way to its client; random when 0 */
    unsigned sockets_max; /* accept fails with -EMFILE at this many connections; 0: no bound */
};
void td_sim_net_set(const struct td_sim_net_faults *faults);
/* The program is gone and so are its sockets: what is left of it may close them and free its loops, no more.  With
 * `silent` (the machine lost its power) clients hear of it only when they send, else as when each socket is closed. */
void td_sim_net_kill(bool silent);
/* Server sockets that are open, listeners included. */
size_t td_sim_sockets_open(void);

/* Connects from a new client; returns its handle, or -ECONNREFUSED when nobody listens on that address (as text,
 * exactly as td_net_listen gave it back). */
TD_MUST_USE int td_sim_connect(const char *address);
/* Returns how many bytes were taken, -EAGAIN, -EPIPE after an end of ours, or -ECONNRESET. */
TD_MUST_USE int64_t td_sim_client_send(int client, const void *bytes, size_t len);
/* Returns the bytes read, 0 at the server's end of stream, -EAGAIN, or -ECONNRESET. */
TD_MUST_USE int64_t td_sim_client_recv(int client, void *ret_bytes, size_t cap);
/* Ends our side of the stream, goes on reading. */
void td_sim_client_shutdown(int client);
/* Closes both sides; the handle is gone.  What still comes is answered with a reset. */
void td_sim_client_close(int client);
/* Closes with a reset; the handle is gone. */
void td_sim_client_reset(int client);
/* How many bytes the client's receive buffer takes (64 KiB at first); 0: a reader that stalls. */
void td_sim_client_window(int client, size_t bytes);
/* While set nothing arrives in either direction; all of it is delayed until it heals. */
void td_sim_client_partition(int client, bool on);

/* ---- the loop ----
 *
 * td_loop_wait never waits: with nothing ready it notes that the thread sleeps and returns 0.  The test calls the
 * program's turn again when td_sim_loop_ready says so. */

/* Whether a sleeper in td_loop_wait would run: an event, a wake, or its timeout has passed. */
bool td_sim_loop_ready(const struct td_loop *loop);
/* When the timeout of the last td_loop_wait ends on the monotonic clock; UINT64_MAX: never. */
td_ns td_sim_loop_deadline(const struct td_loop *loop);
