/* SPDX-License-Identifier: Apache-2.0 */
/* Files on a Linux file system.  Calls that a signal may interrupt are repeated. */
#include "os/file.h"

#include "base/assert.h"
#include "base/err.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PAGE_SIZE ((uintptr_t)4096)

int td_file_open(const char *path, unsigned flags)
{
    int mode = (flags & TD_FILE_WRITE) ? (flags & TD_FILE_READ) ? O_RDWR : O_WRONLY : O_RDONLY;
    int file;

    if (flags & TD_FILE_CREATE)
        mode |= O_CREAT;
    if (flags & TD_FILE_EXCLUSIVE)
        mode |= O_EXCL;
    if (flags & TD_FILE_TRUNCATE)
        mode |= O_TRUNC;
    do
        file = open(path, mode | O_CLOEXEC, 0600);
    while (file < 0 && errno == EINTR);
    return file < 0 ? -errno : file;
}

/* Not repeated: on Linux the descriptor is gone after EINTR too. */
void td_file_close(int file)
{
    close(file);
}

int64_t td_file_read_at(int file, void *ret_bytes, size_t len, uint64_t at)
{
    size_t got = 0;

    while (got < len) {
        ssize_t n = pread(file, (char *)ret_bytes + got, len - got, (off_t)(at + got));

        if (n == 0)
            break;
        if (n > 0)
            got += (size_t)n;
        else if (errno != EINTR)
            return -errno;
    }
    return (int64_t)got;
}

int td_file_write_at(int file, const void *bytes, size_t len, uint64_t at)
{
    size_t put = 0;

    while (put < len) {
        ssize_t n = pwrite(file, (const char *)bytes + put, len - put, (off_t)(at + put));

        if (n >= 0)
            put += (size_t)n;
        else if (errno != EINTR)
            return -errno;
    }
    return 0;
}

int td_file_allocate(int file, uint64_t size)
{
    struct stat st;
    int err;

    do
        err = fallocate(file, 0, 0, (off_t)size);
    while (err < 0 && errno == EINTR);
    if (err == 0)
        return 0;
    if (errno != EOPNOTSUPP)
        return -errno;
    if (fstat(file, &st) < 0)
        return -errno;
    /* fallocate never shrinks, so neither does its stand-in. */
    return (uint64_t)st.st_size >= size ? 0 : td_file_truncate(file, size);
}

int td_file_truncate(int file, uint64_t size)
{
    int err;

    do
        err = ftruncate(file, (off_t)size);
    while (err < 0 && errno == EINTR);
    return err < 0 ? -errno : 0;
}

int td_file_sync(int file)
{
    int err;

    do
        err = fdatasync(file);
    while (err < 0 && errno == EINTR);
    return err < 0 ? -errno : 0;
}

int td_file_size(int file, uint64_t *ret_size)
{
    struct stat st;

    if (fstat(file, &st) < 0)
        return -errno;
    *ret_size = (uint64_t)st.st_size;
    return 0;
}

int td_file_lock(int file)
{
    int err;

    do
        err = flock(file, LOCK_EX | LOCK_NB);
    while (err < 0 && errno == EINTR);
    return err < 0 ? -errno : 0;
}

int td_file_map(int file, size_t size, const char **ret_bytes)
{
    void *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0);

    if (bytes == MAP_FAILED)
        return -errno;
    *ret_bytes = bytes;
    return 0;
}

void td_file_unmap(const char *bytes, size_t size)
{
    TD_ASSERT(munmap((void *)(uintptr_t)bytes, size) == 0);
}

int td_file_populate(const char *bytes, size_t size)
{
    uintptr_t start = (uintptr_t)bytes & ~(PAGE_SIZE - 1);
    size_t len = (uintptr_t)bytes + size - start;

    /* Kernels before 5.14 lack MADV_POPULATE_READ; there the range is at least asked for. */
    int err;
    do
        err = madvise((void *)start, len, MADV_POPULATE_READ);
    while (err < 0 && (errno == EINTR || errno == EAGAIN));
    if (err == 0)
        return 0;
    if (errno != EINVAL)
        return errno == EFAULT || errno == EHWPOISON ? -EIO : -errno;
    (void)madvise((void *)start, len, MADV_WILLNEED);
    return 0;
}

int td_path_rename(const char *from, const char *to)
{
    return rename(from, to) < 0 ? -errno : 0;
}

int td_path_unlink(const char *path)
{
    return unlink(path) < 0 ? -errno : 0;
}

int td_dir_sync(const char *path)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err;

    if (dir < 0)
        return -errno;
    do
        err = fsync(dir);
    while (err < 0 && errno == EINTR);
    err = err < 0 ? -errno : 0;
    close(dir);
    return err;
}

/* Syncs the directory that `path` lies in. */
static int sync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char dir[PATH_MAX];
    size_t len;

    if (!slash)
        return td_dir_sync(".");
    len = slash == path ? 1 : (size_t)(slash - path);
    memcpy(dir, path, len);
    dir[len] = '\0';
    return td_dir_sync(dir);
}

static int make_one(const char *path)
{
    struct stat st;

    if (mkdir(path, 0700) == 0)
        return sync_parent(path);
    if (errno != EEXIST)
        return -errno;
    if (stat(path, &st) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int td_dir_make(const char *path)
{
    char prefix[PATH_MAX];
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof prefix)
        return len ? -ENAMETOOLONG : -ENOENT;
    memcpy(prefix, path, len + 1);
    for (size_t i = 1; i < len; i++) {
        int err;

        if (prefix[i] != '/')
            continue;
        prefix[i] = '\0';
        err = make_one(prefix);
        if (err < 0)
            return err;
        prefix[i] = '/';
    }
    return make_one(prefix);
}

int td_dir_list(const char *path, int (*each)(const char *name, void *arg), void *arg)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int err = 0;

    if (!dir)
        return -errno;
    for (;;) {
        errno = 0;
        entry = readdir(dir);
        if (!entry) {
            err = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        err = each(entry->d_name, arg);
        if (err < 0)
            break;
        err = 0;
    }
    closedir(dir);
    return err;
}

int td_disk_free(const char *path, uint64_t *ret_bytes)
{
    struct statvfs vfs;

    if (statvfs(path, &vfs) < 0)
        return -errno;
    *ret_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    return 0;
}

int td_file_load(const char *path, struct td_buf *out)
{
    int file = td_file_open(path, TD_FILE_READ);
    size_t before = out->len;
    char part[4096];
    int64_t n;

    if (file < 0)
        return file;
    /* By reading, not by size: what /proc shows has none. */
    do {
        n = td_file_read_at(file, part, sizeof part, out->len - before);
        if (n > 0 && td_buf_put(out, td_slice(part, (size_t)n)) < 0)
            n = out->err;
    } while (n > 0);
    td_file_close(file);
    return n < 0 ? (int)n : 0;
}

int td_file_store(const char *path, struct td_slice content)
{
    char tmp[PATH_MAX];
    int file, err;

    if ((size_t)snprintf(tmp, sizeof tmp, "%s.tmp", path) >= sizeof tmp)
        return -ENAMETOOLONG;
    file = td_file_open(tmp, TD_FILE_WRITE | TD_FILE_CREATE | TD_FILE_TRUNCATE);
    if (file < 0)
        return file;
    err = td_file_write_at(file, content.ptr, content.len, 0);
    if (err == 0)
        err = td_file_sync(file);
    td_file_close(file);
    if (err == 0)
        err = td_path_rename(tmp, path);
    if (err < 0) {
        (void)unlink(tmp);
        return err;
    }
    return sync_parent(path);
}
