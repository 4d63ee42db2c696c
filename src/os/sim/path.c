/* SPDX-License-Identifier: Apache-2.0 */
/* The calls on paths of the simulated machine: names, directories, whole files. */
#include "base/assert.h"
#include "os/file.h"
#include "os/sim/disk.h"
#include <errno.h>

/* ---- names ---- */

int td_path_rename(const char *from, const char *to)
{
    bool done = true;

    if (td_sim_dead())
        return -EIO;
    if (!td_sim_inode_find(from))
        return -ENOENT;
    if (td_sim_dies(&done) && !done)
        return -EIO;
    td_sim_name_rename(from, to);
    td_sim_inodes_sweep();
    return td_sim_dead() ? -EIO : 0;
}

int td_path_unlink(const char *path)
{
    bool done = true;

    if (td_sim_dead())
        return -EIO;
    if (!td_sim_inode_find(path))
        return -ENOENT;
    if (td_sim_dies(&done) && !done)
        return -EIO;
    td_sim_name_unlink(path);
    td_sim_inodes_sweep();
    return td_sim_dead() ? -EIO : 0;
}

int td_dir_make(const char *path)
{
    if (td_sim_dead())
        return -EIO;
    if (td_sim_inode_find(path))
        return -ENOTDIR;
    td_sim_dir_add(path);
    return 0;
}

int td_dir_sync(const char *path)
{
    bool done = true;

    if (td_sim_dead())
        return -EIO;
    if (!td_sim_dir_exists(path))
        return -ENOENT;
    if (td_sim_dies(&done) && !done)
        return -EIO;
    if (td_sim_sync_fails())
        return -EIO;
    td_sim_names_sync(path);
    return td_sim_dead() ? -EIO : 0;
}

struct listing {
    const char *dir;
    char **names;
    size_t n, cap;
};

static int listing_add(const char *path, struct td_sim_inode *inode, void *arg)
{
    struct listing *listing = arg;

    if (!td_sim_dir_holds(listing->dir, path))
        return 0;
    if (listing->n == listing->cap) {
        listing->cap = listing->cap ? listing->cap * 2 : 16;
        listing->names = realloc(listing->names, listing->cap * sizeof *listing->names);
        TD_ASSERT(listing->names);
    }
    const char *slash = strrchr(path, '/');
    listing->names[listing->n] = strdup(slash ? slash + 1 : path);
    TD_ASSERT(listing->names[listing->n]);
    listing->n++;
    return 0;
}

int td_dir_list(const char *path, int (*each)(const char *name, void *arg), void *arg)
{
    struct listing listing = {.dir = path};
    int answer = 0;

    if (td_sim_dead())
        return -EIO;
    if (!td_sim_dir_exists(path))
        return -ENOENT;
    td_sim_names_each(listing_add, &listing);
    /* In no order: any is possible, so each seed has its own. */
    for (size_t n = listing.n; n > 0; n--) {
        size_t pick = (size_t)td_rng_below(td_sim_rng(TD_SIM_DISK), n);

        if (answer >= 0)
            answer = each(listing.names[pick], arg);
        free(listing.names[pick]);
        listing.names[pick] = listing.names[n - 1];
    }
    free(listing.names);
    return answer < 0 ? answer : 0;
}

int td_disk_free(const char *path, uint64_t *ret_bytes)
{
    uint64_t used = td_sim_disk_used_bytes(), space = td_sim_disk_get().space_bytes;

    if (td_sim_dead())
        return -EIO;
    if (space == 0)
        *ret_bytes = TD_SIM_FILE_BYTES_MAX;
    else
        *ret_bytes = space > used ? space - used : 0;
    return 0;
}

/* ---- whole files ---- */

int td_file_load(const char *path, struct td_buf *out)
{
    int file = td_file_open(path, TD_FILE_READ), err;
    uint64_t size = 0;

    if (file < 0)
        return file;
    err = td_file_size(file, &size);
    if (err == 0)
        err = td_buf_reserve(out, (size_t)size);
    if (err == 0 && size > 0) {
        int64_t n = td_file_read_at(file, out->ptr + out->len, (size_t)size, 0);

        if (n > 0)
            out->len += (size_t)n;
        err = n < 0 ? (int)n : 0;
    }
    td_file_close(file);
    return err;
}

int td_file_store(const char *path, struct td_slice content)
{
    struct td_buf tmp = TD_BUF_INIT(TD_KIB * 4), dir = TD_BUF_INIT(TD_KIB * 4);
    int file, err;

    err = td_buf_putf(&tmp, "%s.tmp%c", path, 0);
    if (err == 0)
        err = td_buf_putf(&dir, "%.*s%c", (int)td_sim_dir_len(path), path, 0);
    file = err ? err : td_file_open(tmp.ptr, TD_FILE_WRITE | TD_FILE_CREATE | TD_FILE_TRUNCATE);
    if (file >= 0) {
        err = td_file_write_at(file, content.ptr, content.len, 0);
        if (err == 0)
            err = td_file_sync(file);
        td_file_close(file);
        if (err == 0)
            err = td_path_rename(tmp.ptr, path);
        if (err == 0)
            err = td_dir_sync(dir.ptr);
    } else {
        err = file;
    }
    td_buf_done(&tmp);
    td_buf_done(&dir);
    return err;
}
