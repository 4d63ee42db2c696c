/* SPDX-License-Identifier: Apache-2.0 */
#include "os/process.h"

#include "base/compiler.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

#define DEADLINE_MS 10000

/* Reads a pipe to its end. */
static size_t read_all(int fd, char *ret_text, size_t cap)
{
    size_t len = 0;

    for (;;) {
        struct td_poll_item item = {.fd = fd};
        int64_t n;

        assert_int_equal(td_poll(&item, 1, DEADLINE_MS), 1);
        n = td_read_some(fd, ret_text + len, cap - len);
        assert_true(n >= 0);
        if (n == 0)
            return len;
        len += (size_t)n;
    }
}

static int wait_for(struct td_process *process)
{
    struct td_poll_item item = {.fd = process->pidfd};
    int status = -1;

    assert_int_equal(td_poll(&item, 1, DEADLINE_MS), 1);
    assert_int_equal(td_process_wait(process, &status), 1);
    td_process_close(process);
    return status;
}

static void spawn_gives_output_and_status(void **state)
{
    const char *argv[] = {"sh", "-c", "cat; pwd; echo $WORD >&2; exit 7", NULL};
    const char *env[] = {"WORD=seen", "PATH=/usr/bin:/bin", NULL};
    struct td_process process;
    char text[256];

    assert_int_equal(
        td_process_spawn(&(struct td_process_options){.argv = argv, .env = env, .dir = "/"},
                         &process),
        0);
    assert_int_equal(read_all(process.out_fd, text, sizeof text), 2);
    assert_memory_equal(text, "/\n", 2);
    assert_int_equal(read_all(process.err_fd, text, sizeof text), 5);
    assert_memory_equal(text, "seen\n", 5);
    assert_int_equal(wait_for(&process), 7);
}

static void spawn_reports_why_it_failed(void **state)
{
    const char *absent[] = {"/nonexistent/program", NULL};
    const char *plain[] = {"/etc/passwd", NULL};
    const char *fine[] = {"true", NULL};
    struct td_process process;

    assert_int_equal(td_process_spawn(&(struct td_process_options){.argv = absent}, &process),
                     -ENOENT);
    assert_int_equal(td_process_spawn(&(struct td_process_options){.argv = plain}, &process),
                     -EACCES);
    assert_int_equal(
        td_process_spawn(&(struct td_process_options){.argv = fine, .dir = "/nonexistent"},
                         &process),
        -ENOENT);
}

/* The grandchild holds the pipe too: its end shows that the whole group got the signal. */
static void signal_reaches_the_group(void **state)
{
    const char *argv[] = {"sh", "-c", "sleep 1000 & echo up; wait", NULL};
    struct td_process process;
    char text[16];
    struct td_poll_item item;
    int status;

    assert_int_equal(
        td_process_spawn(&(struct td_process_options){.argv = argv, .group = true}, &process), 0);
    item = (struct td_poll_item){.fd = process.out_fd};
    assert_int_equal(td_poll(&item, 1, DEADLINE_MS), 1);
    assert_int_equal(td_read_some(process.out_fd, text, sizeof text), 3);
    assert_int_equal(td_read_some(process.out_fd, text, sizeof text), -EAGAIN);
    assert_int_equal(td_process_wait(&process, &status), 0);
    assert_int_equal(td_process_signal(&process, SIGTERM), 0);
    assert_int_equal(read_all(process.out_fd, text, sizeof text), 0);
    assert_int_equal(wait_for(&process), 128 + SIGTERM);
}

static void signals_become_readable(void **state)
{
    int fd = td_signals_open();
    struct td_poll_item item = {.fd = fd};

    assert_true(fd >= 0);
    assert_int_equal(td_signals_read(fd), 0);
    assert_int_equal(raise(SIGHUP), 0);
    assert_int_equal(td_poll(&item, 1, DEADLINE_MS), 1);
    assert_int_equal(td_signals_read(fd), SIGHUP);
    assert_int_equal(td_signals_read(fd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spawn_gives_output_and_status),
        cmocka_unit_test(spawn_reports_why_it_failed),
        cmocka_unit_test(signal_reaches_the_group),
        cmocka_unit_test(signals_become_readable),
    };

    return cmocka_run_group_tests_name("os/process", tests, NULL, NULL);
}
