/* SPDX-License-Identifier: Apache-2.0 */
/* The server's side of the launcher. */
#include "os/linux/launcher_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_S  5
#define CLOSED    (-1)
#define N_STREAMS 3

/* Both sides of a start: what stays here, and what the ask takes along. */
struct start {
    int ours[N_STREAMS], link;
    int theirs[TD_ASK_N_FDS];
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = CLOSED;
}

/* ---- the launcher itself ---- */

int td_launcher_fork(struct td_launcher *ret_launcher)
{
    const struct timeval patience = {.tv_sec = ANSWER_S};
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        td_launcher_main(ends[1]);
    }
    int err = pid < 0 ? -errno : 0;
    close(ends[1]);
    if (err == 0 && setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
        err = -errno;
    if (err < 0) {
        close(ends[0]);
        return err;
    }
    *ret_launcher = (struct td_launcher){._socket = ends[0], ._pid = pid};
    return 0;
}

void td_launcher_close(struct td_launcher *launcher)
{
    if (launcher->_pid <= 0)
        return;
    close_fd(&launcher->_socket);
    int pidfd = (int)syscall(SYS_pidfd_open, launcher->_pid, 0);
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    while (pidfd >= 0 && poll(&end, 1, ANSWER_S * 1000) < 0 && errno == EINTR)
        ;
    close_fd(&pidfd);
    /* Does not wait: a command that the kernel can't kill just now must not keep the server from its end. */
    (void)waitpid(launcher->_pid, NULL, WNOHANG);
    launcher->_pid = 0;
}

/* ---- a start ---- */

/* A file in memory with these bytes, which nobody can change any more. */
static int make_file(const char *name, struct td_slice bytes)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    size_t at = 0;

    while (fd >= 0 && at < bytes.len) {
        /* At a place, so that who reads it begins at its begin. */
        ssize_t n = pwrite(fd, bytes.ptr + at, bytes.len - at, (off_t)at);
        if (n < 0 && errno != EINTR)
            break;
        at += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0 &&
        (at < bytes.len ||
         fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)) {
        int err = errno;
        close(fd);
        return -err;
    }
    return fd < 0 ? -errno : fd;
}

static size_t measure(const char *const *strings, uint32_t *ret_n)
{
    size_t len = 0;

    for (*ret_n = 0; strings[*ret_n]; (*ret_n)++)
        len += strlen(strings[*ret_n]) + 1;
    return len;
}

static char *append(char *at, const char *string)
{
    size_t len = strlen(string) + 1;

    memcpy(at, string, len);
    return at + len;
}

/* Writes what exec needs into a file, because it is too much for a datagram. */
static int make_strings(const struct td_launch *launch, struct td_launch_ask *ret_ask)
{
    struct td_launch_ask ask = {
        .has_dir = launch->dir != NULL,
        .memory_bytes = launch->memory_bytes,
        .cpu_s = launch->cpu_s,
        .descriptors_max = launch->descriptors_max,
    };
    size_t len = measure(launch->argv, &ask.n_argv) + measure(launch->env, &ask.n_env);

    len += launch->dir ? strlen(launch->dir) + 1 : 0;
    if (ask.n_argv == 0)
        return -EINVAL;
    if (len > TD_LAUNCH_STRINGS_MAX)
        return -E2BIG;
    char *strings = malloc(len), *at = strings;
    if (!strings)
        return -ENOMEM;
    for (uint32_t i = 0; i < ask.n_argv; i++)
        at = append(at, launch->argv[i]);
    for (uint32_t i = 0; i < ask.n_env; i++)
        at = append(at, launch->env[i]);
    if (launch->dir)
        append(at, launch->dir);
    int fd = make_file("strings", td_slice(strings, len));
    free(strings);
    ask.strings_len = (uint32_t)len;
    *ret_ask = ask;
    return fd;
}

/* The end that is read from here does not block; the command's does, as programs expect it. */
static int make_pipe(int *ret_ours, int *ret_theirs)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *ret_ours = ends[0];
    *ret_theirs = ends[1];
    return fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int open_all(struct start *start, const struct td_launch *launch,
                    struct td_launch_ask *ret_ask)
{
    int link[2], err = make_strings(launch, ret_ask);

    if (err < 0)
        return err;
    start->theirs[TD_ASK_STRINGS] = err;
    err = make_file("input", launch->input);
    if (err < 0)
        return err;
    start->theirs[TD_ASK_INPUT] = err;
    for (int i = 0; i < N_STREAMS; i++) {
        err = make_pipe(&start->ours[i], &start->theirs[TD_ASK_OUT + i]);
        if (err < 0)
            return err;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) < 0)
        return -errno;
    start->link = link[0];
    start->theirs[TD_ASK_LINK] = link[1];
    return 0;
}

static int send_ask(int socket, const struct td_launch_ask *ask, const int fds[TD_ASK_N_FDS])
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * TD_ASK_N_FDS)];
    } control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)ask, .iov_len = sizeof(*ask)};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    ssize_t n;

    control.header = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET,
        .cmsg_type = SCM_RIGHTS,
        .cmsg_len = CMSG_LEN(sizeof(int) * TD_ASK_N_FDS),
    };
    memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * TD_ASK_N_FDS);
    do
        n = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? -ETIMEDOUT : errno == ECONNRESET ? -EPIPE : -errno;
    return 0;
}

int td_launcher_start(const struct td_launcher *launcher, const struct td_launch *launch,
                      struct td_launched *ret_launched)
{
    struct start start = {.link = CLOSED};
    struct td_launch_ask ask;

    if (launcher->_pid <= 0)
        return -EPIPE;
    if (launch->input.len > TD_LAUNCH_INPUT_MAX)
        return -EFBIG;
    memset(start.ours, CLOSED, sizeof(start.ours));
    memset(start.theirs, CLOSED, sizeof(start.theirs));
    int err = open_all(&start, launch, &ask);
    if (err == 0)
        err = send_ask(launcher->_socket, &ask, start.theirs);
    for (int i = 0; i < TD_ASK_N_FDS; i++)
        close_fd(&start.theirs[i]);
    *ret_launched = (struct td_launched){start.link, start.ours[0], start.ours[1], start.ours[2]};
    if (err < 0)
        td_launched_close(ret_launched);
    return err;
}

/* ---- a command that was started ---- */

enum td_launched_news td_launched_next(const struct td_launched *launched, int *ret_value)
{
    struct td_warden_news news;
    ssize_t n;

    /* Reset is told, once and before what lies waiting, when the warden left without having read all orders. */
    do
        n = recv(launched->link, &news, sizeof news, MSG_DONTWAIT);
    while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n < 0 && errno == EAGAIN)
        return TD_LAUNCHED_NONE;
    if (n != (ssize_t)sizeof news)
        return TD_LAUNCHED_GONE;
    *ret_value = news.value;
    return (enum td_launched_news)news.news;
}

void td_launched_signal(const struct td_launched *launched, int signal)
{
    const struct td_warden_order order = {.signal = signal};

    /* A warden reads all that it is sent; one that is gone is told by the link's end. */
    (void)!send(launched->link, &order, sizeof order, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void td_launched_close(struct td_launched *launched)
{
    close_fd(&launched->link);
    close_fd(&launched->out);
    close_fd(&launched->err);
    close_fd(&launched->report);
}
