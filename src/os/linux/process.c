/* SPDX-License-Identifier: Apache-2.0 */
/* Signals by signalfd, children by fork and pidfd. */
#include "os/process.h"

#include "base/assert.h"
#include "base/slice.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int td_signals_open(void)
{
    sigset_t set;
    int err, fd;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    err = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (err)
        return -err;
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return -errno;
    fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int td_signals_read(int fd)
{
    struct signalfd_siginfo info;

    return read(fd, &info, sizeof info) == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}

int td_bell_open(void)
{
    int bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    return bell < 0 ? -errno : bell;
}

void td_bell_ring(int bell)
{
    uint64_t one = 1;

    /* -EAGAIN only after 2^64 - 2 unanswered rings. */
    while (write(bell, &one, sizeof one) < 0)
        TD_ASSERT(errno == EINTR);
}

bool td_bell_answer(int bell)
{
    uint64_t rings;

    return read(bell, &rings, sizeof rings) == (ssize_t)sizeof rings;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A parent that has ended before it was asked for would not be noticed any more. */
static bool ends_with(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return false;
    errno = ESRCH;
    return getppid() == parent;
}

/* Only what is async-signal-safe: other threads of the parent may have held any lock at the fork. */
TD_NORETURN static void run_child(const struct td_process_options *options, int out, int err,
                                  int report, pid_t parent)
{
    int null = options->inherit_stdin ? STDIN_FILENO : open("/dev/null", O_RDONLY | O_CLOEXEC);
    sigset_t none;
    int why;

    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL);
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) == 0 && (!options->group || setpgid(0, 0) == 0) &&
        null >= 0 && (options->inherit_stdin || dup2(null, STDIN_FILENO) >= 0) &&
        dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0 &&
        (!options->dir || chdir(options->dir) == 0) &&
        (!options->ends_with_us || ends_with(parent)))
        execvpe(options->argv[0], (char *const *)(uintptr_t)options->argv,
                options->env ? (char *const *)(uintptr_t)options->env : environ);
    why = errno;
    while (write(report, &why, sizeof why) < 0 && errno == EINTR)
        ;
    _exit(127);
}

/* A pipe whose ends lie above the three that the child sets up, so that no dup2 there hits one of them. */
static int make_pipe(int ret_ends[2])
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        int moved, err;

        if (ends[i] > STDERR_FILENO)
            continue;
        moved = fcntl(ends[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        err = errno;
        close(ends[i]);
        ends[i] = moved;
        if (moved < 0) {
            close_fd(&ends[!i]);
            return -err;
        }
    }
    ret_ends[0] = ends[0];
    ret_ends[1] = ends[1];
    return 0;
}

/* The report pipe closes at exec; anything in it is the errno of a failed start. */
static int read_report(int fd)
{
    int why = 0;
    ssize_t n;

    do
        n = read(fd, &why, sizeof why);
    while (n < 0 && errno == EINTR);
    return n == 0 ? 0 : n == (ssize_t)sizeof why ? -why : -EIO;
}

static void reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

int td_process_spawn(const struct td_process_options *options, struct td_process *ret_process)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1}, report[2] = {-1, -1};
    int pidfd = -1, result;
    pid_t pid, parent;

    if ((result = make_pipe(out)) < 0 || (result = make_pipe(err)) < 0 ||
        (result = make_pipe(report)) < 0)
        goto close_pipes;
    parent = getpid();
    pid = fork();
    if (pid == 0)
        run_child(options, out[1], err[1], report[1], parent);
    if (pid < 0) {
        result = -errno;
        goto close_pipes;
    }
    close_fd(&report[1]);
    result = read_report(report[0]);
    if (result == 0) {
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pidfd < 0 || fcntl(out[0], F_SETFL, O_NONBLOCK) < 0 ||
            fcntl(err[0], F_SETFL, O_NONBLOCK) < 0) {
            result = -errno;
            (void)kill(options->group ? -pid : pid, SIGKILL);
        }
    }
    if (result < 0) {
        close_fd(&pidfd);
        reap(pid);
        goto close_pipes;
    }
    close_fd(&report[0]);
    close_fd(&out[1]);
    close_fd(&err[1]);
    *ret_process = (struct td_process){
        .pid = pid, .pidfd = pidfd, .out_fd = out[0], .err_fd = err[0], .group = options->group};
    return 0;

close_pipes:
    for (int i = 0; i < 2; i++) {
        close_fd(&out[i]);
        close_fd(&err[i]);
        close_fd(&report[i]);
    }
    return result;
}

int td_process_wait(const struct td_process *process, int *ret_status)
{
    int status;
    pid_t pid;

    do
        pid = waitpid(process->pid, &status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    if (pid <= 0)
        return pid < 0 ? -errno : 0;
    *ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return 1;
}

int td_process_signal(const struct td_process *process, int signal)
{
    return kill(process->group ? -process->pid : process->pid, signal) < 0 ? -errno : 0;
}

void td_process_close(struct td_process *process)
{
    close_fd(&process->pidfd);
    close_fd(&process->out_fd);
    close_fd(&process->err_fd);
}

int64_t td_descriptors_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            return -errno;
    }
    return limit.rlim_cur > INT64_MAX ? INT64_MAX : (int64_t)limit.rlim_cur;
}

int td_poll(struct td_poll_item *items, size_t n, int timeout_ms)
{
    struct pollfd fds[TD_POLL_ITEMS_MAX];
    int ready;

    TD_ASSERT(n <= TD_POLL_ITEMS_MAX);
    for (size_t i = 0; i < n; i++)
        fds[i] = (struct pollfd){.fd = items[i].fd, .events = POLLIN};
    ready = poll(fds, n, timeout_ms);
    if (ready < 0 && errno != EINTR)
        return -errno;
    for (size_t i = 0; i < n; i++)
        items[i].ready = ready > 0 && fds[i].revents != 0;
    return TD_MAX(ready, 0);
}

int td_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;
    int fd, err = 0;

    if (len == 0)
        return 0;
    if ((path[0] != '/' && path[0] != '@') || len >= sizeof address.sun_path)
        return -EINVAL;
    memcpy(address.sun_path, path, len);
    if (path[0] == '@') /* an abstract name begins with NUL and has none at its end */
        address.sun_path[0] = '\0';
    else
        len++;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
        err = -errno;
    close(fd);
    return err;
}

td_ns td_watchdog_ns(void)
{
    const char *interval = getenv("WATCHDOG_USEC"), *whom = getenv("WATCHDOG_PID");
    uint64_t us, pid;

    if (!interval || td_slice_u64(td_slice_str(interval), &us) < 0 || us > UINT64_MAX / 1000)
        return 0;
    if (whom && (td_slice_u64(td_slice_str(whom), &pid) < 0 || pid != (uint64_t)getpid()))
        return 0; /* it was meant for the process that started us */
    return us * 1000;
}

const char *const *td_environment(void)
{
    return (const char *const *)environ;
}

int td_working_directory(struct td_buf *out)
{
    char path[4096];

    if (!getcwd(path, sizeof path))
        return -errno;
    return td_buf_put(out, td_slice(path, strlen(path) + 1));
}

int td_program_path(struct td_buf *out)
{
    char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path);

    if (len < 0)
        return -errno;
    if ((size_t)len == sizeof path)
        return -ENAMETOOLONG;
    path[len++] = '\0';
    return td_buf_put(out, td_slice(path, (size_t)len));
}

bool td_nobody_reads(int fd)
{
    struct pollfd end = {.fd = fd}; /* errors and the end are told unasked */

    return poll(&end, 1, 0) > 0 && end.revents != 0;
}

bool td_is_terminal(int fd)
{
    return isatty(fd) == 1;
}

int td_write_all(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len > 0) {
        ssize_t n = write(fd, at, len);

        if (n >= 0) {
            at += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            struct pollfd writable = {.fd = fd, .events = POLLOUT};

            if (poll(&writable, 1, -1) < 0 && errno != EINTR)
                return -errno;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

int64_t td_read_some(int fd, void *ret_bytes, size_t len)
{
    ssize_t n;

    do
        n = read(fd, ret_bytes, len);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}
