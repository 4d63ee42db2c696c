/* SPDX-License-Identifier: Apache-2.0 */
/* Files.  A file is a small number; all functions return 0 (or what is said) or -errno.  Any thread.
 *
 * The simulator's disk keeps, for each file and directory, what is written and what is synced; a crash keeps the
 * synced part and a random, torn part of the rest, and a full or failing disk is a setting. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum td_file_flags {
    TD_FILE_READ = 1,
    TD_FILE_WRITE = 2,
    TD_FILE_CREATE = 4,    /* when absent, with mode 0600 */
    TD_FILE_EXCLUSIVE = 8, /* with CREATE: -EEXIST when it is there */
    TD_FILE_TRUNCATE = 16,
};

/* Returns a file, close-on-exec. */
TD_MUST_USE int td_file_open(const char *path, unsigned flags);
void td_file_close(int file);
/* Reads until `len` bytes or the end of the file; returns how many. */
TD_MUST_USE int64_t td_file_read_at(int file, void *ret_bytes, size_t len, uint64_t at);
/* Writes all of it, or fails; what a failed write left behind is unknown. */
TD_MUST_USE int td_file_write_at(int file, const void *bytes, size_t len, uint64_t at);
/* Reserves the blocks up to `size` and extends the file to it, so that writes below cannot find the disk full.
 * Never shrinks.  On a file system that cannot reserve (EOPNOTSUPP) it only extends: there a write may still meet ENOSPC. */
TD_MUST_USE int td_file_allocate(int file, uint64_t size);
TD_MUST_USE int td_file_truncate(int file, uint64_t size);
/* fdatasync: content, and the size that is needed to read it back. */
TD_MUST_USE int td_file_sync(int file);
TD_MUST_USE int td_file_size(int file, uint64_t *ret_size);
/* Takes an exclusive advisory lock, held until the file is closed or the process ends.  -EAGAIN when another has it. */
TD_MUST_USE int td_file_lock(int file);

/* Maps the first `size` bytes for reading, shared with later writes to the file.  Must not be read beyond the file's
 * end.  td_file_unmap must get the same size. */
TD_MUST_USE int td_file_map(int file, size_t size, const char **ret_bytes);
void td_file_unmap(const char *bytes, size_t size);
/* Reads a range of a mapping in, so that touching it does not wait for the disk.  -EIO when some of it can't be read:
 * touching that would end the process.  (Kernels before 5.14 can't tell.) */
TD_MUST_USE int td_file_populate(const char *bytes, size_t size);

TD_MUST_USE int td_path_rename(const char *from, const char *to);
TD_MUST_USE int td_path_unlink(const char *path);
/* Makes a directory and its parents (mode 0700), durably; fine when it exists. */
TD_MUST_USE int td_dir_make(const char *path);
/* Makes creations, renames and unlinks in a directory durable. */
TD_MUST_USE int td_dir_sync(const char *path);
/* Calls `each` with each name in the directory, in no order, except "." and ".."; stops at the first negative answer and returns it. */
TD_MUST_USE int td_dir_list(const char *path, int (*each)(const char *name, void *arg), void *arg);
/* Bytes that may still be written to the file system of `path`. */
TD_MUST_USE int td_disk_free(const char *path, uint64_t *ret_bytes);

/* Appends a whole small file; TD_ETOOLARGE beyond the buffer's maximum. */
TD_MUST_USE int td_file_load(const char *path, struct td_buf *out);
/* Replaces a file atomically and durably: writes `path`.tmp, syncs it, renames it, syncs the directory. */
TD_MUST_USE int td_file_store(const char *path, struct td_slice content);
