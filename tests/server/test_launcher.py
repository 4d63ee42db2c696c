# SPDX-License-Identifier: Apache-2.0
"""The process beside the server that starts commands: it has nothing of the server's, and never outlives it."""
import os
import pathlib
import select
import signal

from conftest import DEADLINE_S


def children(pid):
    """All processes whose parent it is, with their names."""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found[int(child)] = pathlib.Path(f"/proc/{child}/comm").read_text().strip()
    return found


def launcher_of(server):
    [(pid, name)] = children(server.process.pid).items()
    assert name == "td-launcher"
    return pid


def must_end(pidfd):
    """A pidfd can be read once its process has ended."""
    readable, _, _ = select.select([pidfd], [], [], DEADLINE_S)
    os.close(pidfd)
    assert readable


def test_it_has_nothing_of_the_servers(server):
    fds = pathlib.Path(f"/proc/{launcher_of(server)}/fd")
    names = sorted(os.readlink(fd) for fd in fds.iterdir())
    assert names[:4] == ["/dev/null"] * 4
    assert [name.split(":")[0] for name in names[4:]] == ["anon_inode", "socket"], names
    assert pathlib.Path(f"/proc/{launcher_of(server)}/cmdline").read_bytes().strip(b"\0") == b"td-launcher"


def test_it_ends_with_a_server_that_was_killed(server):
    pidfd = os.pidfd_open(launcher_of(server))
    server.kill9()
    must_end(pidfd)


def test_it_ends_with_a_server_that_ends(server):
    pid = launcher_of(server)
    pidfd = os.pidfd_open(pid)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # as a terminal or a service manager sends them to all
        os.kill(pid, number)
    assert not select.select([pidfd], [], [], 0)[0]
    assert server.stop() == 0
    must_end(pidfd)


def test_the_server_goes_on_without_it(server):
    pid = launcher_of(server)
    pidfd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    must_end(pidfd)
    assert server.is_ready()
    assert server.stop() == 0
