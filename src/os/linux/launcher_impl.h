/* SPDX-License-Identifier: Apache-2.0 */
/* What the server, its launcher and the wardens say to each other, and what the latter two share.  All three are one program, forked, so structures go as
 * they lie in memory.  Each message is a datagram of a SOCK_SEQPACKET pair. */
#pragma once

#include "base/compiler.h"
#include "os/launcher.h"
#include <stdbool.h>

/* The descriptors that go with an ask, in this order. */
enum {
    TD_ASK_LINK,    /* the warden's end of the link */
    TD_ASK_STRINGS, /* a file: argv, the environment, the directory; a NUL behind each */
    TD_ASK_INPUT,
    TD_ASK_OUT,
    TD_ASK_ERR,
    TD_ASK_REPORT,
    TD_ASK_N_FDS,
};

/* Server to launcher: start a command. */
struct td_launch_ask {
    uint32_t n_argv, n_env, strings_len;
    bool has_dir;
    uint64_t memory_bytes, cpu_s, descriptors_max;
};

/* Warden to server. */
struct td_warden_news {
    int32_t news, value; /* of enum td_launched_news */
};

/* Server to warden. */
struct td_warden_order {
    int32_t signal;
};

/* The launcher's life. */
TD_NORETURN void td_launcher_main(int socket);
/* The warden's life.  `signals`: a signalfd of SIGCHLD, which is blocked; 0 to 3 are open. */
TD_NORETURN void td_warden_main(const struct td_launch_ask *ask, const int fds[TD_ASK_N_FDS],
                                int signals);
/* Becomes the command: descriptors 0 to 3, limits, directory, exec.  Comes back only with the errno of what failed. */
int td_command_exec(const struct td_launch_ask *ask, char *strings, const int fds[TD_ASK_N_FDS]);

/* Sends SIGKILL to all children that are not in our own process group, and to their groups.  0; or -errno where the kernel does not tell who our
 * children are (no /proc, or without CONFIG_PROC_CHILDREN). */
int td_children_kill(void);
/* What ps and top call this process from now on; not the server's name, so that who ends that by its name does not end this. */
void td_process_title(const char *title);
