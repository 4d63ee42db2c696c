# SPDX-License-Identifier: Apache-2.0
"""A real server for each test: `tidings dev` on a free port, its data in the test's directory.

TIDINGS names the binary; default: build/release/tidings.  Nothing here sleeps for a fixed time: `until` asks again
until a condition holds or its deadline is over.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import pytest
import requests

from clients import Http

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TIDINGS", str(ROOT / "build" / "release" / "tidings"))
DEADLINE_S = 20.0


def until(condition, what, deadline_s=DEADLINE_S):
    """Returns the first true value of `condition()`; fails when none comes in time."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {deadline_s} s: {what}")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Process:
    """A program whose output goes to files, so that it never waits for its reader."""

    def __init__(self, argv, directory, name, env=None, stdin=subprocess.DEVNULL):
        self.out_path = directory / f"{name}.out"
        self.err_path = directory / f"{name}.err"
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(argv, stdin=stdin, stdout=out, stderr=err, env=env)

    def out(self):
        return self.out_path.read_text(errors="replace")

    def err(self):
        return self.err_path.read_text(errors="replace")

    def lines(self):
        """The whole lines that were written so far."""
        return self.out().split("\n")[:-1]

    def wait(self, deadline_s=DEADLINE_S):
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs after {deadline_s} s; it said: {self.err()[-2000:]}")

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE_S)


class Server:
    """One data directory and one port; the process behind them may come and go."""

    def __init__(self, directory, options=()):
        self.directory = directory
        # More flags of `tidings dev`.  Most tests know each event of the log, so theirs alone are to be in it.
        self.options = ["--audit.events", "false", *options]
        if "--examples" not in options:
            self.options += ["--examples", "none"]
        self.data = directory / "data"
        self.log_path = directory / "server.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.started = []  # processes of the test, ended with it

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "dev", "--listen", f"127.0.0.1:{self.port}",
                 "--data", str(self.data), *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory)
        until(self.is_ready, "the server is ready")

    def is_ready(self):
        assert self.process.poll() is None, f"the server ended:\n{self.log()}"
        try:
            return requests.get(f"{self.url}/readyz", timeout=1).status_code == 200
        except requests.RequestException:
            return False

    def kill9(self):
        self.process.kill()
        self.process.wait(DEADLINE_S)

    def stop(self):
        """Ends it as a service manager would; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)

    def restart(self):
        """kill -9, and a new process on the same port and data."""
        self.kill9()
        self.start()

    @contextlib.contextmanager
    def failing(self, *injections):
        """Makes system calls of the running server fail or wait, as strace's -e inject= says."""
        if not shutil.which("strace"):
            pytest.skip("strace is not installed: apt-get install strace")
        said = self.directory / f"strace.{len(self.started)}"
        options = [part for injection in injections for part in ("-e", f"inject={injection}")]
        with open(said, "wb") as err:
            tracer = subprocess.Popen(
                ["strace", "-f", "-o", "/dev/null", *options, "-p", str(self.process.pid)],
                stdin=subprocess.DEVNULL, stdout=err, stderr=err)
        try:
            threads = len(os.listdir(f"/proc/{self.process.pid}/task"))
            until(lambda: f"with {threads} threads" in said.read_text() or tracer.poll() is not None,
                  "strace is attached")
            if tracer.poll() is not None:
                pytest.skip(f"strace may not attach: {said.read_text()}")
            yield
        finally:
            if tracer.poll() is None:
                tracer.send_signal(signal.SIGINT)  # it lets go of the server
            tracer.wait(DEADLINE_S)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def token(self, sub="ann", roles=(), subscribe=(), publish=(), ttl="1h"):
        argv = [BINARY, "token", "--data", str(self.data), "--sub", sub, "--ttl", ttl]
        for name, values in (("--role", roles), ("--subscribe", subscribe), ("--publish", publish)):
            for value in values:
                argv += [name, value]
        return subprocess.run(argv, check=True, capture_output=True, text=True,
                              timeout=DEADLINE_S).stdout.strip()

    def env(self, token=None):
        """The environment in which the command line finds this server."""
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        env.update(TIDINGS_URL=self.url, TIDINGS_TOKEN=token or self.token(),
                   TMPDIR=str(self.directory))
        return env

    def run(self, *arguments, token=None, stdin="", deadline_s=DEADLINE_S):
        """Runs a verb to its end."""
        return subprocess.run([BINARY, *arguments], input=stdin, env=self.env(token),
                              capture_output=True, encoding="utf-8", errors="replace",
                              timeout=deadline_s)

    def spawn(self, *arguments, name, token=None, stdin=subprocess.DEVNULL):
        """Starts a verb; it is ended with the test at the latest."""
        return self.spawn_other([BINARY, *arguments], name=name, token=token, stdin=stdin)

    def spawn_other(self, argv, name, token=None, stdin=subprocess.DEVNULL):
        process = Process(argv, self.directory, name, env=self.env(token), stdin=stdin)
        self.started.append(process)
        return process

    def events(self, pattern, token=None):
        """The whole history of a pattern, page by page."""
        headers = {"Authorization": f"Bearer {token or self.token()}", "Accept": "application/json"}
        since, events = "earliest", []
        while True:
            answer = requests.get(f"{self.url}/api/v1/events", headers=headers, timeout=DEADLINE_S,
                                  params={"topic": pattern, "since": since, "limit": 1000})
            assert answer.status_code == 200, answer.text
            page = answer.json()
            events += page["events"]
            since = page["position"]
            if not page["more"]:
                return events


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the server's log with a test that failed."""
    outcome = yield
    report = outcome.get_result()
    server = item.funcargs.get("server")
    if report.failed and server and server.log_path.exists():
        report.sections.append(("server log", server.log()[-8000:]))


def pytest_configure(config):
    config.addinivalue_line("markers", "options(*flags): more flags for `tidings dev`")


def running(server_class, request, tmp_path):
    """Yields a server that runs meanwhile, with the options that the test is marked with."""
    marker = request.node.get_closest_marker("options")
    server = server_class(tmp_path, marker.args if marker else ())
    try:
        server.start()
        yield server
    finally:
        for process in server.started:
            process.kill()
        if server.process and server.process.poll() is None:
            server.kill9()


@pytest.fixture
def server(request, tmp_path):
    """A running server; @pytest.mark.options("--name", "value") configures it."""
    yield from running(Server, request, tmp_path)


@pytest.fixture
def token(server):
    return server.token()


@pytest.fixture
def http(server, token):
    return Http(server, token)
