/* SPDX-License-Identifier: Apache-2.0 */
/* What a program needs of the system around it: signals, child processes, descriptors, the terminal.
 * Functions return 0 (or what is said) or -errno. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/units.h"
#include <signal.h> /* the numbers of signals */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Blocks SIGTERM, SIGINT and SIGHUP, ignores SIGPIPE, and returns a non-blocking descriptor that is readable when one
 * of the three waits.  Call it on the main thread before any other is started. */
TD_MUST_USE int td_signals_open(void);
/* Takes one signal: its number, or 0 when none waits. */
int td_signals_read(int fd);

/* A descriptor for td_poll that another thread makes readable: td_bell_ring from any thread, td_bell_answer takes all rings so far and
 * says whether there was one.  Closed with td_file_close. */
TD_MUST_USE int td_bell_open(void);
void td_bell_ring(int bell);
bool td_bell_answer(int bell);

struct td_process_options {
    const char *const *argv; /* NULL at the end; argv[0] is looked up in PATH */
    const char *const *env;  /* NULL at the end; NULL: ours */
    const char *dir;         /* NULL: ours */
    bool group;              /* a process group of its own */
    bool inherit_stdin;      /* otherwise /dev/null */
    bool ends_with_us; /* killed when the thread that starts it ends, however that comes about */
};

struct td_process {
    pid_t pid;
    int pidfd;  /* readable once the process has ended */
    int out_fd; /* its standard output and error; non-blocking pipes */
    int err_fd;
    bool group;
};

/* Starts a program, with default signals and none blocked.  An error of chdir or exec is returned here: -ENOENT, -EACCES, … */
TD_MUST_USE int td_process_spawn(const struct td_process_options *options,
                                 struct td_process *ret_process);
/* Does not block: 0 while it runs; 1 when it has ended, and was reaped: `ret_status` is then its exit status, or
 * 128 + the signal that ended it.  Call it no more after that. */
TD_MUST_USE int td_process_wait(const struct td_process *process, int *ret_status);
/* Sends a signal to the process, or to its whole group when it has one.  -ESRCH when nothing is left of it. */
int td_process_signal(const struct td_process *process, int signal);
/* Closes the descriptors; the process goes on. */
void td_process_close(struct td_process *process);

/* Raises the limit of open descriptors as far as it may go; returns it. */
TD_MUST_USE int64_t td_descriptors_raise(void);

/* For the command-line tools: waits until a descriptor can be read, at most `timeout_ms` (-1: without end).  Returns how
 * many are `ready`; 0 also after a signal. */
struct td_poll_item {
    int fd;     /* negative: skipped */
    bool ready; /* something to read, or the end of it */
};
#define TD_POLL_ITEMS_MAX 16
int td_poll(struct td_poll_item *items, size_t n, int timeout_ms);

/* Tells the service manager, in the words of sd_notify(3): "READY=1", "STOPPING=1".  Does nothing, and returns 0,
 * without NOTIFY_SOCKET in the environment. */
int td_notify(const char *state);

/* How often the service manager wants to hear WATCHDOG=1 from this process (WATCHDOG_USEC, WATCHDOG_PID); 0: it does not. */
td_ns td_watchdog_ns(void);

/* The environment, `NAME=value` each, with a NULL at the end.  Not changed by us. */
const char *const *td_environment(void);

/* Appends the directory that relative paths start at, and a NUL behind it.  0, -errno, or TD_ETOOLARGE. */
TD_MUST_USE int td_working_directory(struct td_buf *out);
/* Likewise the path of the program that runs, without symbolic links. */
TD_MUST_USE int td_program_path(struct td_buf *out);

bool td_is_terminal(int fd);
/* Whether what is written to a pipe or socket can't be read by anybody any more.  Of a file it can. */
bool td_nobody_reads(int fd);
/* Writes all of it, waiting where the descriptor does not block by itself. */
TD_MUST_USE int td_write_all(int fd, const void *bytes, size_t len);
/* Reads what is there, at most `len`: the bytes read, 0 at the end, -EAGAIN when a non-blocking one has none yet. */
TD_MUST_USE int64_t td_read_some(int fd, void *ret_bytes, size_t len);
