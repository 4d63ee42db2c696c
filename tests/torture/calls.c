/* SPDX-License-Identifier: Apache-2.0 */
#include "calls.h"
#include "base/assert.h"
#include "os/file.h"
#include "os/loop.h"
#include "os/net.h"
#include "os/sim/sim.h"
#include <errno.h>
#include <execinfo.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    bool armed;
    unsigned made, fails_at;
    const char *failed;
    bool memory, sync;
    size_t blocks;
} calls;

bool calls_trace;

void calls_begin(unsigned fails_at)
{
    calls.made = 0;
    calls.fails_at = fails_at;
    calls.failed = NULL;
    calls.memory = calls.sync = false;
}

unsigned calls_end(void)
{
    calls.fails_at = 0;
    return calls.made;
}

void calls_arm(void)
{
    TD_ASSERT(!calls.armed);
    calls.armed = true;
}

void calls_disarm(void)
{
    TD_ASSERT(calls.armed);
    calls.armed = false;
}

const char *calls_failed(void)
{
    return calls.failed;
}

bool calls_failed_memory(void)
{
    return calls.memory;
}

bool calls_failed_sync(void)
{
    return calls.sync;
}

size_t calls_blocks(void)
{
    return calls.blocks;
}

/* Counts a call; whether it is the one that fails. */
static bool fails(const char *name)
{
    void *frames[64];

    if (!calls.armed || ++calls.made != calls.fails_at)
        return false;
    calls.failed = name;
    if (calls_trace) {
        calls.armed = false;
        backtrace_symbols_fd(frames, backtrace(frames, TD_ARRAY_LEN(frames)), STDERR_FILENO);
        calls.armed = true;
    }
    return true;
}

/* ---- memory ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t n, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
char *__real_json_dumps(const void *json, size_t flags);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);
char *__wrap_json_dumps(const void *json, size_t flags);
void __wrap_free(void *block);

static bool memory_fails(const char *name)
{
    if (!fails(name))
        return false;
    calls.memory = true;
    errno = ENOMEM;
    return true;
}

static void *held(void *block)
{
    calls.blocks += block != NULL;
    return block;
}

void *__wrap_malloc(size_t size)
{
    return memory_fails("malloc") ? NULL : held(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return memory_fails("calloc") ? NULL : held(__real_calloc(n, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    bool fresh = !old;

    if (memory_fails("realloc"))
        return NULL;
    void *block = __real_realloc(old, size);
    return fresh ? held(block) : block;
}

void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
    bool fresh = !old;

    if (memory_fails("reallocarray"))
        return NULL;
    void *block = __real_reallocarray(old, n, size);
    return fresh ? held(block) : block;
}

char *__wrap_strdup(const char *text)
{
    return memory_fails("strdup") ? NULL : held(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t len)
{
    return memory_fails("strndup") ? NULL : held(__real_strndup(text, len));
}

/* What a library allocates is not counted, but this is given to the server to be freed. */
char *__wrap_json_dumps(const void *json, size_t flags)
{
    return memory_fails("json_dumps") ? NULL : held(__real_json_dumps(json, flags));
}

void __wrap_free(void *block)
{
    calls.blocks -= block != NULL;
    __real_free(block);
}

/* ---- the machine ---- */

/* A call into os/sim: what it does there is not counted. */
static bool enter(void)
{
    bool armed = calls.armed;

    calls.armed = false;
    return armed;
}

#define CALL(type, name, params, args, failure) \
    type __real_##name params;                  \
    type __wrap_##name params;                  \
    type __wrap_##name params                   \
    {                                           \
        if (fails(#name))                       \
            return (failure);                   \
        bool armed = enter();                   \
        type result = __real_##name args;       \
        calls.armed = armed;                    \
        return result;                          \
    }

/* One that can't fail, and must not be counted. */
#define PASS(type, name, params, args)    \
    type __real_##name params;            \
    type __wrap_##name params;            \
    type __wrap_##name params             \
    {                                     \
        bool armed = enter();             \
        type result = __real_##name args; \
        calls.armed = armed;              \
        return result;                    \
    }

#define PASS_VOID(name, params, args) \
    void __real_##name params;        \
    void __wrap_##name params;        \
    void __wrap_##name params         \
    {                                 \
        bool armed = enter();         \
        __real_##name args;           \
        calls.armed = armed;          \
    }

CALL(int, td_file_open, (const char *path, unsigned flags), (path, flags), -EMFILE)
CALL(int64_t, td_file_read_at, (int file, void *ret_bytes, size_t len, uint64_t at),
     (file, ret_bytes, len, at), -EIO)
CALL(int, td_file_truncate, (int file, uint64_t size), (file, size), -EIO)
CALL(int, td_file_size, (int file, uint64_t *ret_size), (file, ret_size), -EIO)
CALL(int, td_file_lock, (int file), (file), -ENOLCK)
CALL(int, td_file_map, (int file, size_t size, const char **ret_bytes), (file, size, ret_bytes),
     -ENOMEM)
CALL(int, td_file_populate, (const char *bytes, size_t size), (bytes, size), -EIO)
CALL(int, td_path_rename, (const char *from, const char *to), (from, to), -EIO)
CALL(int, td_path_unlink, (const char *path), (path), -EIO)
CALL(int, td_dir_make, (const char *path), (path), -EACCES)
CALL(int, td_disk_free, (const char *path, uint64_t *ret_bytes), (path, ret_bytes), -EIO)
CALL(int, td_file_load, (const char *path, struct td_buf *out), (path, out), -EIO)
CALL(int, td_file_store, (const char *path, struct td_slice content), (path, content), -EIO)
CALL(int, td_net_accept, (int listener, struct td_addr *ret_peer), (listener, ret_peer), -EMFILE)
CALL(int64_t, td_net_recv, (int socket, void *ret_bytes, size_t len), (socket, ret_bytes, len),
     -ECONNRESET)
CALL(int64_t, td_net_send, (int socket, const void *bytes, size_t len), (socket, bytes, len),
     -EPIPE)
CALL(int64_t, td_net_sendv, (int socket, const struct iovec *parts, int n), (socket, parts, n),
     -ENOMEM)
CALL(int, td_loop_add, (struct td_loop * loop, int socket, uint64_t tag), (loop, socket, tag),
     -ENOSPC)
CALL(int, td_loop_pause, (struct td_loop * loop, int socket, uint64_t tag, bool paused),
     (loop, socket, tag, paused), -ENOMEM)
PASS(int, td_loop_new, (struct td_loop * *ret_loop), (ret_loop))
PASS(int, td_loop_add_listener, (struct td_loop * loop, int socket, uint64_t tag),
     (loop, socket, tag))
PASS(int, td_loop_wait,
     (struct td_loop * loop, struct td_io_event *ret_events, int max, int timeout_ms),
     (loop, ret_events, max, timeout_ms))
PASS_VOID(td_loop_free, (struct td_loop * loop), (loop))
PASS_VOID(td_loop_wake, (struct td_loop * loop), (loop))
PASS_VOID(td_file_close, (int file), (file))
PASS_VOID(td_file_unmap, (const char *bytes, size_t size), (bytes, size))
PASS_VOID(td_net_shutdown, (int socket), (socket))
PASS_VOID(td_net_close, (int socket), (socket))

/* Names are told to the server's own code, which may run out of memory there. */
struct listing {
    int (*each)(const char *name, void *arg);
    void *arg;
    bool armed;
};

static int told(const char *name, void *arg)
{
    struct listing *listing = arg;

    calls.armed = listing->armed;
    int r = listing->each(name, listing->arg);
    calls.armed = false;
    return r;
}

int __real_td_dir_list(const char *path, int (*each)(const char *name, void *arg), void *arg);
int __wrap_td_dir_list(const char *path, int (*each)(const char *name, void *arg), void *arg);
int __wrap_td_dir_list(const char *path, int (*each)(const char *name, void *arg), void *arg)
{
    if (fails("td_dir_list"))
        return -EIO;
    struct listing listing = {each, arg, enter()};
    int r = __real_td_dir_list(path, told, &listing);
    calls.armed = listing.armed;
    return r;
}

/* The disk fails as the simulated one does: part of a write is there, and what a failed sync left out stays so. */
static bool disk_fails(const char *name, unsigned write_in, unsigned sync_in)
{
    if (!fails(name))
        return false;
    calls.sync = sync_in > 0;
    td_sim_disk_set(
        &(struct td_sim_disk_faults){.fail_write_in = write_in, .fail_sync_in = sync_in});
    return true;
}

#define DISK_CALL(name, params, args, write_in, sync_in)      \
    int __real_##name params;                                 \
    int __wrap_##name params;                                 \
    int __wrap_##name params                                  \
    {                                                         \
        bool failing = disk_fails(#name, write_in, sync_in);  \
        bool armed = enter();                                 \
        int result = __real_##name args;                      \
        calls.armed = armed;                                  \
        if (failing)                                          \
            td_sim_disk_set(&(struct td_sim_disk_faults){0}); \
        return result;                                        \
    }

DISK_CALL(td_file_write_at, (int file, const void *bytes, size_t len, uint64_t at),
          (file, bytes, len, at), 1, 0)
DISK_CALL(td_file_allocate, (int file, uint64_t size), (file, size), 1, 0)
DISK_CALL(td_file_sync, (int file), (file), 0, 1)
DISK_CALL(td_dir_sync, (const char *path), (path), 0, 1)
