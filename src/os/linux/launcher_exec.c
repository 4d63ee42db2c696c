/* SPDX-License-Identifier: Apache-2.0 */
/* What the launcher's processes do with themselves: become a command, take another name, find and kill their children. */
#include "os/linux/launcher_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- exec ---- */

/* No more than we may have ourselves. */
static int limit(unsigned resource, uint64_t soft, uint64_t hard)
{
    struct rlimit is;

    if (getrlimit(resource, &is) < 0)
        return -1;
    is.rlim_cur = TD_MIN((rlim_t)soft, is.rlim_max);
    is.rlim_max = TD_MIN((rlim_t)hard, is.rlim_max);
    return setrlimit(resource, &is);
}

static int set_limits(const struct td_launch_ask *ask)
{
    uint64_t cpu = ask->cpu_s, fds = ask->descriptors_max, memory = ask->memory_bytes;

    if (limit(RLIMIT_CORE, 0, 0) < 0)
        return -1;
    /* SIGXCPU says what happened; a second later comes SIGKILL. */
    if (cpu > 0 && limit(RLIMIT_CPU, cpu, cpu + 1) < 0)
        return -1;
    if (fds > 0 && limit(RLIMIT_NOFILE, fds, fds) < 0)
        return -1;
    return memory > 0 ? limit(RLIMIT_AS, memory, memory) : 0;
}

static int set_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL);
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_fds(const int fds[TD_ASK_N_FDS])
{
    /* Those that came with the ask lie above the standard ones, which the launcher keeps occupied; they, and all others, close at exec. */
    for (int i = TD_ASK_INPUT; i < TD_ASK_N_FDS; i++)
        if (dup2(fds[i], i - TD_ASK_INPUT) < 0)
            return -1;
    return 0;
}

static const char *find_variable(char **env, const char *name)
{
    size_t len = strlen(name);

    for (; *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

/* In the folders of PATH, of which an empty one means nothing.  As execvp(3), what may not be executed is passed over, and told when nothing else is
 * found.  `path` is the caller's, because the address space may be used up. */
static int exec_in_path(char **argv, char **env, const char *folders, char path[PATH_MAX])
{
    struct td_slice rest = td_slice_str(folders), folder;
    size_t len = strlen(argv[0]);
    int why = ENOENT;

    while (td_slice_split(&rest, ':', &folder)) {
        if (folder.len == 0 || folder.len + 1 + len >= PATH_MAX)
            continue;
        memcpy(path, folder.ptr, folder.len);
        path[folder.len] = '/';
        memcpy(path + folder.len + 1, argv[0], len + 1);
        execve(path, argv, env);
        if (errno == EACCES)
            why = EACCES;
        else if (errno != ENOENT && errno != ENOTDIR)
            return errno;
    }
    return why;
}

/* Points to each of the strings; the pointers end with NULL.  Returns where the next string begins. */
static char *point(char *at, uint32_t n, char **ret_pointers)
{
    for (uint32_t i = 0; i < n; i++) {
        ret_pointers[i] = at;
        at += strlen(at) + 1;
    }
    ret_pointers[n] = NULL;
    return at;
}

int td_command_exec(const struct td_launch_ask *ask, char *strings, const int fds[TD_ASK_N_FDS])
{
    static char path[PATH_MAX];
    char **argv = calloc((size_t)ask->n_argv + ask->n_env + 2, sizeof(*argv));
    char **env = argv + ask->n_argv + 1;

    if (!argv)
        return ENOMEM;
    const char *dir = point(point(strings, ask->n_argv, argv), ask->n_env, env);
    if (set_fds(fds) < 0 || (ask->has_dir && chdir(dir) < 0) || set_signals() < 0 ||
        set_limits(ask) < 0)
        return errno;
    if (strchr(argv[0], '/') || !*argv[0]) {
        execve(argv[0], argv, env);
        return errno;
    }
    const char *folders = find_variable(env, "PATH");
    return exec_in_path(argv, env, folders ? folders : "/usr/local/bin:/usr/bin:/bin", path);
}

/* ---- children ---- */

static void kill_child(pid_t pid)
{
    pid_t group = getpgid(pid);

    if (group < 0 || group == getpgrp())
        return;
    (void)kill(-group, SIGKILL);
    (void)kill(pid, SIGKILL);
}

int td_children_kill(void)
{
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    char bytes[1024];
    pid_t pid = 0;
    ssize_t n;

    if (fd < 0)
        return -errno;
    while ((n = read(fd, bytes, sizeof bytes)) > 0)
        for (ssize_t i = 0; i < n; i++) {
            if (bytes[i] >= '0' && bytes[i] <= '9') {
                pid = pid * 10 + (bytes[i] - '0');
            } else if (pid > 0) { /* a number is followed by a blank */
                kill_child(pid);
                pid = 0;
            }
        }
    close(fd);
    return n < 0 ? -errno : 0;
}

/* ---- the name ---- */

/* Where the command line lies in our memory: fields 48 and 49 of proc(5), the 46th and 47th behind the name, which ends with the last ')'. */
static bool find_arguments(char **ret_begin, char **ret_end)
{
    char text[2048];
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    uint64_t begin = 0, end = 0;

    if (fd >= 0)
        close(fd);
    const char *name_end = n > 0 ? memrchr(text, ')', (size_t)n) : NULL;
    if (!name_end)
        return false;
    struct td_slice rest = td_slice(name_end + 1, (size_t)(text + n - name_end - 1)), field;
    for (int i = 0; td_slice_split(&rest, ' ', &field); i++)
        if ((i == 46 && td_slice_u64(field, &begin) < 0) ||
            (i == 47 && td_slice_u64(field, &end) < 0))
            return false;
    *ret_begin = (char *)(uintptr_t)begin;
    *ret_end = (char *)(uintptr_t)end;
    return begin > 0 && end > begin;
}

void td_process_title(const char *title)
{
    char *begin, *end;

    (void)prctl(PR_SET_NAME, title, 0, 0, 0);
    if (!find_arguments(&begin, &end))
        return;
    memset(begin, 0, (size_t)(end - begin));
    memcpy(begin, title, TD_MIN(strlen(title), (size_t)(end - begin - 1)));
}
