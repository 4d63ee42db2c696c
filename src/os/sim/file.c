/* SPDX-License-Identifier: Apache-2.0 */
/* The calls on open files and mappings of the simulated machine. */
#include "os/file.h"
#include "base/assert.h"
#include "os/sim/disk.h"
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

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
    bool unreadable;
};

static struct {
    struct open_file *files;
    size_t n_files, files_cap;
    struct open_map *maps;
    size_t n_maps, maps_cap;
    int last_number;
    int first_live; /* numbers below belong to processes that are dead */
} disk;

void td_sim_disk_reset(void)
{
    for (size_t i = 0; i < disk.n_maps; i++)
        munmap((void *)(uintptr_t)disk.maps[i].bytes, disk.maps[i].size);
    free(disk.files);
    free(disk.maps);
    memset(&disk, 0, sizeof disk);
    disk.last_number = 2;
    disk.first_live = disk.last_number + 1;
    td_sim_faults_reset();
    td_sim_names_reset();
}

void td_sim_files_kill(void)
{
    for (size_t i = 0; i < disk.n_files; i++) {
        disk.files[i].inode->opens--;
        disk.files[i].inode->locked_by = 0;
    }
    disk.n_files = 0;
    disk.first_live = disk.last_number + 1;
    td_sim_inodes_sweep();
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
    struct open_file *file = td_sim_dead() || number < disk.first_live ? NULL : file_find(number);

    TD_ASSERT(file || td_sim_dead() || number < disk.first_live);
    return file;
}

int td_file_open(const char *path, unsigned flags)
{
    struct td_sim_inode *inode;
    bool done = true;

    if (td_sim_dead())
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
        if (td_sim_dies(&done) && !done)
            return -EIO;
        inode = td_sim_inode_new(path);
    } else if ((flags & TD_FILE_TRUNCATE) && inode->size > 0) {
        if (td_sim_dies(&done) && !done)
            return -EIO;
        td_sim_inode_resize(inode, 0);
    }
    if (td_sim_dead())
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
    if (at + len > TD_SIM_FILE_BYTES_MAX)
        return -EFBIG;
    uint64_t end = td_sim_end_max(file->inode);
    if (td_sim_dies(&done) || td_sim_write_fails()) {
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
    if (size > TD_SIM_FILE_BYTES_MAX)
        return -EFBIG;
    if (td_sim_write_fails())
        return -EIO;
    if (size > td_sim_end_max(file->inode))
        return -ENOSPC;
    if (td_sim_dies(&done) && !done)
        return -EIO;
    if (size > file->inode->size)
        td_sim_inode_resize(file->inode, size);
    file->inode->blocks = TD_MAX(file->inode->blocks, TD_ALIGN_UP(size, TD_SIM_BLOCK));
    return td_sim_dead() ? -EIO : 0;
}

int td_file_truncate(int number, uint64_t size)
{
    struct open_file *file = file_get(number);
    bool done = true;

    if (!file)
        return -EIO;
    TD_ASSERT(file->flags & TD_FILE_WRITE);
    if (size > TD_SIM_FILE_BYTES_MAX)
        return -EFBIG;
    if (td_sim_dies(&done) && !done)
        return -EIO;
    td_sim_inode_resize(file->inode, size);
    return td_sim_dead() ? -EIO : 0;
}

int td_file_sync(int number)
{
    struct open_file *file = file_get(number);
    bool done = true;

    if (!file || (td_sim_dies(&done) && !done))
        return -EIO;
    if (td_sim_sync_fails()) {
        td_sim_inode_tear(file->inode);
        return -EIO;
    }
    td_sim_inode_sync(file->inode);
    return td_sim_dead() ? -EIO : 0;
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
    disk.maps[disk.n_maps++] =
        (struct open_map){.bytes = bytes, .size = size, .inode = file->inode};
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

int td_file_populate(const char *bytes, size_t size)
{
    struct open_map *map = NULL;

    for (size_t i = 0; i < disk.n_maps && !map; i++)
        if (bytes >= disk.maps[i].bytes && bytes < disk.maps[i].bytes + disk.maps[i].size)
            map = &disk.maps[i];
    if (!map)
        return size == 0 ? 0 : -ENOMEM;
    if (td_sim_read_fails()) {
        /* Whoever looks there nevertheless stops the run. */
        TD_ASSERT(mprotect((void *)(uintptr_t)map->bytes, map->size, PROT_NONE) == 0);
        map->unreadable = true;
    }
    return map->unreadable ? -EIO : 0;
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
