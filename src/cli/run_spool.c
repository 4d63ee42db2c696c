/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_spool.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/err.h"
#include "os/file.h"
#include "os/random.h"
#include <errno.h>

#define NO_FILE (-1)

struct td_run_spool {
    struct td_run_spool_config config;
    struct td_buf memory; /* from `front` on: the oldest entries */
    size_t front;
    int file;
    uint64_t disk_front, disk_back; /* ever taken from the ring, ever put into it */
};

int td_run_spool_new(const struct td_run_spool_config *config, struct td_run_spool **ret_spool)
{
    struct td_run_spool *spool = calloc(1, sizeof(*spool));

    if (!spool)
        return -ENOMEM;
    spool->config = *config;
    spool->file = NO_FILE;
    td_buf_init(&spool->memory, config->memory_bytes_max);
    *ret_spool = spool;
    return 0;
}

void td_run_spool_free(struct td_run_spool *spool)
{
    if (!spool)
        return;
    if (spool->file != NO_FILE)
        td_file_close(spool->file);
    td_buf_done(&spool->memory);
    free(spool);
}

static uint64_t disk_bytes(const struct td_run_spool *spool)
{
    TD_ASSERT(spool->disk_front <= spool->disk_back);
    return spool->disk_back - spool->disk_front;
}

static size_t memory_bytes(const struct td_run_spool *spool)
{
    TD_ASSERT(spool->front <= spool->memory.len);
    return spool->memory.len - spool->front;
}

uint64_t td_run_spool_bytes(const struct td_run_spool *spool)
{
    return memory_bytes(spool) + disk_bytes(spool);
}

static int open_file(struct td_run_spool *spool)
{
    char path[4096];
    uint64_t random;

    td_random_bytes(&random, sizeof(random));
    int n = snprintf(path, sizeof(path), "%s/tidings-run-%016llx", spool->config.dir,
                     (unsigned long long)random);
    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    int file =
        td_file_open(path, TD_FILE_READ | TD_FILE_WRITE | TD_FILE_CREATE | TD_FILE_EXCLUSIVE);
    if (file < 0)
        return file;
    int r = td_path_unlink(path);
    if (r < 0) {
        td_file_close(file);
        return r;
    }
    spool->file = file;
    return 0;
}

/* How many of `n` bytes at `at` lie before the end of the ring. */
static size_t before_wrap(const struct td_run_spool *spool, uint64_t at, size_t n)
{
    uint64_t left = spool->config.disk_bytes_max - at % spool->config.disk_bytes_max;

    return left < n ? (size_t)left : n;
}

static int ring_write(struct td_run_spool *spool, const char *bytes, size_t n, uint64_t at)
{
    size_t first = before_wrap(spool, at, n);
    int r = td_file_write_at(spool->file, bytes, first, at % spool->config.disk_bytes_max);

    if (r < 0 || first == n)
        return r;
    return td_file_write_at(spool->file, bytes + first, n - first, 0);
}

static int ring_read_part(struct td_run_spool *spool, char *ret_bytes, size_t n, uint64_t at)
{
    int64_t got = td_file_read_at(spool->file, ret_bytes, n, at);

    if (got < 0)
        return (int)got;
    return (size_t)got == n ? 0 : -EIO;
}

static int ring_read(struct td_run_spool *spool, char *ret_bytes, size_t n, uint64_t at)
{
    size_t first = before_wrap(spool, at, n);
    int r = ring_read_part(spool, ret_bytes, first, at % spool->config.disk_bytes_max);

    if (r < 0 || first == n)
        return r;
    return ring_read_part(spool, ret_bytes + first, n - first, 0);
}

static int put_on_disk(struct td_run_spool *spool, struct td_slice entry)
{
    if (entry.len + 1 > spool->config.disk_bytes_max - disk_bytes(spool))
        return TD_EFULL;
    if (spool->file == NO_FILE) {
        int r = open_file(spool);
        if (r < 0)
            return r;
    }
    int r = ring_write(spool, entry.ptr, entry.len, spool->disk_back);
    if (r == 0)
        r = ring_write(spool, "\n", 1, spool->disk_back + entry.len);
    if (r == 0)
        spool->disk_back += entry.len + 1; /* only now does it count */
    return r;
}

static void compact(struct td_run_spool *spool)
{
    td_buf_consume(&spool->memory, spool->front);
    spool->front = 0;
}

int td_run_spool_put(struct td_run_spool *spool, struct td_slice entry)
{
    TD_ASSERT(entry.len > 0 && entry.len < spool->config.memory_bytes_max);
    TD_DEBUG_ASSERT(!memchr(entry.ptr, '\n', entry.len));
    if (disk_bytes(spool) > 0 ||
        entry.len + 1 > spool->config.memory_bytes_max - memory_bytes(spool))
        return put_on_disk(spool, entry);

    if (entry.len + 1 > spool->memory.max - spool->memory.len)
        compact(spool);
    int r = td_buf_reserve(&spool->memory, entry.len + 1);
    if (r < 0)
        return r;
    r = td_buf_put(&spool->memory, entry);
    return r < 0 ? r : td_buf_putc(&spool->memory, '\n');
}

/* Memory is empty: reads the oldest whole entries in from the file. */
static int refill(struct td_run_spool *spool)
{
    size_t n = (size_t)TD_MIN(disk_bytes(spool), (uint64_t)spool->config.memory_bytes_max);

    td_buf_reset(&spool->memory);
    spool->front = 0;
    int r = td_buf_reserve(&spool->memory, n);
    if (r == 0)
        r = ring_read(spool, spool->memory.ptr, n, spool->disk_front);
    if (r < 0)
        return r;
    const char *last_lf = memrchr(spool->memory.ptr, '\n', n);
    if (!last_lf)
        return -EIO; /* no entry is longer than memory: the file is not what was written */
    spool->memory.len = (size_t)(last_lf - spool->memory.ptr) + 1;
    spool->disk_front += spool->memory.len;
    if (disk_bytes(spool) > 0)
        return 0;
    spool->disk_front = spool->disk_back = 0; /* give the blocks back; a failure only keeps them */
    r = td_file_truncate(spool->file, 0);
    (void)r;
    return 0;
}

int td_run_spool_peek(struct td_run_spool *spool, size_t entries_max, size_t bytes_max,
                      struct td_run_batch *ret_batch)
{
    TD_ASSERT(entries_max > 0);
    if (memory_bytes(spool) == 0 && disk_bytes(spool) > 0) {
        int r = refill(spool);
        if (r < 0)
            return r;
    }
    if (memory_bytes(spool) == 0)
        return 0;
    struct td_slice all = td_slice_from(td_buf_slice(&spool->memory), spool->front);
    size_t len = 0, n = 0;

    while (n < entries_max && len < all.len) {
        const char *lf = memchr(all.ptr + len, '\n', all.len - len);
        TD_ASSERT(lf);
        size_t end = (size_t)(lf - all.ptr) + 1;
        if (n > 0 && end > bytes_max)
            break;
        len = end;
        n++;
    }
    *ret_batch = (struct td_run_batch){td_slice_to(all, len), n};
    return 1;
}

void td_run_spool_drop(struct td_run_spool *spool, size_t bytes)
{
    TD_ASSERT(bytes <= memory_bytes(spool));
    spool->front += bytes;
    TD_ASSERT(spool->front == 0 || spool->memory.ptr[spool->front - 1] == '\n');
}
