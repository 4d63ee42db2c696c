# SPDX-License-Identifier: Apache-2.0
"""TLS: what holds on a plain port holds on this one, for clients that know nothing of us; certificates change without dropping a
connection."""
import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess

import pytest
import websockets

from clients import EVENTS, Http, Raw, Sse, Ws, connect, problem, request
from conftest import BINARY, DEADLINE_S, ROOT, Server, free_port, running, until


def make_certificate(directory, name, *arguments):
    """A certificate of its own issuer, and its key."""
    files = directory / f"{name}.pem", directory / f"{name}.key"
    kind = arguments or ("ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-days", "2", "-subj", f"/CN={name}", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", files[0], "-keyout", files[1]],
                   check=True, capture_output=True, timeout=DEADLINE_S)
    return files


class Secure(Server):
    """A server with a plain port, by which it is asked whether it is ready, and one with TLS, which `secure` names."""

    def __init__(self, directory, options=()):
        self.certificate, self.key = make_certificate(directory, "first")
        self.tls_port = free_port()
        super().__init__(directory, ["--tls.listen", f"127.0.0.1:{self.tls_port}", "--tls.certificate", str(self.certificate),
                                     "--tls.key", str(self.key), "--log.level", "debug", "--log.format", "json", *options])

    def secure(self, **versions):
        return Port(self, versions)

    def lines(self, event):
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def tls_says(self, text):
        return until(lambda: [line for line in self.lines("tls") if text in line.get("reason", "")], f"the log says {text!r}")


class Port:
    """The TLS port of a server, as the clients want one."""

    def __init__(self, server, versions):
        self.port, self.ca = server.tls_port, str(server.certificate)
        self.url, self.token = f"https://127.0.0.1:{self.port}", server.token
        self.tls = ssl.create_default_context(cafile=self.ca)
        for name, version in versions.items():
            setattr(self.tls, name, version)


@pytest.fixture
def server(request, tmp_path):
    yield from running(Secure, request, tmp_path)


VERSIONS = [("TLSv1.2", ssl.TLSVersion.TLSv1_2), ("TLSv1.3", ssl.TLSVersion.TLSv1_3)]


@pytest.mark.parametrize("name, version", VERSIONS)
def test_every_transport(server, name, version):
    secure = server.secure(maximum_version=version)
    token = server.token()
    http = Http(secure, token)
    with Ws(secure, token=token) as ws, Sse(secure, "topic=a", token) as stream, Ws(server, token=token) as plain:
        assert (ws.socket.version(), stream.raw.socket.version()) == (name, name)
        ws.subscribe("a")
        plain.subscribe("a")
        stream.until("caught_up")
        ids = [http.publish("a", n) for n in range(3)]
        for reader in (ws, stream, plain):
            assert [e["id"] for e in reader.receive_events(3)] == ids
        assert [e["data"] for e in http.page("a", since="earliest")["events"]] == [0, 1, 2]
        ws.send("PUBLISH", topic="a", event="t", data="by ws")
        assert ws.receive()["type"]  # some answer, by which the command went through
    assert [line["version"] for line in server.lines("tls") if "version" in line].count(name) >= 2
    assert all(line["level"] == "debug" and line["cipher"] for line in server.lines("tls"))


def test_clients_that_are_not_ours(server):
    token = server.token()

    async def live():
        context = ssl.create_default_context(cafile=str(server.certificate))
        url = f"wss://localhost:{server.tls_port}{EVENTS}?topic=a"
        async with websockets.connect(url, ssl=context, extra_headers={"Authorization": f"Bearer {token}"}) as ws:
            while json.loads(await asyncio.wait_for(ws.recv(), DEADLINE_S))["type"] != "caught_up":
                pass
            curl = await asyncio.create_subprocess_exec(
                "curl", "-sS", "--cacert", str(server.certificate), "-H", f"Authorization: Bearer {token}",
                f"https://localhost:{server.tls_port}{EVENTS}", "-d", '{"topic":"a","type":"t","data":1}',
                stdout=subprocess.PIPE)
            answer, _ = await asyncio.wait_for(curl.communicate(), DEADLINE_S)
            event = json.loads(await asyncio.wait_for(ws.recv(), DEADLINE_S))
            assert (event["id"], event["data"]) == (json.loads(answer)["id"], 1)

    asyncio.run(live())


def test_requests_in_any_pieces(server):
    """A byte a record, and many requests in one; what was sent before the end of the peer's side is answered."""
    token = server.token()
    one = request("GET", f"{EVENTS}?topic=a", "Accept: application/json", token=token)
    with Raw(server.secure()) as raw:
        for byte in one:
            raw.send(bytes([byte]))
        assert raw.answer().status == 200
        raw.send(one * 20 + request("GET", "/healthz", "Connection: close"))
        assert [raw.answer().status for _ in range(21)] == [200] * 21
        assert raw.rest() == b""


def test_a_large_body_and_a_large_answer(server):
    http = Http(server.secure())
    batch = [{"topic": "a", "type": "t", "data": "x" * 3000 + str(n)} for n in range(1000)]
    ids = http.post(batch).json()["ids"]
    page, events = {"position": "earliest", "more": True}, []
    while page["more"]:
        page = http.page("a", since=page["position"], limit=1000)
        events += page["events"]
    assert [e["id"] for e in events] == ids
    assert [e["data"] for e in events] == [e["data"] for e in batch]
    assert problem(http.post({"topic": "a", "type": "t", "data": "x" * (2 << 20)}))[1] == "too_large"


@pytest.mark.parametrize("name, version", VERSIONS)
def test_slow_readers_get_everything_once(server, name, version):
    """They read nothing while 6 MB are published, then all of it, while more comes."""
    token = server.token()
    http, secure = Http(server, token), server.secure(maximum_version=version)
    ws, sse = Ws(secure, token=token, receive_buffer=8192), Sse(secure, "topic=a/*", token, receive_buffer=8192)
    try:
        ws.subscribe("a/**")
        sse.until("caught_up")
        ids = []
        for number in range(6):
            ids += http.post([{"topic": f"a/{n % 3}", "type": "t", "data": "x" * 4000} for n in range(250)]).json()["ids"]
        for reader in (ws, sse):
            assert [e["id"] for e in reader.receive_events(len(ids))] == ids
        last = http.publish("a/0", "live")
        assert [reader.receive_events(1)[0]["id"] for reader in (ws, sse)] == [last, last]
    finally:
        ws.socket.close()
        sse.raw.socket.close()


@pytest.mark.parametrize("name, version", VERSIONS)
def test_a_page_goes_out_whole_between_other_answers(server, name, version):
    """It is sent from where it lies in the program; what is asked behind it comes behind it."""
    file = max((ROOT / "web" / "dist" / "assets").iterdir(), key=lambda path: path.stat().st_size)
    content, path = file.read_bytes(), f"/assets/{file.name}"
    with Raw(server.secure(maximum_version=version), receive_buffer=4096) as raw:
        raw.send(request("GET", path) + request("HEAD", path) + request("GET", "/healthz") + request("GET", path, "Connection: close"))
        whole, head, healthy, last = raw.answer(), raw.answer(head_only=True), raw.answer(), raw.answer()
        assert whole.body == last.body == content and healthy.status == 200
        assert head.status == 200 and head.headers["content-length"] == str(len(content))
        assert raw.rest() == b""
    for _ in range(20):
        with Raw(server.secure(maximum_version=version), receive_buffer=4096) as raw:
            raw.send(request("GET", path) * 2)
            raw.take(1000)  # and goes
    with Raw(server.secure()) as raw:
        raw.send(request("GET", path, "Connection: close"))
        assert raw.answer().body == content


@pytest.mark.options("--heartbeat.behind", "2s")
def test_a_reader_that_acknowledges_nothing_is_closed(server):
    token = server.token()
    http, secure = Http(server, token), server.secure()
    with Ws(secure, token=token, receive_buffer=8192) as dead, Ws(secure, token=token) as alive:
        for ws in (dead, alive):
            ws.subscribe("a")
        ids = []
        for _ in range(4):
            ids += http.post([{"topic": "a", "type": "t", "data": "x" * 4000}] * 250).json()["ids"]
        read = alive.receive_events(len(ids))
        until(lambda: any(line.get("code") == 4008 for line in server.lines("disconnect")), "it is closed")
        assert [e["id"] for e in read] == ids
        last = http.publish("a")
        assert alive.receive_events(1)[0]["id"] == last


def test_a_ticket_makes_the_next_handshake_short(server):
    for _, version in VERSIONS:
        secure = server.secure(minimum_version=version, maximum_version=version)
        session = None
        for resumed in (False, True):
            raw = socket.create_connection(("127.0.0.1", secure.port), DEADLINE_S)
            with secure.tls.wrap_socket(raw, server_hostname="127.0.0.1", session=session) as tls:
                tls.sendall(request("GET", "/healthz"))
                assert tls.recv(65536).startswith(b"HTTP/1.1 200")
                assert tls.session_reused == resumed
                session = tls.session
    assert [line["resumed"] for line in server.lines("tls")] == ["no", "yes"] * 2


def test_only_http_1_1_is_offered(server):
    secure = server.secure()
    secure.tls.set_alpn_protocols(["h2", "http/1.1"])
    with connect(secure) as tls:
        assert tls.selected_alpn_protocol() == "http/1.1"
    secure.tls.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError):
        connect(secure)


def old_client(secure):
    secure.tls.set_ciphers("DEFAULT@SECLEVEL=0")
    secure.tls.minimum_version = secure.tls.maximum_version = ssl.TLSVersion.TLSv1_1
    return secure


@pytest.mark.filterwarnings("ignore:.*TLSv1_1")
def test_old_versions_are_refused(server):
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        connect(old_client(server.secure()))
    [line] = server.tls_says("unsupported protocol")
    assert line["message"] == "the handshake failed" and line["level"] == "debug"


@pytest.mark.options("--tls.min_version", "1.3")
def test_the_oldest_version_is_configured(server):
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        connect(server.secure(maximum_version=ssl.TLSVersion.TLSv1_2))
    with connect(server.secure()) as tls:
        assert tls.version() == "TLSv1.3"


def plain(port):
    """A connection to the TLS port that speaks none."""
    class Address:
        pass
    address = Address()
    address.port = port
    return Raw(address)


def test_plain_http_is_told_apart(server):
    with plain(server.tls_port) as raw:
        raw.send(request("GET", "/"))
        assert b"HTTP" not in raw.rest()
    server.tls_says("plain HTTP on a port that speaks TLS")
    with plain(server.tls_port) as raw:
        raw.send(os.urandom(2000))
        raw.rest()
    Http(server.secure()).publish("a")


@pytest.mark.options("--limits.request_time", "1s")
def test_a_handshake_that_does_not_end_is_ended(server):
    hello = capture_hello(server)
    with plain(server.tls_port) as silent, plain(server.tls_port) as slow, plain(server.tls_port) as stopped:
        slow.send(hello[:10])
        stopped.send(hello)  # whole, but nothing follows the server's answer
        for raw in (silent, slow, stopped):
            raw.rest()
    assert len([line for line in server.lines("disconnect") if line["reason"] == "idle"]) >= 3


def capture_hello(server):
    """What a client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = server.secure().tls.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_a_hello_that_claims_to_be_huge_is_refused(server):
    with plain(server.tls_port) as raw:
        raw.send(b"\x16\x03\x01\x20\x00" + b"\x01\x01\xff\x00\x03\x03" + bytes(100))
        raw.rest()
    server.tls_says("larger than 16 KiB")


def test_the_end_is_told(server):
    """By close_notify, so that a peer can tell it from a cut: after an answer, a close, and a drain."""
    secure = server.secure()
    raw = socket.create_connection(("127.0.0.1", secure.port), DEADLINE_S)
    with secure.tls.wrap_socket(raw, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as tls:
        tls.sendall(request("GET", "/healthz", "Connection: close"))
        while tls.recv(65536):  # raises when the stream is cut
            pass
    with Ws(secure, token=server.token()) as ws:
        ws.subscribe("a")
        ws.socket.suppress_ragged_eofs = False
        server.process.send_signal(signal.SIGTERM)
        ws.until("draining")
        assert ws.closed()[0] == 1001
    server.process.wait(DEADLINE_S)


# --- certificates ---


def common_name(secure):
    with connect(secure) as tls:
        return dict(pair for [pair] in tls.getpeercert()["subject"])["commonName"]


def reload(server):
    """Returns the lines that it wrote."""
    before = len(server.lines("reload"))
    server.process.send_signal(signal.SIGHUP)
    until(lambda: any(end in line["message"] for line in server.lines("reload")[before:]
                      for end in ("is in use", "nothing was changed")), "it is reloaded")
    return server.lines("reload")[before:]


def test_a_certificate_is_replaced_under_open_connections(server):
    token, secure = server.token(), server.secure()
    with Ws(secure, token=token) as ws:
        ws.subscribe("a")
        assert common_name(secure) == "first"
        second = make_certificate(server.directory, "second")
        for new, used in zip(second, (server.certificate, server.key)):
            os.replace(new, used)
        assert [line["level"] for line in reload(server)] == ["info"]
        secure = server.secure()
        until(lambda: common_name(secure) == "second", "new connections see it")
        assert [line["file"] for line in server.lines("certificate")] == [str(server.certificate)] * 2
        assert all(line["level"] == "info" and line["ends"] > line["time"] for line in server.lines("certificate"))
        published = Http(secure, token).publish("a")
        assert ws.receive_events(1)[0]["id"] == published
        ws.send("SUBSCRIBE", topics=["b"])
        ws.until("subscribed")


def test_a_bad_certificate_changes_nothing(server):
    secure = server.secure()
    make_certificate(server.directory, "second")[1].replace(server.key)
    said = reload(server)
    assert {line["level"] for line in said} == {"error"}
    assert any(f"{server.key}: the key does not belong to the certificate in {server.certificate}" in line["message"]
               for line in said), said
    assert common_name(secure) == "first"


CHECKS = [
    ("certificate: {d}/none.pem\n  key: {d}/first.key", "{d}/none.pem: the certificate cannot be read: No such file or directory"),
    ("certificate: {d}/first.pem\n  key: {d}/other.key", "{d}/other.key: the key does not belong to the certificate in {d}/first.pem"),
    ("certificate: {d}/first.pem\n  key: {d}/locked.key", "{d}/locked.key: the key is encrypted: expected one without a passphrase"),
    ("certificate: {d}/first.key\n  key: {d}/first.key", "{d}/first.key: there is no certificate in it: expected PEM"),
    ("certificate: {d}/first.pem", "tls.key: must be a path, because tls.listen is set"),
    ("key: {d}/first.key", "tls.certificate: must be a path, because tls.listen is set"),
    ("certificate: {d}/first.pem\n  key: {d}/first.key\n  min_version: 1.1", "must be 1.2 or 1.3, not '1.1'"),
]


def test_check_tells_what_is_wrong(tmp_path):
    make_certificate(tmp_path, "first")
    make_certificate(tmp_path, "other")
    make_certificate(tmp_path, "locked", "rsa:2048", "-passout", "pass:secret")
    config = tmp_path / "tidings.yaml"

    def check(tls):
        config.write_text("auth:\n  secret: " + "s" * 32 + "\n" + tls)
        return subprocess.run([BINARY, "check", "--config", str(config)], capture_output=True, text=True, timeout=DEADLINE_S)

    for lines, expected in CHECKS:
        result = check("tls:\n  listen: ['127.0.0.1:0']\n  " + lines.format(d=tmp_path) + "\n")
        assert result.returncode == 1 and expected.format(d=tmp_path) in result.stderr, (lines, result.stderr)
        assert result.stderr.count("\n") == 1, result.stderr
    good = f"tls:\n  listen: ['127.0.0.1:0']\n  certificate: {tmp_path}/first.pem\n  key: {tmp_path}/first.key\n"
    assert check(good).returncode == 0
    assert check("listen: []\n" + good).returncode == 0, "TLS alone is enough"
    nobody = check(good.replace("  listen: ['127.0.0.1:0']\n", ""))
    assert nobody.returncode == 1 and "tls.listen: name an address" in nobody.stderr
    assert "listen: name one address" in check("listen: []\n").stderr


# --- the command line ---


def test_verbs_speak_tls(server):
    server.url = f"https://localhost:{server.tls_port}"
    refused = server.run("publish", "a", "t", "1")
    assert refused.returncode == 1 and "certificate" in refused.stderr
    done = server.run("publish", "--ca", str(server.certificate), "a", "t", "1")
    assert done.returncode == 0, done.stderr
    env = {**server.env(), "TIDINGS_CA": str(server.certificate)}
    done = subprocess.run([BINARY, "publish", "a", "t", "2"], env=env, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 0, done.stderr
    tail = server.spawn("tail", "--ca", str(server.certificate), "a", "--since", "earliest", name="tail")
    until(lambda: len(tail.lines()) == 2, "it shows both")
    run = server.run("run", "--ca", str(server.certificate), "--id", "r", "--", "echo", "hello")
    assert run.returncode == 0 and "hello" in run.stdout, run.stderr
