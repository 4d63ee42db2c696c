/* SPDX-License-Identifier: Apache-2.0 */
/* Torture: plays each scene as often as the server makes calls in it that can fail, and lets the next one fail each time.
 *
 *     torture [SCENE…]              all calls of these scenes, or of all
 *     torture SCENE --call N        one, with a trace of where it fails
 *
 * What must hold: the process lives; whoever asked is answered with an error or let go; others go on; what was answered is in
 * the log, what was refused is not; without failures the same works at once; nothing is left when all is ended. */
#include "base/assert.h"
#include "calls.h"
#include "scenes.h"
#include <execinfo.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process that ended because the journal had no memory for itself (base/assert.h, CONTRIBUTING.md). */
#define EXIT_NO_MEMORY 77
#define RUN_S_MAX      60

static const struct scene *scene;

/* What the processes that play the scenes tell. */
struct progress {
    unsigned call; /* the one that is failing */
    bool done;     /* all of them have */
};
static volatile struct progress *progress;

void stage_fail(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s, call %u (%s): ", scene->name, progress->call,
            calls_failed() ? calls_failed() : "none");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    _exit(1);
}

/* What is small and belongs to the server itself may end it when memory is out; what a peer can size or multiply may not.
 * The journal's own arrays, which it grows under its mutex, are the former. */
void __real_td_assert_failed(const char *expr, const char *file, int line)
    __attribute__((noreturn));
void __wrap_td_assert_failed(const char *expr, const char *file, int line)
    __attribute__((noreturn));
void __wrap_td_assert_failed(const char *expr, const char *file, int line)
{
    if (calls_failed_memory() && strstr(file, "src/journal/")) {
        fprintf(stderr, "%s, call %u: the journal gives up for %s (%s:%d)\n", scene->name,
                progress->call, expr, file, line);
        _exit(EXIT_NO_MEMORY);
    }
    fprintf(stderr, "%s, call %u (%s): assertion\n", scene->name, progress->call, calls_failed());
    __real_td_assert_failed(expr, file, line);
}

/* ---- a run ---- */

static void meet_bystander(struct stage *stage, struct client *bystander)
{
    MUST(ws_open(stage, bystander, "/api/v1/events?topic=other/**"), "no bystander");
    stage_pass(stage, 1000); /* all that is to be said to it has gone */
}

static void ask_bystander(struct stage *stage, struct client *bystander)
{
    struct td_buf body = TD_BUF_INIT(4096);
    struct td_slice text = {NULL, 0};
    unsigned number = say(stage, &body, SHAPE_ONE, "other/news", 1);
    unsigned status = client_ask(
        stage, client_request(stage, "POST /api/v1/events", "", td_buf_slice(&body)), NULL);

    settle(stage, number, 1, status, TD_S(""));
    do
        MUST(ws_next(stage, bystander, &text), "the bystander is let go");
    while (number_of(text) == 0);
    MUST(number_of(text) == number, "the bystander hears of %u, and %u is new", number_of(text),
         number);
    td_buf_done(&body);
}

/* Plays the scene with that call failing; how many calls were made. */
static unsigned play(unsigned fails_at)
{
    static struct stage stage;
    struct client bystander = {0};
    size_t blocks = calls_blocks();
    uint32_t epoch;

    progress->call = fails_at;
    stage_begin(&stage);
    MUST(stage_boot(&stage) == 0, "no start");
    if (!scene->alone)
        meet_bystander(&stage, &bystander);
    if (scene->prepare)
        scene->prepare(&stage);
    epoch = td_journal_epoch(stage.journal);
    struct td_worker *worker = stage.worker;
    calls_begin(fails_at);
    stage.armed = true;
    stage.keeping = scene->keeping;
    stage.strict = fails_at == 0;
    bool done = scene->act(&stage);
    unsigned made = calls_end();
    stage.armed = false;
    stage.strict = true;
    MUST(done || calls_failed(), "not done, and nothing has failed");
    if (td_journal_health(stage.journal) != 0)
        stage_pass(&stage, 2500); /* it looks again at a disk that failed */
    MUST(td_journal_health(stage.journal) == 0 || calls_failed_sync(),
         "the log does not come back");
    if (td_journal_health(stage.journal) != 0)
        stage_restart(&stage);
    else if (!scene->alone && stage.worker == worker)
        ask_bystander(&stage, &bystander);
    MUST(scene->act(&stage), "not done, although nothing fails any more");
    stage_restart(&stage);
    MUST(td_journal_epoch(stage.journal) == epoch, "it is another log");
    stage_audit(&stage);
    client_close(&bystander);
    stage_end(&stage);
    MUST(calls_blocks() == blocks, "%zd blocks of memory are left",
         (ssize_t)(calls_blocks() - blocks));
    return made;
}

/* ---- all runs ---- */

/* Plays on from a call, until all have failed or the process ends of it. */
static void play_on(unsigned from)
{
    td_expect_aborts = true;
    for (unsigned call = from;; call++) {
        alarm(RUN_S_MAX);
        unsigned made = play(call);
        if (call > 0 && made < call) {
            progress->done = true;
            exit(0); /* not _exit: the leak check runs then */
        }
    }
}

/* Whether all runs of a scene were as they must be. */
static bool play_all(void)
{
    unsigned failed = 0, ended = 0;

    *progress = (struct progress){0};
    for (unsigned from = 0; !progress->done && failed < 20; from = progress->call + 1) {
        int status;

        fflush(NULL);
        pid_t pid = fork();
        TD_ASSERT(pid >= 0);
        if (pid == 0)
            play_on(from);
        TD_ASSERT(waitpid(pid, &status, 0) == pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            continue;
        if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_MEMORY) {
            ended++;
            continue;
        }
        printf("%s, call %u: %s %d\n", scene->name, progress->call,
               WIFSIGNALED(status) ? "signal" : "exit",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        failed++;
    }
    printf("%s %s: %u calls failed in turn, of %u the journal gave up\n", failed ? "FAIL" : "ok",
           scene->name, progress->call - 1, ended);
    return failed == 0;
}

static bool chosen(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc == 1;
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;

    progress =
        mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    TD_ASSERT(progress != MAP_FAILED);
    bool one = argc == 4 && strcmp(argv[2], "--call") == 0;
    for (size_t i = 0; i < n_scenes; i++) {
        scene = &scenes[i];
        if (!chosen(scene->name, argc, argv))
            continue;
        if (one) {
            calls_trace = td_expect_aborts = true;
            printf("%u calls\n", play((unsigned)strtoul(argv[3], NULL, 10)));
            return 0;
        }
        if (play_all())
            passed++;
        else
            failed++;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
