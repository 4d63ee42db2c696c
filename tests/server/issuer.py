# SPDX-License-Identifier: Apache-2.0
"""One who issues tokens: keys of all kinds, signatures by Python's cryptography, and a key set served over HTTP."""
import base64
import http.server
import json
import threading
import time

from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, size=None):
    return base64url(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class Key:
    """A key and the one algorithm that it is used with."""

    def __init__(self, alg, kid=None, secret=None):
        self.alg, self.kid, self.secret = alg, kid, secret
        self.private = None
        if alg[:2] in ("RS", "PS"):
            self.private = rsa.generate_private_key(65537, 2048)
        elif alg[:2] == "ES":
            self.private = ec.generate_private_key({"256": ec.SECP256R1(), "384": ec.SECP384R1()}[alg[2:]])

    def pem(self):
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def jwk(self, **members):
        numbers = self.private.public_key().public_numbers()
        if self.alg[:2] == "ES":
            size = (self.private.curve.key_size + 7) // 8
            jwk = {"kty": "EC", "crv": "P-" + self.alg[2:], "x": number(numbers.x, size), "y": number(numbers.y, size)}
        else:
            jwk = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
        return {**jwk, **({"kid": self.kid} if self.kid else {}), "alg": self.alg, "use": "sig", **members}

    def signature(self, text):
        digest = HASHES[self.alg[2:]]
        if self.alg[:2] == "HS":
            mac = hmac.HMAC(self.secret, digest)
            mac.update(text)
            return mac.finalize()
        if self.alg[:2] == "RS":
            return self.private.sign(text, padding.PKCS1v15(), digest)
        if self.alg[:2] == "PS":
            return self.private.sign(text, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        r, s = utils.decode_dss_signature(self.private.sign(text, ec.ECDSA(digest)))
        size = (self.private.curve.key_size + 7) // 8
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    def sign(self, header=None, /, **claims):
        """A token; `header` overrides members of the usual one (None: leaves them out)."""
        head = {"alg": self.alg, "typ": "JWT", **({"kid": self.kid} if self.kid else {}), **(header or {})}
        head = {name: value for name, value in head.items() if value is not None}
        claims = {"sub": "ann", "exp": int(time.time()) + 3600,
                  "tidings": {"subscribe": ["**"], "publish": ["**"]}, **claims}
        claims = {name: value for name, value in claims.items() if value is not None}
        text = ".".join(base64url(json.dumps(part).encode()) for part in (head, claims))
        return f"{text}.{base64url(self.signature(text.encode()))}"


class KeyServer:
    """Serves a key set; `answer` may be replaced by any function that is given the request handler."""

    def __init__(self, *keys):
        self.keys, self.requests, self.headers = list(keys), 0, {}
        self.answer = KeyServer.answer_keys
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests += 1
                outer.answer(outer, self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/keys.json"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def send(self, handler, status, body, **headers):
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **self.headers, **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        try:
            handler.wfile.write(body)
        except OSError:
            pass  # the other side has had enough

    def answer_keys(self, handler):
        self.send(handler, 200, json.dumps({"keys": [key.jwk() for key in self.keys]}).encode())
