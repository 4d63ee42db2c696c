# SPDX-License-Identifier: Apache-2.0
"""The real server, as the black-box tests of tests/server start it; TIDINGS names the binary."""
import importlib.util
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE.parent / "src"), str(ROOT / "tests" / "server")]

spec = importlib.util.spec_from_file_location("server_conftest", ROOT / "tests" / "server" / "conftest.py")
served = importlib.util.module_from_spec(spec)
spec.loader.exec_module(served)

pytest_configure, pytest_runtest_makereport = served.pytest_configure, served.pytest_runtest_makereport
until = served.until

from tidings import AsyncTidings, Tidings  # noqa: E402

KINDS = """
jobs:
  kinds:
    - {name: outside, runner: external, topic: "outside/{job_id}", params: ["n?=[0-9]{1,9}"],
       events: [output=output, log=log, text=partial, error=error, complete=completed, cancelled=cancelled]}
    - {name: wait, who: any, argv: [sleep, "300"]}
    - {name: quick, who: any, argv: [sh, -c, 'echo "{\\"result\\":{\\"n\\":3}}" >&3']}
"""


@pytest.fixture
def kinds():
    """The configuration of the server."""
    return KINDS


@pytest.fixture
def server(request, kinds, tmp_path):
    """A running server with a few kinds of jobs; @pytest.mark.options("--name", "value") configures it."""
    (tmp_path / "kinds.yaml").write_text(kinds)
    marker = request.node.get_closest_marker("options")
    options = ["--config", str(tmp_path / "kinds.yaml"), *(marker.args if marker else ())]
    server = served.Server(tmp_path, options)
    try:
        server.start()
        yield server
    finally:
        if server.process and server.process.poll() is None:
            server.kill9()


@pytest.fixture
def client(server):
    with Tidings(server.url, server.token()) as client:
        yield client


@pytest.fixture
def aclient(server):
    """Made inside of a loop: call it there."""
    return lambda sub="ann", **more: AsyncTidings(server.url, server.token(sub), **more)
