#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rejects what would bend the house: an include that climbs, a syscall outside src/os/, a stray symbol.

    check_layers.py [ROOT]              the sources under ROOT/src
    check_layers.py [ROOT] --build DIR  their objects in a build directory too (needs nm)
    check_layers.py --self-test         plants faults in a small tree and wants each of them found

Prints `file:line: what is wrong` for each fault, and exits 1 when there is one.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# Who may include whom (docs/architecture.md).  A floor may always include itself.
FLOORS = {
    # floor:   (height, may include)
    "base":    (0, ""),
    "codec":   (1, "base"),
    "os":      (1, "base"),
    "auth":    (2, "base codec"),
    "journal": (2, "base codec os"),
    "audit":   (3, "base os journal"),
    "hub":     (3, "base codec auth journal"),
    "jobs":    (4, "base codec os auth journal audit"),
    "desk":    (5, "base codec os auth journal audit jobs"),
    "edge":    (6, "base codec os auth hub journal audit jobs desk"),
    "api":     (7, "base codec os auth journal audit hub jobs desk edge"),
    "server":  (8, "base codec os auth journal audit hub jobs desk edge api"),
    "cli":     (8, "base codec os auth journal audit hub jobs desk edge api server"),
}

# The floor of the machine: syscalls, clocks and threads are its own.
MACHINE = "os"

# Headers that only the machine's floor may include.  <sys/uio.h> is not here: struct iovec is only a
# pair of pointer and length.  Neither is <time.h>: base/banned.h includes it so as to poison what is not
# reentrant in it, gmtime_r is pure, and the clocks in it are in CALLS; nor <arpa/inet.h>: inet_ntop only makes text.
HEADERS = set("""
    dirent.h fcntl.h ifaddrs.h net/if.h netdb.h netinet/in.h netinet/tcp.h openssl/ssl.h poll.h pthread.h sched.h
    semaphore.h signal.h spawn.h sys/epoll.h sys/eventfd.h sys/file.h sys/inotify.h sys/ioctl.h sys/mman.h sys/prctl.h
    sys/random.h sys/resource.h sys/select.h sys/sendfile.h sys/signalfd.h sys/socket.h sys/stat.h sys/statvfs.h
    sys/syscall.h sys/sysinfo.h sys/time.h sys/timerfd.h sys/un.h sys/wait.h termios.h threads.h ucontext.h unistd.h
""".split())
HEADER_FOLDERS = ("linux/", "asm/")

# Calls that only the machine's floor may make.
CALLS = set("""
    accept accept4 access alarm bind chdir chmod chown clock clock_getres clock_gettime clock_nanosleep close connect
    creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd execl execle execlp execv
    execve execvp execvpe exit_group fallocate fchmod fchown fcntl fdatasync fdopen fdopendir flock fork freopen
    fstat fstatat fstatvfs fsync ftruncate getaddrinfo getentropy getifaddrs getpeername getpid getppid getrandom
    getrlimit getrusage getsockname getsockopt gettid gettimeofday getuid ioctl isatty kill link listen lseek lstat
    madvise mkdir mkdirat mkdtemp mkstemp mlock mmap mprotect mq_open mremap msync munmap nanosleep nice open
    open_by_handle_at openat opendir pause pidfd_open pipe pipe2 poll popen posix_fadvise posix_fallocate
    posix_spawn posix_spawnp ppoll prctl pread preadv prlimit pwrite pwritev raise read readahead readdir
    readlink readv recv recvfrom recvmmsg recvmsg remove rename renameat rmdir sched_setaffinity sched_yield select
    sendfile send sendmmsg sendmsg sendto setitimer setpgid setpriority setrlimit setsid setsockopt shutdown
    sigaction signal signalfd sigprocmask sleep socket socketpair splice stat statvfs symlink sync sync_file_range
    syscall sysconf system thrd_create time timer_create timerfd_create timerfd_settime timespec_get truncate umask
    unlink unlinkat usleep vfork wait wait3 wait4 waitid waitpid write writev fopen
""".split())
CALL_PREFIXES = ("pthread_", "epoll_", "thrd_", "mtx_", "cnd_", "sem_", "io_uring_")

# Not this project's: what compilers, sanitizers and the linker put into objects.
FOREIGN_SYMBOLS = re.compile(r"^(__|_GLOBAL_|asan\.|main$)")

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
CALL = re.compile(r"(?<![\w.])(?<!->)([a-z_][a-z0-9_]*)\s*\(")
DEFINED = re.compile(r"^static\b[^;=()]*?\b([a-z_][a-z0-9_]*)\s*\(", re.MULTILINE)
TOKENS = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def blank(match):
    """What replaces a comment or literal: as many lines of nothing."""
    return '""' + "\n" * match.group().count("\n")


def check_include(floor, quoted, angled):
    """What is wrong with an include, or None."""
    if angled is not None:
        if floor != MACHINE and (angled in HEADERS or angled.startswith(HEADER_FOLDERS)):
            return f"<{angled}> belongs to src/{MACHINE}/"
        return None
    target = quoted.split("/")[0]
    if "/" not in quoted or target not in FLOORS:
        return f'"{quoted}": write it as "floor/file.h" or "floor/file.def"'
    height, allowed = FLOORS[floor]
    if target == floor or target in allowed.split():
        return None
    up = FLOORS[target][0] - height
    way = "climbs" if up > 0 else "goes sideways" if up == 0 else "is not among what this floor may use"
    return f'"{quoted}" {way}: src/{floor}/ may include {allowed.replace(" ", ", ") or "nothing else"}'


def check_file(path, floor):
    """The faults of one file, each as (line, what)."""
    text = path.read_text(encoding="utf-8", errors="replace")
    faults = []
    for number, line in enumerate(text.split("\n"), 1):
        include = INCLUDE.match(line)
        what = include and check_include(floor, *include.groups())
        if what:
            faults.append((number, what))
    if floor == MACHINE:
        return faults
    code = TOKENS.sub(blank, text)
    own = set(DEFINED.findall(code))
    for number, line in enumerate(code.split("\n"), 1):
        for call in CALL.findall(line):
            if call not in own and (call in CALLS or call.startswith(CALL_PREFIXES)):
                faults.append((number, f"{call}() belongs to src/{MACHINE}/"))
    return faults


def check_sources(root):
    """Yields the faults of all sources as lines of text."""
    sources = sorted(p for p in (root / "src").rglob("*") if p.suffix in (".c", ".h", ".def"))
    if not sources:
        yield f"{root / 'src'}:1: no sources found"
    for path in sources:
        name = path.relative_to(root)
        floor = name.parts[1]
        if floor in FLOORS:
            for number, what in check_file(path, floor):
                yield f"{name}:{number}: {what}"
        elif len(name.parts) > 2:
            yield f"{name}:1: src/{floor}/ is no floor; add it to the table of this script"


def line_of(root, source, symbol):
    """The line of a symbol's definition, 1 when it is made by a macro."""
    pattern = re.compile(r"\b" + re.escape(symbol) + r"\b")
    for number, line in enumerate((root / source).read_text(errors="replace").split("\n"), 1):
        if pattern.search(line):
            return number
    return 1


def check_symbols(root, build):
    """Yields the faults of the objects of src/: a file exports td_… names and no others."""
    objects = sorted((build / "src").rglob("*.c.o"))
    if not objects:
        yield f"{build}:1: no objects found; build it first"
    for path in objects:
        # Meson: src/<floor>/lib….a.p/<folder>_<file>.c.o
        floor = path.relative_to(build).parts[1]
        found = sorted(s for s in (root / "src" / floor).rglob("*.c")
                       if "_".join(s.relative_to(root / "src" / floor).parts) + ".o" == path.name)
        if not found:
            continue  # of a source that is gone
        source = found[0].relative_to(root)
        listing = subprocess.run(["nm", "--defined-only", "--extern-only", "--format=posix", str(path)],
                                 capture_output=True, text=True, check=True)
        for line in listing.stdout.splitlines():
            symbol = line.split()[0]
            if not symbol.startswith("td_") and not FOREIGN_SYMBOLS.match(symbol):
                yield f"{source}:{line_of(root, source, symbol)}: exports {symbol}, which is no td_ name"


# Self-test: each file of a small tree, with the faults that must be found in it as (line, part of the text).
PLANTED = {
    "src/base/good.c": ('#include "base/good.h"\n#include <time.h>\n/* open(x) and\n "base/x" read(y) */\n'
                        'const char *td_a(void) { return "write(1)"; }\n', []),
    "src/base/good.h": ("#pragma once\n#include <sys/uio.h>\n#include <stdint.h>\n", []),
    "src/base/climbs.c": ('#include "base/good.h"\n#include "codec/ws.h"\n', [(2, "climbs")]),
    "src/codec/sideways.c": ('#include "os/net.h"\n', [(1, "sideways")]),
    "src/auth/lower.c": ('#include "os/clock.h"\n', [(1, "not among")]),
    "src/hub/upward.h": (' #  include "edge/conn.h"\n#include "journal/journal.h"\n', [(1, "climbs")]),
    "src/edge/bare.c": ('#include "conn.h"\n#include "../hub/hub.h"\n', [(1, "floor/file.h"), (2, "floor/file.h")]),
    "src/api/fine.c": ('#include "edge/conn.h"\n#include "hub/hub.h"\n', []),
    "src/server/fine.c": ('#include "api/api.h"\n', []),
    "src/server/sideways.c": ('#include "cli/verb.h"\n', [(1, "sideways")]),
    "src/hub/headers.c": ("#include <unistd.h>\n#include <pthread.h>\n#include <linux/futex.h>\n",
                          [(1, "<unistd.h>"), (2, "<pthread.h>"), (3, "<linux/futex.h>")]),
    "src/hub/calls.c": ("int td_x(int fd)\n{\n    /* two\n lines */ char b[1];\n    read(fd, b, 1);\n"
                        "    return close (fd) + (int)time(0) + pthread_self();\n}\n",
                        [(5, "read()"), (6, "close()"), (6, "time()"), (6, "pthread_self()")]),
    "src/hub/members.c": ("void td_y(struct z *z)\n{\n    z->read(z);\n    z->file.close(z);\n    td_open(z);\n"
                          "    reopen(z);\n}\n", []),
    "src/hub/own.c": ("static int send(int a);\n\nint td_z(void)\n{\n    return send(1);\n}\n", []),
    "src/os/linux/net.c": ("#include <sys/socket.h>\nint td_s(void) { return socket(1, 2, 3); }\n", []),
    "src/attic/new.c": ("int td_n;\n", [(1, "no floor")]),
}


def planted_tree(root):
    """Writes the tree; returns the faults wanted, as (file, line, part of the text)."""
    wanted = []
    for name, (text, faults) in PLANTED.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
        wanted += [(name, line, part) for line, part in faults]
    return wanted


def missing_and_extra(found, wanted):
    """What was to be found and was not, and what was found beyond."""
    def fits(want, fault):
        return fault.startswith(f"{want[0]}:{want[1]}: ") and want[2] in fault

    missing = [f"not found: {want}" for want in wanted if not any(fits(want, f) for f in found)]
    extra = [f"found without cause: {f}" for f in found if not any(fits(want, f) for want in wanted)]
    return missing + extra


def self_test():
    """Exit status."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        wanted = planted_tree(root)
        wrong = missing_and_extra(list(check_sources(root)), wanted)
        # Two objects as Meson names them: one exports a stray name, one only what it may.
        objects = root / "build/src/os/libos.a.p"
        objects.mkdir(parents=True)
        for name, text in (("stray.c", "int td_s;\nint stray_name;\nstatic int own_name;\n"
                            "int *td_own(void) { return &own_name; }\n"), ("linux_net.c", "int td_t;\n")):
            source = root / "src/os" / name.replace("_", "/")
            source.write_text(text)
            subprocess.run(["cc", "-c", str(source), "-o", str(objects / (name + ".o"))], check=True)
        wrong += missing_and_extra(list(check_symbols(root, root / "build")),
                                   [("src/os/stray.c", 2, "stray_name")])
        wrong += missing_and_extra(list(check_sources(root / "nowhere")), [(str(root / "nowhere/src"), 1, "no sources")])
    for line in wrong:
        print(line)
    print(f"self-test: {len(wanted) + 2} planted faults, {len(wrong)} mistakes")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description="Checks includes, syscalls and symbols against the floors.")
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--build", type=Path, help="check the symbols of this build directory too")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    faults = list(check_sources(options.root))
    if options.build:
        faults += check_symbols(options.root, options.build)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
