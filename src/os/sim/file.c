/* SPDX-License-Identifier: Apache-2.0 */
/* The file calls of the simulated machine, and the faults that they meet. */
#include "os/file.h"
#include "base/assert.h"
#include "os/sim/disk.h"
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK          ((uint64_t)4096)
#define FILE_BYTES_MAX ((uint64_t)1 << 30)

/* What is used is a file number for ever, so that a use after the close is found. */
struct open_file {
    int number;
    unsigned flags;
    struct td_sim_inode *inode;
};

struct open_map {
    const char *bytes;
    size_t size;
    struct td_sim_inode *inode;
};

static struct {
    struct open_file *files;
    size_t n_files, files_cap;
    struct open_map *maps;
    size_t n_maps, maps_cap;
    int last_number;
    int first_live; /* numbers below belong to processes that are dead */
    bool dead;
    struct td_sim_disk_faults faults;
} disk;

void td_sim_disk_reset(void)
{
    for (size_t i = 0; i < disk.n_maps; i++)
        munmap((void *)(uintptr_t)disk.maps[i].bytes, disk.maps[i].size);
    free(disk.files);
    free(disk.maps);
    memset(&disk, 0, sizeof disk);
    disk.last_number = 2;
    td_sim_names_reset();
}

/* ---- dying ---- */

bool td_sim_dead(void)
{
    return disk.dead;
}

void td_sim_boot(void)
{
    TD_ASSERT(disk.n_files == 0);
    disk.dead = false;
}

void td_sim_disk_kill(void)
{
    disk.dead = true;
    disk.faults.die_in = 0;
    for (size_t i = 0; i < disk.n_files; i++) {
        disk.files[i].inode->opens--;
        disk.files[i].inode->locked_by = 0;
    }
    disk.n_files = 0;
    disk.first_live = disk.last_number + 1;
    td_sim_inodes_sweep();
}

void td_sim_disk_crash(void)
{
    td_sim_disk_kill();
    td_sim_names_crash();
}

/* ---- faults ---- */

void td_sim_disk_set(const struct td_sim_disk_faults *faults)
{
    disk.faults = *faults;
}

struct td_sim_disk_faults td_sim_disk_get(void)
{
    return disk.faults;
}

static bool countdown(unsigned *count)
{
    return *count > 0 && --*count == 0;
}

/* Whether this call, which changes the disk, is the last one of the process; a coin says whether it is still done. */
static bool dies(bool *ret_done)
{
    if (!countdown(&disk.faults.die_in))
        return false;
    disk.dead = true;
    *ret_done = td_rng_one_in(td_sim_rng(TD_SIM_DISK), 2);
    return true;
}

/* Bytes that a file may end at, by the space that is left. */
static uint64_t end_max(const struct td_sim_inode *inode)
{
    uint64_t used = td_sim_disk_used_bytes(), space = disk.faults.space_bytes;

    if (space == 0)
        return FILE_BYTES_MAX;
    return inode->blocks + (space > used ? (space - used) / BLOCK * BLOCK : 0);
}

/* ---- files ---- */

static struct open_file *file_find(int number)
{
    for (size_t i = 0; i < disk.n_files; i++)
        if (disk.files[i].number == number)
            return &disk.files[i];
    return NULL;
}

/* The open file, or NULL when the process is dead; a number that is not open is a bug of the caller. */
static struct open_file *file_get(int number)
{
    struct open_file *file = disk.dead || number < disk.first_live ? NULL : file_find(number);

    TD_ASSERT(file || disk.dead || number < disk.first_live);
    return file;
}

int td_file_open(const char *path, unsigned flags)
{
    struct td_sim_inode *inode;
    bool done = true;

    if (disk.dead)
        return -EIO;
    inode = td_sim_inode_find(path);
    if (inode && (flags & TD_FILE_CREATE) && (flags & TD_FILE_EXCLUSIVE))
        return -EEXIST;
    if (!inode) {
        size_t dir_len = td_sim_dir_len(path);
        char *dir = strndup(path, dir_len);
        bool found = dir && td_sim_dir_exists(dir);

        free(dir);
        if (!(flags & TD_FILE_CREATE) || !found)
            return -ENOENT;
        if (dies(&done) && !done)
            return -EIO;
        inode = td_sim_inode_new(path);
    } else if ((flags & TD_FILE_TRUNCATE) && inode->size > 0) {
        if (dies(&done) && !done)
            return -EIO;
        td_sim_inode_resize(inode, 0);
    }
    if (disk.dead)
        return -EIO;
    if (disk.n_files == disk.files_cap) {
        disk.files_cap = disk.files_cap ? disk.files_cap * 2 : 16;
        disk.files = realloc(disk.files, disk.files_cap * sizeof *disk.files);
        TD_ASSERT(disk.files);
    }
    inode->opens++;
    disk.files[disk.n_files++] = (struct open_file){++disk.last_number, flags, inode};
    return disk.last_number;
}

void td_file_close(int number)
{
    struct open_file *file = number < disk.first_live ? NULL : file_find(number);

    TD_ASSERT(file || number < disk.first_live);
    if (!file)
        return;
    if (file->inode->locked_by == number)
        file->inode->locked_by = 0;
    file->inode->opens--;
    *file = disk.files[--disk.n_files];
    td_sim_inodes_sweep();
}

int64_t td_file_read_at(int number, void *ret_bytes, size_t len, uint64_t at)
{
    struct open_file *file = file_get(number);

    if (!file)
        return -EIO;
    TD_ASSERT(file->flags & TD_FILE_READ);
    if (at >= file->inode->size)
        return 0;
    len = (size_t)TD_MIN((uint64_t)len, file->inode->size - at);
    if (len > 0)
        TD_ASSERT(pread(file->inode->memory, ret_bytes, len, (off_t)at) == (ssize_t)len);
    return (int64_t)len;
}

int td_file_write_at(int number, const void *bytes, size_t len, uint64_t at)
{
    struct open_file *file = file_get(number);
    struct td_rng *rng = td_sim_rng(TD_SIM_DISK);
    bool done = true;

    if (!file)
        return -EIO;
    TD_ASSERT(file->flags & TD_FILE_WRITE);
    if (at + len > FILE_BYTES_MAX)
        return -EFBIG;
    uint64_t end = end_max(file->inode);
    if (dies(&done) || countdown(&disk.faults.fail_write_in)) {
        size_t some = (size_t)td_rng_below(rng, len + 1);

        if (done)
            td_sim_inode_write(file->inode, bytes,
                               at >= end ? 0 : (size_t)TD_MIN((uint64_t)some, end - at), at);
        return -EIO;
    }
    if (at + len > end) {
        /* The kernel takes what fits, then says that there is no more. */
        td_sim_inode_write(file->inode, bytes, at >= end ? 0 : (size_t)(end - at), at);
        return -ENOSPC;
    }
    td_sim_inode_write(file->inode, bytes, len, at);
    return 0;
}

int td_file_allocate(int number, uint64_t size)
{
    struct open_file *file = file_get(number);
    bool done = true;

    if (!file)
        return -EIO;
    TD_ASSERT(file->flags & TD_FILE_WRITE);
    if (size > FILE_BYTES_MAX)
        return -EFBIG;
    if (countdown(&disk.faults.fail_write_in))
        return -EIO;
    if (size > end_max(file->inode))
        return -ENOSPC;
    if (dies(&done) && !done)
        return -EIO;
    if (size > file->inode->size)
        td_sim_inode_resize(file->inode, size);
    file->inode->blocks = TD_MAX(file->inode->blocks, TD_ALIGN_UP(size, BLOCK));
    return disk.dead ? -EIO : 0;
}

int td_file_truncate(int number, uint64_t size)
{
    struct open_file *file = file_get(number);
    bool done = true;

    if (!file)
        return -EIO;
    TD_ASSERT(file->flags & TD_FILE_WRITE);
    if (size > FILE_BYTES_MAX)
        return -EFBIG;
    if (dies(&done) && !done)
        return -EIO;
    td_sim_inode_resize(file->inode, size);
    return disk.dead ? -EIO : 0;
}

int td_file_sync(int number)
{
    struct open_file *file = file_get(number);
    bool done = true;

    if (!file || (dies(&done) && !done))
        return -EIO;
    if (countdown(&disk.faults.fail_sync_in)) {
        td_sim_inode_tear(file->inode);
        return -EIO;
    }
    td_sim_inode_sync(file->inode);
    return disk.dead ? -EIO : 0;
}

int td_file_size(int number, uint64_t *ret_size)
{
    struct open_file *file = file_get(number);

    if (!file)
        return -EIO;
    *ret_size = file->inode->size;
    return 0;
}

int td_file_lock(int number)
{
    struct open_file *file = file_get(number);

    if (!file)
        return -EIO;
    if (file->inode->locked_by && file->inode->locked_by != number)
        return -EAGAIN;
    file->inode->locked_by = number;
    return 0;
}

/* ---- mappings ---- */

int td_file_map(int number, size_t size, const char **ret_bytes)
{
    struct open_file *file = file_get(number);

    if (!file)
        return -EIO;
    TD_ASSERT(file->flags & TD_FILE_READ);
    if (size == 0)
        return -EINVAL;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, file->inode->memory, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    if (disk.n_maps == disk.maps_cap) {
        disk.maps_cap = disk.maps_cap ? disk.maps_cap * 2 : 16;
        disk.maps = realloc(disk.maps, disk.maps_cap * sizeof *disk.maps);
        TD_ASSERT(disk.maps);
    }
    file->inode->opens++;
    disk.maps[disk.n_maps++] = (struct open_map){bytes, size, file->inode};
    *ret_bytes = bytes;
    return 0;
}

void td_file_unmap(const char *bytes, size_t size)
{
    struct open_map *map = NULL;

    for (size_t i = 0; i < disk.n_maps && !map; i++)
        if (disk.maps[i].bytes == bytes)
            map = &disk.maps[i];
    TD_ASSERT(map && map->size == size);
    TD_ASSERT(munmap((void *)(uintptr_t)bytes, size) == 0);
    map->inode->opens--;
    *map = disk.maps[--disk.n_maps];
    td_sim_inodes_sweep();
}

void td_file_populate(const char *bytes, size_t size)
{
}

/* ---- names ---- */

int td_path_rename(const char *from, const char *to)
{
    bool done = true;

    if (disk.dead)
        return -EIO;
    if (!td_sim_inode_find(from))
        return -ENOENT;
    if (dies(&done) && !done)
        return -EIO;
    td_sim_name_rename(from, to);
    td_sim_inodes_sweep();
    return disk.dead ? -EIO : 0;
}

int td_path_unlink(const char *path)
{
    bool done = true;

    if (disk.dead)
        return -EIO;
    if (!td_sim_inode_find(path))
        return -ENOENT;
    if (dies(&done) && !done)
        return -EIO;
    td_sim_name_unlink(path);
    td_sim_inodes_sweep();
    return disk.dead ? -EIO : 0;
}

int td_dir_make(const char *path)
{
    if (disk.dead)
        return -EIO;
    if (td_sim_inode_find(path))
        return -ENOTDIR;
    td_sim_dir_add(path);
    return 0;
}

int td_dir_sync(const char *path)
{
    bool done = true;

    if (disk.dead)
        return -EIO;
    if (!td_sim_dir_exists(path))
        return -ENOENT;
    if (dies(&done) && !done)
        return -EIO;
    if (countdown(&disk.faults.fail_sync_in))
        return -EIO;
    td_sim_names_sync(path);
    return disk.dead ? -EIO : 0;
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

    if (disk.dead)
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
    uint64_t used = td_sim_disk_used_bytes(), space = disk.faults.space_bytes;

    if (disk.dead)
        return -EIO;
    if (space == 0)
        *ret_bytes = FILE_BYTES_MAX;
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
    if (err == 0) {
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

/* ---- for the test ---- */

int td_sim_disk_flip(const char *path, uint64_t at, unsigned bit)
{
    struct td_sim_inode *inode = td_sim_inode_find(path);

    if (!inode)
        return -ENOENT;
    if (at >= inode->size)
        return -EINVAL;
    td_sim_inode_flip(inode, at, bit);
    return 0;
}

struct nth {
    size_t left;
    const char *path;
    uint64_t size;
};

static int nth_each(const char *path, struct td_sim_inode *inode, void *arg)
{
    struct nth *nth = arg;

    nth->path = path;
    nth->size = inode->size;
    return nth->left-- == 0;
}

bool td_sim_disk_file(size_t i, const char **ret_path, uint64_t *ret_size)
{
    struct nth nth = {.left = i};

    if (td_sim_names_each(nth_each, &nth) == 0)
        return false;
    *ret_path = nth.path;
    *ret_size = nth.size;
    return true;
}

size_t td_sim_files_open(void)
{
    return disk.n_files;
}

size_t td_sim_maps_open(void)
{
    return disk.n_maps;
}
