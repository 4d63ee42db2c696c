# SPDX-License-Identifier: Apache-2.0
"""Entities: what is read through the desk."""
from clients import Http, Raw, problem

ENTITY = "/api/v1/entities/applications/app1"


def create(http, name="shop", version=1):
    return http.publish("entities/applications/app1", {"payload": {"name": name}, "version": version},
                        type="ENTITY_CREATED", key="entity")


def test_an_entity_is_read(http):
    create(http)
    answer = http.call("GET", ENTITY)
    assert answer.status_code == 200
    assert answer.json() == {"payload": {"name": "shop"}, "version": 1}


def test_no_such_entity(http):
    assert problem(http.call("GET", "/api/v1/entities/applications/none")) == (404, "not_found")


def test_a_path_that_is_no_topic(http):
    assert problem(http.call("GET", "/api/v1/entities/applications/a%2Fb")) == (404, "not_found")
    assert problem(http.call("GET", "/api/v1/entities/a%20b/c")) == (400, "bad_request")


def test_an_entity_that_may_not_be_seen(server, http):
    create(http)
    other = Http(server, server.token("bob", subscribe=["entities/others/*"], publish=["a"]))
    assert problem(other.call("GET", ENTITY)) == (403, "forbidden")


def test_requests_behind_one_that_waits_for_the_desk(server, http):
    """A pipeline of reads is answered in order, each whole."""
    create(http)
    token = server.token()
    one = f"GET {ENTITY} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    with Raw(server) as raw:
        raw.send(one * 200 + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while raw.more():
            pass
        answers = raw.buffer
    assert answers.count(b"HTTP/1.1 200 OK") == 201
    assert answers.count(b'"version": 1') == 200
    assert answers.rindex(b'"version"') < answers.rindex(b"HTTP/1.1 200")


def test_a_reader_that_goes_while_the_desk_works(server, http):
    create(http)
    token = server.token()
    for _ in range(50):
        with Raw(server) as raw:
            raw.send(f"GET {ENTITY} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    assert http.call("GET", ENTITY).status_code == 200
