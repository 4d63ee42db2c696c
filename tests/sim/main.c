/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the worlds over many seeds, each in a process of its own, so that a crash is a failed seed like any other.
 *
 *     sim [--world NAME] [--seeds N] [--from K]    seeds K … K+N-1 (1 … 100)
 *     sim --world NAME --seed N [-v]               one seed in this process, -v: what it does
 *     sim --file seeds.txt                         the seeds that once found something: lines `world seed  # why`
 */
#include "base/assert.h"
#include "base/slice.h"
#include "world.h"
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

/* A run that takes longer than this hangs. */
#define RUN_S_MAX 120

static const struct td_world *const worlds[] = {&td_world_journal, &td_world_damage,
                                                &td_world_server};

static struct {
    const struct td_world *world;
    uint64_t seed;
    bool verbose;
    unsigned passed, failed;
} run;

unsigned td_world_step;

void td_world_fail(const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fprintf(stderr, "%s seed %llu, step %u: ", run.world->name, (unsigned long long)run.seed,
            td_world_step);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    fflush(stderr);
    _exit(1);
}

void td_world_say(const char *format, ...)
{
    va_list args;

    if (!run.verbose)
        return;
    printf("%5u  ", td_world_step);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

static void run_here(const struct td_world *world, uint64_t seed)
{
    run.world = world;
    run.seed = seed;
    td_world_step = 0;
    td_expect_aborts = true;
    world->run(seed);
}

static void run_apart(const struct td_world *world, uint64_t seed)
{
    int status = 0;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    TD_ASSERT(pid >= 0);
    if (pid == 0) {
        alarm(RUN_S_MAX);
        run_here(world, seed);
        exit(0); /* not _exit: the leak check runs then */
    }
    TD_ASSERT(waitpid(pid, &status, 0) == pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        run.passed++;
        return;
    }
    run.failed++;
    if (WIFSIGNALED(status))
        printf("seed %llu of %s: signal %d\n", (unsigned long long)seed, world->name,
               WTERMSIG(status));
    else
        printf("seed %llu of %s: failed\n", (unsigned long long)seed, world->name);
}

static const struct td_world *world_find(struct td_slice name)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(worlds); i++)
        if (td_slice_eq(name, td_slice_str(worlds[i]->name)))
            return worlds[i];
    return NULL;
}

/* Runs the seeds of a file; the number of lines that could not be read. */
static int run_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[512];
    int bad = 0;

    if (!file) {
        perror(path);
        return 1;
    }
    /* Unbuffered: a child that exits would move the offset, which it shares, back to what it has read ahead. */
    (void)setvbuf(file, NULL, _IONBF, 0);
    while (fgets(line, sizeof line, file)) {
        struct td_slice rest = td_slice_str(line), text, name, number;
        const struct td_world *world;
        uint64_t seed;

        if (!td_slice_split(&rest, '#', &text))
            continue;
        text = td_slice_trim(text);
        while (text.len > 0 && text.ptr[text.len - 1] == '\n')
            text.len--;
        if (text.len == 0)
            continue;
        if (td_slice_split(&text, ' ', &name) && td_slice_split(&text, ' ', &number) &&
            (world = world_find(name)) && td_slice_u64(number, &seed) == 0) {
            run_apart(world, seed);
        } else {
            fprintf(stderr, "%s: not a world and a seed: %s", path, line);
            bad++;
        }
    }
    fclose(file);
    return bad;
}

struct args {
    const struct td_world *world; /* NULL: all */
    const char *file;
    uint64_t from, seeds, seed;
    bool one;
};

static bool args_read(int argc, char **argv, struct args *args)
{
    for (int i = 1; i < argc; i++) {
        struct td_slice name = td_slice_str(argv[i]);
        struct td_slice value = td_slice_str(i + 1 < argc ? argv[i + 1] : "");
        bool ok = true;

        if (td_slice_eq(name, TD_S("-v"))) {
            run.verbose = true;
            continue;
        }
        if (td_slice_eq(name, TD_S("--seed")))
            ok = args->one = td_slice_u64(value, &args->seed) == 0;
        else if (td_slice_eq(name, TD_S("--seeds")))
            ok = td_slice_u64(value, &args->seeds) == 0;
        else if (td_slice_eq(name, TD_S("--from")))
            ok = td_slice_u64(value, &args->from) == 0;
        else if (td_slice_eq(name, TD_S("--world")))
            ok = (args->world = world_find(value)) != NULL;
        else if (td_slice_eq(name, TD_S("--file")))
            ok = (args->file = i + 1 < argc ? argv[i + 1] : NULL) != NULL;
        else
            ok = false;
        if (!ok)
            return false;
        i++;
    }
    return !args->one || args->world;
}

int main(int argc, char **argv)
{
    struct args args = {.from = 1, .seeds = 100};
    int bad = 0;

    if (!args_read(argc, argv, &args)) {
        fprintf(stderr, "usage: sim [--world NAME] [--seeds N] [--from K] [--file FILE]\n"
                        "       sim --world NAME --seed N [-v]\n");
        return 2;
    }
    if (args.one) {
        run_here(args.world, args.seed);
        printf("seed %llu passed\n", (unsigned long long)args.seed);
        return 0;
    }
    if (args.file)
        bad = run_file(args.file);
    for (size_t i = 0; i < TD_ARRAY_LEN(worlds); i++)
        for (uint64_t seed = args.from; seed < args.from + args.seeds; seed++)
            if (!args.world || args.world == worlds[i])
                run_apart(worlds[i], seed);
    printf("%u passed, %u failed\n", run.passed, run.failed);
    return run.failed > 0 || bad > 0;
}
