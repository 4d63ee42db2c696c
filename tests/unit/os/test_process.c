/* SPDX-License-Identifier: Apache-2.0 */
/* Children that are real programs, signals to itself, and a service manager of the tests' own. */
#include "base/err.h"
#include "os/process.h"

#include "base/compiler.h"
#include "os/thread.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

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

/* The path of this very program, and where it runs. */
static void paths_are_told(void **state)
{
    struct td_buf program = TD_BUF_INIT(4096), directory = TD_BUF_INIT(4096),
                  little = TD_BUF_INIT(2);

    (void)state;
    assert_int_equal(td_program_path(&program), 0);
    assert_int_equal(program.ptr[0], '/');
    assert_int_equal(program.ptr[program.len - 1], '\0');
    assert_non_null(strstr(program.ptr, "process"));
    assert_int_equal(td_working_directory(&directory), 0);
    assert_int_equal(directory.ptr[0], '/');
    assert_int_equal(strlen(directory.ptr) + 1, directory.len);
    assert_int_equal(td_program_path(&little), TD_ETOOLARGE);
    td_buf_done(&program);
    td_buf_done(&directory);
    td_buf_done(&little);
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

/* A datagram socket at `name`, abstract when it begins with '@'. */
static int listen_as_manager(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    memcpy(address.sun_path, name, strlen(name));
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
                     0);
    return fd;
}

static void notify_tells_the_service_manager(void **state)
{
    char dir[] = "/tmp/tidings-test.XXXXXX", path[64], abstract[64], text[32];
    const char *names[] = {path, abstract};

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/notify", dir);
    snprintf(abstract, sizeof abstract, "@%s", dir);
    for (size_t i = 0; i < TD_ARRAY_LEN(names); i++) {
        int fd = listen_as_manager(names[i]);

        assert_int_equal(setenv("NOTIFY_SOCKET", names[i], 1), 0);
        assert_int_equal(td_notify("READY=1"), 0);
        assert_int_equal(td_notify("STOPPING=1"), 0);
        assert_int_equal(recv(fd, text, sizeof text, 0), 7);
        assert_memory_equal(text, "READY=1", 7);
        assert_int_equal(recv(fd, text, sizeof text, 0), 10);
        assert_memory_equal(text, "STOPPING=1", 10);
        close(fd);
    }
    assert_int_equal(td_notify("READY=1"), -ECONNREFUSED); /* the manager is gone */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void notify_wants_a_sound_address_or_none(void **state)
{
    char longest[200];

    assert_int_equal(setenv("NOTIFY_SOCKET", "relative", 1), 0);
    assert_int_equal(td_notify("READY=1"), -EINVAL);
    memset(longest, '/', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(setenv("NOTIFY_SOCKET", longest, 1), 0);
    assert_int_equal(td_notify("READY=1"), -EINVAL);
    assert_int_equal(setenv("NOTIFY_SOCKET", "", 1), 0);
    assert_int_equal(td_notify("READY=1"), 0);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_int_equal(td_notify("READY=1"), 0);
}

static void watchdog_is_this_process_and_a_number(void **state)
{
    static const char *const not_numbers[] = {
        "", "x", "-1", "1.5", "99999999999999999999", "18446744073709551615"};
    char pid[24];

    assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
    assert_int_equal(unsetenv("WATCHDOG_PID"), 0);
    assert_int_equal(td_watchdog_ns(), 0);
    assert_int_equal(setenv("WATCHDOG_USEC", "30000000", 1), 0);
    assert_int_equal(td_watchdog_ns(), 30 * TD_NS_PER_S);
    snprintf(pid, sizeof pid, "%d", getpid());
    assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
    assert_int_equal(td_watchdog_ns(), 30 * TD_NS_PER_S);
    assert_int_equal(setenv("WATCHDOG_PID", "1", 1), 0);
    assert_int_equal(td_watchdog_ns(), 0);
    assert_int_equal(unsetenv("WATCHDOG_PID"), 0);
    for (size_t i = 0; i < TD_ARRAY_LEN(not_numbers); i++) {
        assert_int_equal(setenv("WATCHDOG_USEC", not_numbers[i], 1), 0);
        assert_int_equal(td_watchdog_ns(), 0);
    }
    assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
}

#define LARGE ((size_t)1 << 20) /* many times what a pipe holds */

struct drain {
    int fd;
    size_t got, wrong;
};

static char byte_at(size_t at)
{
    return (char)(at * 31 + at / 251);
}

static void drain(void *arg)
{
    struct drain *drain = arg;
    char part[1000];
    int64_t n;

    while ((n = td_read_some(drain->fd, part, sizeof part)) > 0)
        for (int64_t i = 0; i < n; i++)
            drain->wrong += part[i] != byte_at(drain->got++);
}

static void write_all_waits_for_room(void **state)
{
    char *bytes = malloc(LARGE);
    struct td_thread thread;
    struct drain reader = {0};
    int ends[2];

    assert_non_null(bytes);
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = byte_at(i);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    reader.fd = ends[0];
    assert_int_equal(td_thread_start(&thread, "reader", drain, &reader), 0);
    assert_int_equal(td_write_all(ends[1], bytes, LARGE), 0);
    close(ends[1]);
    td_thread_join(&thread);
    assert_int_equal(reader.got, LARGE);
    assert_int_equal(reader.wrong, 0);
    close(ends[0]);
    free(bytes);
}

static void write_all_tells_that_nobody_reads(void **state)
{
    int ends[2];

    assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_false(td_is_terminal(ends[0]));
    close(ends[0]);
    assert_int_equal(td_write_all(ends[1], "x", 1), -EPIPE);
    assert_int_equal(td_write_all(ends[1], "", 0), 0);
    close(ends[1]);
}

static void descriptors_are_raised_to_the_limit(void **state)
{
    struct rlimit before, after;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(before.rlim_max > 64);
    before.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true((rlim_t)td_descriptors_raise() == before.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
    assert_true(after.rlim_cur == before.rlim_max);
    assert_true((rlim_t)td_descriptors_raise() == before.rlim_max); /* nothing left to raise */
}

static void the_end_of_a_reader_is_noticed(void **state)
{
    int ends[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_true(file >= 0);
    assert_int_equal(pipe(ends), 0);
    assert_false(td_nobody_reads(ends[1]));
    assert_false(td_nobody_reads(file));
    close(ends[0]);
    assert_true(td_nobody_reads(ends[1]));
    close(ends[1]);
    close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spawn_gives_output_and_status),
        cmocka_unit_test(paths_are_told),
        cmocka_unit_test(spawn_reports_why_it_failed),
        cmocka_unit_test(signal_reaches_the_group),
        cmocka_unit_test(signals_become_readable),
        cmocka_unit_test(notify_tells_the_service_manager),
        cmocka_unit_test(notify_wants_a_sound_address_or_none),
        cmocka_unit_test(watchdog_is_this_process_and_a_number),
        cmocka_unit_test(write_all_waits_for_room),
        cmocka_unit_test(write_all_tells_that_nobody_reads),
        cmocka_unit_test(the_end_of_a_reader_is_noticed),
        cmocka_unit_test(descriptors_are_raised_to_the_limit),
    };

    return cmocka_run_group_tests_name("os/process", tests, NULL, NULL);
}
