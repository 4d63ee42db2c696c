# SPDX-License-Identifier: Apache-2.0
"""Clients for the tests: requests for HTTP, websockets' own codec over a blocking socket for WebSocket, and bare sockets
where bytes matter.  Every wait has a deadline."""
import contextlib
import json
import resource
import socket
import time

import requests
from websockets.client import ClientConnection
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

DEADLINE_S = 20.0
EVENTS = "/api/v1/events"
PRESENCE = ("presence_joined", "presence_left")


@contextlib.contextmanager
def many_files(connections):
    """Room for so many connections of this process; gives how many of them it and the server may have."""
    spare = 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = connections + spare if hard == resource.RLIM_INFINITY else min(hard, connections + spare)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    try:
        yield most - spare
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(server, receive_buffer=None):
    """A connected socket; a server with a `tls` (an SSLContext) is spoken to through that."""
    connected = socket.socket()
    if receive_buffer:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connected.settimeout(DEADLINE_S)
    connected.connect(("127.0.0.1", server.port))
    tls = getattr(server, "tls", None)
    return tls.wrap_socket(connected, server_hostname="127.0.0.1") if tls else connected


class Http:
    """A session of one subject."""

    def __init__(self, server, token=None):
        self.server = server
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = getattr(server, "ca", True)
        self.session.headers["Authorization"] = f"Bearer {token or server.token()}"

    def call(self, method, path=EVENTS, **arguments):
        return self.session.request(method, self.server.url + path, timeout=DEADLINE_S, **arguments)

    def post(self, body, **headers):
        """Publishes; `body` is JSON to be, or bytes as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("POST", data=data, headers={"Content-Type": "application/json", **named})

    def publish(self, topic, data=None, type="t", **members):
        """Publishes one event; returns its id."""
        answer = self.post({"topic": topic, "type": type, "data": data, **members})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def page(self, topic, **query):
        answer = self.call("GET", params={"topic": topic, **query})
        assert answer.status_code == 200, answer.text
        return answer.json()


def problem(answer):
    """(status, code) of an error, which has to be a whole RFC 9457 document."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    body = answer.json()
    assert body["status"] == answer.status_code and body["detail"] and body["title"], body
    return answer.status_code, body["code"]


class Answer:
    """One HTTP answer as it stood on the wire."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Raw:
    """A TCP connection and what came on it."""

    def __init__(self, server, receive_buffer=None):
        self.socket = connect(server, receive_buffer)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        """Reads once more; False at the end of the stream."""
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            return False
        self.buffer += data
        return bool(data)

    def until(self, mark):
        """Takes what stands before `mark`, and the mark."""
        while mark not in self.buffer:
            assert self.more(), f"the stream ended before {mark!r}: {self.buffer[-500:]!r}"
        before, _, self.buffer = self.buffer.partition(mark)
        return before

    def take(self, n):
        while len(self.buffer) < n:
            assert self.more(), f"the stream ended {n - len(self.buffer)} bytes early"
        taken, self.buffer = self.buffer[:n], self.buffer[n:]
        return taken

    def answer(self, head_only=False):
        head = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        assert head[0].startswith("HTTP/1.1 "), head[0]
        status = int(head[0].split(" ")[1])
        headers = {}
        for line in head[1:]:
            name, _, value = line.partition(": ")
            assert name.lower() not in headers or name == "Vary", f"{name} stands twice"
            headers[name.lower()] = value
        bodyless = head_only or status in (100, 101, 204, 304) or "content-length" not in headers
        body = b"" if bodyless else self.take(int(headers["content-length"]))
        return Answer(status, headers, body)

    def rest(self):
        """Everything up to the end of the stream, which has to come."""
        while self.more():
            pass
        taken, self.buffer = self.buffer, b""
        return taken


def request(method, path, *headers, body=b"", token=None, host="localhost"):
    """The bytes of a request; Content-Length is added when there is a body and no word of its framing."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    framed = any(h.lower().startswith(("content-length", "transfer-encoding")) for h in headers)
    if body and not framed:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class WsRefused(Exception):
    """The handshake was answered with something else than 101."""

    def __init__(self, response):
        super().__init__(f"{response.status_code}: {response.body!r}")
        self.status, self.headers, self.body = response.status_code, response.headers, response.body


class Ws:
    """A WebSocket client: the protocol is websockets' own, the socket is read when a test waits for something."""

    def __init__(self, server, path="/ws", token=None, headers=(), subprotocols=None, origin=None,
                 receive_buffer=None, extensions=None):
        uri = parse_uri(f"ws://127.0.0.1:{server.port}{path}")
        self.protocol = ClientConnection(uri, subprotocols=subprotocols, origin=origin, extensions=extensions)
        self.socket = connect(server, receive_buffer)
        self.events, self.ended, self.pieces = [], False, []
        handshake = self.protocol.connect()
        if token:
            handshake.headers["Authorization"] = f"Bearer {token}"
        for name, value in headers:
            handshake.headers[name] = value
        self.protocol.send_request(handshake)
        self.flush()
        self.response = self.event()
        if self.protocol.handshake_exc:
            raise WsRefused(self.response)
        self.subprotocol = self.protocol.subprotocol

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        for data in self.protocol.data_to_send():
            try:
                if data:
                    self.socket.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # what the server said before it went is still to be read

    def event(self, deadline_s=DEADLINE_S):
        """The next frame (or answer to the handshake), None at the end of the stream."""
        end = time.monotonic() + deadline_s
        while not self.events:
            if self.ended:
                return None
            self.socket.settimeout(max(0.001, end - time.monotonic()))
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if data:
                self.protocol.receive_data(data)
            else:
                self.ended = True
                self.protocol.receive_eof()
            self.events += self.protocol.events_received()
            self.flush()
            assert self.protocol.parser_exc is None or self.ended, self.protocol.parser_exc
        return self.events.pop(0)

    def frame(self, opcode, data, fin=True):
        """Sends one frame, masked, through what extensions are agreed to; also such as no client should send."""
        self.socket.sendall(Frame(opcode, data, fin).serialize(mask=True, extensions=self.protocol.extensions))

    def text(self, text):
        self.frame(Opcode.TEXT, text if isinstance(text, bytes) else text.encode())

    def send(self, type=None, **members):
        """Sends a command."""
        self.text(json.dumps({"type": type, **members} if type else members))

    def receive_text(self, deadline_s=DEADLINE_S):
        """The next message; None when the connection was closed."""
        while True:
            frame = self.event(deadline_s)
            if frame is None or frame.opcode == Opcode.CLOSE:
                return None
            if frame.opcode in (Opcode.PING, Opcode.PONG):
                continue
            assert frame.opcode == Opcode.TEXT and frame.fin, frame
            return frame.data.decode()

    def receive(self, deadline_s=DEADLINE_S):
        text = self.receive_text(deadline_s)
        return None if text is None else json.loads(text)

    def until(self, type, **members):
        """The next message of a type with these members; whatever else comes goes to `skipped`."""
        self.skipped = []
        while True:
            message = self.receive()
            assert message is not None, f"closed ({self.close_code}) before {type}: {self.skipped}"
            if message["type"] == type and all(message.get(k) == v for k, v in members.items()):
                return message
            self.skipped.append(message)

    def subscribe(self, *topics, **members):
        self.send("SUBSCRIBE", topics=list(topics), **members)
        return self.until("subscribed")

    def receive_events(self, n, presence=False):
        """The next n events; control messages on the way are left out, and, but for `presence`, who comes and goes."""
        events = []
        while len(events) < n:
            message = self.receive()
            assert message is not None, f"closed ({self.close_code}) after {len(events)} of {n}"
            if not message.get("control") and (presence or message["type"] not in PRESENCE):
                events.append(message)
        return events

    def closed(self):
        """Waits for the end; returns the code and the reason the server gave."""
        while self.event() is not None:
            pass
        return self.close_code, self.close_reason

    @property
    def close_code(self):
        return self.protocol.close_rcvd.code if self.protocol.close_rcvd else None

    @property
    def close_reason(self):
        return self.protocol.close_rcvd.reason if self.protocol.close_rcvd else None


class Sse:
    """An event stream on a bare socket, parsed as the WHATWG standard says."""

    def __init__(self, server, query, token, *headers, receive_buffer=None, path=EVENTS):
        self.raw = Raw(server, receive_buffer)
        self.raw.send(request("GET", f"{path}?{query}", "Accept: text/event-stream", *headers,
                              token=token))
        self.response = self.raw.answer()
        self.last_id, self.retry = None, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.raw.socket.close()

    def block(self):
        """The next block as (event, data, id); event is None for one that is not dispatched.  None at the end, where fields
        that need no dispatch still count."""
        while b"\n\n" not in self.raw.buffer:
            if not self.raw.more():
                self.fields(self.raw.buffer.decode().split("\n")[:-1])
                self.raw.buffer = b""
                return None
        return self.fields(self.raw.until(b"\n\n").decode().split("\n"))

    def fields(self, lines):
        event, data, id_ = "message", [], None
        for line in lines:
            name, _, value = line.partition(":")
            value = value[1:] if value.startswith(" ") else value
            if name == "event":
                event = value
            elif name == "data":
                data.append(value)
            elif name == "id":
                id_ = self.last_id = value
            elif name == "retry":
                self.retry = int(value)
            else:
                assert name == "", f"not a field: {line!r}"
        return (event, "\n".join(data), id_) if data else (None, None, id_)

    def message(self):
        """The next dispatched one: (event, JSON, id)."""
        while True:
            block = self.block()
            if block is None:
                return None
            if block[0]:
                return block[0], json.loads(block[1]), block[2]

    def until(self, type):
        """The next control message of a type."""
        while True:
            message = self.message()
            assert message is not None, f"the stream ended before {type}"
            if message[0] == "tidings" and message[1]["type"] == type:
                return message

    def receive_events(self, n):
        events = []
        while len(events) < n:
            message = self.message()
            assert message is not None, f"the stream ended after {len(events)} of {n}"
            if message[0] != "tidings" and message[0] not in PRESENCE:
                events.append(message[1])
        return events
