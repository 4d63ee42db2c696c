/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher's own process: takes asks, forks wardens, and kills what wardens that were killed have left behind. */
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

/* Descriptors 0 to 3 are the null device, so that nothing else gets these numbers: a command has others there. */
#define STANDARD_FDS 4
#define SOCKET       STANDARD_FDS

/* Keeps nothing of what it inherited but its socket: neither a terminal, nor a pipe whose end somebody waits for. */
static int take_leave(int socket)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    socket = fcntl(socket, F_DUPFD_CLOEXEC, SOCKET + 1);
    if (null < 0 || socket < 0)
        return -errno;
    for (int fd = 0; fd < STANDARD_FDS; fd++)
        if (fd != null && dup2(null, fd) < 0)
            return -errno;
    if (dup3(socket, SOCKET, O_CLOEXEC) < 0)
        return -errno;
    return close_range(SOCKET + 1, ~0U, 0) < 0 ? -errno : 0;
}

/* A signalfd of SIGCHLD.  What is meant to stop the server (a terminal's Ctrl-C, a service manager's TERM) does not reach the launcher: it ends when the
 * server has. */
static int take_signals(void)
{
    sigset_t children;

    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    if (sigprocmask(SIG_SETMASK, &children, NULL) < 0)
        return -errno;
    int signals = signalfd(-1, &children, SFD_NONBLOCK | SFD_CLOEXEC);
    return signals < 0 ? -errno : signals;
}

/* ---- asks ---- */

/* 1 with an ask and its descriptors; 0 at the socket's end; -errno for none, or what is no ask. */
static int receive(struct td_launch_ask *ret_ask, int ret_fds[TD_ASK_N_FDS])
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * TD_ASK_N_FDS)];
    } control;
    struct iovec part = {.iov_base = ret_ask, .iov_len = sizeof(*ret_ask)};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    ssize_t n = recvmsg(SOCKET, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    const struct cmsghdr *header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;

    if (n < 0)
        return -errno;
    if (n == 0)
        return 0;
    size_t got = header ? header->cmsg_len - CMSG_LEN(0) : 0;
    memset(ret_fds, 0xff, sizeof(int) * TD_ASK_N_FDS);
    if (header)
        memcpy(ret_fds, CMSG_DATA(header), TD_MIN(got, sizeof(int) * TD_ASK_N_FDS));
    /* Fewer descriptors arrive when there is no room for them here. */
    return n == (ssize_t)sizeof(*ret_ask) && got == sizeof(int) * TD_ASK_N_FDS ? 1 : -EMFILE;
}

static void close_fds(const int fds[TD_ASK_N_FDS])
{
    for (int i = 0; i < TD_ASK_N_FDS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static void fork_warden(const struct td_launch_ask *ask, const int fds[TD_ASK_N_FDS], int signals)
{
    pid_t pid = fork();

    if (pid == 0) {
        close(SOCKET);
        td_warden_main(ask, fds, signals);
    }
    if (pid < 0) {
        const struct td_warden_news news = {TD_LAUNCHED_NOT_STARTED, -errno};
        (void)!send(fds[TD_ASK_LINK], &news, sizeof news, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

/* False when the server is gone. */
static bool take_asks(int signals)
{
    struct td_launch_ask ask;
    int fds[TD_ASK_N_FDS], r;

    while ((r = receive(&ask, fds)) != 0) {
        if (r == -EAGAIN || r == -EINTR)
            return true;
        if (r < 0 && r != -EMFILE)
            return false;
        if (r > 0)
            fork_warden(&ask, fds, signals);
        close_fds(fds); /* the link's end tells the server where no warden has it */
    }
    return false;
}

/* ---- children ---- */

/* Each warden that is gone may have left children behind, which are ours now. */
static void reap(int signals)
{
    struct signalfd_siginfo info;

    while (read(signals, &info, sizeof info) > 0)
        ;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    (void)td_children_kill();
}

/* The wardens see by themselves that the server is gone. */
TD_NORETURN static void finish(void)
{
    do
        (void)td_children_kill();
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
    _exit(0);
}

TD_NORETURN void td_launcher_main(int socket)
{
    /* Wardens stay in our process group; what a command starts can't get into it, for it is in another session. */
    if (setsid() < 0 || take_leave(socket) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        _exit(1);
    int signals = take_signals();
    struct pollfd fds[] = {
        {.fd = SOCKET,  .events = POLLIN},
        {.fd = signals, .events = POLLIN}
    };
    if (signals < 0)
        _exit(1);
    td_process_title("td-launcher");
    for (;;) {
        if (poll(fds, TD_ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
            _exit(1);
        if (fds[1].revents)
            reap(signals);
        if (fds[0].revents && !take_asks(signals))
            finish();
    }
}
