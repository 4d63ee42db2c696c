# SPDX-License-Identifier: Apache-2.0
"""`tidings why` and `tidings top`: what an operator reads."""
import json

import pytest

from clients import Http, Ws


@pytest.fixture
def root(server):
    return server.token("root", roles=["admin"])


def test_why(server, root):
    ws = Ws(server, "/ws", token=server.token("ann", subscribe=["a/*"]))
    ws.subscribe("a/*")
    Http(server).publish("a/1")
    said = server.run("why", "--sub", "ann", "--topic", "a/1", "--subscribe", "b", token=root)
    assert said.returncode == 0, said.stderr
    first, connection = said.stdout.split("\nconnection ")
    assert "no: no grant matches the topic" in first and "newest" in first
    assert "yes: granted by a/*" in connection and "as       a/*" in connection


def test_why_as_json(server, root):
    said = server.run("why", "--sub", "ann", "--topic", "a", "--json", token=root)
    assert json.loads(said.stdout)["may_subscribe"] is True


def test_why_is_for_admins(server):
    said = server.run("why", "--sub", "ann", "--topic", "a", token=server.token("ann"))
    assert said.returncode == 1 and "forbidden" in said.stderr


def test_why_needs_a_question(server, root):
    assert server.run("why", token=root).returncode == 2
    said = server.run("why", "--sub", "ann", "--topic", "a//b", token=root)
    assert said.returncode == 1 and "bad_request" in said.stderr


def test_top(server, root):
    ws = Ws(server, "/ws", token=server.token("ann"))
    ws.subscribe("a")
    Http(server).publish("b/c")
    said = server.run("top", "--once", token=root)
    assert said.returncode == 0, said.stderr
    assert "connections 1" in said.stdout and "ann" in said.stdout and "b/c" in said.stdout
    assert server.run("top", "--interval", "never", token=root).returncode == 2
    assert server.run("top", "--once", token=server.token("ann")).returncode == 1
