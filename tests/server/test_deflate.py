# SPDX-License-Identifier: Apache-2.0
"""permessage-deflate (RFC 7692): what is agreed to and with whom, events and commands through websockets' own
implementation, and what a peer can't make it cost."""
import json
import random
import zlib

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode

from clients import EVENTS, Raw, Sse, Ws, request
from conftest import until
from test_slow_reader import rss_bytes

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = ("Upgrade: websocket", "Connection: Upgrade", KEY, "Sec-WebSocket-Version: 13")
ON = pytest.mark.options("--compression", "true")
TAKEOVER = pytest.mark.options("--compression", "true", "--compression_takeover", "true")
TEXT = "It is the same words again, and again the same words. " * 8


class Deflate(ClientPerMessageDeflateFactory):
    """The offer of one connection, which counts what came compressed."""

    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.compressed = self.plain = self.bytes = 0

    def process_response_params(self, params, accepted_extensions):
        self.agreed = super().process_response_params(params, accepted_extensions)
        inflate = self.agreed.decode

        def decode(frame, *, max_size=None):
            if frame.opcode is Opcode.TEXT:
                self.compressed += frame.rsv1
                self.plain += not frame.rsv1
                self.bytes += len(frame.data)
            return inflate(frame, max_size=max_size)

        self.agreed.decode = decode
        return self.agreed


def connect(server, token, path="/ws", receive_buffer=None, **parameters):
    offer = Deflate(**parameters)
    ws = Ws(server, path=path, token=token, extensions=[offer], receive_buffer=receive_buffer)
    ws.offer = offer
    return ws


def answered(server, token, offer):
    """The extensions that are agreed to for the value of an offer's header; None for none."""
    with Raw(server) as raw:
        raw.send(request("GET", "/ws", *UPGRADE, f"Sec-WebSocket-Extensions: {offer}", token=token))
        answer = raw.answer()
        assert answer.status == 101
        return answer.headers.get("sec-websocket-extensions")


def send_compressed(ws, opcode, data, fin=True):
    """Sends a frame that says it is compressed, whatever is in it."""
    frame = bytearray(Frame(opcode, data, fin).serialize(mask=True))
    frame[0] |= 0x40
    ws.socket.sendall(frame)


# --- what is agreed to ---


def test_nothing_unless_it_is_switched_on(server, token, http):
    assert answered(server, token, "permessage-deflate") is None
    with Ws(server, token=token, extensions=[Deflate()]) as ws:
        assert ws.protocol.extensions == []
        send_compressed(ws, Opcode.TEXT, b"\0")
        assert ws.closed()[0] == 1002


@ON
def test_what_is_agreed_to(server, token):
    always = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    assert answered(server, token, "permessage-deflate; client_max_window_bits") == always
    assert answered(server, token, "permessage-deflate; server_max_window_bits=10") == \
        f"{always}; server_max_window_bits=10"
    assert answered(server, token, "permessage-deflate; mystery, x-other, permessage-deflate") == always
    assert answered(server, token, "permessage-deflate; server_max_window_bits=16") is None
    assert answered(server, token, "x-webkit-deflate-frame") is None


@TAKEOVER
def test_what_is_agreed_to_with_takeover(server, token):
    server_only = "permessage-deflate; server_no_context_takeover"
    assert answered(server, token, "permessage-deflate") == server_only
    assert answered(server, token, "permessage-deflate; client_max_window_bits") == \
        f"{server_only}; client_max_window_bits=12"
    assert answered(server, token, "permessage-deflate; client_no_context_takeover") == \
        f"{server_only}; client_no_context_takeover"


@pytest.mark.parametrize("value", ["permessage-deflate;", "permessage-deflate; a=\"b", "a b", ";"])
def test_a_header_that_can_not_be_read_fails_the_handshake(server, token, value):
    with Raw(server) as raw:
        raw.send(request("GET", "/ws", *UPGRADE, f"Sec-WebSocket-Extensions: {value}", token=token))
        assert raw.answer().status == 400


@ON
def test_nothing_before_authentication(server):
    for token in (None, "nonsense", "a.b.c"):
        with Ws(server, token=token, extensions=[Deflate()]) as ws:
            assert ws.protocol.extensions == []
            assert "Sec-WebSocket-Extensions" not in ws.response.headers
            assert ws.closed()[0] == 4001


@pytest.mark.options("--compression", "true", "--log.level", "debug", "--log.format", "json")
def test_the_log_tells_what_was_agreed_to(server, token):
    assert answered(server, token, "permessage-deflate; server_max_window_bits=9")
    until(lambda: '"handshake"' in server.log(), "the handshake is logged")
    said = [json.loads(line) for line in server.log().splitlines() if '"handshake"' in line]
    assert said[-1]["extensions"] == "permessage-deflate; server_max_window_bits=9"
    assert said[-1]["decision"].startswith("accepted, permessage-deflate; server_no_context_takeover")


# --- events ---


@ON
def test_events_come_compressed_and_say_the_same(server, token, http):
    with connect(server, token, f"{EVENTS}?topic=a/**") as ws, Ws(server, f"{EVENTS}?topic=a/**", token=token) as plain, \
            Sse(server, "topic=a/**", token) as sse:
        for reader in (ws, plain, sse):
            reader.until("caught_up")
        before = ws.offer.plain
        ids = [http.publish("a/1", TEXT + str(n)) for n in range(20)]
        got = [reader.receive_events(20) for reader in (ws, plain, sse)]
        assert got[0] == got[1] == got[2]
        assert [event["id"] for event in got[0]] == ids
        assert (ws.offer.compressed, ws.offer.plain) == (20, before)
        assert ws.offer.bytes < 20 * len(TEXT), "it was worth it"


@ON
@pytest.mark.parametrize("format", ["event", "flat", "entity"])
def test_every_format(server, token, http, format):
    path = f"{EVENTS}?topic=entities/**&format={format}"
    with connect(server, token, path) as ws, Ws(server, path, token=token) as plain:
        for reader in (ws, plain):
            reader.until("caught_up")
        http.publish("entities/applications/a1", {"payload": {"text": TEXT}}, type="ENTITY_UPDATED")
        assert ws.receive() == plain.receive()
        assert ws.offer.compressed == 1


@ON
def test_short_messages_and_control_messages_come_as_they_are(server, token, http):
    with connect(server, token, f"{EVENTS}?topic=a") as ws:
        ws.until("caught_up")
        ws.send("ping", ref=TEXT[:200])
        assert ws.until("pong")["ref"] == TEXT[:200]
        http.publish("a")
        ws.receive_events(1)
        assert ws.offer.compressed == 0
        http.publish("a", TEXT)
        ws.receive_events(1)
        assert ws.offer.compressed == 1


@pytest.mark.options("--compression", "true", "--compression_min_bytes", "1000")
def test_the_least_that_is_compressed_is_configured(server, token, http):
    with connect(server, token, f"{EVENTS}?topic=a") as ws:
        ws.until("caught_up")
        http.publish("a", "x" * 800)
        ws.receive_events(1)
        assert ws.offer.compressed == 0
        http.publish("a", "x" * 1000)
        ws.receive_events(1)
        assert ws.offer.compressed == 1


@ON
@pytest.mark.parametrize("bits", range(8, 16))
def test_the_window_that_a_client_can_hold(server, token, http, bits):
    with connect(server, token, f"{EVENTS}?topic=a", server_max_window_bits=bits, client_max_window_bits=max(bits, 9)) as ws:
        ws.until("caught_up")
        rng = random.Random(bits)
        words = ["".join(rng.choices("abcdefghij", k=12)) for _ in range(600)]
        data = [" ".join(rng.choices(words, k=n)) for n in (5, 50, 500, 5000)]
        for text in data:
            http.publish("a", text)
        assert [event["data"] for event in ws.receive_events(4)] == data
        assert (ws.offer.compressed > 0) == (bits >= 12)
        ws.send("ping", ref=1)
        assert ws.until("pong")["ref"] == 1


@ON
def test_a_page_and_history_through_compression(server, token, http):
    ids = [http.publish("a", TEXT + str(n)) for n in range(300)]
    with connect(server, token, f"{EVENTS}?topic=a&since={ids[9]}") as ws:
        assert [event["id"] for event in ws.receive_events(290)] == ids[10:]
        assert ws.offer.compressed == 290


# --- commands ---


COMMANDS = pytest.mark.parametrize("parameters", [
    {}, {"client_no_context_takeover": True}, {"client_max_window_bits": None},
    *({"client_max_window_bits": bits} for bits in range(9, 16)),
    {"server_no_context_takeover": True, "server_max_window_bits": 12, "client_max_window_bits": 12},
])


def say_and_hear(ws, http):
    """Commands that resemble each other, whole and in fragments, with an empty one between."""
    for n in range(10):
        ws.send("SUBSCRIBE", topics=[f"rooms/{n}"], ref=f"{TEXT[:200]}{n}")
        assert ws.until("subscribed")["ref"] == f"{TEXT[:200]}{n}"
    command = json.dumps({"type": "publish", "ref": 7, "event": {"topic": "rooms/1", "type": "t", "data": TEXT * 20}}).encode()
    ws.frame(Opcode.TEXT, command[:100], fin=False)
    ws.frame(Opcode.PING, b"between")
    ws.frame(Opcode.CONT, command[100:5000], fin=False)
    ws.frame(Opcode.CONT, command[5000:])
    assert ws.until("published")["ref"] == 7
    ws.text("")
    assert ws.until("command_error")["code"] == "bad_request"
    ws.text("")
    assert ws.until("command_error")["code"] == "bad_request"
    assert ws.receive_events(0) == []
    ws.send("ping", ref=TEXT[:100])
    assert ws.until("pong")["ref"] == TEXT[:100]
    assert http.page("rooms/1", since="earliest")["events"][0]["data"] == TEXT * 20


@ON
@COMMANDS
def test_commands_come_compressed(server, token, http, parameters):
    with connect(server, token, **parameters) as ws:
        assert ws.offer.agreed.local_no_context_takeover
        say_and_hear(ws, http)


@TAKEOVER
@COMMANDS
def test_commands_come_in_one_window(server, token, http, parameters):
    with connect(server, token, **parameters) as ws:
        assert ws.offer.agreed.local_no_context_takeover == ("client_no_context_takeover" in parameters)
        say_and_hear(ws, http)


@ON
def test_a_client_that_compresses_nothing_is_as_welcome(server, token):
    with connect(server, token) as ws:
        ws.socket.sendall(Frame(Opcode.TEXT, b"ping").serialize(mask=True))
        while ws.receive_text() != "pong":
            pass


@ON
@pytest.mark.parametrize("code,frames", [
    (1002, [(Opcode.TEXT, b"\x06", True)]),
    (1002, [(Opcode.TEXT, b"\xf2\x48\xcd", True)]),
    (1002, [(Opcode.PING, b"", True)]),
    (1002, [(Opcode.TEXT, b"\xf2\x48\xcd", False), (Opcode.CONT, b"\xc9\xc9\x07\x00", True)]),
    (1007, [(Opcode.TEXT, b"\0\2\0\xfd\xffa\xff\0", True)]),
])
def test_what_breaks_the_protocol(server, token, code, frames):
    with connect(server, token) as ws:
        for opcode, data, fin in frames:
            send_compressed(ws, opcode, data, fin)
        assert ws.closed()[0] == code


# --- what it can't be made to cost ---


def zeros(mebibytes):
    """Compressed spaces: a kibibyte for each mebibyte, as a raw stream that ends with an empty block less its tail."""
    compressor = zlib.compressobj(9, wbits=-15)
    block = compressor.compress(b" " * (1 << 20)) + compressor.flush(zlib.Z_FULL_FLUSH)
    assert len(block) < 1200
    return block * mebibytes + b"\0"


@ON
def test_bombs(server, token):
    bomb = zeros(1024)  # 1 GiB out of 1 MiB
    with connect(server, token) as ws:
        send_compressed(ws, Opcode.TEXT, b"\0")
        ws.until("command_error")
        before = rss_bytes(server)
        for _ in range(20):
            with connect(server, token) as other:
                send_compressed(other, Opcode.TEXT, bomb[:100000], fin=False)
                code, reason = other.closed()
                assert code == 1009 and reason.startswith("too_large")
        # Twenty at once, each within the limit and incomplete.
        open_ones = [connect(server, token) for _ in range(20)]
        for other in open_ones:
            send_compressed(other, Opcode.TEXT, zeros(1)[:-1000], fin=False)
            other.frame(Opcode.PING, b"")
        for other in open_ones:
            while other.event().opcode is not Opcode.PONG:
                pass
        grown = rss_bytes(server) - before
        assert grown < 20 * (1 << 20) + 20 * 48 * 1024 + (8 << 20)
        for other in open_ones:
            other.socket.close()
        ws.send("ping")
        ws.until("pong")


@ON
def test_large_messages_that_mean_nothing_count_as_commands(server, token):
    """Otherwise a kibibyte would buy a mebibyte of inflating, as often as one likes."""
    message = zeros(1)[:-1] + b"\0"
    with connect(server, token) as ws:
        for _ in range(90):
            try:
                send_compressed(ws, Opcode.BINARY, message)
            except (BrokenPipeError, ConnectionResetError):
                break
        assert ws.closed()[0] == 4029


def grown_by_idle(server, token, n):
    """Bytes for each of `n` connections that have sent a compressed command and are idle."""
    with connect(server, token) as ws:
        ws.send("ping")
        ws.until("pong")
        before = rss_bytes(server)
        idle = [connect(server, token) for _ in range(n)]
        for other in idle:
            other.send("ping", ref=TEXT[:200])
        for other in idle:
            other.until("pong")
        grown = (rss_bytes(server) - before) / n
        for other in idle:
            other.socket.close()
        return grown


@ON
def test_an_idle_connection_holds_no_window(server, token):
    assert grown_by_idle(server, token, 400) < 4096


@TAKEOVER
def test_an_idle_connection_holds_a_small_window_with_takeover(server, token):
    assert 4096 < grown_by_idle(server, token, 400) < 24 * 1024


# --- slow readers ---


def noise(rng, n):
    return "".join(rng.choices("0123456789abcdef", k=n))  # half of it can be saved


@ON
def test_slow_readers_miss_and_double_nothing(server, token, http):
    rng = random.Random(7)
    slow = [connect(server, token, f"{EVENTS}?topic=a/**", receive_buffer=8192) for _ in range(10)]
    try:
        for reader in slow:
            reader.until("caught_up")
        with connect(server, token, f"{EVENTS}?topic=a/**") as quick:
            quick.until("caught_up")
            before, ids = rss_bytes(server), []
            for number in range(8):
                answer = http.post([{"topic": f"a/{n % 3}", "type": "t", "data": noise(rng, rng.choice((10, 200, 4000)))}
                                    for n in range(250)])
                ids += answer.json()["ids"]
                assert [event["id"] for event in quick.receive_events(250)] == ids[-250:], "others go on"
            assert rss_bytes(server) - before < 40 << 20
            for reader in slow:
                assert [event["id"] for event in reader.receive_events(len(ids))] == ids
                assert reader.offer.compressed > 1000 and reader.offer.plain > 0
            last = http.publish("a/0", TEXT)
            assert all(reader.receive_events(1)[0]["id"] == last for reader in [quick, *slow])
    finally:
        for reader in slow:
            reader.socket.close()


@ON
def test_a_reader_that_was_cut_off_in_the_middle_resumes_after_a_kill(server, token, http):
    rng = random.Random(8)
    with connect(server, token, f"{EVENTS}?topic=a", receive_buffer=8192) as ws:
        ws.until("caught_up")
        ids = [http.publish("a", noise(rng, 20000)) for _ in range(60)]
        had = [event["id"] for event in ws.receive_events(10)]
        assert had == ids[:10]
        server.restart()
    with connect(server, token, f"{EVENTS}?topic=a&since={had[-1]}") as ws:
        assert [event["id"] for event in ws.receive_events(50)] == ids[10:]
