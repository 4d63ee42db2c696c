/* SPDX-License-Identifier: Apache-2.0 */
/* Files in a directory of their own, which is empty again at the end of each test. */
#include "os/file.h"

#include "base/err.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define NEW (TD_FILE_READ | TD_FILE_WRITE | TD_FILE_CREATE)

/* In place of the C library's, to see that directories are synced. */
static unsigned fsyncs;
int fsync(int fd)
{
    fsyncs++;
    return (int)syscall(SYS_fsync, fd);
}

static int enter_dir(void **state)
{
    static char dir[PATH_MAX];
    const char *tmp = getenv("TMPDIR");

    snprintf(dir, sizeof dir, "%s/tidings-test.XXXXXX", tmp ? tmp : "/tmp");
    *state = mkdtemp(dir);
    return *state ? chdir(dir) : -1;
}

/* Fails when the test left something behind. */
static int leave_dir(void **state)
{
    const char *dir = *state;

    return chdir("/") == 0 ? rmdir(dir) : -1;
}

static int create(const char *path)
{
    int file = td_file_open(path, NEW);

    assert_true(file >= 0);
    return file;
}

static uint64_t size_of(int file)
{
    uint64_t size = UINT64_MAX;

    assert_int_equal(td_file_size(file, &size), 0);
    return size;
}

static void flags_do_what_they_say(void **state)
{
    struct stat st;
    char byte;
    int file;

    assert_int_equal(td_file_open("a", TD_FILE_READ), -ENOENT);
    file = td_file_open("a", NEW | TD_FILE_EXCLUSIVE);
    assert_true(file >= 0);
    assert_int_equal(fstat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(fcntl(file, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(td_file_write_at(file, "old", 3, 0), 0);
    td_file_close(file);
    assert_int_equal(td_file_open("a", NEW | TD_FILE_EXCLUSIVE), -EEXIST);

    file = td_file_open("a", TD_FILE_READ);
    assert_int_equal(td_file_write_at(file, "x", 1, 0), -EBADF);
    assert_int_equal(size_of(file), 3);
    td_file_close(file);

    file = td_file_open("a", TD_FILE_WRITE | TD_FILE_TRUNCATE);
    assert_int_equal(td_file_read_at(file, &byte, 1, 0), -EBADF);
    assert_int_equal(size_of(file), 0);
    td_file_close(file);
    assert_int_equal(td_path_unlink("a"), 0);
}

static void reads_end_at_the_end(void **state)
{
    int file = create("a");
    char bytes[8];

    assert_int_equal(td_file_write_at(file, "tail", 4, 6), 0);
    assert_int_equal(size_of(file), 10);
    assert_int_equal(td_file_read_at(file, bytes, sizeof bytes, 4), 6);
    assert_memory_equal(bytes, "\0\0tail", 6); /* never written: zeros */
    assert_int_equal(td_file_read_at(file, bytes, 2, 6), 2);
    assert_int_equal(td_file_read_at(file, bytes, sizeof bytes, 10), 0);
    assert_int_equal(td_file_read_at(file, bytes, sizeof bytes, 1000), 0);
    assert_int_equal(td_file_sync(file), 0);
    td_file_close(file);
    assert_int_equal(td_path_unlink("a"), 0);
}

static void a_full_disk_is_an_error(void **state)
{
    int file = td_file_open("/dev/full", TD_FILE_WRITE);

    assert_true(file >= 0);
    assert_int_equal(td_file_write_at(file, "x", 1, 0), -ENOSPC);
    td_file_close(file);
}

static void allocation_only_grows(void **state)
{
    int file = create("a");
    char byte = 'x';

    assert_int_equal(td_file_allocate(file, 100000), 0);
    assert_int_equal(size_of(file), 100000);
    assert_int_equal(td_file_read_at(file, &byte, 1, 99999), 1);
    assert_int_equal(byte, 0);
    assert_int_equal(td_file_allocate(file, 10), 0);
    assert_int_equal(size_of(file), 100000);
    assert_int_equal(td_file_truncate(file, 10), 0);
    assert_int_equal(size_of(file), 10);
    td_file_close(file);
    assert_int_equal(td_path_unlink("a"), 0);
}

static void a_lock_has_one_holder(void **state)
{
    int first = create("a"), second = create("a");

    assert_int_equal(td_file_lock(first), 0);
    assert_int_equal(td_file_lock(first), 0); /* already its own */
    assert_int_equal(td_file_lock(second), -EAGAIN);
    td_file_close(first);
    assert_int_equal(td_file_lock(second), 0);
    td_file_close(second);
    assert_int_equal(td_path_unlink("a"), 0);
}

static void a_mapping_shows_later_writes(void **state)
{
    const size_t size = 20000;
    int file = create("a");
    const char *bytes;

    assert_int_equal(td_file_allocate(file, size), 0);
    assert_int_equal(td_file_map(file, size, &bytes), 0);
    assert_int_equal(td_file_write_at(file, "seen", 4, 9998), 0);
    assert_memory_equal(bytes + 9998, "seen", 4);
    /* Ranges need not begin or end with a page. */
    assert_int_equal(td_file_populate(bytes + 9998, 4), 0);
    assert_int_equal(td_file_populate(bytes, size), 0);
    assert_memory_equal(bytes + 9996, "\0\0seen\0", 7);
    /* What can't be read is told, before it is touched. */
    assert_int_equal(td_file_truncate(file, 12000), 0);
    assert_int_equal(td_file_populate(bytes, size), -EIO);
    assert_int_equal(td_file_populate(bytes, 12000), 0);
    td_file_close(file); /* the mapping stays */
    assert_memory_equal(bytes + 9998, "seen", 4);
    td_file_unmap(bytes, size);
    assert_int_equal(td_path_unlink("a"), 0);
}

static void directories_are_made_with_their_parents(void **state)
{
    struct stat st;
    char longest[PATH_MAX + 10];

    fsyncs = 0;
    assert_int_equal(td_dir_make("a/b//c/"), 0);
    assert_int_equal(fsyncs, 3); /* each name is made durable where it stands */
    assert_int_equal(stat("a/b/c", &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(td_dir_make("a/b"), 0); /* is there */
    assert_int_equal(fsyncs, 3);
    assert_int_equal(td_dir_sync("a/b"), 0);

    td_file_close(create("a/file"));
    assert_int_equal(td_dir_make("a/file"), -ENOTDIR);
    assert_int_equal(td_dir_make("a/file/below"), -ENOTDIR);
    assert_int_equal(td_dir_sync("a/file"), -ENOTDIR);
    assert_int_equal(td_dir_sync("absent"), -ENOENT);
    assert_int_equal(td_dir_make(""), -ENOENT);
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(td_dir_make(longest), -ENAMETOOLONG);

    assert_int_equal(td_path_unlink("a/file"), 0);
    assert_int_equal(rmdir("a/b/c"), 0);
    assert_int_equal(rmdir("a/b"), 0);
    assert_int_equal(rmdir("a"), 0);
}

static void names_change_and_go(void **state)
{
    td_file_close(create("a"));
    assert_int_equal(td_path_rename("a", "b"), 0);
    assert_int_equal(td_path_rename("a", "b"), -ENOENT);
    assert_int_equal(td_path_unlink("a"), -ENOENT);
    assert_int_equal(td_path_unlink("b"), 0);
}

struct names {
    unsigned seen; /* a bit for each of "a" to "e" */
    unsigned count, stop_after;
};

static int note_name(const char *name, void *arg)
{
    struct names *names = arg;

    assert_int_equal(strlen(name), 1);
    assert_in_range(name[0], 'a', 'e');
    names->seen |= 1u << (name[0] - 'a');
    if (++names->count == names->stop_after)
        return -ECANCELED;
    return 1; /* any answer that is not negative goes on */
}

static void a_listing_gives_each_name_once(void **state)
{
    struct names all = {0}, some = {.stop_after = 2};

    for (char name[] = "a"; name[0] <= 'e'; name[0]++)
        td_file_close(create(name));
    assert_int_equal(td_dir_list(".", note_name, &all), 0);
    assert_int_equal(all.count, 5);
    assert_int_equal(all.seen, 0x1f);
    assert_int_equal(td_dir_list(".", note_name, &some), -ECANCELED);
    assert_int_equal(some.count, 2);
    assert_int_equal(td_dir_list("absent", note_name, &all), -ENOENT);
    for (char name[] = "a"; name[0] <= 'e'; name[0]++)
        assert_int_equal(td_path_unlink(name), 0);
}

static void free_space_is_told(void **state)
{
    uint64_t bytes = 0;

    assert_int_equal(td_disk_free(".", &bytes), 0);
    assert_true(bytes > 0);
    assert_int_equal(td_disk_free("absent", &bytes), -ENOENT);
}

static void a_load_appends_and_keeps_to_the_maximum(void **state)
{
    struct td_buf buf = TD_BUF_INIT(10000), small = TD_BUF_INIT(100);
    char content[5000];
    int file = create("a");

    memset(content, 'c', sizeof content);
    assert_int_equal(td_file_write_at(file, content, sizeof content, 0), 0);
    td_file_close(file);
    assert_int_equal(td_buf_puts(&buf, "before "), 0);
    assert_int_equal(td_file_load("a", &buf), 0);
    assert_int_equal(buf.len, 7 + sizeof content);
    assert_memory_equal(buf.ptr, "before ", 7);
    assert_memory_equal(buf.ptr + 7, content, sizeof content);
    assert_int_equal(td_file_load("a", &small), TD_ETOOLARGE);
    assert_int_equal(td_file_load("absent", &buf), -ENOENT);

    /* A file that says that it is empty and is not. */
    td_buf_reset(&buf);
    assert_int_equal(td_file_load("/proc/self/stat", &buf), 0);
    assert_true(buf.len > 0);
    td_buf_done(&buf);
    td_buf_done(&small);
    assert_int_equal(td_path_unlink("a"), 0);
}

static void a_store_replaces_the_whole(void **state)
{
    struct td_buf buf = TD_BUF_INIT(1000);

    assert_int_equal(td_file_store("a", TD_S("the first, longer")), 0);
    assert_int_equal(td_file_store("a", TD_S("the second")), 0);
    assert_int_equal(td_file_load("a", &buf), 0);
    assert_true(td_slice_eq(td_buf_slice(&buf), TD_S("the second")));
    assert_int_equal(td_file_open("a.tmp", TD_FILE_READ), -ENOENT);
    assert_int_equal(td_path_unlink("a"), 0);

    /* One that fails leaves nothing: leave_dir would find it. */
    assert_int_equal(td_file_store("absent/a", TD_S("x")), -ENOENT);
    assert_int_equal(td_dir_make("dir"), 0);
    assert_int_equal(td_file_store("dir", TD_S("x")), -EISDIR);
    assert_int_equal(rmdir("dir"), 0);
    td_buf_done(&buf);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, enter_dir, leave_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(flags_do_what_they_say),
        IN_DIR(reads_end_at_the_end),
        IN_DIR(a_full_disk_is_an_error),
        IN_DIR(allocation_only_grows),
        IN_DIR(a_lock_has_one_holder),
        IN_DIR(a_mapping_shows_later_writes),
        IN_DIR(directories_are_made_with_their_parents),
        IN_DIR(names_change_and_go),
        IN_DIR(a_listing_gives_each_name_once),
        IN_DIR(free_space_is_told),
        IN_DIR(a_load_appends_and_keeps_to_the_maximum),
        IN_DIR(a_store_replaces_the_whole),
    };

    return cmocka_run_group_tests_name("os/file", tests, NULL, NULL);
}
