/* SPDX-License-Identifier: Apache-2.0 */
/* A launcher of the test's own, and commands that are real programs.  That processes are gone is seen by pidfds. */
#include "os/launcher.h"

#include "base/compiler.h"
#include "base/units.h"
#include "os/process.h"
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_MS 20000
#define TEXT_MAX    4096

static const char *const plain_env[] = {"PATH=/usr/bin:/bin", NULL};
static struct td_launcher launcher;

static void wait_readable(int fd)
{
    struct td_poll_item item = {.fd = fd};

    while (td_poll(&item, 1, DEADLINE_MS) > 0 && !item.ready)
        ;
    assert_true(item.ready);
}

/* The text up to the end of a pipe. */
static const char *read_all(int fd)
{
    static char text[TEXT_MAX + 1];
    size_t len = 0;
    int64_t n = 1;

    while (n != 0) {
        wait_readable(fd);
        n = td_read_some(fd, text + len, TEXT_MAX - len);
        assert_true(n >= 0);
        len += (size_t)n;
    }
    text[len] = '\0';
    return text;
}

/* A number on a line of its own. */
static pid_t read_pid(int fd)
{
    pid_t pid = 0;
    char c;

    for (;;) {
        wait_readable(fd);
        assert_int_equal(td_read_some(fd, &c, 1), 1);
        if (c == '\n')
            return pid;
        assert_true(c >= '0' && c <= '9');
        pid = pid * 10 + (c - '0');
    }
}

static enum td_launched_news next(const struct td_launched *launched, int *ret_value)
{
    *ret_value = 0;
    wait_readable(launched->link);
    return td_launched_next(launched, ret_value);
}

static void must_exit(const struct td_launched *launched, int status)
{
    int value;

    assert_int_equal(next(launched, &value), TD_LAUNCHED_EXITED);
    assert_int_equal(value, status);
}

static void must_be_gone(struct td_launched *launched)
{
    int value;

    assert_int_equal(next(launched, &value), TD_LAUNCHED_GONE);
    td_launched_close(launched);
}

static struct td_launched start(const struct td_launch *launch)
{
    struct td_launched launched;

    assert_int_equal(td_launcher_start(&launcher, launch, &launched), 0);
    return launched;
}

static struct td_launched start_shell(const char *script)
{
    const char *argv[] = {"sh", "-c", script, NULL};

    return start(&(struct td_launch){.argv = argv, .env = plain_env});
}

static struct td_launched start_python(const char *script, struct td_launch launch)
{
    const char *argv[] = {"python3", "-c", script, NULL};

    launch.argv = argv;
    launch.env = plain_env;
    return start(&launch);
}

static int watch(pid_t pid)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

    assert_true(pidfd >= 0);
    return pidfd;
}

static bool is_alive(int pidfd)
{
    struct td_poll_item item = {.fd = pidfd};

    return td_poll(&item, 1, 0) == 0;
}

static void must_end(int pidfd)
{
    wait_readable(pidfd);
    close(pidfd);
}

static pid_t parent_of(pid_t pid)
{
    char path[64], line[256];
    int parent = 0;

    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (parent == 0 && fgets(line, sizeof line, file))
        if (strncmp(line, "PPid:", 5) == 0)
            parent = (int)strtol(line + 5, NULL, 10);
    fclose(file);
    assert_true(parent > 1);
    return parent;
}

static int count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* ---- what a command gets ---- */

static void a_command_has_its_streams_and_status(void **state)
{
    const char *argv[] = {"sh", "-c",
                          "cat; pwd; echo $WORD >&2; echo '{\"progress\":1}' >&3; exit 7", NULL};
    const char *env[] = {"WORD=seen", "PATH=/usr/bin:/bin", NULL};
    struct td_launched launched = start(
        &(struct td_launch){.argv = argv, .env = env, .dir = "/usr", .input = TD_S("in\nput\n")});

    assert_string_equal(read_all(launched.out), "in\nput\n/usr\n");
    assert_string_equal(read_all(launched.err), "seen\n");
    assert_string_equal(read_all(launched.report), "{\"progress\":1}\n");
    must_exit(&launched, 7);
    must_be_gone(&launched);
}

static void arguments_arrive_as_they_are(void **state)
{
    const char *argv[] = {"printf", "<%s>",  "two words", "\"'`",     "a\nb", "$(id)",
                          "--help", "-rf /", "",          "*; rm {}", "\\n",  NULL};
    struct td_launched launched = start(&(struct td_launch){.argv = argv, .env = plain_env});

    assert_string_equal(read_all(launched.out),
                        "<two words><\"'`><a\nb><$(id)><--help><-rf /><><*; rm {}><\\n>");
    must_exit(&launched, 0);
    must_be_gone(&launched);
}

static void a_command_begins_clean(void **state)
{
    struct td_launched launched = start_python(
        "import os, signal\n"
        "print(sorted(int(n) for n in os.listdir('/proc/self/fd'))[:5])\n" /* 4: the folder */
        "print(os.getsid(0) == os.getpgid(0) == os.getpid())\n"
        "print([l.split()[1] for l in open('/proc/self/status') if l[:6] == 'SigBlk'])\n"
        "print([signal.getsignal(n) == signal.SIG_DFL for n in (1, 3, 15, 17)])\n"
        "print(list(os.environ))",
        (struct td_launch){0});

    assert_string_equal(read_all(launched.out), "[0, 1, 2, 3, 4]\nTrue\n['0000000000000000']\n"
                                                "[True, True, True, True]\n"
                                                "['PATH', 'LC_CTYPE']\n"); /* the last: Python's */
    must_exit(&launched, 0);
    must_be_gone(&launched);
}

static void the_input_is_its_own_and_long(void **state)
{
    size_t len = 4 * TD_MIB;
    char *bytes = malloc(len);
    const char *argv[] = {"wc", "-c", NULL};

    assert_non_null(bytes);
    memset(bytes, 'x', len);
    struct td_launched launched =
        start(&(struct td_launch){.argv = argv, .env = plain_env, .input = td_slice(bytes, len)});
    free(bytes);
    assert_string_equal(read_all(launched.out), "4194304\n");
    must_exit(&launched, 0);
    must_be_gone(&launched);
}

static void limits_hold(void **state)
{
    struct td_launched launched =
        start_python("x = bytearray(1 << 30)", (struct td_launch){.memory_bytes = 256 * TD_MIB});

    assert_non_null(strstr(read_all(launched.err), "MemoryError"));
    must_exit(&launched, 1);
    must_be_gone(&launched);

    launched = start_python("import resource as r\n"
                            "print(r.getrlimit(r.RLIMIT_NOFILE), r.getrlimit(r.RLIMIT_CORE))",
                            (struct td_launch){.descriptors_max = 33});
    assert_string_equal(read_all(launched.out), "(33, 33) (0, 0)\n");
    must_exit(&launched, 0);
    must_be_gone(&launched);

    launched = start_python("while True: pass", (struct td_launch){.cpu_s = 1});
    must_exit(&launched, -SIGXCPU);
    must_be_gone(&launched);
}

/* ---- what can't be started ---- */

static void must_not_start(const struct td_launch *launch, int err)
{
    struct td_launched launched = start(launch);
    int value;

    assert_int_equal(next(&launched, &value), TD_LAUNCHED_NOT_STARTED);
    assert_int_equal(value, err);
    assert_string_equal(read_all(launched.out), "");
    must_be_gone(&launched);
}

static void a_failed_start_says_why(void **state)
{
    char dir[] = "/tmp/tidings-test.XXXXXX", path[64];
    const char *absent[] = {"/nonexistent/program", NULL}, *unknown[] = {"no-such-program", NULL};
    const char *not_executable[] = {"/etc/passwd", NULL}, *fine[] = {"true", NULL};
    const char *plain_text[] = {path, NULL}, *empty[] = {"", NULL};
    const char *elsewhere[] = {"PATH=/nonexistent::/etc", NULL};

    must_not_start(&(struct td_launch){.argv = absent, .env = plain_env}, -ENOENT);
    must_not_start(&(struct td_launch){.argv = unknown, .env = plain_env}, -ENOENT);
    must_not_start(&(struct td_launch){.argv = empty, .env = plain_env}, -ENOENT);
    must_not_start(&(struct td_launch){.argv = not_executable, .env = plain_env}, -EACCES);
    must_not_start(&(struct td_launch){.argv = fine, .env = elsewhere}, -ENOENT);
    must_not_start(&(struct td_launch){.argv = fine, .env = plain_env, .dir = "/nonexistent"},
                   -ENOENT);

    /* No shell guesses what it might be. */
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/script", dir);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs("echo hello\n", file);
    fclose(file);
    assert_int_equal(chmod(path, 0700), 0);
    must_not_start(&(struct td_launch){.argv = plain_text, .env = plain_env}, -ENOEXEC);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void what_is_too_much_is_refused(void **state)
{
    size_t len = TD_LAUNCH_STRINGS_MAX;
    char *text = malloc(len + 1);
    const char *argv[] = {"true", text, NULL}, *none[] = {NULL}, *fine[] = {"true", NULL};
    struct td_launched launched;
    int before = count_descriptors(), value;

    assert_non_null(text);
    memset(text, 'x', len);
    text[len] = '\0';
    assert_int_equal(td_launcher_start(
                         &launcher, &(struct td_launch){.argv = argv, .env = plain_env}, &launched),
                     -E2BIG);
    assert_int_equal(td_launcher_start(
                         &launcher, &(struct td_launch){.argv = none, .env = plain_env}, &launched),
                     -EINVAL);
    assert_int_equal(
        td_launcher_start(
            &launcher,
            &(struct td_launch){
                .argv = fine, .env = plain_env, .input = {text, TD_LAUNCH_INPUT_MAX + 1}
    },
            &launched),
        -EFBIG);
    assert_int_equal(count_descriptors(), before);

    /* Within our limit, and beyond the system's for one argument (MAX_ARG_STRLEN). */
    text[200 * TD_KIB] = '\0';
    launched = start(&(struct td_launch){.argv = argv, .env = plain_env});
    assert_int_equal(next(&launched, &value), TD_LAUNCHED_NOT_STARTED);
    assert_int_equal(value, -E2BIG);
    must_be_gone(&launched);
    text[100 * TD_KIB] = '\0';
    launched = start(&(struct td_launch){.argv = argv, .env = plain_env});
    must_exit(&launched, 0);
    must_be_gone(&launched);
    free(text);
}

/* ---- how commands end ---- */

static void signals_reach_the_group(void **state)
{
    struct td_launched launched = start_shell("sleep 1000 & echo $!; echo $$; wait");
    int child = watch(read_pid(launched.out)), leader = watch(read_pid(launched.out));

    td_launched_signal(&launched, SIGTERM);
    must_exit(&launched, -SIGTERM);
    must_end(child);
    must_end(leader);
    must_be_gone(&launched);
}

static void kill_needs_no_consent(void **state)
{
    struct td_launched launched =
        start_shell("trap 'echo 1' TERM; echo $$; while :; do sleep 1000 & wait; done");
    int leader = watch(read_pid(launched.out));

    td_launched_signal(&launched, SIGTERM);
    assert_int_equal(read_pid(launched.out), 1); /* it has got it, and goes on */
    assert_true(is_alive(leader));
    td_launched_signal(&launched, SIGKILL);
    must_exit(&launched, -SIGKILL);
    must_be_gone(&launched);
    must_end(leader);
}

/* Starts a process in a session of its own, whose parent ends at once, and tells the number of it. */
#define ESCAPE "(setsid sh -c 'echo $$; exec sleep 1000 </dev/null >/dev/null 2>&1 3>&-' &)\n"

static void who_escapes_is_found(void **state)
{
    struct td_launched launched = start_shell(ESCAPE ESCAPE "exit 3");
    int escaped[] = {watch(read_pid(launched.out)), watch(read_pid(launched.out))};
    int value;

    must_exit(&launched, 3);
    assert_string_equal(read_all(launched.out), ""); /* its pipes have ended, itself has not */
    assert_int_equal(td_launched_next(&launched, &value), TD_LAUNCHED_NONE);
    assert_true(is_alive(escaped[0]) && is_alive(escaped[1]));
    td_launched_signal(&launched, SIGTERM); /* only to the group, which has ended */
    assert_true(is_alive(escaped[0]) && is_alive(escaped[1]));
    td_launched_signal(&launched, SIGKILL);
    must_be_gone(&launched);
    must_end(escaped[0]);
    must_end(escaped[1]);
}

static void closing_kills(void **state)
{
    struct td_launched launched = start_shell(ESCAPE "echo $$; exec sleep 1000");
    int escaped = watch(read_pid(launched.out)), leader = watch(read_pid(launched.out));

    td_launched_close(&launched);
    must_end(escaped);
    must_end(leader);
}

/* ---- who dies ---- */

/* A server, which starts a command that tells of an escaped process, a child in its group, and itself, and sends those numbers to `to`. */
static void serve(int to)
{
    struct td_launcher mine;
    struct td_launched launched;
    const char *argv[] = {"sh", "-c", ESCAPE "sleep 1000 & echo $!; echo $$; wait", NULL};
    pid_t pids[5] = {0};

    assert_int_equal(td_launcher_fork(&mine), 0);
    assert_int_equal(
        td_launcher_start(&mine, &(struct td_launch){.argv = argv, .env = plain_env}, &launched),
        0);
    for (int i = 0; i < 3; i++)
        pids[i] = read_pid(launched.out);
    pids[3] = parent_of(pids[2]); /* the warden */
    pids[4] = mine._pid;
    assert_int_equal(parent_of(pids[3]), pids[4]);
    assert_int_equal(write(to, pids, sizeof pids), sizeof pids);
    pause();
}

static void nothing_outlives_a_server_that_was_killed(void **state)
{
    pid_t pids[5];
    int numbers[2], pidfds[5];

    assert_int_equal(pipe(numbers), 0);
    pid_t server = fork();
    if (server == 0) {
        serve(numbers[1]);
        _exit(1);
    }
    close(numbers[1]);
    assert_int_equal(read(numbers[0], pids, sizeof pids), sizeof pids);
    for (size_t i = 0; i < TD_ARRAY_LEN(pids); i++) {
        pidfds[i] = watch(pids[i]);
        assert_true(is_alive(pidfds[i]));
    }
    assert_int_equal(kill(server, SIGKILL), 0);
    for (size_t i = 0; i < TD_ARRAY_LEN(pids); i++)
        must_end(pidfds[i]);
    assert_int_equal(waitpid(server, NULL, 0), server);
    close(numbers[0]);
}

static void a_killed_warden_takes_all_with_it(void **state)
{
    struct td_launched launched = start_shell(ESCAPE "sleep 1000 & echo $!; echo $$; wait");
    int escaped = watch(read_pid(launched.out)), child = watch(read_pid(launched.out));
    pid_t pid = read_pid(launched.out);
    int leader = watch(pid);

    assert_int_equal(kill(parent_of(pid), SIGKILL), 0);
    must_be_gone(&launched);
    must_end(leader);
    must_end(child);
    must_end(escaped);
    launched = start_shell("exit 5"); /* and the launcher goes on */
    must_exit(&launched, 5);
    must_be_gone(&launched);
}

static void without_the_launcher_commands_go_on_and_none_is_started(void **state)
{
    struct td_launcher mine;
    struct td_launched launched[2], third;
    const char *script = "import os, signal\n"
                         "signal.signal(signal.SIGUSR1, lambda *_: print(1, flush=True))\n"
                         "print(os.getpid(), flush=True)\n"
                         "while True: signal.pause()";
    const char *argv[] = {"python3", "-c", script, NULL};
    const struct td_launch launch = {.argv = argv, .env = plain_env};
    int leaders[2];
    pid_t pid = 0;

    assert_int_equal(td_launcher_fork(&mine), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(td_launcher_start(&mine, &launch, &launched[i]), 0);
        pid = read_pid(launched[i].out);
        leaders[i] = watch(pid);
    }
    int pidfd = watch(mine._pid);
    assert_int_equal(kill(mine._pid, SIGKILL), 0);
    must_end(pidfd);
    td_launched_signal(&launched[0], SIGUSR1);
    assert_int_equal(read_pid(launched[0].out), 1);
    assert_int_equal(td_launcher_start(&mine, &launch, &third), -EPIPE);
    td_launched_close(&launched[0]);
    must_end(leaders[0]);
    /* Nor does a command outlive its warden where no launcher cares. */
    assert_int_equal(kill(parent_of(pid), SIGKILL), 0);
    must_be_gone(&launched[1]);
    must_end(leaders[1]);
    td_launcher_close(&mine);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), 0); /* only the one of the other tests is left */
    assert_int_equal(td_launcher_start(&mine, &launch, &third), -EPIPE);
}

/* ---- many ---- */

static void a_hundred_at_once_leave_nothing_open(void **state)
{
    struct td_launched launched[100];
    int before = count_descriptors();

    for (size_t i = 0; i < TD_ARRAY_LEN(launched); i++)
        launched[i] = start_shell("read line; exit 9");
    for (size_t i = 0; i < TD_ARRAY_LEN(launched); i++)
        must_exit(&launched[i], 9);
    assert_int_equal(count_descriptors(), before + 400);
    for (size_t i = 0; i < TD_ARRAY_LEN(launched); i++)
        must_be_gone(&launched[i]);
    assert_int_equal(count_descriptors(), before);
}

static int open_launcher(void **state)
{
    return td_launcher_fork(&launcher);
}

static int close_launcher(void **state)
{
    td_launcher_close(&launcher);
    return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD ? 0 : -1; /* it was reaped */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_has_its_streams_and_status),
        cmocka_unit_test(arguments_arrive_as_they_are),
        cmocka_unit_test(a_command_begins_clean),
        cmocka_unit_test(the_input_is_its_own_and_long),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(a_failed_start_says_why),
        cmocka_unit_test(what_is_too_much_is_refused),
        cmocka_unit_test(signals_reach_the_group),
        cmocka_unit_test(kill_needs_no_consent),
        cmocka_unit_test(who_escapes_is_found),
        cmocka_unit_test(closing_kills),
        cmocka_unit_test(nothing_outlives_a_server_that_was_killed),
        cmocka_unit_test(a_killed_warden_takes_all_with_it),
        cmocka_unit_test(without_the_launcher_commands_go_on_and_none_is_started),
        cmocka_unit_test(a_hundred_at_once_leave_nothing_open),
    };

    return cmocka_run_group_tests(tests, open_launcher, close_launcher);
}
