/* SPDX-License-Identifier: Apache-2.0 */
/* The warden of one command: starts it, tells how it ended, and leaves only when nothing of it is left. */
#include "os/linux/launcher_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct warden {
    int link, signals;
    pid_t
        leader; /* the command itself; 0 once it was reaped, from when on its number means nothing */
};

static void tell(const struct warden *warden, enum td_launched_news what, int value)
{
    const struct td_warden_news news = {(int32_t)what, value};

    (void)!send(warden->link, &news, sizeof news, MSG_NOSIGNAL);
}

static void take_end(struct warden *warden, pid_t pid, int status)
{
    if (pid != warden->leader)
        return;
    warden->leader = 0;
    tell(warden, TD_LAUNCHED_EXITED, WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
}

/* Kills all below us, whatever it does meanwhile: what a killed process had started becomes our child and is killed in the next round. */
TD_NORETURN static void finish(struct warden *warden)
{
    int status;
    pid_t pid;

    for (;;) {
        if (warden->leader > 0)
            (void)kill(-warden->leader, SIGKILL);
        /* Where children can't be listed, those that left the group are not found, and are not waited for. */
        bool all = td_children_kill() == 0;
        pid = waitpid(-1, &status, all || warden->leader > 0 ? 0 : WNOHANG);
        if (pid == 0 || (pid < 0 && errno != EINTR))
            _exit(0);
        for (; pid > 0; pid = waitpid(-1, &status, WNOHANG))
            take_end(warden, pid, status);
    }
}

/* Leaves when the command and all that it started have ended by themselves. */
static void reap(struct warden *warden)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;

    while (read(warden->signals, &info, sizeof info) > 0)
        ;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        take_end(warden, pid, status);
    if (pid < 0 && errno == ECHILD)
        _exit(0);
}

static void take_order(struct warden *warden)
{
    struct td_warden_order order;
    ssize_t n = recv(warden->link, &order, sizeof order, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n != (ssize_t)sizeof order || order.signal == SIGKILL)
        finish(warden);
    if (warden->leader > 0)
        (void)kill(-warden->leader, order.signal);
}

/* ---- the start ---- */

static char *read_strings(int fd, size_t len)
{
    char *strings = malloc(len);
    size_t at = 0;

    while (strings && at < len) {
        ssize_t n = pread(fd, strings + at, len - at, (off_t)at);
        if (n <= 0 && !(n < 0 && errno == EINTR)) {
            free(strings);
            errno = n < 0 ? errno : EIO;
            return NULL;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    return strings;
}

TD_NORETURN static void run_command(const struct td_launch_ask *ask, char *strings,
                                    const int fds[TD_ASK_N_FDS], pid_t warden, int failure)
{
    int why;

    /* It dies with us, also when we are dead already. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != warden)
        _exit(127);
    why = setsid() < 0 ? errno : td_command_exec(ask, strings, fds);
    (void)!write(failure, &why, sizeof why);
    _exit(127);
}

/* Forks the command and waits until it is what it shall be: then its group exists, and every signal reaches it.  0 or -errno. */
static int start(struct warden *warden, const struct td_launch_ask *ask,
                 const int fds[TD_ASK_N_FDS])
{
    char *strings = read_strings(fds[TD_ASK_STRINGS], ask->strings_len);
    int failure[2], why = 0;
    pid_t self = getpid();

    if (!strings || pipe2(failure, O_CLOEXEC) < 0)
        return -errno;
    warden->leader = fork();
    if (warden->leader < 0)
        return -errno;
    if (warden->leader == 0)
        run_command(ask, strings, fds, self, failure[1]);
    free(strings);
    for (int i = 0; i < TD_ASK_N_FDS; i++)
        if (i != TD_ASK_LINK)
            close(fds[i]);
    close(failure[1]);
    ssize_t n =
        read(failure[0], &why, sizeof why); /* nothing interrupts us: no signal has a handler */
    close(failure[0]);
    return n == 0 ? 0 : n == (ssize_t)sizeof why ? -why : -EIO;
}

TD_NORETURN void td_warden_main(const struct td_launch_ask *ask, const int fds[TD_ASK_N_FDS],
                                int signals)
{
    struct warden warden = {.link = fds[TD_ASK_LINK], .signals = signals};
    struct pollfd wait[] = {
        {.fd = warden.link,    .events = POLLIN},
        {.fd = warden.signals, .events = POLLIN}
    };

    td_process_title("td-warden");
    int r = prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ? -errno : start(&warden, ask, fds);
    if (r < 0) {
        tell(&warden, TD_LAUNCHED_NOT_STARTED, r);
        warden.leader =
            0; /* of which nothing more is told; it has ended, or is killed as any child */
        finish(&warden);
    }
    for (;;) {
        if (poll(wait, TD_ARRAY_LEN(wait), -1) < 0 && errno != EINTR)
            finish(&warden);
        if (wait[1].revents)
            reap(&warden);
        if (wait[0].revents)
            take_order(&warden);
    }
}
