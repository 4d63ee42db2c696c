# SPDX-License-Identifier: Apache-2.0
"""The pages in the program: each file of web/dist as it is, cached by its ETag, and sent from where it lies."""
import gzip
import json
import re
import socket

import pytest
import requests

from clients import DEADLINE_S, Raw, connect, problem, request
from conftest import ROOT, until

DIST = ROOT / "web" / "dist"
FILES = sorted(path for path in DIST.rglob("*") if path.is_file())
PATHS = ["/" + path.relative_to(DIST).as_posix() for path in FILES]
PAGES = [shown for shown, file in (("/", "index.html"), ("/console", "console.html")) if DIST / file in FILES]
LARGEST = max(FILES, key=lambda path: path.stat().st_size)


def get(server, path, method="GET", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(method, server.url + path, headers={"Accept-Encoding": "identity", **named}, timeout=DEADLINE_S)


def served_as(path):
    return {"/index.html": "/", "/console.html": "/console"}.get(path, path)


def test_each_file_is_served_as_it_is(server):
    for path, file in zip(PATHS, FILES):
        if file.suffix == ".html" and served_as(path) == path:
            continue
        plain, packed = get(server, served_as(path)), get(server, served_as(path), Accept_Encoding="br, gzip;q=0.5")
        assert plain.status_code == packed.status_code == 200, path
        assert plain.content == packed.content == file.read_bytes(), path
        assert plain.headers["ETag"] == packed.headers["ETag"]
        assert "Content-Encoding" not in plain.headers
        assert get(server, served_as(path), "HEAD").headers["Content-Length"] == str(file.stat().st_size)


def test_what_is_large_goes_compressed(server):
    path = "/" + LARGEST.relative_to(DIST).as_posix()
    with requests.get(server.url + path, headers={"Accept-Encoding": "gzip"}, stream=True, timeout=DEADLINE_S) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        sent = answer.raw.read(decode_content=False)
    assert len(sent) < LARGEST.stat().st_size and gzip.decompress(sent) == LARGEST.read_bytes()
    assert get(server, path, Accept_Encoding="gzip;q=0").headers.get("Content-Encoding") is None


def test_what_is_known_is_not_sent_again(server):
    for path in (*PAGES, "/" + LARGEST.relative_to(DIST).as_posix()):
        tag = get(server, path).headers["ETag"]
        assert tag.startswith('W/"')  # compressed it has other bytes
        for known in (tag, tag[2:], f'"other", {tag}'):
            answer = get(server, path, If_None_Match=known)
            assert answer.status_code == 304 and answer.content == b"" and answer.headers["ETag"] == tag
        assert get(server, path, If_None_Match='"other"').status_code == 200


def test_a_page_runs_only_what_came_with_it(server):
    for path in PAGES:
        answer = get(server, path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["Cache-Control"] == "no-cache"
        for source in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
            if not source.startswith("data:"):
                asset = get(server, "/" + source.lstrip("./"))
                assert asset.status_code == 200 and "immutable" in asset.headers["Cache-Control"], source


def test_there_is_nothing_else(server):
    for path in ("/assets/none.js", "/assets/", "/assets/../index.html", "/assets/%2e%2e/index.html", "/index.html"):
        with Raw(server) as raw:
            raw.send(request("GET", path))
            assert raw.answer().status == 404, path
    assert get(server, "/", "POST").status_code == 405


@pytest.mark.options("--limits.head_time", "1s")
def test_who_reads_slowly_gets_all_in_order(server):
    path = "/" + LARGEST.relative_to(DIST).as_posix()
    one = request("GET", path)
    with Raw(server, receive_buffer=4096) as raw:
        raw.send(one + request("GET", "/healthz") + one + b"GET /hea")  # the last never comes whole
        answers = [raw.answer() for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 408]
        assert answers[0].body == answers[2].body == LARGEST.read_bytes()
        assert raw.rest() == b""


def test_old_and_curious_clients(server):
    """HTTP/1.0 ends with the page, or goes on where it asks to; a HEAD between two of them has no body."""
    path, content = "/" + LARGEST.relative_to(DIST).as_posix(), LARGEST.read_bytes()
    old = request("GET", path).replace(b"HTTP/1.1", b"HTTP/1.0")
    with Raw(server, receive_buffer=4096) as raw:
        raw.send(old)
        assert raw.answer().body == content and raw.rest() == b""
    with Raw(server) as raw:
        raw.send(old.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n") + request("HEAD", path) + request("GET", path))
        assert raw.answer().body == content
        assert raw.answer(head_only=True).headers["content-length"] == str(len(content))
        assert raw.answer().body == content


def test_who_never_reads_costs_no_memory(server):
    path = "/" + LARGEST.relative_to(DIST).as_posix()
    size, n = LARGEST.stat().st_size, 100

    def resident():
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{server.process.pid}/status").read())[1]) * 1024

    get(server, path)
    before = resident()
    raws = [connect(server, receive_buffer=4096) for _ in range(n)]
    for raw in raws:
        # Eight of them: more than the sockets between us take.
        raw.sendall(request("GET", path) * 8)
    until(lambda: all(raw.recv(1, socket.MSG_PEEK) for raw in raws), "each was sent something")
    assert resident() - before < n * size / 2


# ---- signing in, in development ----

def sign_in(server, body, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(f"{server.url}/dev/token", data=json.dumps(body), headers=named, timeout=DEADLINE_S)


def test_the_people_of_development(server):
    people = get(server, "/dev/people").json()["people"]
    assert {"ann", "bob", "root"} <= {person["sub"] for person in people}
    for person in people:
        assert person["name"] and person["about"]
        answer = sign_in(server, {"sub": person["sub"], "expires_in": 60})
        assert answer.status_code == 200 and answer.json()["expires_in"] == 60
        bearer = {"Authorization": f"Bearer {answer.json()['token']}"}
        status = requests.get(f"{server.url}/api/v1/admin/journal", headers=bearer, timeout=DEADLINE_S).status_code
        assert status == (200 if "admin" in person["roles"] else 403)


def test_nobody_else_can_be_signed_in(server):
    for body in ({}, [], 1, {"sub": "eve"}, {"sub": 1}, {"sub": "ann", "expires_in": 0}, {"sub": "ann", "expires_in": 86401},
                 {"sub": "ann", "expires_in": "60"}, {"sub": "ann", "expires_in": -1}):
        assert problem(sign_in(server, body)) == (400, "bad_request"), body
    assert sign_in(server, {"sub": "x" * 8192}).status_code in (400, 413)


def test_pages_from_elsewhere_get_no_token(server):
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        assert sign_in(server, {"sub": "ann"}, **headers).status_code == 403
        assert get(server, "/dev/people", **headers).status_code == 403
    assert sign_in(server, {"sub": "ann"}, Origin=server.url).status_code == 200
