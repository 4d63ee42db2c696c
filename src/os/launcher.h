/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that run as processes of their own and of which nothing outlives the server, also when that is killed with SIGKILL.
 *
 *     server ───────asks───────► launcher ──forks──► warden ──forks──► command ──► what it starts
 *        └────────a link for each command───────────────┘
 *
 * The launcher is forked before there is any thread and before anything is opened, so that what a command inherits is known, and a fork costs
 * little.  For each command it forks a warden, which starts the command, tells how it ended, and is the reaper of all that the command leaves behind
 * (PR_SET_CHILD_SUBREAPER): whatever a command started, also in a session of its own, stays below its warden until it is killed.
 *
 * Who sees the other end of his socket closed kills what is below him and ends: a warden when the server closes the link or dies, the launcher when the server
 * dies.  When a warden is killed, the command is killed with it (PR_SET_PDEATHSIG), and what that left behind falls to the launcher, which kills
 * all that is no warden.  When the launcher is killed, commands that run go on as they are; none can be started any more (-EPIPE), and it is not
 * started again.
 *
 * A command runs as the user that the server runs as: this keeps order among programs that the operator has chosen, and is no cage for hostile ones.
 *
 * In the simulator there is none: -ENOSYS. */
#pragma once

#include "base/compiler.h"
#include "base/slice.h"
#include <stdint.h>
#include <sys/types.h>

/* The strings of argv, of the environment and the directory together, each with its NUL. */
#define TD_LAUNCH_STRINGS_MAX ((size_t)256 * 1024)
#define TD_LAUNCH_INPUT_MAX   ((size_t)64 * 1024 * 1024)

struct td_launcher {
    int _socket;
    pid_t _pid;
};

/* Forks the launcher.  Call it on the main thread, before any other is started and before files and sockets are opened.  0 or -errno. */
TD_MUST_USE int td_launcher_fork(struct td_launcher *ret_launcher);
/* Ends it and waits for its end, at most five seconds.  All that it started has been closed before. */
void td_launcher_close(struct td_launcher *launcher);

/* What to start. */
struct td_launch {
    const char *const
        *argv; /* NULL at the end.  argv[0] without a slash is looked up in PATH of `env` */
    const char *const *env; /* NULL at the end: all of the command's environment, NAME=VALUE each */
    const char *dir;        /* the command's working directory; NULL: ours */
    struct td_slice
        input; /* what it reads on its standard input: a file, in memory, that only it has */
    /* Limits of each of its processes; 0: as ours.  Address space, seconds of CPU, descriptors.  Core dumps are never written. */
    uint64_t memory_bytes, cpu_s, descriptors_max;
};

/* A command, from here.  The descriptors are non-blocking; add them to a loop, read the last three with td_read_some. */
struct td_launched {
    int link;   /* readable: td_launched_next has something to tell */
    int out;    /* its standard output, */
    int err;    /* its standard error, */
    int report; /* and its descriptor 3; each ends when all who have the other end are gone */
};

/* Asks for the start of a command: with standard input, output, error and descriptor 3 and no others, default signals and none blocked, a session and
 * process group of its own, the server's umask.  There is no shell: argv arrives as it is, and a file without "#!" that is no program is refused.
 * 0; or at once -E2BIG (strings), -EFBIG (input), -EINVAL (no argv), -EPIPE (there is no launcher any more), -ETIMEDOUT (it does not answer), -EMFILE, ….  Whether the
 * program could be started is told later.  Any thread. */
TD_MUST_USE int td_launcher_start(const struct td_launcher *launcher,
                                  const struct td_launch *launch, struct td_launched *ret_launched);

enum td_launched_news {
    TD_LAUNCHED_NONE,        /* nothing new */
    TD_LAUNCHED_NOT_STARTED, /* the value is the -errno of fork, chdir or exec.  GONE follows */
    TD_LAUNCHED_EXITED, /* the command itself has ended, what it started may go on.  The value is its exit status, or minus the signal that ended it */
    TD_LAUNCHED_GONE, /* no process of it is left; without EXITED before: it was killed with its warden */
};

/* Takes the next news. */
enum td_launched_news td_launched_next(const struct td_launched *launched, int *ret_value);
/* Sends a signal to the process group of the command, as long as the command itself runs.  SIGKILL goes to all that it has started, wherever that is, at any
 * time; after it come EXITED, where it has not been told, and GONE. */
void td_launched_signal(const struct td_launched *launched, int signal);
/* Closes the descriptors, which kills what there is left. */
void td_launched_close(struct td_launched *launched);
