# SPDX-License-Identifier: Apache-2.0
"""As a service: what the manager is told on NOTIFY_SOCKET, and the unit that is shipped."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from clients import Http, Raw, Ws
from conftest import BINARY, DEADLINE_S, ROOT, Server, until

UNIT = ROOT / "deploy" / "systemd" / "tidings.service"
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, directory):
        self.path = str(directory / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(DEADLINE_S)

    def next(self):
        """The next message, as a dictionary."""
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().split("\n"))

    def until(self, name):
        while True:
            message = self.next()
            if name in message:
                return message


@pytest.fixture
def manager(tmp_path, monkeypatch):
    manager = Manager(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    yield manager
    manager.socket.close()


@pytest.fixture
def service(tmp_path):
    server = Server(tmp_path)
    yield server
    if server.process and server.process.poll() is None:
        server.kill9()


def test_ready_reloading_stopping(manager, service):
    service.options += ["--drain", "7s"]
    service.start()
    ready = manager.next()
    assert ready["READY"] == "1" and f"127.0.0.1:{service.port}" in ready["STATUS"]

    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    service.process.send_signal(signal.SIGHUP)
    reloading = manager.next()
    assert reloading["RELOADING"] == "1"
    assert before <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert manager.next()["READY"] == "1"

    service.process.send_signal(signal.SIGTERM)
    stopping = manager.next()
    assert stopping["STOPPING"] == "1" and int(stopping["EXTEND_TIMEOUT_USEC"]) > 7_000_000
    assert service.process.wait(DEADLINE_S) == 0


def test_ready_comes_when_it_listens(manager, service):
    process = subprocess.Popen([BINARY, "dev", "--listen", f"127.0.0.1:{service.port}", "--data", str(service.data)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    service.process = process
    manager.until("READY")
    with Raw(service) as raw:  # refused if it did not
        raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.answer().status == 200


def test_a_bad_reload_ends_in_ready_again(manager, service):
    config = service.directory / "tidings.yaml"
    config.write_text("")
    service.options += ["--config", str(config)]
    service.start()
    manager.until("READY")
    config.write_text("nonsense: 1\n")
    service.process.send_signal(signal.SIGHUP)
    manager.until("RELOADING")
    manager.until("READY")
    assert "nothing was changed" in service.log()


def test_the_watchdog_is_fed_while_workers_turn(manager, service, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    service.options += ["--workers", "3"]
    service.start()
    manager.until("READY")
    for _ in range(5):  # idle workers are made to turn
        manager.until("WATCHDOG")
    with Ws(service, token=service.token()) as ws:
        ws.subscribe("a")
        for _ in range(5):
            manager.until("WATCHDOG")


def test_a_watchdog_of_another_process_is_not_fed(manager, service, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "1000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    service.start()
    manager.until("READY")
    assert service.stop() == 0
    assert manager.next()["STOPPING"] == "1"


def starves(manager, service):
    """Whether nothing is told while the server notices four times, a whole interval, that a worker does not turn."""
    try:
        while True:  # what came before
            manager.socket.recv(4096)
    except BlockingIOError:
        pass
    seen = service.log().count("has not turned")
    until(lambda: service.log().count("has not turned") >= seen + 4, "a worker hangs")
    try:
        return not manager.socket.recv(4096)
    except BlockingIOError:
        return True


def test_a_worker_that_hangs_starves_the_watchdog(manager, service, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    service.start()
    manager.until("WATCHDOG")
    with service.failing("accept4:delay_enter=3000000:when=1"):
        with Raw(service):
            manager.socket.setblocking(False)
            until(lambda: starves(manager, service), "it is not told that all is well")


@needs_systemd
def test_the_unit_is_valid_and_closed(tmp_path):
    unit = tmp_path / "tidings.service"
    unit.write_text(UNIT.read_text().replace("/usr/bin/tidings", BINARY))
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True,
                              timeout=DEADLINE_S, check=False)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    exposed = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)],
                             capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert exposed.returncode == 0, exposed.stdout


def system_calls(group):
    """The system calls of a group of systemd's, without those of groups in it that are taken out."""
    shown = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", group], check=True,
                           capture_output=True, text=True, timeout=DEADLINE_S).stdout
    calls = set()
    for name in re.findall(r"^    ([@a-z0-9_-]+)$", shown, re.MULTILINE):
        calls |= system_calls(name) if name.startswith("@") else {name}
    return calls


@needs_systemd
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_the_units_filter_lets_the_server_work(service):
    filters = re.findall(r"^SystemCallFilter=(~?)(@\S+)$", UNIT.read_text(), re.MULTILINE)
    assert filters[0] == ("", "@system-service")
    allowed = set()
    for negated, group in filters:
        allowed = allowed - system_calls(group) if negated else allowed | system_calls(group)
    trace = service.directory / "trace"
    # What runs before the filter is in place, and the exec itself, are the manager's.
    process = subprocess.Popen(["strace", "-f", "-qq", "-o", str(trace), BINARY, "dev", "--listen",
                                f"127.0.0.1:{service.port}", "--data", str(service.data)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=open(service.directory / "strace.err", "wb"))
    service.process = process
    if process.poll() is not None or not wait_ready(service):
        pytest.skip("strace may not trace here")
    http = Http(service)
    http.publish("a")
    with Ws(service, token=service.token()) as ws:
        ws.subscribe("a", since="earliest")
        ws.receive_events(1)
    server = int(re.match(r"\d+", trace.read_text()).group())
    os.kill(server, signal.SIGHUP)
    os.kill(server, signal.SIGTERM)
    process.wait(DEADLINE_S)
    used = set(re.findall(r"^\d+ +([a-z0-9_]+)\(", trace.read_text(), re.MULTILINE))
    assert "pwrite64" in used or "pwritev" in used or "pwritev2" in used, "the trace has the server's calls"
    assert used - allowed == set()


def wait_ready(service):
    try:
        until(service.is_ready, "it is ready")
        return True
    except AssertionError:
        return False
