/* SPDX-License-Identifier: Apache-2.0 */
/* Real commands, whatever they do.  The clock is the machine's, but a test may put it forward. */
#include "jobs/command.h"

#include "base/buf.h"
#include "base/err.h"
#include "os/clock.h"
#include "os/process.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE              (30 * TD_NS_PER_S)
#define HOUR                  (3600 * TD_NS_PER_S)
#define COMMANDS              120
#define ARGS_MAX              16
#define OUTPUT_MAX            (4 * TD_MIB)
#define MUST_END(run_, code_) must_end(run_, TD_RUN_FAILED, code_)

static struct td_launcher launcher;
static struct td_commands *commands;
static td_ns ahead; /* how far the clock was put forward */

/* One run, and all that was told of it. */
struct run {
    struct td_command *command;
    struct td_buf out, err, told; /* lines, each with LF; the other callbacks, a line each */
    size_t n_lines, longest;
    bool has_ended;
    struct td_run_end end; /* without its texts, which are: */
    char code[64], message[512], details[512], result[512];
    void (*on_line)(struct run *run);
    void (*on_end)(struct run *run);
};

static td_ns now(void)
{
    return td_clock_ns() + ahead;
}

/* ---- what is told ---- */

static void take_line(void *arg, struct td_slice line, bool is_stderr)
{
    struct run *run = arg;
    struct td_buf *to = is_stderr ? &run->err : &run->out;

    assert_false(run->has_ended);
    td_buf_put(to, line);
    td_buf_putc(to, '\n');
    run->n_lines++;
    run->longest = TD_MAX(run->longest, line.len);
    if (run->on_line)
        run->on_line(run);
}

static void take_text(void *arg, struct td_slice piece)
{
    struct run *run = arg;

    td_buf_putf(&run->told, "text %.*s\n", (int)piece.len, piece.ptr);
}

static void take_progress(void *arg, double progress, struct td_slice message)
{
    struct run *run = arg;

    td_buf_putf(&run->told, "progress %g %.*s\n", progress, (int)message.len, message.ptr);
}

static void take_log(void *arg, struct td_slice message, struct td_slice level)
{
    struct run *run = arg;

    td_buf_putf(&run->told, "%.*s %.*s\n", (int)level.len, level.ptr, (int)message.len,
                message.ptr);
}

static void copy(char *to, size_t size, struct td_slice text)
{
    snprintf(to, size, "%.*s", (int)text.len, text.len ? text.ptr : "");
}

static void take_end(void *arg, const struct td_run_end *end)
{
    struct run *run = arg;

    assert_false(run->has_ended);
    run->has_ended = true;
    run->end = *end;
    copy(run->code, sizeof run->code, end->code);
    copy(run->message, sizeof run->message, end->message);
    copy(run->details, sizeof run->details, end->details);
    copy(run->result, sizeof run->result, end->result);
    for (size_t i = 0; i < end->n_actions; i++)
        assert_true(end->actions[i].len > 0);
    if (run->on_end)
        run->on_end(run);
}

static const struct td_run_ops ops = {
    .line = take_line,
    .text = take_text,
    .progress = take_progress,
    .log = take_log,
    .ended = take_end,
};

/* ---- runs ---- */

/* Pairs of a name and its value, with NULL at the end. */
static bool value_of(void *arg, struct td_slice name, struct td_slice *ret_value)
{
    for (const char *const *pair = arg; pair && *pair; pair += 2)
        if (td_slice_eq(name, td_slice_str(pair[0]))) {
            *ret_value = td_slice_str(pair[1]);
            return true;
        }
    return false;
}

static void make(struct run *run)
{
    *run = (struct run){.out = TD_BUF_INIT(OUTPUT_MAX),
                        .err = TD_BUF_INIT(OUTPUT_MAX),
                        .told = TD_BUF_INIT(OUTPUT_MAX)};
}

static void done(struct run *run)
{
    td_buf_done(&run->out);
    td_buf_done(&run->err);
    td_buf_done(&run->told);
}

static int try_start(struct run *run, struct td_command_spec spec, const char *const *argv,
                     const char *const *values)
{
    struct td_slice args[ARGS_MAX];
    const struct td_run_input input = {
        .document = TD_S("{\"job_id\":\"j1\"}"),
        .value = value_of,
        .arg = (void *)(uintptr_t)values,
    };

    for (spec.n_argv = 0; argv[spec.n_argv]; spec.n_argv++)
        args[spec.n_argv] = td_slice_str(argv[spec.n_argv]);
    spec.argv = args;
    make(run);
    return td_commands_start(commands, &spec, &input, &ops, run, now(), &run->command);
}

static void start(struct run *run, struct td_command_spec spec, const char *const *argv)
{
    assert_int_equal(try_start(run, spec, argv, NULL), 0);
}

static void start_shell(struct run *run, struct td_command_spec spec, const char *script)
{
    start(run, spec, (const char *[]){"sh", "-c", script, NULL});
}

static void start_python(struct run *run, struct td_command_spec spec, const char *script)
{
    start(run, spec, (const char *[]){"python3", "-c", script, NULL});
}

/* A turn of the desk. */
static void turn(void)
{
    struct td_poll_item item = {.fd = td_commands_fd(commands)};
    td_ns at = td_commands_deadline(commands), is = now();
    td_ns wait = at <= is ? 0 : TD_MIN(at - is, DEADLINE);

    (void)td_poll(&item, 1, (int)((wait + TD_NS_PER_MS - 1) / TD_NS_PER_MS));
    td_commands_serve(commands, now());
}

static void run_to_end(struct run *run)
{
    td_ns begin = td_clock_ns();

    while (!run->has_ended) {
        assert_true(td_clock_ns() - begin < DEADLINE);
        turn();
    }
}

static void run_to_lines(struct run *run, size_t n)
{
    while (run->n_lines < n) {
        assert_false(run->has_ended);
        turn();
    }
}

static void must_say(const struct td_buf *buf, const char *text)
{
    char *said = strndup(buf->len ? buf->ptr : "", buf->len);

    assert_string_equal(said, text);
    free(said);
}

static void must_end(struct run *run, enum td_run_outcome outcome, const char *code)
{
    run_to_end(run);
    assert_string_equal(run->code, code);
    assert_int_equal(run->end.outcome, outcome);
    assert_int_equal(run->message[0] == '\0', outcome != TD_RUN_FAILED);
    assert_int_equal(td_commands_running(commands), 0);
    assert_true(td_commands_deadline(commands) == UINT64_MAX);
}

static void must_be_done(struct run *run, int status)
{
    must_end(run, TD_RUN_DONE, "");
    assert_int_equal(run->end.exit_status, status);
}

/* Until there is nothing to read at once. */
static void settle(void)
{
    while (td_commands_deadline(commands) == 0)
        turn();
}

/* Until the exit was seen of a command that left somebody behind. */
static void wait_for_grace(void)
{
    while (td_commands_deadline(commands) == UINT64_MAX || td_commands_deadline(commands) == 0)
        turn();
}

/* Until all commands have exited and left nothing behind, none of which was served: no warden is left below the launcher. */
static void wait_unserved(void)
{
    char path[64];
    int c = 0;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", launcher._pid, launcher._pid);
    while (c != EOF) {
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        c = getc(file);
        fclose(file);
        (void)td_poll(NULL, 0, 1);
    }
}

static int watch(const struct td_buf *number)
{
    int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)strtol(number->ptr, NULL, 10), 0);

    assert_true(pidfd >= 0);
    return pidfd;
}

static void must_be_gone(int pidfd)
{
    struct td_poll_item item = {.fd = pidfd};

    assert_int_equal(td_poll(&item, 1, 20000), 1);
    close(pidfd);
}

/* ---- output ---- */

static void lines_are_told(void **state)
{
    struct run run;

    start_shell(&run, (struct td_command_spec){0},
                "cat; echo; printf 'one\\r\\n\\ntwo\\rthree\\n  four'; printf 'odd\\r' >&2");
    must_be_done(&run, 0);
    must_say(&run.out, "{\"job_id\":\"j1\"}\none\n\ntwo\rthree\n  four\n");
    must_say(&run.err, "odd\n");
    done(&run);
}

static void what_is_no_utf8_is_replaced(void **state)
{
    struct run run;

    start_shell(&run, (struct td_command_spec){0},
                "printf 'caf\\303\\251 \\377\\303 \\355\\240\\200\\n\\303\\n\\251x'");
    must_be_done(&run, 0);
    must_say(&run.out, "caf\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\n"
                       "\xef\xbf\xbd\n\xef\xbf\xbdx\n");
    done(&run);
    start_shell(&run, (struct td_command_spec){0}, "printf 'a\\000b\\n'");
    must_be_done(&run, 0);
    assert_int_equal(run.out.len, 4);
    assert_memory_equal(run.out.ptr, "a\0b\n", 4);
    done(&run);
}

static void a_long_line_is_told_in_several(void **state)
{
    struct run run;

    start_python(&run, (struct td_command_spec){0},
                 "import sys; sys.stdout.buffer.write('x'.encode() + '\\u00e9'.encode() * 100000)");
    must_be_done(&run, 0);
    assert_int_equal(run.n_lines, 4); /* 200,001 bytes */
    assert_int_equal(run.longest, TD_COMMAND_LINE_MAX);
    assert_int_equal(run.out.len, 200001 + 4);
    assert_null(memmem(run.out.ptr, run.out.len, "\xef\xbf\xbd", 3));
    done(&run);
    /* Each byte of the longest line replaced. */
    start_python(&run, (struct td_command_spec){0},
                 "import sys; sys.stdout.buffer.write(bytes([255]) * 65536)");
    must_be_done(&run, 0);
    assert_int_equal(run.longest, 3 * TD_COMMAND_LINE_MAX);
    done(&run);
}

static void both_streams_keep_their_order(void **state)
{
    struct run run;
    struct td_buf wanted = TD_BUF_INIT(OUTPUT_MAX);

    start_python(&run, (struct td_command_spec){0},
                 "import os\n"
                 "for i in range(10000):\n"
                 "    os.write(1, b'%d\\n' % i); os.write(2, b'%d\\n' % i)");
    must_be_done(&run, 0);
    for (unsigned i = 0; i < 10000; i++)
        td_buf_putf(&wanted, "%u\n", i);
    assert_true(td_slice_eq(td_buf_slice(&run.out), td_buf_slice(&wanted)));
    assert_true(td_slice_eq(td_buf_slice(&run.err), td_buf_slice(&wanted)));
    td_buf_done(&wanted);
    done(&run);
}

static void reports_are_told(void **state)
{
    struct run run;

    start_shell(&run, (struct td_command_spec){0},
                "cat >&3 <<'X'\n"
                "{\"progress\":40,\"message\":\"half\"}\n"
                "{\"message\":\"only\"}\n"
                "\n"
                "{\"log\":\"careful\",\"level\":\"warn\"}\n"
                "plain\n"
                "{\"progress\":\"40\"}\n"
                "{\"text\":\"caf\\u00e9\"}\n"
                "{\"result\":1}\n"
                "{\"result\":{\"files\":[\"a\"]},\"unknown\":true}\n"
                "X\n"
                "printf '{\"progress\":100}' >&3");
    must_be_done(&run, 0);
    must_say(&run.told,
             "progress 40 half\n"
             "progress -1 only\n"
             "warn careful\n"
             "warn A report on descriptor 3 is no line of JSON: plain\n"
             "warn A report on descriptor 3 is not as docs/jobs.md has it: {\"progress\":\"40\"}\n"
             "text caf\xc3\xa9\n"
             "progress 100 \n");
    must_say(&run.out, "");
    assert_string_equal(run.result, "{\"files\":[\"a\"]}");
    done(&run);
}

static void a_report_has_a_longest_line(void **state)
{
    struct run run;

    start_python(&run, (struct td_command_spec){0},
                 "import os\n"
                 "f = os.fdopen(3, 'w')\n"
                 "f.write('{\"text\":\"' + 'x' * 600000 + '\"}\\n{\"log\":\"next\"}\\n')\n"
                 "f.write('{\"text\":\"' + 'y' * (256 * 1024 - 11) + '\"}\\n')");
    must_be_done(&run, 0);
    assert_true(td_slice_starts(
        td_buf_slice(&run.told),
        TD_S("warn A report on descriptor 3 is longer than 256 KiB: {\"text\":\"xx")));
    const char *next = memmem(run.told.ptr, run.told.len, "\ninfo next\ntext yyy", 19);
    assert_non_null(next);
    assert_int_equal(run.told.ptr + run.told.len - next, 16 + 256 * 1024 - 11 + 1);
    done(&run);
}

/* ---- what it is started with ---- */

static void values_stay_whole(void **state)
{
    static const char *const values[] = {"a",    "two words", "b",          "\"'`$HOME", "c",
                                         "x\ny", "d",         "$(id); {a}", "e",         "--help",
                                         "f",    "",          NULL};
    struct run run;

    assert_int_equal(
        try_start(&run, (struct td_command_spec){0},
                  (const char *[]){"python3", "-c", "import sys; print(sys.argv[1:])", "{a}", "{b}",
                                   "{c}", "{d}", "{e}", "{f}", "--x={a}/{c}", "{absent}",
                                   "--y={absent}", "{ a }", NULL},
                  values),
        0);
    must_be_done(&run, 0);
    must_say(&run.out, "['two words', '\"\\'`$HOME', 'x\\ny', '$(id); {a}', '--help', '', "
                       "'--x=two words/x\\ny', '{ a }']\n");
    done(&run);
}

static void the_environment_is_what_is_asked_for(void **state)
{
    static const char *const values[] = {"name", "a b", NULL};
    struct td_slice env[] = {TD_S("X=1"),    TD_S("Y={name}"), TD_S("Z={absent}"), TD_S("KEPT"),
                             TD_S("ABSENT"), TD_S("X=2"),      TD_S("LANG=C")};
    struct run run;

    assert_int_equal(setenv("KEPT", "k", 1), 0);
    assert_int_equal(setenv("SECRET", "s", 1), 0);
    assert_int_equal(setenv("HOME", "/h", 1), 0);
    assert_int_equal(setenv("PATH", "/usr/bin:/bin", 1), 0);
    assert_int_equal(try_start(&run,
                               (struct td_command_spec){
                                   .env = env, .n_env = TD_ARRAY_LEN(env), .dir = TD_S("/usr")},
                               (const char *[]){"sh", "-c", "env | sort; pwd", NULL}, values),
                     0);
    must_be_done(&run, 0);
    must_say(&run.out, "HOME=/h\nKEPT=k\nLANG=C\nPATH=/usr/bin:/bin\nPWD=/usr\nX=2\nY=a b\n/usr\n");
    done(&run);
}

static void a_value_in_dir_is_a_segment(void **state)
{
    static const char *const bad[] = {"", ".", "..", "a/b", "/"};
    const char *const pwd[] = {"pwd", NULL};
    struct run run;

    for (size_t i = 0; i < TD_ARRAY_LEN(bad); i++)
        assert_int_equal(try_start(&run, (struct td_command_spec){.dir = TD_S("/usr/{d}")}, pwd,
                                   (const char *[]){"d", bad[i], NULL}),
                         TD_EINVAL);
    assert_int_equal(try_start(&run, (struct td_command_spec){.dir = TD_S("/usr/{d}")}, pwd, NULL),
                     TD_EINVAL);
    assert_int_equal(td_commands_running(commands), 0);
    assert_int_equal(try_start(&run, (struct td_command_spec){.dir = TD_S("/usr/{d}")}, pwd,
                               (const char *[]){"d", "bin", NULL}),
                     0);
    must_be_done(&run, 0);
    must_say(&run.out, "/usr/bin\n");
    done(&run);
}

static void what_cannot_be_put_in_is_refused(void **state)
{
    struct td_slice with_nul[] = {TD_S("true"), TD_S("a\0b")};
    const struct td_run_input input = {0};
    char *text = malloc(TD_LAUNCH_STRINGS_MAX + 1);
    struct run run;

    assert_non_null(text);
    memset(text, 'x', TD_LAUNCH_STRINGS_MAX);
    text[TD_LAUNCH_STRINGS_MAX] = '\0';
    make(&run);
    assert_int_equal(td_commands_start(commands,
                                       &(struct td_command_spec){.argv = with_nul, .n_argv = 2},
                                       &input, &ops, &run, now(), &run.command),
                     TD_EINVAL);
    assert_int_equal(td_commands_start(commands, &(struct td_command_spec){0}, &input, &ops, &run,
                                       now(), &run.command),
                     TD_EINVAL);
    assert_int_equal(
        try_start(&run, (struct td_command_spec){0}, (const char *[]){"{absent}", "x", NULL}, NULL),
        TD_EINVAL);
    assert_int_equal(try_start(&run, (struct td_command_spec){0},
                               (const char *[]){"true", "{a}", NULL},
                               (const char *[]){"a", text, NULL}),
                     TD_ETOOLARGE);
    assert_int_equal(td_commands_running(commands), 0);
    free(text);
}

/* ---- how it ends ---- */

static void an_exit_status_is_a_failure_or_a_result(void **state)
{
    struct run run;

    start_shell(
        &run, (struct td_command_spec){0},
        "echo early >&2; echo 'the reason' >&2; echo >&2; echo '{\"result\":2}' >&3; exit 3");
    MUST_END(&run, "exit_status");
    assert_int_equal(run.end.exit_status, 3);
    assert_string_equal(run.message, "sh ended with exit status 3.");
    assert_string_equal(run.details, "the reason");
    assert_string_equal(run.result, "2");
    done(&run);
    start_shell(&run, (struct td_command_spec){.exit_status_is_result = true}, "exit 3");
    must_be_done(&run, 3);
    done(&run);
}

static void a_reported_error_is_one(void **state)
{
    struct run run;

    start_shell(
        &run, (struct td_command_spec){.exit_status_is_result = true},
        "echo '{\"error\":{\"code\":\"no_disk\",\"message\":\"It is full.\",\"details\":\"/\","
        "\"suggested_actions\":[\"a\",\"b\"]}}' >&3");
    MUST_END(&run, "no_disk");
    assert_int_equal(run.end.exit_status, 0);
    assert_string_equal(run.message, "It is full.");
    assert_string_equal(run.details, "/");
    assert_int_equal(run.end.n_actions, 2);
    done(&run);
    start_shell(&run, (struct td_command_spec){0},
                "echo '{\"error\":{\"message\":\"Bad.\"}}' >&3; exit 1");
    MUST_END(&run, "command_error");
    assert_string_equal(run.message, "Bad.");
    done(&run);
}

static void a_failed_start_is_told(void **state)
{
    struct run run;

    start(&run, (struct td_command_spec){0}, (const char *[]){"tools/absent", NULL});
    MUST_END(&run, "not_started");
    assert_int_equal(run.end.exit_status, -1);
    assert_string_equal(run.message,
                        "tools/absent could not be started: No such file or directory.");
    done(&run);
    start(&run, (struct td_command_spec){.dir = TD_S("/nonexistent")},
          (const char *[]){"true", NULL});
    MUST_END(&run, "not_started");
    done(&run);
}

static void limits_of_the_system_hold(void **state)
{
    struct run run;

    start_shell(&run, (struct td_command_spec){0}, "kill -SEGV $$");
    MUST_END(&run, "killed");
    assert_int_equal(run.end.exit_status, -1);
    assert_string_equal(run.message, "sh was ended by signal 11 (Segmentation fault).");
    done(&run);
    start_python(&run, (struct td_command_spec){.memory_bytes = 256 * TD_MIB},
                 "x = bytearray(1 << 30)");
    MUST_END(&run, "exit_status");
    assert_string_equal(run.details, "MemoryError");
    done(&run);
    start_python(&run, (struct td_command_spec){.cpu_s = 1}, "while True: pass");
    MUST_END(&run, "killed");
    assert_string_equal(run.message, "python3 used up the 1 s of CPU time that it may use.");
    done(&run);
}

static void cancel_asks_first(void **state)
{
    struct run run;

    start_shell(&run, (struct td_command_spec){0},
                "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 1000 & wait; done");
    run_to_lines(&run, 1);
    td_command_cancel(run.command, now());
    td_command_cancel(run.command, now()); /* twice is once */
    must_end(&run, TD_RUN_CANCELLED, "");
    must_say(&run.out, "up\nbye\n");
    done(&run);
    start_shell(&run, (struct td_command_spec){0}, "sleep 1000");
    td_command_cancel(run.command, now()); /* before anything is known of it */
    must_end(&run, TD_RUN_CANCELLED, "");
    done(&run);
}

/* Says its number and goes on, whatever it is asked. */
#define STUBBORN "trap 'echo no' TERM; echo $$; while :; do sleep 1000 & wait; done"

static void cancel_does_not_ask_for_ever(void **state)
{
    struct run run;

    start_shell(&run, (struct td_command_spec){.grace_ms = 3600000, .time_ms = 3000000}, STUBBORN);
    run_to_lines(&run, 1);
    int pidfd = watch(&run.out);
    td_command_cancel(run.command, now());
    run_to_lines(&run, 2);
    ahead += HOUR;
    must_end(&run, TD_RUN_CANCELLED, "");
    must_be_gone(pidfd);
    done(&run);
}

static void time_is_limited(void **state)
{
    struct run run;

    start_shell(&run, (struct td_command_spec){.time_ms = 3600000, .grace_ms = 1800000}, STUBBORN);
    run_to_lines(&run, 1);
    int pidfd = watch(&run.out);
    settle();
    assert_true(td_commands_deadline(commands) - now() > HOUR - 60 * TD_NS_PER_S);
    assert_true(td_commands_deadline(commands) - now() <= HOUR);
    ahead += HOUR;
    run_to_lines(&run, 2);                 /* it was asked */
    td_command_cancel(run.command, now()); /* which changes nothing any more */
    ahead += HOUR / 2;
    MUST_END(&run, "timeout");
    assert_string_equal(run.message, "sh was ended because it ran longer than 3600 s.");
    must_be_gone(pidfd);
    done(&run);
}

static void output_is_limited(void **state)
{
    struct run run;

    start_shell(&run, (struct td_command_spec){.output_bytes = 100000}, "echo $$; exec yes");
    MUST_END(&run, "output_limit");
    assert_int_equal(run.out.len, 100000 + (run.out.ptr[99999] != '\n'));
    assert_string_equal(run.message, "sh was ended because it wrote more than 100000 bytes.");
    done(&run);
    /* Exactly so much is not more. */
    start_shell(&run, (struct td_command_spec){.output_bytes = 8}, "echo one; echo two >&2");
    must_be_done(&run, 0);
    done(&run);
    /* Also when it has exited before that is seen; reports count too. */
    start_shell(&run, (struct td_command_spec){.output_bytes = 8},
                "echo one; echo two >&3; echo 3");
    wait_unserved();
    MUST_END(&run, "output_limit");
    done(&run);
    /* A command that does not care is killed. */
    start_shell(&run, (struct td_command_spec){.output_bytes = 100, .grace_ms = 1},
                "trap '' TERM PIPE; while :; do echo xxxxxxxxxxxxxxxx; done 2>/dev/null");
    MUST_END(&run, "output_limit");
    done(&run);
}

/* ---- what it leaves behind ---- */

static void who_escapes_is_gone_when_it_ends(void **state)
{
    struct run run;

    start_shell(&run, (struct td_command_spec){.grace_ms = 3600000},
                "(setsid sh -c 'echo $$; exec sleep 1000 </dev/null >/dev/null 2>&1 3>&-' &)\n"
                "exit 0");
    run_to_lines(&run, 1);
    int pidfd = watch(&run.out);
    must_be_done(&run, 0); /* it holds no stream: nobody waits for it */
    must_be_gone(pidfd);
    done(&run);
}

static void who_holds_a_stream_has_the_grace(void **state)
{
    struct run run;

    start_shell(&run, (struct td_command_spec){.grace_ms = 3600000},
                "setsid sh -c 'echo $$; sleep 1000; echo never' & exit 4");
    run_to_lines(&run, 1);
    int pidfd = watch(&run.out);
    wait_for_grace();
    assert_false(run.has_ended);
    assert_true(td_commands_deadline(commands) - now() > HOUR - 60 * TD_NS_PER_S);
    ahead += HOUR;
    MUST_END(&run, "exit_status");
    assert_int_equal(run.end.exit_status, 4);
    must_be_gone(pidfd);
    done(&run);
    /* What comes in the grace is told; what is known of the command stays. */
    start_shell(&run, (struct td_command_spec){.grace_ms = 3600000},
                "python3 -c 'import os, signal\n"
                "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n"
                "print(os.getpid(), flush=True)\n"
                "signal.sigwait([signal.SIGUSR1])\n"
                "print(\"late\")' & exit 0");
    run_to_lines(&run, 1);
    wait_for_grace();
    assert_int_equal(kill((pid_t)strtol(run.out.ptr, NULL, 10), SIGUSR1), 0);
    must_be_done(&run, 0);
    assert_int_equal(run.n_lines, 2);
    assert_memory_equal(run.out.ptr + run.out.len - 5, "late\n", 5);
    done(&run);
    /* A cancel then ends the waiting, and does not change how it ended. */
    start_shell(&run, (struct td_command_spec){.grace_ms = 3600000},
                "sh -c 'echo $$; sleep 1000; echo never' & exit 0");
    run_to_lines(&run, 1);
    wait_for_grace();
    td_command_cancel(run.command, now());
    must_be_done(&run, 0);
    done(&run);
}

/* Somebody who is none of its processes: us. */
static void who_holds_a_stream_from_outside_is_not_waited_for(void **state)
{
    struct run run;
    char path[64];

    start_shell(&run, (struct td_command_spec){.grace_ms = 1},
                "trap 'exit 0' TERM; echo $$; while :; do sleep 1000 & wait; done");
    run_to_lines(&run, 1);
    snprintf(path, sizeof path, "/proc/%ld/fd/1", strtol(run.out.ptr, NULL, 10));
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    td_command_cancel(run.command, now());
    must_end(&run, TD_RUN_CANCELLED, "");
    close(fd);
    done(&run);
}

static void a_killed_warden_is_told(void **state)
{
    struct run run;

    start_shell(&run, (struct td_command_spec){0}, "echo $$; kill -9 $PPID; sleep 1000");
    run_to_lines(&run, 1);
    must_end(&run, TD_RUN_FAILED, "killed");
    assert_int_equal(run.end.exit_status, -1);
    done(&run);
}

/* ---- several ---- */

static struct run next_run;

static void cancel_now(struct run *run)
{
    td_command_cancel(run->command, now());
}

static void start_next(struct run *run)
{
    start_shell(&next_run, (struct td_command_spec){0}, "echo second");
}

static void callbacks_may_start_and_cancel(void **state)
{
    struct run run;

    start_shell(&run, (struct td_command_spec){0}, "echo 1; exec yes");
    run.on_line = cancel_now;
    run.on_end = start_next;
    run_to_end(&run);
    assert_int_equal(run.end.outcome, TD_RUN_CANCELLED);
    must_be_done(&next_run, 0);
    must_say(&next_run.out, "second\n");
    done(&next_run);
    done(&run);
}

static void a_flood_does_not_keep_others_waiting(void **state)
{
    struct run floods[3], run;

    for (size_t i = 0; i < TD_ARRAY_LEN(floods); i++) {
        start_shell(&floods[i], (struct td_command_spec){0}, "exec yes");
        floods[i].out.max = floods[i].err.max = 0; /* not kept */
        run_to_lines(&floods[i], 10000);
    }
    start_shell(&run, (struct td_command_spec){0}, "echo one; echo two; exit 0");
    run_to_end(&run);
    assert_int_equal(run.end.outcome, TD_RUN_DONE);
    must_say(&run.out, "one\ntwo\n");
    done(&run);
    assert_int_equal(td_commands_running(commands), 3);
    for (size_t i = 0; i < TD_ARRAY_LEN(floods); i++)
        td_command_cancel(floods[i].command, now());
    for (size_t i = 0; i < TD_ARRAY_LEN(floods); i++)
        run_to_end(&floods[i]);
}

static void a_turn_is_bounded_and_everybody_has_his(void **state)
{
    struct run runs[20];
    size_t n_lines = 0, waiting = TD_ARRAY_LEN(runs);

    for (size_t i = 0; i < TD_ARRAY_LEN(runs);
         i++) /* 16 bytes a line, and less than a pipe takes */
        start_shell(&runs[i], (struct td_command_spec){0}, "yes 123456789012345 | head -n 3750");
    wait_unserved();
    td_commands_serve(commands, now());
    for (size_t i = 0; i < TD_ARRAY_LEN(runs); i++)
        n_lines += runs[i].n_lines;
    assert_in_range(n_lines * 16, 16 * TD_KIB, 64 * TD_KIB);
    for (int turns = 0; turns < 4; turns++)
        td_commands_serve(commands, now());
    for (size_t i = 0; i < TD_ARRAY_LEN(runs); i++)
        waiting -= runs[i].n_lines > 0;
    assert_int_equal(waiting, 0);
    for (size_t i = 0; i < TD_ARRAY_LEN(runs); i++) {
        run_to_end(&runs[i]);
        assert_int_equal(runs[i].n_lines, 3750);
        done(&runs[i]);
    }
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

static void a_full_table_says_so_and_nothing_leaks(void **state)
{
    static struct run runs[COMMANDS];
    int before = count_descriptors();
    struct run one_more;

    for (size_t i = 0; i < COMMANDS; i++)
        start_shell(&runs[i], (struct td_command_spec){0}, "echo one; echo two >&2; exit 0");
    assert_int_equal(
        try_start(&one_more, (struct td_command_spec){0}, (const char *[]){"true", NULL}, NULL),
        TD_EMANY);
    for (size_t i = 0; i < COMMANDS; i++) {
        run_to_end(&runs[i]);
        assert_int_equal(runs[i].end.outcome, TD_RUN_DONE);
        must_say(&runs[i].out, "one\n");
        must_say(&runs[i].err, "two\n");
        done(&runs[i]);
    }
    assert_int_equal(td_commands_running(commands), 0);
    assert_int_equal(count_descriptors(), before);
}

static void freeing_the_table_kills(void **state)
{
    struct td_commands *others = commands, *mine;
    struct run run;

    assert_int_equal(td_commands_new(&launcher, 1, &mine), 0);
    commands = mine;
    start_shell(&run, (struct td_command_spec){0}, STUBBORN);
    run_to_lines(&run, 1);
    int pidfd = watch(&run.out);
    td_commands_free(mine);
    commands = others;
    must_be_gone(pidfd);
    assert_false(run.has_ended);
    done(&run);
}

static void without_a_launcher_nothing_starts(void **state)
{
    struct td_launcher gone;
    struct td_commands *others = commands, *mine;
    struct run run;

    assert_int_equal(td_launcher_fork(&gone), 0);
    td_launcher_close(&gone);
    assert_int_equal(td_commands_new(&gone, 1, &mine), 0);
    commands = mine;
    assert_int_equal(
        try_start(&run, (struct td_command_spec){0}, (const char *[]){"true", NULL}, NULL), -EPIPE);
    commands = others;
    td_commands_free(mine);
}

static int open_table(void **state)
{
    return td_launcher_fork(&launcher) < 0 ? -1 : td_commands_new(&launcher, COMMANDS, &commands);
}

static int close_table(void **state)
{
    td_commands_free(commands);
    td_launcher_close(&launcher);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_told),
        cmocka_unit_test(what_is_no_utf8_is_replaced),
        cmocka_unit_test(a_long_line_is_told_in_several),
        cmocka_unit_test(both_streams_keep_their_order),
        cmocka_unit_test(reports_are_told),
        cmocka_unit_test(a_report_has_a_longest_line),
        cmocka_unit_test(values_stay_whole),
        cmocka_unit_test(the_environment_is_what_is_asked_for),
        cmocka_unit_test(a_value_in_dir_is_a_segment),
        cmocka_unit_test(what_cannot_be_put_in_is_refused),
        cmocka_unit_test(an_exit_status_is_a_failure_or_a_result),
        cmocka_unit_test(a_reported_error_is_one),
        cmocka_unit_test(a_failed_start_is_told),
        cmocka_unit_test(limits_of_the_system_hold),
        cmocka_unit_test(cancel_asks_first),
        cmocka_unit_test(cancel_does_not_ask_for_ever),
        cmocka_unit_test(time_is_limited),
        cmocka_unit_test(output_is_limited),
        cmocka_unit_test(who_escapes_is_gone_when_it_ends),
        cmocka_unit_test(who_holds_a_stream_has_the_grace),
        cmocka_unit_test(who_holds_a_stream_from_outside_is_not_waited_for),
        cmocka_unit_test(a_killed_warden_is_told),
        cmocka_unit_test(callbacks_may_start_and_cancel),
        cmocka_unit_test(a_flood_does_not_keep_others_waiting),
        cmocka_unit_test(a_turn_is_bounded_and_everybody_has_his),
        cmocka_unit_test(a_full_table_says_so_and_nothing_leaks),
        cmocka_unit_test(freeing_the_table_kills),
        cmocka_unit_test(without_a_launcher_nothing_starts),
    };

    return cmocka_run_group_tests_name("jobs/command", tests, open_table, close_table);
}
