# SPDX-License-Identifier: Apache-2.0
"""Request smuggling: what two servers could read differently is answered 400 and the connection closed; nothing behind it is
executed (RFC 9112 §11.2).

Behind each bad request stands a good publish on the same connection.  Had the server gone on, it would be in the log."""
import pytest

from clients import EVENTS, Http, Raw
from conftest import Server

BODY = b'{"topic":"a","type":"first"}'
NEXT = b'{"topic":"a","type":"smuggled"}'


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("target"))
    server.start()
    server.bearer = server.token().encode()
    yield server
    server.kill9()


def auth(target):
    return b"Authorization: Bearer " + target.bearer + b"\r\n"


def good(target, body=NEXT):
    return (b"POST " + EVENTS.encode() + b" HTTP/1.1\r\nHost: x\r\n" + auth(target) +
            b"Content-Length: %d\r\n\r\n" % len(body) + body)


L = b"Content-Length: %d\r\n" % len(BODY)
T = b"Transfer-Encoding: chunked\r\n"
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


def post(fields, body, line=b"POST " + EVENTS.encode() + b" HTTP/1.1\r\n", host=b"Host: x\r\n"):
    return line + host + b"%AUTH%" + fields + b"\r\n" + body


def chunks(data):
    return post(T, data)


BAD = {
    "CL and TE": post(L + T, CHUNKED),
    "TE and CL": post(T + L, CHUNKED),
    "CL 0 and TE": post(b"Content-Length: 0\r\n" + T, CHUNKED),
    "two TE": post(T + T, CHUNKED),
    "two TE, one identity": post(T + b"Transfer-Encoding: identity\r\n", CHUNKED),
    "TE identity": post(b"Transfer-Encoding: identity\r\n", BODY),
    "TE chunked, identity": post(b"Transfer-Encoding: chunked, identity\r\n", CHUNKED),
    "TE chunked, chunked": post(b"Transfer-Encoding: chunked, chunked\r\n", CHUNKED),
    "TE xchunked": post(b"Transfer-Encoding: xchunked\r\n", CHUNKED),
    "TE chunkedx": post(b"Transfer-Encoding: chunkedx\r\n", CHUNKED),
    "TE quoted": post(b'Transfer-Encoding: "chunked"\r\n', CHUNKED),
    "TE with a parameter": post(b"Transfer-Encoding: chunked;q=1\r\n", CHUNKED),
    "TE empty": post(b"Transfer-Encoding:\r\n" + L, BODY),
    "TE with a vertical tab": post(b"Transfer-Encoding: \x0bchunked\r\n", CHUNKED),
    "TE with a NUL": post(b"Transfer-Encoding: chunked\0\r\n", CHUNKED),
    "TE with 0x85": post(b"Transfer-Encoding: \x85chunked\r\n", CHUNKED),
    "blank before the colon": post(b"Transfer-Encoding : chunked\r\n", CHUNKED),
    "tab before the colon": post(b"Content-Length\t: %d\r\n" % len(BODY), BODY),
    "blank before the name": post(b" " + T, CHUNKED),
    "obs-fold": post(b"X: a\r\n " + T, CHUNKED),
    "obs-fold in TE": post(b"Transfer-Encoding:\r\n chunked\r\n", CHUNKED),
    "TE in HTTP/1.0": post(T, CHUNKED, line=b"POST " + EVENTS.encode() + b" HTTP/1.0\r\n"),
    "two equal CL": post(L + L, BODY),
    "two different CL": post(L + b"Content-Length: 5\r\n", BODY),
    "CL list": post(b"Content-Length: %d, %d\r\n" % (len(BODY), len(BODY)), BODY),
    "CL with a plus": post(b"Content-Length: +%d\r\n" % len(BODY), BODY),
    "CL negative": post(b"Content-Length: -1\r\n", BODY),
    "CL hexadecimal": post(b"Content-Length: 0x1c\r\n", BODY),
    "CL with a zero before": post(b"Content-Length: 0%d\r\n" % len(BODY), BODY),
    "CL with a blank inside": post(b"Content-Length: 2 8\r\n", BODY),
    "CL with a point": post(b"Content-Length: 28.0\r\n", BODY),
    "CL with a letter": post(b"Content-Length: 28x\r\n", BODY),
    "CL empty": post(b"Content-Length:\r\n", BODY),
    "CL of 2^64": post(b"Content-Length: 18446744073709551616\r\n", BODY),
    "CL of 2^64 and a bit": post(b"Content-Length: 18446744073709551644\r\n", BODY),
    "CL quoted": post(b'Content-Length: "28"\r\n', BODY),
    "CL in other digits": post("Content-Length: ２８\r\n".encode(), BODY),
    "bare LF ends a line": post(b"X: y\n" + L, BODY),
    "bare LF ends the head": post(L, BODY).replace(b"\r\n\r\n", b"\n\n"),
    "bare LF ends the request line": post(L, BODY).replace(b"1.1\r\n", b"1.1\n"),
    "bare CR in a value": post(b"X: y\rz\r\n" + L, BODY),
    "bare CR for a line end": post(b"X: y\r" + T, CHUNKED),
    "CR CR LF": post(b"X: y\r\r\n" + L, BODY),
    "NUL in a value": post(b"X: a\0b\r\n" + L, BODY),
    "NUL in a name": post(b"X\0: a\r\n" + L, BODY),
    "no colon": post(b"X\r\n" + L, BODY),
    "empty name": post(b": x\r\n" + L, BODY),
    "bracket in a name": post(b"X[1]: y\r\n" + L, BODY),
    "8-bit in a name": post(b"X\xe9: y\r\n" + L, BODY),
    "no Host": post(L, BODY, host=b""),
    "two Hosts": post(b"Host: y\r\n" + L, BODY),
    "two equal Hosts": post(b"Host: x\r\n" + L, BODY),
    "Host list": post(L, BODY, host=b"Host: x, y\r\n"),
    "Host with a path": post(L, BODY, host=b"Host: x/y\r\n"),
    "Host with a user": post(L, BODY, host=b"Host: a@x\r\n"),
    "Host with a blank": post(L, BODY, host=b"Host: x y\r\n"),
    "empty Host": post(L, BODY, host=b"Host:\r\n"),
    "absolute form against Host": post(L, BODY, line=b"POST http://y" + EVENTS.encode() + b" HTTP/1.1\r\n"),
    "absolute form with a user": post(L, BODY, line=b"POST http://a@x" + EVENTS.encode() + b" HTTP/1.1\r\n"),
    "another scheme": post(L, BODY, line=b"POST ftp://x" + EVENTS.encode() + b" HTTP/1.1\r\n"),
    "authority form": b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "asterisk form of POST": post(L, BODY, line=b"POST * HTTP/1.1\r\n"),
    "relative target": post(L, BODY, line=b"POST api/v1/events HTTP/1.1\r\n"),
    "two blanks in the line": post(L, BODY, line=b"POST  " + EVENTS.encode() + b" HTTP/1.1\r\n"),
    "tab in the line": post(L, BODY, line=b"POST\t" + EVENTS.encode() + b" HTTP/1.1\r\n"),
    "blank at the line's end": post(L, BODY, line=b"POST " + EVENTS.encode() + b" HTTP/1.1 \r\n"),
    "blank in the target": post(L, BODY, line=b"POST /api /v1/events HTTP/1.1\r\n"),
    "8-bit in the target": post(L, BODY, line=b"POST /\xe9 HTTP/1.1\r\n"),
    "fragment in the target": post(L, BODY, line=b"POST " + EVENTS.encode() + b"#x HTTP/1.1\r\n"),
    "no version": post(L, BODY, line=b"POST " + EVENTS.encode() + b"\r\n"),
    "lower-case version": post(L, BODY, line=b"POST " + EVENTS.encode() + b" http/1.1\r\n"),
    "HTTP/1.10": post(L, BODY, line=b"POST " + EVENTS.encode() + b" HTTP/1.10\r\n"),
    "blank line with a blank": b" \r\n" + post(L, BODY),
    "chunk size empty": chunks(b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size of 2^64": chunks(b"1000000000000001c\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size with 0x": chunks(b"0x1c\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size with a plus": chunks(b"+1c\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size negative": chunks(b"-1c\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size with blanks before": chunks(b" 1c\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size with a letter": chunks(b"1cg\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size with an underscore": chunks(b"1_c\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk line ended by LF": chunks(b"1c\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk line ended by CR": chunks(b"1c\r" + BODY + b"\r\n0\r\n\r\n"),
    "chunk extension with LF": chunks(b"1c;x\n\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk extension endless": chunks(b"1c;" + b"x" * 100000 + b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk longer than said": chunks(b"1b\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk ended by LF": chunks(b"1c\r\n" + BODY + b"\n0\r\n\r\n"),
    "chunk ended by nothing": chunks(b"1c\r\n" + BODY + b"0\r\n\r\n"),
    "last chunk ended by LF": chunks(b"1c\r\n" + BODY + b"\r\n0\n\n"),
    "trailer with obs-fold": chunks(b"1c\r\n" + BODY + b"\r\n0\r\nX: y\r\n z\r\n\r\n"),
    "trailer with a blank before the colon": chunks(b"1c\r\n" + BODY + b"\r\n0\r\nX : y\r\n\r\n"),
    "trailer ended by LF": chunks(b"1c\r\n" + BODY + b"\r\n0\r\nX: y\n\r\n"),
    "upgrade with a body": (b"GET /ws HTTP/1.1\r\nHost: x\r\n%AUTH%Upgrade: websocket\r\nConnection: Upgrade\r\n"
                            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                            + L + b"\r\n" + BODY),
}

OTHER = {  # what has a status of its own
    "unknown coding": (501, post(b"Transfer-Encoding: gzip, chunked\r\n", CHUNKED)),
    "HTTP/2 preface": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/2.0": (505, post(L, BODY, line=b"POST " + EVENTS.encode() + b" HTTP/2.0\r\n")),
    "HTTP/0.9": (505, post(L, BODY, line=b"POST " + EVENTS.encode() + b" HTTP/0.9\r\n")),
    "trailers endless": (431, chunks(b"1c\r\n" + BODY + b"\r\n0\r\n" + b"X: y\r\n" * 5000 + b"\r\n")),
}


def refused(target, data, status):
    data = data.replace(b"%AUTH%", auth(target))
    for cut in (None, 1):  # in one piece, and with the last byte of it alone
        with Raw(target) as raw:
            try:
                raw.send(data[:-1] if cut else data)
                raw.send((data[-1:] if cut else b"") + good(target))
            except (BrokenPipeError, ConnectionResetError):
                pass  # it was refused before all was sent
            answer = raw.answer()
            assert answer.status in (status if isinstance(status, tuple) else (status,)), answer.body
            assert answer.headers.get("connection") == "close"
            assert raw.rest() == b"", "the connection is closed, and nothing else answered"
    assert Http(target, target.bearer.decode()).page("**", since="earliest")["events"] == []


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_and_nothing_behind_it_is_executed(target, name):
    refused(target, BAD[name], 400)


@pytest.mark.parametrize("name", OTHER)
def test_what_has_a_status_of_its_own(target, name):
    status, data = OTHER[name]
    refused(target, data, (status, 400) if name == "trailers endless" else status)


def test_behind_a_publish_that_waits_for_the_disk(server):
    """The answer to the good one comes first; then the refusal; then the end."""
    server.bearer = server.token().encode()
    bad = BAD["CL and TE"].replace(b"%AUTH%", auth(server))
    for gap in (b"", b"\r\n"):
        with Raw(server) as raw:
            raw.send(good(server, BODY) + gap + bad + good(server))
            assert [raw.answer().status for _ in range(2)] == [201, 400]
            assert raw.rest() == b""
    assert [e["type"] for e in server.events("a")] == ["first"] * 2


GOOD = {
    "TE in other case": post(b"transfer-ENCODING: CHUNKED\r\n", CHUNKED),
    "TE with blanks": post(b"Transfer-Encoding: \t chunked \t\r\n", CHUNKED),
    "CL with blanks": post(b"Content-Length: \t%d \t\r\n" % len(BODY), BODY),
    "chunk size in capitals and zeros": chunks(b"00001C\r\n" + BODY + b"\r\n000\r\n\r\n"),
    "chunk extensions": chunks(b'1c;a=b;c="d;\\"e"\r\n' + BODY + b"\r\n0;x\r\n\r\n"),
    "trailers": chunks(b"1c\r\n" + BODY + b"\r\n0\r\nContent-Length: 5\r\nX: y\r\n\r\n"),
    "absolute form": post(L, BODY, line=b"POST http://x" + EVENTS.encode() + b" HTTP/1.1\r\n"),
    "an empty line before": b"\r\n" + post(L, BODY),
    "8-bit in a value": post(b"X: \xe9\r\n" + L, BODY),
    "Host with a port": post(L, BODY, host=b"Host: x:8000\r\n"),
    "Host IPv6": post(L, BODY, host=b"Host: [::1]:8000\r\n"),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_right_is_read_as_the_standard_says(server, name):
    server.bearer = server.token().encode()
    with Raw(server) as raw:
        raw.send(GOOD[name].replace(b"%AUTH%", auth(server)) + good(server))
        assert [raw.answer().status for _ in range(2)] == [201, 201]
    assert [e["type"] for e in server.events("a")] == ["first", "smuggled"]
